/*
 * A routed transfer: the attempts that together answer one request of the program.
 *
 * The callers are the hooks that let libcurl run (perform, and the multi functions):
 *
 *     if (!transfer_begin(handle)) -> the real function, nothing else
 *     do {
 *         while (transfer_aim(t) == TRANSFER_WAIT)
 *             sleep for t->wait_ns;
 *         result = the real function;
 *     } while (transfer_continue(t, &result) == TRANSFER_RUN);
 *     transfer_end(t)
 *
 * Not thread-safe, like the handle itself.
 */
#ifndef SPILLWAY_CURL_TRANSFER_H
#define SPILLWAY_CURL_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/curl/body.h"
#include "shim/curl/content.h"
#include "shim/curl/gate.h"
#include "shim/curl/handle.h"
#include "shim/curl/mask.h"
#include "shim/curl/reply.h"
#include "shim/request/dialect.h"
#include "shim/request/route.h"
#include "shim/runtime.h"

enum transfer_next {
    TRANSFER_RUN,  /* from transfer_aim: let libcurl run; else: aim once more */
    TRANSFER_WAIT, /* nothing is aimed: aim again after transfer->wait_ns */
    TRANSFER_DONE
};

struct transfer {
    struct handle *handle;
    struct route route; /* of handle->routed_changes; its slices point into `asked` */
    char *asked;        /* the URL that the program asked for, and its scratch */
    const struct runtime_endpoint *live;
    struct pool_turn turn;
    int backend;               /* of the attempt at hand; -1: the reply */
    int result;                /* libcurl's code at the end; -1: not ended by libcurl */
    int claim;                 /* see pool_begin */
    int attempts;              /* begun so far */
    bool reads_body;           /* the body comes from the program's read function */
    bool reported;             /* the pool knows what became of this attempt ... */
    bool answered;             /* ... namely the response */
    bool in_multi;             /* an event loop runs it: nothing may sleep */
    bool late;                 /* the backend cools since the attempt was aimed: nothing was sent */
    bool silent;               /* first_byte_timeout or first_body_timeout ended it */
    bool stuck;                /* the request cannot be made again */
    bool detoured;             /* in a drill: the attempt at hand goes to the drill's server ... */
    const struct fault *fault; /* ... for this fault; NULL: for none, but to a mock */
    uint64_t number;           /* in the log; 0: none yet */
    uint64_t started, attempt_started; /* ledger_now() */
    uint64_t deadline;                 /* of the program's own timeout; 0: none */
    uint64_t quiet_since;              /* no upload since; 0 before the request is on its way */
    curl_off_t uploaded;               /* as of quiet_since */
    uint64_t swallow_deadline;
    uint64_t wait_ns;   /* for TRANSFER_WAIT */
    uint64_t waited_ns; /* so far */
    unsigned waits;

    /* What is ours on the handle, see attempt.c; some of it also between transfers */
    unsigned applied;
    long connect_timeout_ms;  /* as it is on the handle */
    const char *url;          /* of the attempt, and on the handle: one of `urls` */
    char *urls[BACKENDS_MAX]; /* made so far, per backend ... */
    uint64_t urls_changes;    /* ... as of this handle->routed_changes */
    struct curl_slist *nodes; /* the attempt's header list: nodes are ours, texts the program's */
    size_t node_capacity;
    struct curl_slist *headers; /* as it is on the handle: part of `nodes`, or NULL */
    struct curl_slist *headers_without_key;
    bool key_sent;
    const char *retold; /* the program's header for which the list begins with another, or NULL */
    struct attempt_fault *detour; /* see attempt_fault.c; NULL: never needed */
    struct key_use key;           /* of the list on the handle: `headers` may begin with its line */

    struct mask mask;
    struct gate gate;
    struct body body;
    struct content content;
    struct dialect_request request; /* if a backend of the endpoint needs it translated */
    struct dialect_plan plan;       /* for the attempt at hand */
    uint64_t unfit;                 /* bit per backend: it can't serve this request ... */
    uint8_t misfits[BACKENDS_MAX];  /* ... for this reason, see translate.c */
    struct reply reply;
    char *answer; /* the last rejected response, kept for on_exhausted: last */
    size_t answer_length;
};

/*
 * Whether the transfer that HANDLE is about to make is for an endpoint and can be routed. If so
 * handle->transfer is ready and handle->aimed set, until transfer_end. If not the handle has the
 * program's own options.
 */
bool transfer_begin(struct handle *handle);

/*
 * Some of our options stay on a handle after a routed transfer: mostly the next one needs the
 * same. Puts the program's in place, before something that could tell the difference. Does nothing
 * in the middle of a transfer.
 */
void transfer_release(struct handle *handle);

/* The program has set OPTION itself, between transfers: ours is gone from the handle. */
void transfer_overridden(struct handle *handle, CURLoption option);

/* Aims the handle at the next backend, or at the reply if none is left and none is waited for. */
enum transfer_next transfer_aim(struct transfer *transfer);

/* The attempt ended with *RESULT: what now? May change *RESULT if the transfer is done. */
enum transfer_next transfer_continue(struct transfer *transfer, CURLcode *result);

/* Gives the handle back to the program as it was. */
void transfer_end(struct transfer *transfer);

/*
 * The program sets OPTION while the transfer runs, from a callback. Returns whether it is one of
 * those that are ours at the moment: then it is to be noted only, and takes effect at the end.
 */
bool transfer_owns(const struct transfer *transfer, CURLoption option);

/* The program has set OPTION while the transfer runs; it is noted already. */
void transfer_changed(struct transfer *transfer, CURLoption option);

/* Puts the program's values in place on COPY, a duplicate of the handle made in mid-transfer.
 * Returns NULL, or the copy of the program's form that it then has, to be freed after it. */
curl_mime *transfer_clean_copy(const struct transfer *transfer, CURL *copy);

/*
 * Whether this thread runs a transfer whose silence has to be noticed in time: libcurl, on its own
 * way through curl_easy_perform, would look only once a second.
 */
extern __thread bool transfer_watched __attribute__((visibility("hidden")));

/* Frees TRANSFER; NULL is allowed. */
void transfer_free(struct transfer *transfer);

#endif
