/*
 * The addresses of a host, as one thread writes them and any other may read them at any time.
 */
#ifndef SPILLWAY_SOCKET_SPOT_H
#define SPILLWAY_SOCKET_SPOT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct spot_addresses {
    bool has_v4, has_v6;
    struct in_addr v4;
    struct in6_addr v6;
};

/* All-zero: nothing is known. */
struct spot {
    _Atomic uint32_t version; /* odd while it is written */
    _Atomic uint32_t words[6];
};

/* Returns false, and writes nothing, if another thread is at it. Thread-safe. */
bool spot_write(struct spot *spot, const struct spot_addresses *addresses);

/*
 * Returns false if nothing is known, or if a thread that writes it does not come to an end: this
 * one may be a signal handler that interrupted it. Thread-safe and async-signal-safe.
 */
bool spot_read(const struct spot *spot, struct spot_addresses *addresses);

#endif
