#include "shim/relay/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/relay/relay.h"

/* One that was used before, with its memory, or a new one. */
static struct exchange *take(struct relay *relay) {
    struct exchange *exchange = relay->kept;
    if (!exchange)
        return calloc(1, sizeof *exchange);
    struct exchange used = *exchange;
    relay->kept = exchange->next;
    relay->kept_count--;
    memset(exchange, 0, sizeof *exchange);
    exchange->upload = used.upload;
    exchange->download = used.download;
    exchange->head.fields = used.head.fields;
    return exchange;
}

struct exchange *exchange_new(struct relay *relay, const char *target) {
    struct exchange *exchange = take(relay);
    if (!exchange)
        return NULL;
    exchange->relay = relay;
    exchange->head.length = exchange->head.retry_ms = -1;
    exchange->next = relay->first;
    if (relay->first)
        relay->first->previous = exchange;
    relay->first = exchange;
    exchange->target = strdup(target);
    if (exchange->target)
        return exchange;
    exchange_free(exchange);
    return NULL;
}

static void unlink_running(struct exchange *exchange) {
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        exchange->relay->first = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
}

static void untouch(struct exchange *exchange) {
    if (!exchange->touched)
        return;
    exchange->touched = false;
    if (exchange->previous_touched)
        exchange->previous_touched->next_touched = exchange->next_touched;
    else
        exchange->relay->touched = exchange->next_touched;
    if (exchange->next_touched)
        exchange->next_touched->previous_touched = exchange->previous_touched;
    exchange->previous_touched = exchange->next_touched = NULL;
}

static void free_memory(struct exchange *exchange) {
    buffer_free(&exchange->upload);
    buffer_free(&exchange->download);
    buffer_free(&exchange->head.fields);
    free(exchange);
}

void exchange_free(struct exchange *exchange) {
    struct relay *relay = exchange->relay;
    untouch(exchange);
    unlink_running(exchange);
    if (exchange->fields)
        explicit_bzero(exchange->fields, exchange->fields_size);
    free(exchange->fields);
    free(exchange->target);
    free(exchange->url);
    runtime_release(exchange->runtime);
    if (relay->kept_count >= EXCHANGES_KEPT) {
        free_memory(exchange);
        return;
    }
    buffer_clear(&exchange->upload);
    buffer_clear(&exchange->download);
    buffer_clear(&exchange->head.fields);
    exchange->next = relay->kept;
    relay->kept = exchange;
    relay->kept_count++;
}

void exchange_free_kept(struct relay *relay) {
    for (struct exchange *exchange = relay->kept, *next; exchange; exchange = next) {
        next = exchange->next;
        free_memory(exchange);
    }
    relay->kept = NULL;
    relay->kept_count = 0;
}

void exchange_touch(struct exchange *exchange) {
    struct relay *relay = exchange->relay;
    if (exchange->touched)
        return;
    exchange->touched = true;
    exchange->previous_touched = NULL;
    exchange->next_touched = relay->touched;
    if (relay->touched)
        relay->touched->previous_touched = exchange;
    relay->touched = exchange;
}

struct exchange *exchange_next_touched(struct relay *relay) {
    struct exchange *exchange = relay->touched;
    if (exchange)
        untouch(exchange);
    return exchange;
}

void exchange_fail(struct exchange *exchange, unsigned status, const char *message) {
    exchange->fault = status;
    snprintf(exchange->message, sizeof exchange->message, "%s", message);
}

bool exchange_sends_body(const struct exchange *exchange) {
    return exchange->upload_streams || exchange->upload.length > 0 ||
           strcmp(exchange->method, "POST") == 0 || strcmp(exchange->method, "PUT") == 0 ||
           strcmp(exchange->method, "PATCH") == 0;
}

bool exchange_has_response(const struct exchange *exchange) {
    return exchange->fault || (exchange->head.complete && !exchange->again_at);
}

void exchange_rewind(struct exchange *exchange) {
    struct buffer fields = exchange->head.fields;
    buffer_clear(&fields);
    exchange->head = (struct head){.fields = fields, .length = -1, .retry_ms = -1};
    buffer_clear(&exchange->download);
    exchange->done = exchange->upload_paused = exchange->download_paused = false;
    exchange->again_at = 0;
    exchange->result = CURLE_OK;
}
