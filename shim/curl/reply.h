/*
 * A response of our own, given to the program by its own libcurl.
 *
 * For one more perform the handle is aimed at a listener of this process (an AF_UNIX socket,
 * whatever address libcurl had in mind), which answers with the response. So everything that
 * libcurl tells about a response is true of this one, and no packet leaves the machine.
 */
#ifndef SPILLWAY_CURL_REPLY_H
#define SPILLWAY_CURL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/curl/handle.h"
#include "shim/pool/pool.h"

struct reply {
    char *response; /* owned */
    size_t length, sent;
    int listener, peer; /* -1 if closed */
};

/* Sets REPLY to its idle state. */
void reply_init(struct reply *reply);

/*
 * The 429 that says that every backend of POOL cools, but for those with a bit in UNFIT, which
 * can't serve the request: Retry-After in whole seconds, rounded up and at least 1, retry-after-ms,
 * and OpenAI's error shape with each backend, its reason and its seconds. *LENGTH bytes for free(),
 * or NULL if memory ran out.
 */
char *reply_exhausted(const struct pool *pool, uint64_t unfit, uint64_t now, size_t *length);

/* The 400 that says that no backend of ENDPOINT can serve the request for PATH, for REASONS, one
 * per backend. Otherwise the same. */
char *reply_refused(const struct endpoint *endpoint, const char *const *reasons, struct slice path,
                    size_t *length);

/*
 * Aims HANDLE, whose options are the program's, at RESPONSE (LENGTH bytes, taken over by REPLY).
 * Works with libcurl 7.74 and newer.
 */
void reply_aim(struct reply *reply, const struct handle *handle, char *response, size_t length);

/* Puts the program's options back on HANDLE and closes all descriptors. */
void reply_end(struct reply *reply, const struct handle *handle);

/* Sets what reply_aim changes to the program's values on EASY, HANDLE's own or a copy of it. */
void reply_unset(const struct handle *handle, CURL *easy);

/* Whether OPTION is one that reply_aim changes. */
bool reply_owns(CURLoption option);

#endif
