/*
 * From what libcurl makes for programs to our records of it: one table for easy and multi handles,
 * forms and their parts, no two of which can have the same address at the same time.
 *
 * A lookup of what this thread looked up lately takes no lock. All functions are thread-safe and
 * keep errno on success.
 */
#ifndef SPILLWAY_CURL_REGISTRY_H
#define SPILLWAY_CURL_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* uthash's own answer to a full heap is exit() */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum record_kind { RECORD_EASY, RECORD_MULTI, RECORD_MIME, RECORD_PART };

/* The first member of every record. */
struct record {
    void *address; /* libcurl's handle */
    enum record_kind kind;
    void (*discard)(struct record *); /* frees it, after it was taken out */
    UT_hash_handle hh;
};

/* What one thread found lately; written by that thread alone. */
struct remembered {
    uintptr_t key; /* the handle's address plus the kind, which fits into its lowest bits */
    struct record *record;
    uint64_t removals; /* as of then: a record that was found before a removal may be gone */
    uint64_t unused;   /* 32 bytes in all: a place is found by a shift and a mask */
};
#define REGISTRY_REMEMBERED 16
extern __thread struct remembered registry_memory[REGISTRY_REMEMBERED]
    __attribute__((visibility("hidden")));

/* Counts removals from the table, from 1; written under its lock. */
extern _Atomic uint64_t registry_removals __attribute__((visibility("hidden")));

static inline struct remembered *registry_place(const void *address) {
    return &registry_memory[((uintptr_t)address >> 6) % REGISTRY_REMEMBERED];
}

/* For registry_find: asks the table itself. */
struct record *registry_ask(void *address, enum record_kind kind);

/* The same as registry_find if this thread remembers it, else NULL. */
static inline struct record *registry_recall(const void *address, enum record_kind kind) {
    const struct remembered *place = registry_place(address);
    uint64_t removals = atomic_load_explicit(&registry_removals, memory_order_acquire);
    return place->key == (uintptr_t)address + kind && place->removals == removals ? place->record
                                                                                  : NULL;
}

/* The record of the handle at ADDRESS if it is one of KIND, or NULL. */
static inline struct record *registry_find(void *address, enum record_kind kind) {
    struct record *record = registry_recall(address, kind);
    return record ? record : registry_ask(address, kind);
}

/*
 * Adds RECORD, whose address, kind and discard are set. Returns false if memory ran out. A record
 * that stood for the same address before is taken out and discarded: libcurl frees some handles
 * behind our back, and an address may come again.
 */
bool registry_add(struct record *record);

/* Takes RECORD out, before libcurl frees its handle: from then on the address may be another's. */
void registry_remove(struct record *record);

#endif
