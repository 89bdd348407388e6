#include "shim/relay/relay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "shim/pool/ledger.h"
#include "shim/relay/request.h"

#define IDLE_CONNECTIONS 1024 /* to backends, kept for later requests */

/* Between two looks at what the kernel has: so that neither side starves the other. */
#define ROUNDS 16

bool relay_open(struct relay *relay) {
    *relay = (struct relay){.last_request = ledger_now()};
    if (!loop_open(&relay->loop))
        return false;
    if (upstream_open(&relay->upstream, relay, IDLE_CONNECTIONS))
        return true;
    loop_close(&relay->loop);
    return false;
}

/* Lets both sides of what has changed go on. */
static void pass_on(struct relay *relay) {
    struct exchange *exchange;
    while ((exchange = exchange_next_touched(relay))) {
        upstream_continue(exchange);
        request_continue(exchange);
    }
}

/* Returns whether there is more to do. */
static bool work(struct relay *relay) {
    bool more = false;
    upstream_run(&relay->upstream, ledger_now());
    pass_on(relay);
    for (size_t i = 0; i < relay->listener_count; i++)
        more |= listener_run(&relay->listeners[i]);
    return more || relay->touched || relay->upstream.due == 0;
}

static uint64_t time_to_wait(const struct relay *relay, uint64_t ns) {
    uint64_t now = ledger_now(), due = upstream_due(&relay->upstream);
    if (due != UINT64_MAX && (due <= now || due - now < ns))
        ns = due > now ? due - now : 0;
    for (size_t i = 0; i < relay->listener_count; i++) {
        uint64_t wait = listener_due(&relay->listeners[i]);
        if (wait < ns)
            ns = wait;
    }
    return ns;
}

void relay_turn(struct relay *relay, uint64_t ns) {
    loop_wait(&relay->loop, relay->touched ? 0 : time_to_wait(relay, ns));
    for (size_t i = 0; i < relay->listener_count; i++)
        if (!listener_due(&relay->listeners[i]))
            relay->listeners[i].busy = true;
    for (int round = 0; round < ROUNDS && work(relay); round++)
        ;
}

/* libmicrohttpd ends no connection that is suspended. */
static void wake_all(struct relay *relay) {
    for (struct exchange *exchange = relay->first; exchange; exchange = exchange->next) {
        exchange->client->gone = true;
        upstream_cancel(exchange);
        request_continue(exchange);
    }
}

void relay_close(struct relay *relay) {
    wake_all(relay);
    for (size_t i = 0; i < relay->listener_count; i++)
        listener_close(&relay->listeners[i]);
    upstream_close(&relay->upstream);
    exchange_free_kept(relay);
    loop_close(&relay->loop);
}
