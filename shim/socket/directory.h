/*
 * What is served at this moment: the table of logical hosts for the settings in force, and where
 * the relay is.
 *
 * It is kept up to date by the resolver's hooks and only read by those that connect: these take no
 * lock, allocate nothing and may be called by a signal handler.
 */
#ifndef SPILLWAY_SOCKET_DIRECTORY_H
#define SPILLWAY_SOCKET_DIRECTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/socket/table.h"

/* The table in force; NULL before the first lookup, and if nothing is served. A table that is
 * replaced stays, so that who reads it need not hold it. */
extern struct table *_Atomic directory_table __attribute__((visibility("hidden")));

/* The relay's ports on 127.0.0.1 as they were found last; 0: none. */
extern _Atomic uint16_t directory_relay_port __attribute__((visibility("hidden")));
extern _Atomic uint16_t directory_relay_tls_port __attribute__((visibility("hidden")));

/*
 * The table for a lookup: made by the first one, and made again, within two seconds, when the
 * settings have changed. NULL if nothing is served: without settings, for a program that they don't
 * mean, in the relay itself. Thread-safe, also around a fork; errno is kept. A few instructions if
 * there are no settings, and a look at the clock if nothing has changed.
 */
struct table *directory_renew(void);

/* Looks for the relay, as it is at this moment, and returns its port for plain http or, if TLS, for
 * https; or 0. That there is none is logged once. Thread-safe; errno is kept. */
uint16_t directory_find_relay(bool tls);

/*
 * Whether ADDRESS, PORT is a numeric logical host that the relay serves, by TEXT: words
 * "ADDRESS:PORT=r", with an IPv6 address in brackets and an IPv4 one v4-mapped in ADDRESS. Other
 * words are passed over. Async-signal-safe.
 */
bool directory_announces(const char *text, const struct in6_addr *address, uint16_t port);

/* The value of SPILLWAY_SOCKETS, NULL if there is none. Written by our constructor alone. */
extern const char *directory_announcements __attribute__((visibility("hidden")));

/* Whether a numeric host may be served before any lookup. */
static inline bool directory_announces_any(void) {
    return directory_announcements != NULL;
}

/* The same by SPILLWAY_SOCKETS, for a program that connects before any lookup: the relay's port by
 * SPILLWAY_RELAY_PORT, or 0. Async-signal-safe; a few instructions if the variable is not set. */
uint16_t directory_announced(const struct in6_addr *address, uint16_t port);

/* The port of SPILLWAY_RELAY_PORT alone, 0 if there is none. Async-signal-safe. */
uint16_t directory_announced_port(void);

#endif
