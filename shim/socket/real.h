/*
 * The real functions behind the socket hooks: what the program would have reached without us.
 *
 * Those that a signal handler may call are bound by our constructor, so that later nothing but a
 * pointer is read; earlier, in another object's constructor, by the first call. The resolver's are
 * bound by their first call. What is nowhere to be found fails as a system without it would have
 * it.
 */
#ifndef SPILLWAY_SOCKET_REAL_H
#define SPILLWAY_SOCKET_REAL_H

#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

struct real_sockets {
    int (*connect)(int, const struct sockaddr *, socklen_t);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
};

struct real_resolver {
    int (*getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int (*getaddrinfo_a)(int, struct gaicb **, int, struct sigevent *);
    struct hostent *(*gethostbyname)(const char *);
    struct hostent *(*gethostbyname2)(const char *, int);
    int (*gethostbyname_r)(const char *, struct hostent *, char *, size_t, struct hostent **,
                           int *);
    int (*gethostbyname2_r)(const char *, int, struct hostent *, char *, size_t, struct hostent **,
                            int *);
};

extern const struct real_sockets *_Atomic real_sockets_bound __attribute__((visibility("hidden")));
extern const struct real_resolver *_Atomic real_resolver_bound
    __attribute__((visibility("hidden")));

/* Binds them, again and again with the same result. Thread-safe; errno is kept. */
const struct real_sockets *real_bind_sockets(void);
const struct real_resolver *real_bind_resolver(void);

static inline const struct real_sockets *real_sockets(void) {
    const struct real_sockets *bound =
        atomic_load_explicit(&real_sockets_bound, memory_order_acquire);
    return bound ? bound : real_bind_sockets();
}

static inline const struct real_resolver *real_resolver(void) {
    const struct real_resolver *bound =
        atomic_load_explicit(&real_resolver_bound, memory_order_acquire);
    return bound ? bound : real_bind_resolver();
}

#endif
