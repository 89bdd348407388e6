/*
 * What the relay does from its first connection to its end.
 */
#ifndef SPILLWAY_RELAY_SERVE_H
#define SPILLWAY_RELAY_SERVE_H

#include <stdint.h>

#include "config/settings.h"

struct serve_options {
    const struct settings *settings; /* as it begins: whom to show certificates for */
    int listen; /* a listening socket of 127.0.0.1 for programs that are led here; -1: none ... */
    int tls;    /* ... and one for their https requests */
    int claim;  /* of place_claim; -1: none */
    const char *place; /* its path, or NULL */
    int open;          /* a listening socket at which the path chooses the endpoint; -1: none */
    const char *token; /* what requests there have to carry; NULL: they come from this user */
    int ready;         /* a descriptor to write a byte to, and close, once it serves; -1: none */
    uint64_t
        idle_ns; /* it ends after so long without a request if nobody needs it; or UINT64_MAX */
};

/*
 * Serves until SIGTERM, SIGINT or SIGHUP, or until nobody needs it. After a signal no connection is
 * accepted and what runs is brought to its end, for up to 30 s or until another signal. The
 * descriptors then belong to it. Returns an exit status; 1 if it could not begin, which the log
 * tells.
 */
int serve(const struct serve_options *options);

#endif
