/*
 * The lookup of a logical host: the real resolver is asked for the host's literal in its place, so
 * that all that it returns is its own. What the program sees of a name is the name that it asked
 * for.
 */
#ifndef SPILLWAY_SOCKET_LOOKUP_H
#define SPILLWAY_SOCKET_LOOKUP_H

#include <netdb.h>
#include <stddef.h>

#include "shim/socket/table.h"

/*
 * The host to serve for a lookup of NAME by the code at CALLER, or NULL: it is no logical host,
 * nothing is served, or the caller is left alone. Makes or renews the directory. NAME may be NULL.
 * Thread-safe; errno is kept.
 */
struct host *lookup_host(const char *name, const void *caller);

/*
 * getaddrinfo for HOST, which the program calls NODE. A call that is not for a stream on one of the
 * host's ports, or for any port, is the real one with the program's own arguments; likewise if
 * nothing can serve the host at this moment.
 */
int lookup_addresses(struct host *host, const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **result);

/* The same for the four of gethostbyname's family. */
struct hostent *lookup_by_name(struct host *host, const char *name);
struct hostent *lookup_by_name2(struct host *host, const char *name, int family);
int lookup_by_name_r(struct host *host, const char *name, struct hostent *out, char *buffer,
                     size_t size, struct hostent **result, int *error);
int lookup_by_name2_r(struct host *host, const char *name, int family, struct hostent *out,
                      char *buffer, size_t size, struct hostent **result, int *error);

/*
 * getaddrinfo_a for a list in which at least one request is for a logical host, by the code at
 * CALLER. These are answered before it returns, the others by the real function: a gaicb that it
 * never sees can't be missed, since each tells of its own state.
 */
int lookup_many(int mode, struct gaicb **list, int count, struct sigevent *event,
                const void *caller);

/* Notes the first address of each family in LIST. Thread-safe. */
void lookup_note(struct spot *spot, const struct addrinfo *list);

#endif
