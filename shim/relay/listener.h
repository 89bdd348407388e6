/*
 * A port in front: libmicrohttpd on one listening socket, and who may connect to it.
 */
#ifndef SPILLWAY_RELAY_LISTENER_H
#define SPILLWAY_RELAY_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "shim/relay/loop.h"

struct relay;

/* Memory of a connection: the fields of its request and those of its response have to fit in
 * together, else libmicrohttpd answers 431, or ends it. */
#define LISTENER_MEMORY (32u * 1024)

struct listener_options {
    bool https;           /* it speaks TLS, for https URLs: tls_open comes first */
    bool by_path;         /* their path chooses the endpoint, not Host */
    bool anybody;         /* connections of other users are served as well; with a token only */
    const char *token;    /* what requests have to carry, or NULL; the caller's */
    unsigned connections; /* at once */
};

struct listener {
    struct source source; /* told when libmicrohttpd has something to do */
    struct relay *relay;
    struct listener_options options;
    struct MHD_Daemon *daemon;
    struct sockaddr_storage address; /* its own */
    int diag;                        /* for peer.h; -1: nobody is asked about */
    bool busy;                       /* it is to be run */
};

/* Serves on FD, a listening socket, which then belongs to LISTENER. False if libmicrohttpd refused,
 * or with errno; FD is still the caller's then. */
bool listener_open(struct listener *listener, struct relay *relay, int fd,
                   const struct listener_options *options);

/* Lets libmicrohttpd go on if there is something to do. Returns whether there is more. */
bool listener_run(struct listener *listener);

/* When listener_run is to be called next, in ns from now; UINT64_MAX: never. */
uint64_t listener_due(const struct listener *listener);

/* Takes no more connections. */
void listener_quiesce(struct listener *listener);

/* Ends every connection. None may be suspended. */
void listener_close(struct listener *listener);

/* Whether ADDRESS is its own, or the one that stands for all of this host's. */
bool listener_is_at(const struct listener *listener, const struct sockaddr *address);

/* The port, in the host's order. */
uint16_t listener_port(const struct listener *listener);

#endif
