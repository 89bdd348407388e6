#include "shim/relay/answer.h"

#include <string.h>
#include <sys/socket.h>

#include "shim/relay/fault.h"
#include "shim/relay/head.h"
#include "shim/relay/relay.h"

/* What libmicrohttpd asks for at once, where it sends without a chunk's frame. */
#define BLOCK 32768u

/*
 * The response ends before its end. libmicrohttpd (0.9.75) closes the connection, but sees to that
 * only at its next event if the last bytes were sent in the same turn: so there is one, and the
 * client is told now.
 */
static ssize_t break_off(const struct exchange *exchange) {
    shutdown(exchange->client->fd, SHUT_RDWR);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* For MHD_create_response_from_callback: the next bytes of the response. */
static ssize_t next_bytes(void *context, uint64_t position, char *out, size_t room) {
    struct exchange *exchange = context;
    (void)position;
    if (exchange->client->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t taken = buffer_take(&exchange->download, out, room);
    if (taken) {
        if (exchange->download_paused)
            exchange_touch(exchange);
        return (ssize_t)taken;
    }
    if (exchange->done)
        return exchange->result == CURLE_OK ? MHD_CONTENT_READER_END_OF_STREAM
                                            : break_off(exchange);
    exchange->pause = PAUSE_BODY;
    MHD_suspend_connection(exchange->connection);
    return 0;
}

/* Whether a response to this request with this status has no body, whatever its head says. */
static bool is_bodiless(const struct exchange *exchange) {
    return exchange->head_only || exchange->head.status == MHD_HTTP_NO_CONTENT ||
           exchange->head.status == MHD_HTTP_NOT_MODIFIED;
}

static struct MHD_Response *make_bodiless(const struct exchange *exchange) {
    union {
        const struct exchange *exchange;
        void *context;
    } unused = {exchange};
    if (exchange->head.length >= 0)
        return MHD_create_response_from_callback((uint64_t)exchange->head.length, 1, next_bytes,
                                                 unused.context, NULL);
    if (exchange->head.status == MHD_HTTP_NO_CONTENT)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, next_bytes, unused.context, NULL);
    /* no length is said of a body that is not there either: the connection ends with the head */
    if (response)
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

static struct MHD_Response *make_response(struct exchange *exchange) {
    const struct head *head = &exchange->head;
    struct buffer *body = &exchange->download;
    if (is_bodiless(exchange))
        return make_bodiless(exchange);
    if (exchange->done && exchange->result == CURLE_OK)
        return MHD_create_response_from_buffer(
            body->length, body->length ? body->bytes + body->start : NULL, MHD_RESPMEM_PERSISTENT);
    bool known = head->length >= 0 && !head->chunked;
    uint64_t size = known ? (uint64_t)head->length : MHD_SIZE_UNKNOWN;
    return MHD_create_response_from_callback(size, known && size < BLOCK ? (size_t)size + 1 : BLOCK,
                                             next_bytes, exchange, NULL);
}

static bool add_field(void *context, const char *name, const char *value) {
    MHD_add_response_header(context, name, value); /* refuses what may not be sent */
    return true;
}

static enum MHD_Result queue(const struct exchange *exchange, unsigned status,
                             struct MHD_Response *response) {
    if (!response)
        return MHD_NO;
    if (exchange->relay->stopping)
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result queue_fault(const struct exchange *exchange) {
    char body[sizeof exchange->message * 2 + 128];
    size_t length = fault_body(exchange->fault, exchange->message, body, sizeof body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_COPY);
    if (response)
        MHD_add_response_header(response, "Content-Type", "application/json");
    return queue(exchange, exchange->fault, response);
}

/* For the status line and what libmicrohttpd adds. */
#define HEAD_MORE 512u

/* Whether the fields of the response have room beside those of the request: libmicrohttpd, which
 * has about 64 bytes for each of these, would end the connection without a word. */
static bool fits(const struct exchange *exchange) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    int count = MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, NULL, NULL);
    size_t request = (info ? info->header_size : 0) + 64u * (size_t)(count > 0 ? count : 0);
    /* two bytes are added to each field here, and four there */
    size_t response = exchange->head.fields.length + 2 * exchange->head.count;
    return request + response + HEAD_MORE <= LISTENER_MEMORY;
}

enum MHD_Result answer_queue(struct exchange *exchange) {
    if (!exchange->fault && !fits(exchange)) {
        upstream_cancel(exchange);
        exchange->done = true;
        exchange_fail(exchange, 502, "The fields of the response are too large.");
    }
    if (exchange->fault)
        return queue_fault(exchange);
    struct MHD_Response *response = make_response(exchange);
    if (response)
        head_each(&exchange->head, add_field, response);
    return queue(exchange, exchange->head.status, response);
}
