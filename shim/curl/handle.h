/*
 * The easy handles that programs made through us: one record each.
 *
 * A handle without a record is one whose options were not seen; it is passed through untouched.
 */
#ifndef SPILLWAY_CURL_HANDLE_H
#define SPILLWAY_CURL_HANDLE_H

#include "shim/curl/libcurl.h"
#include "shim/curl/options.h"

/* uthash's own answer to a full heap is exit() */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct transfer;

struct handle {
    CURL *easy;
    const struct libcurl *curl; /* the one that made it */
    struct options options;
    struct transfer *transfer; /* memory for routed transfers, kept from one to the next */
    bool aimed;                /* a routed transfer runs: some options are ours */
    bool routable;             /* the URL belongs to an endpoint ... */
    uint64_t routed_changes;   /* ... as of this count of the options' url_changes; 0: not known */
    UT_hash_handle hh;
};

/* The record of EASY, or NULL. Mostly answered without a lock. Thread-safe. */
struct handle *handle_find(CURL *easy);

/* Makes the record of EASY, made by CURL, in place of one that its address may have had. Returns
 * NULL if memory ran out. Thread-safe. */
struct handle *handle_add(CURL *easy, const struct libcurl *curl);

/* Forgets HANDLE and frees it. Thread-safe, as long as nobody uses that handle. */
void handle_remove(struct handle *handle);

#endif
