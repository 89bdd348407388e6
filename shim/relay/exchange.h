/*
 * One request of a client and its response, between the server in front (libmicrohttpd) and the
 * transfer behind (libcurl).
 *
 * It belongs to the server: made with a request's first line, freed when libmicrohttpd is done with
 * it. Either side notes here what it has and `touches` the exchange; the loop then lets the other
 * one go on (relay.h), so that neither library is called from inside a callback of the other's.
 *
 *     request:   client -> upload   -> backend       paused by the server: the client is suspended
 *     response:  client <- download <- backend       paused by libcurl: the transfer is paused
 */
#ifndef SPILLWAY_RELAY_EXCHANGE_H
#define SPILLWAY_RELAY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>
#include <microhttpd.h>

#include "shim/relay/buffer.h"
#include "shim/relay/loop.h"
#include "shim/runtime.h"

/* How much of a body waits between both sides before the faster one is stopped, and when it may go
 * on. */
#define BUFFER_HIGH (64u * 1024)
#define BUFFER_LOW  (16u * 1024)

struct relay;
struct listener;
struct exchange;

/* A client's connection. */
struct client {
    struct source source; /* told when the client hangs up */
    struct listener *listener;
    struct MHD_Connection *connection;
    struct exchange *exchange; /* that runs, or NULL */
    int fd;
    bool gone; /* it has hung up */
};

/* Why a client's connection is suspended: libmicrohttpd leaves it alone until it is resumed. */
enum pause {
    PAUSE_NONE, /* it is not */
    PAUSE_ROOM, /* more of the request may come when there is room in `upload` */
    PAUSE_HEAD, /* until there is a response */
    PAUSE_BODY  /* until there is more of it in `download` */
};

/* So many exchanges are kept for the requests to come, with buffers of moderate size. */
#define EXCHANGES_KEPT 64

/* The head of a response: its fields one after the other, name and value each with a NUL. */
struct head {
    struct buffer fields;
    size_t count; /* of fields */
    unsigned status;
    long long length; /* of the body; -1: not known */
    bool chunked;
    bool complete;      /* the final one, not of a 1xx */
    long long retry_ms; /* of retry-after-ms; -1: none */
};

struct exchange {
    struct relay *relay;
    struct client *client;
    struct MHD_Connection *connection;
    const struct runtime *runtime;   /* held */
    const struct endpoint *endpoint; /* that the request is for; NULL: none */
    enum pause pause;
    bool begun; /* its head was read */

    struct exchange *previous, *next; /* of all that run */
    struct exchange *previous_touched, *next_touched;
    bool touched;

    /* the request */
    char *target;       /* as it came */
    const char *method; /* libmicrohttpd's */
    char *url;
    bool head_only; /* HEAD */
    struct curl_slist
        *fields; /* the list that libcurl gets: one block of memory, texts behind it */
    size_t fields_size;
    struct buffer upload;
    long long upload_length; /* -1: not known; 0: no body */
    uint64_t upload_limit;   /* up to here the body is collected before it is sent */
    bool upload_streams;     /* it is sent while it comes */
    bool upload_ended;

    /* the transfer */
    CURL *easy; /* NULL: none runs */
    bool started;
    bool done; /* nothing more will come */
    CURLcode result;
    bool upload_paused, download_paused;
    uint64_t again_at;  /* ledger_now(): when it is made once more; 0: it is not waiting */
    uint64_t waited_ns; /* so far */
    unsigned waits;
    struct exchange *previous_waiting, *next_waiting;

    /* the response */
    struct head head;
    struct buffer download;
    unsigned fault; /* not 0: what is answered instead, with `message` */
    char message[400];
};

/* A new exchange for TARGET; NULL if memory ran out. */
struct exchange *exchange_new(struct relay *relay, const char *target);

/* Frees it, or keeps its memory for another one; nothing of it may be in use. What may hold
 * credentials is wiped. */
void exchange_free(struct exchange *exchange);

/* Frees the memory that is kept. */
void exchange_free_kept(struct relay *relay);

/* Something has changed for the other side. */
void exchange_touch(struct exchange *exchange);

/* Another one that was touched, which no longer counts as such; NULL if there is none. */
struct exchange *exchange_next_touched(struct relay *relay);

/* Notes that the relay itself answers, with STATUS and MESSAGE. */
void exchange_fail(struct exchange *exchange, unsigned status, const char *message);

/* Whether the request goes on with a body, which may be empty: its length is told then. */
bool exchange_sends_body(const struct exchange *exchange);

/* Whether there is a response to begin with. */
bool exchange_has_response(const struct exchange *exchange);

/* Makes EXCHANGE ready for another transfer of the same request. */
void exchange_rewind(struct exchange *exchange);

#endif
