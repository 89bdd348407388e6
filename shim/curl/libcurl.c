#include "shim/curl/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/version.h"
#include "shim/exempt.h"

/* Written under the lock. */
struct libcurl_known *_Atomic libcurl_known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* What earlier calls from the same objects found, as long as no object was unloaded since. */
struct cached {
    uintptr_t start, size; /* of the calling object */
    const struct libcurl *curl;
    unsigned long long unloads;
};
static __thread struct cached cache[4];
static __thread unsigned next_cached;

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

/* Where a loaded object lies. */
struct bounds {
    uintptr_t address; /* in it */
    uintptr_t start, size;
};

/* For dl_iterate_phdr: fills in the bounds if this is the object. */
static int match_object(struct dl_phdr_info *info, size_t size, void *userdata) {
    struct bounds *bounds = userdata;
    uintptr_t start = UINTPTR_MAX, end = 0;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            uintptr_t behind = at + info->dlpi_phdr[i].p_memsz;
            start = at < start ? at : start;
            end = behind > end ? behind : end;
        }
    if (start > end || bounds->address - start >= end - start)
        return 0;
    bounds->start = start;
    bounds->size = end - start;
    return 1;
}

static bool find_bounds(const void *address, struct bounds *bounds) {
    bounds->address = (uintptr_t)address;
    return dl_iterate_phdr(match_object, bounds) == 1;
}

/* Our own object, where a lookup must not end. Written under `once_own`. */
static struct bounds own;
static pthread_once_t once_own = PTHREAD_ONCE_INIT;

static void find_own(void) {
    find_bounds(&own, &own);
}

static bool is_ours(const void *address) {
    return (uintptr_t)address - own.start < own.size;
}

/* What an object sees: its handle (NULL: the global scope alone) and the version of libcurl that it
 * wants (NULL: any). */
struct scope {
    void *handle;
    const char *version;
};

/*
 * NAME in one SCOPE (a handle or RTLD_NEXT). With several libcurls in it the first may be of
 * another version than is wanted; an object without versions is another preload, though, and is
 * meant.
 */
static void *find_in(void *scope, const char *name, const char *version) {
    void *first = dlsym(scope, name), *exact;
    Dl_info info;
    struct link_map *map = NULL;
    if (!first || is_ours(first) || !version)
        return first;
    exact = dlvsym(scope, name, version);
    if (!exact || exact == first || !dladdr1(first, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return first;
    return version_is_given(map) ? exact : first;
}

/* NAME as an object with SCOPE would find it without us, or NULL. */
static void *find(const struct scope *scope, const char *name) {
    void *found = scope->handle ? find_in(scope->handle, name, scope->version) : NULL;
    if (!found || is_ours(found))
        found = find_in(RTLD_NEXT, name, scope->version);
    return found && !is_ours(found) ? found : NULL;
}

/* A data pointer from dlsym as a function pointer, the way POSIX dlsym(3p) means it. */
#define FIND(caller, name, field)                                                                  \
    do {                                                                                           \
        void *found_ = find(caller, name);                                                         \
        memcpy(&(field), &found_, sizeof(field));                                                  \
    } while (0)

static void fill_forms(const struct scope *caller, struct libcurl *curl) {
    FIND(caller, "curl_mime_init", curl->mime_init);
    FIND(caller, "curl_mime_free", curl->mime_free);
    FIND(caller, "curl_mime_addpart", curl->mime_addpart);
    FIND(caller, "curl_mime_name", curl->mime_name);
    FIND(caller, "curl_mime_filename", curl->mime_filename);
    FIND(caller, "curl_mime_type", curl->mime_type);
    FIND(caller, "curl_mime_encoder", curl->mime_encoder);
    FIND(caller, "curl_mime_data", curl->mime_data);
    FIND(caller, "curl_mime_filedata", curl->mime_filedata);
    FIND(caller, "curl_mime_data_cb", curl->mime_data_cb);
    FIND(caller, "curl_mime_subparts", curl->mime_subparts);
    FIND(caller, "curl_mime_headers", curl->mime_headers);
}

static bool fill(const struct scope *caller, struct libcurl *curl) {
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
    FIND(caller, "curl_multi_poll", curl->multi_poll);
    FIND(caller, "curl_multi_info_read", curl->multi_info_read);
    FIND(caller, "curl_multi_setopt", curl->multi_setopt);
    FIND(caller, "curl_multi_cleanup", curl->multi_cleanup);
    fill_forms(caller, curl);
    FIND(caller, "curl_url_get", curl->url_get);
    FIND(caller, "curl_free", curl->free);
    FIND(caller, "curl_version_info", version_info);
    if (!curl->easy_init || !curl->easy_setopt || !curl->easy_perform || !curl->easy_cleanup ||
        !curl->easy_reset || !curl->easy_duphandle || !curl->easy_getinfo || !version_info)
        return false;
    curl->version = version_info(CURLVERSION_NOW)->version_num;
    return true;
}

/* Whether two sets are one: other preloads may stand before some of the functions. */
static bool is_same(const struct libcurl *a, const struct libcurl *b) {
    return a->start == b->start && a->easy_init == b->easy_init &&
           a->easy_setopt == b->easy_setopt && a->easy_perform == b->easy_perform &&
           a->easy_cleanup == b->easy_cleanup && a->multi_add_handle == b->multi_add_handle &&
           a->multi_perform == b->multi_perform;
}

/* The one entry for this set of functions. */
static const struct libcurl *intern(const struct libcurl *curl) {
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
    struct libcurl_known *entry = libcurl_known;
    while (entry && !is_same(&entry->curl, curl))
        entry = entry->next;
    if (!entry && (entry = malloc(sizeof *entry))) {
        entry->curl = *curl;
        entry->next = libcurl_known;
        libcurl_known = entry;
    }
    pthread_mutex_unlock(&lock);
    return entry ? &entry->curl : NULL;
}

/* For dl_iterate_phdr, which begins with the main program: its dynamic section. */
static int dynamic_of_first(struct dl_phdr_info *info, size_t size, void *dynamic) {
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            *(const ElfW(Dyn) **)dynamic =
                (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

/* Whether the main program names the object MAP among those that it needs. */
static bool is_needed_by_program(const struct link_map *map) {
    const char *slash = strrchr(map->l_name, '/'), *name = slash ? slash + 1 : map->l_name;
    const char *strings = NULL;
    const ElfW(Dyn) *dynamic = NULL;
    dl_iterate_phdr(dynamic_of_first, &dynamic);
    for (const ElfW(Dyn) *entry = dynamic; entry && entry->d_tag; entry++)
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
    if (!strings)
        return false;
    for (const ElfW(Dyn) *entry = dynamic; entry->d_tag; entry++)
        if (entry->d_tag == DT_NEEDED && strcmp(strings + entry->d_un.d_val, name) == 0)
            return true;
    return false;
}

/*
 * An address of this libcurl must never come to mean another one, so it stays. What the program
 * was started with stays anyway; dlopen is dear, so it is spared where that is seen at once.
 */
static void pin(const void *address) {
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name[0] &&
        !is_needed_by_program(map))
        dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Whether the code at ADDRESS is in the very object whose functions the global scope shows next: a
 * libcurl's call to itself, mostly. */
static bool is_next_libcurl(const void *address) {
    struct bounds bounds;
    const void *next = dlsym(RTLD_NEXT, "curl_easy_init");
    return next && find_bounds(next, &bounds) && (uintptr_t)address - bounds.start < bounds.size;
}

/* The scope of the object MAP, which holds RETURN_ADDRESS. The main program's own would begin with
 * us; for it the global scope behind us is right. */
static struct scope scope_of(const struct link_map *map, const void *return_address) {
    struct scope scope = {NULL, version_wanted(map)};
    if (map->l_name[0] && !is_next_libcurl(return_address))
        scope.handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    return scope;
}

static const struct libcurl *look_up(const void *return_address) {
    Dl_info info;
    struct link_map *map = NULL;
    struct scope scope = {NULL, NULL};
    void *init;
    struct libcurl curl;
    struct bounds bounds;
    if (dladdr1(return_address, &info, (void **)&map, RTLD_DL_LINKMAP) && map)
        scope = scope_of(map, return_address);
    bool found = fill(&scope, &curl);
    memcpy(&init, &curl.easy_init, sizeof init);
    found = found && find_bounds(init, &bounds);
    if (found) {
        curl.start = bounds.start;
        curl.size = bounds.size;
        pin(init);
    }
    if (scope.handle)
        dlclose(scope.handle);
    return found ? intern(&curl) : NULL;
}

static const struct libcurl *look_up_cached(const void *return_address) {
    unsigned long long unloads = 0;
    struct bounds bounds = {0};
    dl_iterate_phdr(first_object, &unloads);
    for (unsigned i = 0; i < sizeof cache / sizeof cache[0]; i++)
        if ((uintptr_t)return_address - cache[i].start < cache[i].size &&
            cache[i].unloads == unloads)
            return cache[i].curl;
    int saved = errno;
    pthread_once(&once_own, find_own);
    const struct libcurl *curl = look_up(return_address);
    /* not every caller has an object: generated code, for one */
    if (find_bounds(return_address, &bounds))
        cache[next_cached++ % (sizeof cache / sizeof cache[0])] =
            (struct cached){bounds.start, bounds.size, curl, unloads};
    errno = saved;
    return curl;
}

const struct libcurl *libcurl_of(const void *return_address, bool *inner) {
    const struct libcurl *curl = libcurl_inner(return_address);
    *inner = curl != NULL;
    if (!curl) {
        curl = look_up_cached(return_address);
        *inner = libcurl_inner(return_address) != NULL; /* the first call may be such a one */
        if (curl && !*inner) /* a program's own: what this libcurl connects to is seen to here */
            exempt_add(curl->start, curl->size);
    }
    return curl;
}
