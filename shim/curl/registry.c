#include "shim/curl/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* All records by address. Read and written under the lock. */
static struct record *records;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* How many there are: in a process without any no lock is ever taken. */
static _Atomic size_t population;

/* Counts removals, under the lock: a remembered record of an older count may be gone. */
static _Atomic uint64_t removals = 1;

/* What this thread found lately. */
struct remembered {
    void *address;
    struct record *record;
    uint64_t removals;
};
static __thread struct remembered memory[16];

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

static struct remembered *place_of(const void *address) {
    uintptr_t bits = (uintptr_t)address;
    return &memory[(bits >> 6 ^ bits >> 13) % 16];
}

struct record *registry_find(void *address, enum record_kind kind) {
    if (!atomic_load_explicit(&population, memory_order_relaxed))
        return NULL;
    struct remembered *place = place_of(address);
    uint64_t now = atomic_load_explicit(&removals, memory_order_acquire);
    if (place->address != address || place->removals != now) {
        struct record *record;
        pthread_mutex_lock(&lock);
        HASH_FIND_PTR(records, &address, record);
        now = atomic_load_explicit(&removals, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        if (!record)
            return NULL;
        *place = (struct remembered){address, record, now};
    }
    return place->record->kind == kind ? place->record : NULL;
}

static void take_out(struct record *record) {
    HASH_DEL(records, record);
    atomic_fetch_add_explicit(&removals, 1, memory_order_release);
}

bool registry_add(struct record *record, struct record **stale) {
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
    HASH_FIND_PTR(records, &record->address, *stale);
    if (*stale)
        take_out(*stale);
    record->hh.tbl = NULL;
    HASH_ADD_PTR(records, address, record);
    bool added = record->hh.tbl != NULL; /* NULL: uthash ran out of memory */
    atomic_store_explicit(&population, HASH_COUNT(records), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return added;
}

void registry_remove(struct record *record) {
    pthread_mutex_lock(&lock);
    take_out(record);
    atomic_store_explicit(&population, HASH_COUNT(records), memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}
