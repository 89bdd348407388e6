/*
 * on_exhausted: wait. In an event loop the curl layer of the shim can't wait, and answers at once;
 * the relay takes that answer back and asks again later. The client has seen nothing by then.
 *
 * How long and how often is as in the shim: until the soonest backend may be used, and a random
 * while more that grows with each time; not longer than max_wait in all.
 */
#ifndef SPILLWAY_RELAY_AGAIN_H
#define SPILLWAY_RELAY_AGAIN_H

#include <stdint.h>

struct exchange;
struct upstream;

/* The head of EXCHANGE is complete: sets again_at if it is an answer of that kind. */
void again_judge(struct exchange *exchange);

/* The transfer of that answer is over: EXCHANGE waits now. */
void again_wait(struct exchange *exchange);

/* EXCHANGE does not wait any more, if it did. */
void again_forget(struct exchange *exchange);

/* Makes those transfers once more whose time has come. */
void again_start(struct upstream *upstream, uint64_t now);

/* When the next one's time comes: ledger_now(); UINT64_MAX: there is none. */
uint64_t again_due(const struct upstream *upstream);

#endif
