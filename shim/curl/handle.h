/*
 * The easy handles that programs made through us: one record each.
 *
 * A handle without a record is one whose options were not seen; it is passed through untouched.
 */
#ifndef SPILLWAY_CURL_HANDLE_H
#define SPILLWAY_CURL_HANDLE_H

#include "shim/curl/libcurl.h"
#include "shim/curl/options.h"
#include "shim/curl/registry.h"

struct transfer;
struct multi;
struct runtime;

struct handle {
    struct record record;
    CURL *easy;
    const struct libcurl *curl; /* the one that made it */
    struct options options;
    const struct runtime *runtime; /* that of the last transfer, held; NULL: none yet */
    struct transfer *transfer;     /* memory for routed transfers, kept from one to the next */
    bool ours;                     /* options of ours may be on it, in a routed transfer or after */
    bool aimed;                    /* a routed transfer runs: some options are ours */
    bool routable;                 /* the URL belongs to an endpoint ... */
    uint64_t routed_changes;       /* ... as of this count of the options' url_changes */
    curl_mime *form;               /* of a duplicate made in mid-transfer: its own copy, or NULL */
    struct multi *multi; /* that it was added to; NULL if none, or one that is not watched */
    struct handle *previous, *next; /* in the multi's list */
};

/* The record of EASY, or NULL. Thread-safe. */
static inline struct handle *handle_find(CURL *easy) {
    return (struct handle *)registry_find(easy, RECORD_EASY); /* the record is its first member */
}

/* Makes the record of EASY, made by CURL, in place of one that its address may have had. Returns
 * NULL if memory ran out. Thread-safe. */
struct handle *handle_add(CURL *easy, const struct libcurl *curl);

/* Forgets HANDLE and frees it. Thread-safe, as long as nobody uses that handle. */
void handle_remove(struct handle *handle);

#endif
