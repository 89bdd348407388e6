/*
 * From libcurl's handles to our records of them: one table for easy and multi handles, which can't
 * have the same address at the same time.
 *
 * A lookup of what this thread looked up lately takes no lock. All functions are thread-safe and
 * keep errno on success.
 */
#ifndef SPILLWAY_CURL_REGISTRY_H
#define SPILLWAY_CURL_REGISTRY_H

#include <stdbool.h>

/* uthash's own answer to a full heap is exit() */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum record_kind { RECORD_EASY, RECORD_MULTI };

/* The first member of every record. */
struct record {
    void *address; /* libcurl's handle */
    enum record_kind kind;
    UT_hash_handle hh;
};

/* The record of the handle at ADDRESS if it is one of KIND, or NULL. */
struct record *registry_find(void *address, enum record_kind kind);

/*
 * Adds RECORD, whose address and kind are set. Returns false if memory ran out. A record that
 * stood for the same address before is taken out and given in *STALE, else NULL: libcurl frees
 * some handles behind our back, and an address may come again.
 */
bool registry_add(struct record *record, struct record **stale);

/* Takes RECORD out. Nobody may use its handle at the same time. */
void registry_remove(struct record *record);

#endif
