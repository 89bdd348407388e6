#include "shim/curl/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Every libcurl met so far. Entries are added in front, under the lock, and never change or go
 * away, so that they are read without it. */
struct known {
    struct libcurl curl;
    struct known *next;
};
static struct known *_Atomic known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* What earlier calls from the same place found, as long as no object was unloaded since. */
struct cached {
    const void *return_address;
    const struct libcurl *curl;
    unsigned long long unloads;
    bool inner;
};
static __thread struct cached cache[16];

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

/* For dl_iterate_phdr: sets the bounds if this is the object of a libcurl's functions. */
static int bounds_of_object(struct dl_phdr_info *info, size_t size, void *userdata) {
    struct libcurl *curl = userdata;
    uintptr_t wanted, start = UINTPTR_MAX, end = 0;
    (void)size;
    memcpy(&wanted, &curl->easy_init, sizeof wanted);
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            start = at < start ? at : start;
            end = at + info->dlpi_phdr[i].p_memsz > end ? at + info->dlpi_phdr[i].p_memsz : end;
        }
    if (wanted < start || wanted >= end)
        return 0;
    curl->start = start;
    curl->end = end;
    return 1;
}

/* Where the object lies, which stays there: an address must never come to mean another one. */
static bool find_bounds(struct libcurl *curl) {
    Dl_info info;
    struct link_map *map = NULL;
    void *init;
    memcpy(&init, &curl->easy_init, sizeof init);
    if (!dl_iterate_phdr(bounds_of_object, curl) ||
        !dladdr1(init, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return false;
    if (map->l_name[0])
        dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    return true;
}

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
    FIND(caller, "curl_multi_add_handle", curl->multi_add_handle);
    FIND(caller, "curl_multi_remove_handle", curl->multi_remove_handle);
    FIND(caller, "curl_multi_perform", curl->multi_perform);
    FIND(caller, "curl_multi_socket_action", curl->multi_socket_action);
    FIND(caller, "curl_multi_socket", curl->multi_socket);
    FIND(caller, "curl_multi_socket_all", curl->multi_socket_all);
    FIND(caller, "curl_multi_info_read", curl->multi_info_read);
    FIND(caller, "curl_multi_setopt", curl->multi_setopt);
    FIND(caller, "curl_multi_cleanup", curl->multi_cleanup);
    FIND(caller, "curl_version_info", version_info);
    if (!curl->easy_init || !curl->easy_setopt || !curl->easy_perform || !curl->easy_cleanup ||
        !curl->easy_reset || !curl->easy_duphandle || !curl->easy_getinfo || !version_info)
        return false;
    curl->version = version_info(CURLVERSION_NOW)->version_num;
    return find_bounds(curl);
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
    *inner = libcurl_inner(return_address) != NULL;
    if (caller)
        dlclose(caller);
    return found;
}

const struct libcurl *libcurl_inner(const void *return_address) {
    uintptr_t at = (uintptr_t)return_address;
    for (const struct known *k = atomic_load_explicit(&known, memory_order_acquire); k; k = k->next)
        if (at - k->curl.start < k->curl.end - k->curl.start)
            return &k->curl;
    return NULL;
}

const struct libcurl *libcurl_of(const void *return_address, bool *inner) {
    const struct libcurl *self = libcurl_inner(return_address);
    if (self) {
        *inner = true;
        return self;
    }
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
