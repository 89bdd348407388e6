/*
 * The relay: an HTTP server whose requests go on through libcurl, and so, as the shim is preloaded
 * into it, through the pools of the endpoints. One thread, one loop.
 */
#ifndef SPILLWAY_RELAY_RELAY_H
#define SPILLWAY_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/relay/exchange.h"
#include "shim/relay/listener.h"
#include "shim/relay/loop.h"
#include "shim/relay/upstream.h"

#define LISTENERS_MAX 4

struct relay {
    struct loop loop;
    struct upstream upstream;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct exchange *touched; /* a list: something has changed for the other side */
    struct exchange *first;   /* a list: all that run */
    struct exchange *kept;    /* a list by `next`: memory for others */
    size_t kept_count;
    uint64_t last_request; /* ledger_now(): when one began or ended last */
    bool stopping;         /* no connection is kept for another request */
};

/* Opens the loop and what is behind it. False with errno. */
bool relay_open(struct relay *relay);

/* Waits up to NS for something to happen, and does what is to be done then. */
void relay_turn(struct relay *relay, uint64_t ns);

/* Ends everything at once, and frees it. */
void relay_close(struct relay *relay);

#endif
