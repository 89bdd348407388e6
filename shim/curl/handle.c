#include "shim/curl/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "shim/curl/transfer.h"

/* All records by address. Read and written under the lock. */
static struct handle *handles;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* How many there are: in a process without any no lock is ever taken. */
static _Atomic size_t population;

/* Counts removals, under the lock: a remembered record of an older count may be gone. */
static _Atomic uint64_t removals = 1;

/* What this thread found lately, so that the common call takes no lock. */
struct remembered {
    CURL *easy;
    struct handle *handle;
    uint64_t removals;
};
static __thread struct remembered memory[8] __attribute__((tls_model("initial-exec")));

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

static struct remembered *place_of(const CURL *easy) {
    return &memory[((uintptr_t)easy >> 6 ^ (uintptr_t)easy >> 13) % 8];
}

struct handle *handle_find(CURL *easy) {
    if (!atomic_load_explicit(&population, memory_order_relaxed))
        return NULL;
    struct remembered *place = place_of(easy);
    uint64_t now = atomic_load_explicit(&removals, memory_order_acquire);
    if (place->easy == easy && place->removals == now)
        return place->handle;
    struct handle *handle;
    pthread_mutex_lock(&lock);
    HASH_FIND_PTR(handles, &easy, handle);
    now = atomic_load_explicit(&removals, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if (handle)
        *place = (struct remembered){easy, handle, now};
    return handle;
}

static void free_handle(struct handle *handle) {
    transfer_free(handle->transfer);
    options_clear(&handle->options);
    free(handle);
}

struct handle *handle_add(CURL *easy, const struct libcurl *curl) {
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    pthread_once(&fork_once, watch_forks);
    handle->easy = easy;
    handle->curl = curl;
    options_init(&handle->options);
    struct handle *stale;
    pthread_mutex_lock(&lock);
    /* libcurl frees some handles without curl_easy_cleanup, so an address may come again */
    HASH_FIND_PTR(handles, &easy, stale);
    if (stale) {
        HASH_DEL(handles, stale);
        atomic_fetch_add_explicit(&removals, 1, memory_order_release);
    }
    HASH_ADD_PTR(handles, easy, handle);
    bool added = handle->hh.tbl != NULL; /* NULL: uthash ran out of memory */
    atomic_store_explicit(&population, HASH_COUNT(handles), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if (stale)
        free_handle(stale);
    if (!added) {
        free_handle(handle);
        return NULL;
    }
    return handle;
}

void handle_remove(struct handle *handle) {
    pthread_mutex_lock(&lock);
    HASH_DEL(handles, handle);
    atomic_fetch_add_explicit(&removals, 1, memory_order_release);
    atomic_store_explicit(&population, HASH_COUNT(handles), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    free_handle(handle);
}
