#include "shim/command/doctor_libraries.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/object.h"

/* More than any program needs: a bound for files that were made to have no end. */
#define LIBRARIES_MAX 4096

/* A search: for which object, what, and where it was found. */
struct search {
    struct libraries *libraries;
    const char *environment; /* LD_LIBRARY_PATH */
    const char *name;
    char found[PATH_MAX];
};

static void ignore_string(void *context, long tag, const char *value) {
    (void)context, (void)tag, (void)value;
}

/* Takes PATH if the loader would: it goes on when a file is for another kind of machine. */
static bool try_path(void *context, const char *path) {
    struct search *search = context;
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
        !object_each_string(path, ignore_string, NULL))
        return false;
    return (size_t)snprintf(search->found, sizeof search->found, "%s", path) < sizeof search->found;
}

/* What stands for the token at the start of TEXT, and the token's length; NULL if it is none. */
static const char *token_value(const char *text, const char *origin, const char *lib,
                               size_t *length) {
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    const struct {
        const char *name, *value;
    } tokens[] = {{"ORIGIN", origin}, {"LIB", lib}, {"PLATFORM", platform ? platform : ""}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        size_t size = strlen(tokens[i].name);
        if (strncmp(text + 1, tokens[i].name, size) == 0) {
            *length = size + 1;
            return tokens[i].value;
        }
        if (text[1] == '{' && strncmp(text + 2, tokens[i].name, size) == 0 &&
            text[size + 2] == '}') {
            *length = size + 3;
            return tokens[i].value;
        }
    }
    return NULL;
}

/* Writes the SIZE bytes of TEXT to OUT (PATH_MAX) with the tokens expanded; false: no room. */
static bool expand(const char *text, size_t size, const char *origin, const char *lib, char *out) {
    size_t used = 0;
    for (const char *end = text + size; text < end;) {
        size_t length = 1;
        const char *value = *text == '$' ? token_value(text, origin, lib, &length) : NULL;
        size_t count = value ? strlen(value) : 1;
        if (used + count >= PATH_MAX)
            return false;
        memcpy(out + used, value ? value : text, count);
        used += count;
        text += length;
    }
    out[used] = '\0';
    return true;
}

/* The directory of OBJECT's file, links resolved, as $ORIGIN is meant. */
static void write_origin(const struct library *object, char *out) {
    char real[PATH_MAX];
    if (!realpath(object->path, real))
        snprintf(real, sizeof real, "%s", object->path);
    char *slash = strrchr(real, '/');
    if (slash)
        slash[slash == real] = '\0';
    memcpy(out, slash ? real : ".", slash ? strlen(real) + 1 : 2);
}

/* $LIB depends on how glibc was built; the file is in one of these or in none. */
static const char *const lib_names[] = {
#if defined(__x86_64__)
    "lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
    "lib/aarch64-linux-gnu",
#endif
    "lib64", "lib"};

/* Looks for SEARCH's name in each directory of LIST, which belongs to OBJECT. */
static bool try_list(struct search *search, const struct library *object, const char *list) {
    char origin[PATH_MAX], directory[PATH_MAX], path[2 * PATH_MAX];
    if (!list)
        return false;
    write_origin(object, origin);
    for (const char *entry = list;; entry++) {
        size_t length = strcspn(entry, ":;");
        for (size_t i = 0; i < sizeof lib_names / sizeof *lib_names; i++) {
            if (!expand(entry, length, origin, lib_names[i], directory))
                break;
            snprintf(path, sizeof path, "%s/%s", *directory ? directory : ".", search->name);
            if (try_path(search, path))
                return true;
            if (!memmem(entry, length, "LIB", 3))
                break;
        }
        entry += length;
        if (!*entry)
            return false;
    }
}

static bool try_rpaths(struct search *search, size_t index) {
    const struct library *list = search->libraries->list;
    if (list[index].runpath)
        return false;
    for (;; index = list[index].parent) {
        if (!list[index].runpath && try_list(search, &list[index], list[index].rpath))
            return true;
        if (index == 0)
            return false;
    }
}

bool libraries_each_cached(const void *cache, size_t size, const char *name,
                           bool (*each)(void *context, const char *path), void *context) {
    static const char magic[] = "glibc-ld.so.cache1.1";
    struct {
        char magic[sizeof magic - 1];
        uint32_t count, strings, unused[5];
    } header;
    struct {
        int32_t flags;
        uint32_t name, path, os;
        uint64_t processor;
    } entry;
    const char *start = size > 0 ? memmem(cache, size, magic, sizeof magic - 1) : NULL;
    if (!start)
        return false;
    size -= (size_t)(start - (const char *)cache);
    if (size < sizeof header)
        return false;
    memcpy(&header, start, sizeof header);
    size_t room = (size - sizeof header) / sizeof entry;
    for (size_t i = 0; i < header.count && i < room; i++) {
        memcpy(&entry, start + sizeof header + i * sizeof entry, sizeof entry);
        if (entry.name >= size || entry.path >= size ||
            !memchr(start + entry.name, '\0', size - entry.name) ||
            !memchr(start + entry.path, '\0', size - entry.path))
            continue;
        if (strcmp(start + entry.name, name) == 0 && each(context, start + entry.path))
            return true;
    }
    return false;
}

static bool try_cache(struct search *search) {
    struct stat status;
    int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t size = fstat(fd, &status) == 0 ? (size_t)status.st_size : 0;
    void *cache = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (cache == MAP_FAILED)
        return false;
    bool found = libraries_each_cached(cache, size, search->name, try_path, search);
    munmap(cache, size);
    return found;
}

/* The loader's own directories, which it tells those who ask for their search path. */
static bool try_system(struct search *search) {
    char path[2 * PATH_MAX];
    Dl_serinfo size;
    void *self = dlopen(NULL, RTLD_LAZY);
    if (!self || dlinfo(self, RTLD_DI_SERINFOSIZE, &size) != 0)
        return false;
    bool found = false;
    Dl_serinfo *info = calloc(1, size.dls_size);
    if (info) {
        info->dls_size = size.dls_size;
        info->dls_cnt = size.dls_cnt;
        if (dlinfo(self, RTLD_DI_SERINFO, info) == 0)
            for (unsigned i = 0; i < info->dls_cnt && !found; i++) {
                snprintf(path, sizeof path, "%s/%s", info->dls_serpath[i].dls_name, search->name);
                found = try_path(search, path);
            }
    }
    free(info);
    dlclose(self);
    return found;
}

/* Finds SEARCH's name for the object INDEX. */
static bool find(struct search *search, size_t index) {
    const struct library *object = &search->libraries->list[index];
    char origin[PATH_MAX], path[PATH_MAX];
    if (strchr(search->name, '/')) {
        write_origin(object, origin);
        return expand(search->name, strlen(search->name), origin, lib_names[0], path) &&
               try_path(search, path);
    }
    return try_rpaths(search, index) ||
           try_list(search, search->libraries->list, search->environment) ||
           try_list(search, object, object->runpath) || try_cache(search) || try_system(search);
}

/* What an object needs, gathered while its file is read. */
struct reading {
    struct libraries *libraries;
    size_t index;
    bool failed;
};

static bool is_known(const struct libraries *libraries, const char *name) {
    for (size_t i = 1; i < libraries->count; i++)
        if (strcmp(libraries->list[i].name, name) == 0)
            return true;
    return false;
}

static bool add_library(struct libraries *libraries, const char *name, size_t parent) {
    struct library *list =
        reallocarray(libraries->list, libraries->count + 1, sizeof *libraries->list);
    if (!list)
        return false;
    libraries->list = list;
    char *copy = strdup(name);
    if (copy)
        list[libraries->count++] = (struct library){.name = copy, .parent = parent};
    return copy;
}

static void take_string(void *context, long tag, const char *value) {
    struct reading *reading = context;
    struct library *object = &reading->libraries->list[reading->index];
    char **place = tag == DT_RPATH ? &object->rpath : tag == DT_RUNPATH ? &object->runpath : NULL;
    if (place) {
        free(*place);
        *place = strdup(value);
        reading->failed |= !*place;
    } else if (tag == DT_NEEDED && reading->libraries->count < LIBRARIES_MAX &&
               !is_known(reading->libraries, value)) {
        reading->failed |= !add_library(reading->libraries, value, reading->index);
    }
}

bool libraries_load(struct libraries *libraries, const char *path, const char *environment) {
    struct search search = {.libraries = libraries, .environment = environment};
    *libraries = (struct libraries){0};
    bool good = add_library(libraries, path, 0);
    for (size_t i = 0; good && i < libraries->count; i++) {
        struct reading reading = {.libraries = libraries, .index = i};
        search.name = libraries->list[i].name;
        const char *file = path;
        if (i > 0)
            file = find(&search, libraries->list[i].parent) ? search.found : NULL;
        if (!file)
            continue;
        libraries->list[i].path = strdup(file);
        good = libraries->list[i].path && object_each_string(file, take_string, &reading) &&
               !reading.failed;
    }
    if (!good)
        libraries_free(libraries);
    return good;
}

void libraries_free(struct libraries *libraries) {
    for (size_t i = 0; i < libraries->count; i++) {
        free(libraries->list[i].name);
        free(libraries->list[i].path);
        free(libraries->list[i].rpath);
        free(libraries->list[i].runpath);
    }
    free(libraries->list);
    *libraries = (struct libraries){0};
}
