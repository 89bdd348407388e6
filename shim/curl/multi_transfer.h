/*
 * Routed transfers of a multi handle.
 *
 * An attempt that failed is taken out of the multi handle, aimed anew and added again, inside the
 * program's own call, so that it is never seen to have ended. Messages are taken from libcurl as
 * they come and kept here until the program reads them.
 *
 * Nothing sleeps: on_exhausted: wait is answered like `reply`. An event loop lives on the sockets
 * and the timer that libcurl tells it of, and a transfer that waits has neither: parked, it would
 * depend on the program calling again by chance.
 *
 * A multi handle is used by one thread at a time, and so is its record.
 */
#ifndef SPILLWAY_CURL_MULTI_TRANSFER_H
#define SPILLWAY_CURL_MULTI_TRANSFER_H

#include "shim/curl/handle.h"

struct multi {
    struct record record;
    CURLM *multi;
    const struct libcurl *curl;
    struct handle *handles; /* ours among those that were added */
    CURLMsg **messages;     /* libcurl's own, not yet read by the program; a ring */
    size_t first, count, capacity;
    size_t added;    /* handles in the multi handle: no more messages than these can come */
    unsigned inside; /* calls of libcurl that are running: what comes now comes from a callback */
    bool untouched;  /* handles come (pushed ones) or messages are told in ways not seen here */
};

/* The record of MULTI, or NULL. */
struct multi *multi_find(CURLM *multi);

/* The same, but made if there is none; NULL if memory ran out. */
struct multi *multi_watch(CURLM *multi, const struct libcurl *curl);

/* curl_multi_add_handle for EASY with its record HANDLE (or NULL), routed if it is for us. */
CURLMcode multi_add(struct multi *multi, CURL *easy, struct handle *handle);

/* curl_multi_remove_handle, in the middle of a routed transfer too. */
CURLMcode multi_remove(struct multi *multi, CURL *easy, struct handle *handle);

/* To be called around every call of libcurl that moves transfers. The latter takes care of what
 * ended and returns how many transfers it started again. */
void multi_enter(struct multi *multi);
int multi_leave(struct multi *multi);

/* curl_multi_info_read. */
CURLMsg *multi_read(struct multi *multi, int *left);

/* curl_multi_cleanup; frees the record. */
CURLMcode multi_close(struct multi *multi);

#endif
