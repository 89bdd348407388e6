/*
 * A request body that the program gives piece by piece (CURLOPT_READFUNCTION, or a FILE), made
 * repeatable: what was read is copied, up to a limit, and given again to the next attempt.
 *
 * The copy comes first and the program's own CURLOPT_SEEKFUNCTION only when the copy ran over its
 * limit: a seek function may be there and yet fail, as curl's does on a pipe, and that is found
 * out only when it is too late to hand over the response. Not thread-safe.
 */
#ifndef SPILLWAY_CURL_BODY_H
#define SPILLWAY_CURL_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/curl/options.h"

struct body {
    const struct options *options; /* the program's callbacks */
    CURL *easy;                    /* for the program's ioctl function */
    uint64_t limit;
    curl_off_t base; /* where the copy begins in the body: not 0 after a seek, to resume */
    char *copy;
    size_t length, capacity;
    size_t cursor;       /* how much of the copy this attempt has been given */
    bool ended;          /* the program has given all of it */
    bool overrun;        /* more than the limit, or memory ran out: there is no copy */
    bool touched;        /* the program's function was called since the last rewind */
    bool aborted;        /* it asked body_load to end the transfer: it is the next to be told */
    const char *instead; /* what this attempt is given in its place, or NULL ... */
    size_t instead_length, instead_cursor;
};

/* Prepares for a transfer; nothing is allocated before something is read. */
void body_start(struct body *body, const struct options *options, CURL *easy, uint64_t limit);

/* Frees the copy, wiping it. */
void body_clear(struct body *body);

/*
 * Makes ready to give the body from its beginning. Returns false if that can't be done: the
 * copy ran over its limit and the program can't go back either. Cheap if nothing was read.
 */
bool body_rewind(struct body *body);

/*
 * Reads the whole body into the copy, before an attempt that stands at its beginning. EXPECTED is
 * its length, -1 if that is not known. Returns true if all of it is in body->copy, body->length
 * bytes; false if it is more than the limit, if the program has not got it all yet, or if it
 * begins elsewhere. Either way the attempt will be given all of it.
 */
bool body_load(struct body *body, curl_off_t expected);

/* Gives this attempt LENGTH bytes of TEXT, the caller's, in place of the body; NULL: the body. */
void body_replace(struct body *body, const char *text, size_t length);

/* For CURLOPT_READFUNCTION and CURLOPT_SEEKFUNCTION, with the body as their data. */
size_t body_read(char *out, size_t size, size_t count, void *body);
int body_seek(void *body, curl_off_t offset, int origin);

#endif
