/*
 * Connections to backends by address alone, for endpoints with `sockets: address`.
 *
 * A program that looks the logical host up gets the host's literal; only when it connects is a
 * backend chosen, so that each connection has its turn, and backends that differ in their ports, or
 * share an address, are told apart. The backends' own addresses are looked up by the resolver's
 * hooks, before.
 *
 * What address_prepare does may take time and locks; the others take none and allocate nothing.
 */
#ifndef SPILLWAY_SOCKET_ADDRESS_H
#define SPILLWAY_SOCKET_ADDRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "shim/socket/goal.h"
#include "shim/socket/table.h"

/* Looks up the backends of SERVICE, each at most once a minute; one whose name can't be found cools
 * (`connect`). Returns whether any has an address. Thread-safe; errno is not preserved. */
bool address_prepare(struct service *service);

/*
 * connect for FD, to a backend of SERVICE; OWN is the program's address, of LENGTH bytes. A backend
 * that refuses, can't be reached or (on a blocking socket) does not answer within connect_timeout
 * cools, and the next one is tried at once, as far as retry_on has `connect`. On a non-blocking
 * socket a connection that is under way is remembered; what became of it is learned when the
 * program asks for SO_ERROR or connects once more, and the next connection goes elsewhere then.
 * Returns what connect does, with its errno; EHOSTUNREACH if no backend is left. The socket's flags
 * are as they were. Async-signal-safe.
 */
int address_connect(int fd, const union goal_address *own, socklen_t length,
                    const struct service *service);

/* Writes a backend's address to OUT, whose family says of which, for who connects by other means.
 * False if there is none. Async-signal-safe. */
bool address_choose(const struct service *service, union goal_address *out);

/* How many connections are under way. */
extern atomic_uint address_pending __attribute__((visibility("hidden")));

static inline bool address_is_pending(void) {
    return atomic_load_explicit(&address_pending, memory_order_relaxed) != 0;
}

/* The program has read SO_ERROR of FD into VALUE, of LENGTH bytes. Async-signal-safe; errno is
 * kept. */
void address_settle(int fd, const void *value, socklen_t length);

#endif
