/*
 * The transfers behind: libcurl's multi interface, in the relay's loop.
 *
 * None of these may be called from a callback of libcurl.
 */
#ifndef SPILLWAY_RELAY_UPSTREAM_H
#define SPILLWAY_RELAY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "shim/relay/loop.h"

#define UPSTREAM_IDLE_HANDLES 128

struct exchange;
struct relay;

/* A socket of libcurl's. */
struct wire {
    struct source source;
    struct upstream *upstream;
    int fd;
    uint32_t wanted;  /* events that libcurl waits for */
    uint32_t watched; /* those that the loop looks for: may stay for the next transfer, see `own` */
    bool own;         /* its end is told us, by close_socket */
};

struct upstream {
    struct relay *relay;
    CURLM *multi;
    struct wire **wires; /* by descriptor; made once, and kept */
    size_t wire_count;
    uint64_t due;             /* ledger_now(): when libcurl wants to be called; UINT64_MAX: not */
    struct exchange *waiting; /* to be made once more, in no order */
    CURL *idle[UPSTREAM_IDLE_HANDLES];
    size_t idle_count;
    bool direct; /* no environment variable names a proxy */
};

/* False if libcurl refused. MAX_IDLE connections are kept for later requests. */
bool upstream_open(struct upstream *upstream, struct relay *relay, long max_idle);
void upstream_close(struct upstream *upstream);

/* Makes the transfer of EXCHANGE, whose request is known at least as far as its fields. If that
 * can't be done the exchange fails. */
void upstream_start(struct exchange *exchange);

/* Ends it at once, if it runs; its connection is closed unless it was over. */
void upstream_cancel(struct exchange *exchange);

/* Lets a paused transfer go on, as far as there is room or there are bytes for it. */
void upstream_continue(struct exchange *exchange);

/* Does what is due at NOW, and looks for what has ended. */
void upstream_run(struct upstream *upstream, uint64_t now);

/* When upstream_run is to be called next, whatever happens: ledger_now(); UINT64_MAX: never. */
uint64_t upstream_due(const struct upstream *upstream);

#endif
