/*
 * host URL [MODE:FILE...]: a program that loads modules. With -DLINKED it is linked with module.c
 * and libcurl itself and makes a transfer of its own before, between and after those of the
 * modules. MODE: local, global, deep (RTLD_DEEPBIND), again (load, fetch, unload, three times);
 * direct: FILE is a libcurl, whose functions are looked up by dlsym.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int fetch(const char *url, int multi);

/* A data pointer from dlsym as a function pointer, the way POSIX dlsym(3p) means it. */
static void look_up(void *module, const char *name, void *function) {
    void *found = dlsym(module, name);
    memcpy(function, &found, sizeof found);
}

static size_t count_body(char *data, size_t size, size_t count, void *total) {
    (void)data;
    *(size_t *)total += size * count;
    return size * count;
}

static void fetch_directly(void *curl, const char *url) {
    void *(*init)(void);
    int (*setopt)(void *, int, ...), (*perform)(void *);
    void (*cleanup)(void *);
    size_t total = 0;
    look_up(curl, "curl_easy_init", &init);
    look_up(curl, "curl_easy_setopt", &setopt);
    look_up(curl, "curl_easy_perform", &perform);
    look_up(curl, "curl_easy_cleanup", &cleanup);
    void *easy = init();
    setopt(easy, 10002, url); /* CURLOPT_URL, _WRITEFUNCTION, _WRITEDATA */
    setopt(easy, 20011, count_body);
    setopt(easy, 10001, &total);
    int result = perform(easy);
    printf("directly: %d %zu\n", result, total);
    cleanup(easy);
}

static int use(const char *url, const char *mode, const char *file, int flags) {
    int (*module_fetch)(const char *, int);
    void *module = dlopen(file, RTLD_NOW | flags);
    if (!module) {
        printf("%s\n", dlerror());
        return 1;
    }
    if (strcmp(mode, "direct") == 0) {
        fetch_directly(module, url);
    } else {
        look_up(module, "fetch", &module_fetch);
        module_fetch(url, 0);
        module_fetch(url, 1);
    }
    if (strcmp(mode, "again") == 0)
        dlclose(module);
    return 0;
}

int main(int count, char **arguments) {
    const char *url = arguments[1];
    int status = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 2; i < count; i++) {
        char mode[16] = "";
        const char *file = strchr(arguments[i], ':') + 1;
        snprintf(mode, sizeof mode, "%.*s", (int)(file - 1 - arguments[i]), arguments[i]);
        int flags = strcmp(mode, "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
        flags |= strcmp(mode, "deep") == 0 || strcmp(mode, "direct") == 0 ? RTLD_DEEPBIND : 0;
        int times = strcmp(mode, "again") == 0 ? 3 : 1;
#ifdef LINKED
        fetch(url, i % 2);
#endif
        while (times-- > 0)
            status |= use(url, mode, file, flags);
    }
#ifdef LINKED
    fetch(url, 0);
    fetch(url, 1);
#endif
    return status;
}
