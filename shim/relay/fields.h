/*
 * The fields of a request, as libmicrohttpd has them, for libcurl.
 */
#ifndef SPILLWAY_RELAY_FIELDS_H
#define SPILLWAY_RELAY_FIELDS_H

#include <stdbool.h>

#include "shim/relay/exchange.h"

/* What the server itself has to know of them. */
struct fields_seen {
    const char *host;  /* NULL: none */
    const char *token; /* of Authorization: Bearer, else of api-key; NULL: none */
    bool chunked;      /* a body of unknown length comes */
    long long length;  /* of Content-Length; 0: none */
    const char *wrong; /* what can't be served, as a sentence, or NULL ... */
    unsigned status;   /* ... and the status for it */
};

/*
 * Looks at the fields of the request at CONNECTION.
 */
void fields_look(struct MHD_Connection *connection, struct fields_seen *seen);

/*
 * Makes exchange->fields: those that go through (headers.h), in their order, without Host, Expect
 * and, if WITHOUT_TOKEN is set, without those that fields_look finds a token in; and those that
 * keep libcurl from adding its own. False if memory ran out.
 */
bool fields_make(struct exchange *exchange, bool without_token);

#endif
