#include "shim/relay/again.h"

#include <stdbool.h>

#include "shim/log.h"
#include "shim/pool/ledger.h"
#include "shim/relay/exchange.h"
#include "shim/relay/relay.h"

#define MILLISECOND UINT64_C(1000000)
#define TENTH       (100 * MILLISECOND)

/* The shim's own answer comes by a socket that has no address. */
static bool is_shims(const struct exchange *exchange) {
    const char *address = NULL;
    return exchange->head.status == 429 &&
           curl_easy_getinfo(exchange->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK &&
           (!address || !*address);
}

static bool waits(const struct exchange *exchange) {
    const struct endpoint *endpoint = exchange->endpoint;
    return endpoint && endpoint->on_exhausted == EXHAUSTED_WAIT && !exchange->upload_streams &&
           exchange->head.retry_ms >= 0 && is_shims(exchange);
}

static void log_waiting(const struct exchange *exchange, uint64_t ns) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "waiting");
    log_text(&line, "endpoint", exchange->endpoint->name);
    log_seconds(&line, "seconds", ns);
    log_end(&line);
}

void again_judge(struct exchange *exchange) {
    if (!waits(exchange))
        return;
    uint64_t now = ledger_now();
    uint64_t soonest = (uint64_t)exchange->head.retry_ms * MILLISECOND;
    uint64_t limit = exchange->endpoint->max_wait_ns - exchange->waited_ns;
    uint64_t spread = TENTH << (exchange->waits < 5 ? exchange->waits : 5);
    uint64_t wait = soonest + runtime_random(now) % spread;
    if (soonest >= limit)
        return;
    if (wait > limit)
        wait = limit;
    exchange->waited_ns += wait;
    exchange->waits++;
    exchange->again_at = now + wait;
    log_waiting(exchange, wait);
}

void again_wait(struct exchange *exchange) {
    struct upstream *upstream = &exchange->relay->upstream;
    uint64_t at = exchange->again_at;
    exchange_rewind(exchange);
    exchange->again_at = at;
    exchange->previous_waiting = NULL;
    exchange->next_waiting = upstream->waiting;
    if (upstream->waiting)
        upstream->waiting->previous_waiting = exchange;
    upstream->waiting = exchange;
}

static bool is_waiting(const struct exchange *exchange) {
    return exchange->previous_waiting || exchange->relay->upstream.waiting == exchange;
}

void again_forget(struct exchange *exchange) {
    if (!is_waiting(exchange))
        return;
    if (exchange->previous_waiting)
        exchange->previous_waiting->next_waiting = exchange->next_waiting;
    else
        exchange->relay->upstream.waiting = exchange->next_waiting;
    if (exchange->next_waiting)
        exchange->next_waiting->previous_waiting = exchange->previous_waiting;
    exchange->previous_waiting = exchange->next_waiting = NULL;
    exchange->again_at = 0;
}

void again_start(struct upstream *upstream, uint64_t now) {
    for (struct exchange *exchange = upstream->waiting, *next; exchange; exchange = next) {
        next = exchange->next_waiting;
        if (exchange->again_at > now)
            continue;
        again_forget(exchange);
        upstream_start(exchange);
        if (exchange->fault)
            exchange_touch(exchange);
    }
}

uint64_t again_due(const struct upstream *upstream) {
    uint64_t due = UINT64_MAX;
    for (const struct exchange *e = upstream->waiting; e; e = e->next_waiting)
        if (e->again_at < due)
            due = e->again_at;
    return due;
}
