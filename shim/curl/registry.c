#include "shim/curl/registry.h"

#include <pthread.h>

/* All records by address. Read and written under the lock. */
static struct record *records;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* How many there are: in a process without any no lock is ever taken. */
static _Atomic size_t population;

_Atomic uint64_t registry_removals = 1;
__thread struct remembered registry_memory[REGISTRY_REMEMBERED];

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

struct record *registry_ask(void *address, enum record_kind kind) {
    struct record *record;
    if (!atomic_load_explicit(&population, memory_order_relaxed))
        return NULL;
    pthread_mutex_lock(&lock);
    HASH_FIND_PTR(records, &address, record);
    uint64_t removals = atomic_load_explicit(&registry_removals, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if (!record || record->kind != kind)
        return NULL;
    *registry_place(address) = (struct remembered){(uintptr_t)address + kind, record, removals, 0};
    return record;
}

static void take_out(struct record *record) {
    HASH_DEL(records, record);
    atomic_fetch_add_explicit(&registry_removals, 1, memory_order_release);
}

bool registry_add(struct record *record) {
    struct record *stale;
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
    HASH_FIND_PTR(records, &record->address, stale);
    if (stale)
        take_out(stale);
    record->hh.tbl = NULL;
    HASH_ADD_PTR(records, address, record);
    bool added = record->hh.tbl != NULL; /* NULL: uthash ran out of memory */
    atomic_store_explicit(&population, HASH_COUNT(records), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if (stale)
        stale->discard(stale);
    return added;
}

void registry_remove(struct record *record) {
    pthread_mutex_lock(&lock);
    take_out(record);
    atomic_store_explicit(&population, HASH_COUNT(records), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}
