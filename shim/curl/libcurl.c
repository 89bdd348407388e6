#include "shim/curl/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Every libcurl met so far. Entries are added under the lock and never change or go away. */
struct known {
    struct libcurl curl;
    struct known *next;
};
static struct known *known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* What earlier calls from the same place found, as long as no object was unloaded since. */
struct cached {
    const void *return_address;
    const struct libcurl *curl;
    unsigned long long unloads;
    bool inner;
};
static __thread struct cached cache[16] __attribute__((tls_model("initial-exec")));

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

static int first_object(struct dl_phdr_info *info, size_t size, void *unloads) {
    (void)size;
    *(unsigned long long *)unloads = info->dlpi_subs;
    return 1;
}

static const void *object_of(const void *address) {
    Dl_info info;
    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* Our own object: where a lookup must not end. */
static bool is_ours(const void *address) {
    return object_of(address) == object_of(&known);
}

/* NAME as the object with handle CALLER (or NULL) would find it without us, or NULL. */
static void *find(void *caller, const char *name) {
    void *found = caller ? dlsym(caller, name) : NULL;
    if (!found || is_ours(found))
        found = dlsym(RTLD_NEXT, name);
    return found && !is_ours(found) ? found : NULL;
}

/* A data pointer from dlsym as a function pointer, the way POSIX dlsym(3p) means it. */
#define FIND(caller, name, field)                                                                  \
    do {                                                                                           \
        void *found_ = find(caller, name);                                                         \
        memcpy(&(field), &found_, sizeof(field));                                                  \
    } while (0)

static bool fill(void *caller, struct libcurl *curl) {
    curl_version_info_data *(*version_info)(CURLversion);
    memset(curl, 0, sizeof *curl);
    FIND(caller, "curl_easy_init", curl->easy_init);
    FIND(caller, "curl_easy_setopt", curl->easy_setopt);
    FIND(caller, "curl_easy_perform", curl->easy_perform);
    FIND(caller, "curl_easy_cleanup", curl->easy_cleanup);
    FIND(caller, "curl_easy_reset", curl->easy_reset);
    FIND(caller, "curl_easy_duphandle", curl->easy_duphandle);
    FIND(caller, "curl_easy_getinfo", curl->easy_getinfo);
    FIND(caller, "curl_version_info", version_info);
    if (!curl->easy_init || !curl->easy_setopt || !curl->easy_perform || !curl->easy_cleanup ||
        !curl->easy_reset || !curl->easy_duphandle || !curl->easy_getinfo || !version_info)
        return false;
    curl->version = version_info(CURLVERSION_NOW)->version_num;
    return true;
}

/* The one entry for this set of functions. */
static const struct libcurl *intern(const struct libcurl *curl) {
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
    struct known *entry = known;
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both were zeroed, padding included */
    while (entry && memcmp(&entry->curl, curl, sizeof *curl) != 0)
        entry = entry->next;
    if (!entry && (entry = malloc(sizeof *entry))) {
        memcpy(&entry->curl, curl, sizeof *curl); /* with its padding, for memcmp */
        entry->next = known;
        known = entry;
    }
    pthread_mutex_unlock(&lock);
    return entry ? &entry->curl : NULL;
}

static const struct libcurl *look_up(const void *return_address, bool *inner) {
    Dl_info info;
    struct link_map *map = NULL;
    void *caller = NULL;
    struct libcurl curl;
    /* the main program's name is empty, and its own scope begins with us: RTLD_NEXT serves it */
    if (dladdr1(return_address, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name[0])
        caller = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    const struct libcurl *found = fill(caller, &curl) ? intern(&curl) : NULL;
    void *init = NULL;
    if (found)
        memcpy(&init, &found->easy_init, sizeof init);
    *inner = found && object_of(init) == object_of(return_address);
    if (caller)
        dlclose(caller);
    return found;
}

const struct libcurl *libcurl_of(const void *return_address, bool *inner) {
    unsigned long long unloads = 0;
    dl_iterate_phdr(first_object, &unloads);
    struct cached *entry = &cache[((uintptr_t)return_address >> 3) % 16];
    if (entry->return_address != return_address || entry->unloads != unloads) {
        int saved = errno;
        entry->curl = look_up(return_address, &entry->inner);
        entry->return_address = return_address;
        entry->unloads = unloads;
        errno = saved;
    }
    *inner = entry->inner;
    return entry->curl;
}
