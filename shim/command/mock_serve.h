/*
 * A mock's HTTP server, on libmicrohttpd with a thread per connection: a request that waits
 * holds up nobody else.
 */
#ifndef SPILLWAY_COMMAND_MOCK_SERVE_H
#define SPILLWAY_COMMAND_MOCK_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/command/mock_check.h"
#include "shim/command/mock_route.h"
#include "shim/command/mock_script.h"

/* All of it belongs to the caller and outlives the server, which moves script and limit on. */
struct mock_options {
    const char *name; /* safe in JSON and in a header */
    enum mock_dialect dialect;
    struct mock_rules rules;
    struct mock_script script;
    struct mock_limit limit;
    const char *retry_after;    /* text for the header of a 429; NULL: from the limit */
    uint64_t retry_after_ns;    /* the same as a time */
    uint64_t latency_ns;        /* before each response */
    uint64_t event_interval_ns; /* between two events of a stream, two pieces of a slow body */
    unsigned tokens;            /* words of an answer, events of a stream; at least 1 */
    uint64_t requests;          /* enough after so many; 0: never */
    const char *certificate;    /* PEM texts; NULL: plain http */
    const char *key;
    int bodies;              /* the directory for bodies; -1: none */
    bool closes;             /* one request per connection */
    const char *step_header; /* a request's own step is in this header; NULL: in none */
    const char *name_header; /* and instead of `name`, this one's; NULL: none */
};

struct mock_server;

/*
 * Starts to answer on LISTEN_FD, which then belongs to the server, and to log to LOG_FD (-1: no
 * log), which stays the caller's. Returns a server for mock_server_stop, or NULL if
 * libmicrohttpd refused (it says why on standard error); LISTEN_FD may stay open then.
 */
struct mock_server *mock_server_start(struct mock_options *options, int listen_fd, int log_fd);

/* A file descriptor that becomes readable once options.requests are answered. */
int mock_server_enough(const struct mock_server *server);

/* Ends every connection, waits for their threads and frees SERVER. */
void mock_server_stop(struct mock_server *server);

#endif
