/*
 * Where a connection is to go instead: whether an address that a program connects to is a logical
 * host's, and what becomes of it.
 *
 * Nothing here takes a lock or allocates: a signal handler may connect.
 */
#ifndef SPILLWAY_SOCKET_GOAL_H
#define SPILLWAY_SOCKET_GOAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "shim/socket/directory.h"

/* A socket address of either family. */
union goal_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* What to do with a connection. */
enum goal_course {
    GOAL_OWN,      /* to the program's own address */
    GOAL_REPLACED, /* to another one */
    GOAL_NOWHERE,  /* it can't be reached: EHOSTUNREACH */
    GOAL_CHOICE,   /* to a backend that is yet to be chosen */
};

/* For goal_is_ours: the same for an address that is of IPv4 or IPv6. */
bool goal_is_ours_ip(const struct sockaddr *address, socklen_t length);

/*
 * Whether ADDRESS, of LENGTH bytes, is a logical host's. ADDRESS may be NULL. Async-signal-safe;
 * errno is kept.
 */
static inline bool goal_is_ours(const struct sockaddr *address, socklen_t length) {
    sa_family_t family;
    if (!address || length < sizeof(struct sockaddr_in))
        return false;
    memcpy(&family, &address->sa_family, sizeof family);
    return (family == AF_INET || family == AF_INET6) && goal_is_ours_ip(address, length);
}

/* The service of which a backend is to be chosen for GOAL_CHOICE. */
const struct service *goal_service(const struct sockaddr *address, socklen_t length);

/*
 * Decides on the connection of socket FD to ADDRESS, which is a logical host's; writes the address
 * to use to OUT (of the same family and length) for GOAL_REPLACED. Async-signal-safe; errno is
 * kept.
 */
enum goal_course goal_decide(int fd, const struct sockaddr *address, socklen_t length,
                             union goal_address *out);

#endif
