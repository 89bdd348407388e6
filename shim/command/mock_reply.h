/*
 * One request of a mock and the response to it, in terms of libmicrohttpd: what mock_serve.c
 * decides and mock_reply.c puts into words.
 */
#ifndef SPILLWAY_COMMAND_MOCK_REPLY_H
#define SPILLWAY_COMMAND_MOCK_REPLY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <microhttpd.h>

#include "shim/command/mock_body.h"
#include "shim/command/mock_question.h"
#include "shim/command/mock_route.h"
#include "shim/command/mock_script.h"
#include "shim/command/mock_serve.h"

#define MOCK_HEADERS_MAX 100
#define MOCK_FOREVER     UINT64_MAX

struct mock_server {
    struct mock_options *options;
    struct MHD_Daemon *daemon;
    int log_fd;
    int enough_fd;        /* eventfd, written once all wanted requests are answered */
    int stop_fd;          /* eventfd, written once the server stops */
    pthread_mutex_t lock; /* holds options->script, options->limit and number */
    uint64_t number;      /* of the last request */
    atomic_uint_fast64_t connections;
    atomic_uint_fast64_t bodies; /* begun */
    atomic_uint_fast64_t answered;
    atomic_bool started;
};

/* What a request gets. */
struct mock_decision {
    const struct mock_step *step; /* never NULL */
    enum mock_action action;
    int status; /* 0: no response */
    enum mock_cause cause;
    bool overruled;   /* by --limit or a rule, rather than what the step says */
    uint64_t wait_ns; /* of a 429, or MOCK_NO_WAIT */
    const char *retry_after;
};

/* One request; it belongs to its connection's thread. */
struct mock_exchange {
    struct mock_server *server;
    const char *name;       /* the mock's, for this request; lives as long as the request */
    struct mock_script own; /* its own step, or empty */
    int fd;                 /* of its connection */
    char *target;
    const char *method;
    bool begun; /* the head was seen */
    bool counted;
    struct timespec time;
    struct mock_body body;
    struct mock_route route;
    struct mock_question question;
    uint64_t number;
    struct mock_decision decision;
    const char *headers[MOCK_HEADERS_MAX];
    size_t header_count;
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t mock_now_ns(void);

/*
 * Waits until DEADLINE_NS of mock_now_ns, or for ever. Returns true then, or false if the
 * server stops before it or the client of the socket FD goes; FD -1 stands for no client.
 */
bool mock_wait_until(const struct mock_server *server, int fd, uint64_t deadline_ns);

/* The response that EXCHANGE's decision asks for, for MHD_destroy_response; its status is not
 * 0. NULL without memory. It no longer needs EXCHANGE, but the server. */
struct MHD_Response *mock_make_response(struct mock_exchange *exchange);

#endif
