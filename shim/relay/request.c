#include "shim/relay/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/ledger.h"
#include "shim/relay/answer.h"
#include "shim/relay/fields.h"
#include "shim/relay/relay.h"
#include "shim/relay/secret.h"
#include "shim/relay/target.h"
#include "shim/request/route.h"

/* A body for no endpoint is never sent again, so it need not be collected. */
#define UNROUTED_LIMIT BUFFER_HIGH

/* A URL has a scheme, a host and a path before its target; a host has at most 255 characters. */
#define URL_MORE 400

/* The client's record, which libmicrohttpd keeps for the connection. */
static struct client *client_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void *request_begin(void *context, const char *target, struct MHD_Connection *connection) {
    struct listener *listener = context;
    struct client *client = client_of(connection);
    struct exchange *exchange = client ? exchange_new(listener->relay, target) : NULL;
    if (!exchange)
        return NULL;
    exchange->client = client;
    exchange->connection = connection;
    client->exchange = exchange;
    listener->relay->last_request = ledger_now();
    return exchange;
}

void request_end(void *context, struct MHD_Connection *connection, void **request,
                 enum MHD_RequestTerminationCode code) {
    struct listener *listener = context;
    struct exchange *exchange = *request;
    (void)connection, (void)code;
    if (!exchange)
        return;
    upstream_cancel(exchange);
    exchange->client->exchange = NULL;
    exchange_free(exchange);
    *request = NULL;
    listener->relay->last_request = ledger_now();
}

/* --- the head ------------------------------------------------------------------------------ */

static enum MHD_Result refuse(struct exchange *exchange, unsigned status, const char *sentence) {
    exchange_fail(exchange, status, sentence);
    return answer_queue(exchange);
}

/* Finds the URL, and the endpoint that it is for, if any. Returns NULL, or what is wrong. */
static const char *find_url(struct exchange *exchange, const char *host) {
    const struct listener *listener = exchange->client->listener;
    const struct settings *settings = exchange->runtime->settings;
    size_t size = strlen(exchange->target) + 2048;
    char *scratch = malloc(size);
    struct route route;
    const char *wrong = "Memory ran out.";
    exchange->url = malloc(size);
    if (exchange->url && scratch) {
        wrong =
            listener->options.by_path
                ? target_by_path(settings, exchange->target, exchange->url, size)
                : target_url(host, exchange->target, listener->options.https, exchange->url, size);
        if (!wrong && route_find(settings, exchange->url, false, scratch, &route))
            exchange->endpoint = route.endpoint;
    }
    free(scratch);
    return wrong;
}

/* A body whose length is known to be more than is collected is sent on while it comes. */
static void plan_body(struct exchange *exchange, const struct fields_seen *seen) {
    exchange->upload_length = seen->chunked ? -1 : seen->length;
    exchange->upload_limit = exchange->endpoint ? exchange->endpoint->replay_limit : UNROUTED_LIMIT;
    if (exchange->upload_length > 0 && (uint64_t)exchange->upload_length > exchange->upload_limit)
        exchange->upload_streams = true;
}

static void start(struct exchange *exchange) {
    if (fields_make(exchange, exchange->client->listener->options.token != NULL)) {
        upstream_start(exchange);
    } else {
        exchange_fail(exchange, 502, "Memory ran out.");
        exchange->started = exchange->done = true;
    }
}

static enum MHD_Result begin(struct exchange *exchange, const char *method) {
    const struct listener *listener = exchange->client->listener;
    struct fields_seen seen;
    exchange->begun = true;
    exchange->method = method;
    exchange->head_only = strcmp(method, "HEAD") == 0;
    exchange->runtime = runtime_renew(NULL, ledger_now());
    if (!exchange->runtime)
        return refuse(exchange, 502, "The relay has no settings.");
    fields_look(exchange->connection, &seen);
    if (seen.wrong)
        return refuse(exchange, seen.status, seen.wrong);
    if (listener->options.token && !secret_same(listener->options.token, seen.token))
        return refuse(exchange, 401, "The request has no valid token for this relay.");
    if (strcmp(method, "CONNECT") == 0)
        return refuse(exchange, 501, "CONNECT is not served here.");
    const char *wrong = find_url(exchange, seen.host);
    if (wrong && !*wrong)
        return refuse(exchange, 404, "No endpoint of the settings has a URL with this path.");
    if (wrong)
        return refuse(exchange, 400, wrong);
    plan_body(exchange, &seen);
    if (exchange->upload_streams)
        start(exchange);
    return MHD_YES;
}

/* --- the body ------------------------------------------------------------------------------ */

static void suspend(struct exchange *exchange, enum pause pause) {
    exchange->pause = pause;
    MHD_suspend_connection(exchange->connection);
}

static enum MHD_Result take_upload(struct exchange *exchange, const char *data, size_t *length) {
    struct buffer *upload = &exchange->upload;
    if (exchange->done ||
        exchange->fault) { /* nobody wants it any more; the answer comes after it */
        *length = 0;
        return MHD_YES;
    }
    if (exchange->upload_streams && upload->length >= BUFFER_HIGH) {
        suspend(exchange, PAUSE_ROOM);
        return MHD_YES;
    }
    if (exchange->upload_length > 0 && !exchange->upload_streams && !upload->capacity &&
        !buffer_reserve(upload, (size_t)exchange->upload_length))
        return MHD_NO;
    if (!buffer_add(upload, data, *length))
        return MHD_NO;
    *length = 0;
    if (!exchange->upload_streams && upload->length > exchange->upload_limit) {
        exchange->upload_streams = true;
        start(exchange);
    }
    if (exchange->upload_paused)
        exchange_touch(exchange);
    return MHD_YES;
}

/* The request is complete; comes here once more when there is a response. */
static enum MHD_Result finish(struct exchange *exchange) {
    if (!exchange->upload_ended) {
        exchange->upload_ended = true;
        if (!exchange->started)
            start(exchange);
        exchange_touch(exchange);
    }
    if (exchange_has_response(exchange))
        return answer_queue(exchange);
    suspend(exchange, PAUSE_HEAD);
    return MHD_YES;
}

enum MHD_Result request_handle(void *listener, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *length, void **request) {
    struct exchange *exchange = *request;
    (void)listener, (void)connection, (void)url, (void)version;
    if (!exchange || exchange->client->gone)
        return MHD_NO;
    if (!exchange->begun)
        return begin(exchange, method);
    return *length ? take_upload(exchange, data, length) : finish(exchange);
}

bool request_continue(struct exchange *exchange) {
    bool ready = exchange->client->gone;
    switch (exchange->pause) {
    case PAUSE_NONE:
        return false;
    case PAUSE_ROOM:
        ready |= exchange->done || exchange->fault || exchange->upload.length <= BUFFER_LOW;
        break;
    case PAUSE_HEAD:
        ready |= exchange_has_response(exchange);
        break;
    case PAUSE_BODY:
        ready |= exchange->download.length > 0 || exchange->done;
        break;
    }
    if (!ready)
        return false;
    exchange->pause = PAUSE_NONE;
    exchange->client->listener->busy = true;
    MHD_resume_connection(exchange->connection);
    return true;
}
