/*
 * Which backend next, and what became of it.
 *
 * A pool is an endpoint's backends with their live state in the ledger. No input or output, no
 * libcurl, no clock of its own: NOW is always CLOCK_BOOTTIME in nanoseconds (ledger_now) and
 * RANDOM is any random number. All functions are thread-safe and process-safe, take no lock and
 * leave errno alone, except pool_new and pool_free.
 */
#ifndef SPILLWAY_POOL_POOL_H
#define SPILLWAY_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"
#include "shim/pool/ledger.h"

/* Attempts on one backend within one transfer, whatever it answers. */
#define POOL_ATTEMPTS 3

/* Why a backend cools: an HTTP status (100 to 599) or one of these. */
enum { REASON_CONNECT = 1, REASON_RESET = 2, REASON_TIMEOUT = 3, REASON_QUOTA = 4 };

struct pool;

/* What one transfer has behind it. Zero-initialised at its start. */
struct pool_turn {
    uint64_t spent;  /* failed without cooling: only if nothing else is left */
    uint64_t barred; /* of no use to this transfer */
    uint64_t probes; /* this transfer is the one that tries it after its cooldown */
    uint8_t attempts[BACKENDS_MAX];
};

/*
 * A pool for ENDPOINT, which must outlive it, with its state in LEDGER, likewise. Backends that
 * find no slot in the ledger have private state. Returns NULL if memory ran out.
 */
struct pool *pool_new(const struct endpoint *endpoint, struct ledger *ledger);
void pool_free(struct pool *pool);

/* Whether the pool's places in the ledger are still its own: false if something was written over
 * the ledger, so that others, who look for their places now, find other ones. Thread-safe. */
bool pool_is_intact(const struct pool *pool);

const struct endpoint *pool_endpoint(const struct pool *pool);

/*
 * The backend for the next attempt of the transfer with TURN, as its index in the endpoint, or
 * -1 if none is available. Among the available ones the lowest priority number wins, and inside
 * a tier the endpoint's strategy. Counts the attempt in TURN. After a cooldown one transfer of all
 * is given the backend; until it has reported (pool_succeeded, pool_failed, pool_give_up), or for
 * the time of one cooldown if it never does, the backend stays unavailable to the others.
 */
int pool_choose(struct pool *pool, struct pool_turn *turn, uint64_t now, uint64_t random);

/* Whether pool_choose would find a backend, if FAILING (or -1) were cooling. */
bool pool_has_another(const struct pool *pool, const struct pool_turn *turn, int failing,
                      uint64_t now);

/* Notes that an attempt begins at NOW; the claim goes to pool_end. */
int pool_begin(struct pool *pool, int backend, uint64_t now);
void pool_end(struct pool *pool, int claim);

/* The backend answered with STATUS, as it should, an attempt that began at NOW. Returns whether it
 * had been cooled before ("recovered"). */
bool pool_succeeded(struct pool *pool, struct pool_turn *turn, int backend, int status,
                    uint64_t now);

/* An attempt on the backend that was answered is over after DURATION ns. */
void pool_took(struct pool *pool, int backend, uint64_t duration);

/* How a failure is to be taken. */
enum {
    POOL_AT_ONCE = 1, /* it cools whatever the threshold is: a 429 */
    POOL_NAMED = 2    /* the cooldown is what the response names, not the settings' own */
};

/*
 * The backend failed for REASON. It cools for COOLDOWN_NS from NOW if this is enough failures
 * in a row (HOW may say that one is); a later deadline that stands is kept. If the transfer was
 * the one that tries it after its cooldown, the cooldowns that no response names double from then
 * on, up to max_cooldown, until it answers. Returns for how long it now cools, 0 if it does not.
 */
uint64_t pool_failed(struct pool *pool, struct pool_turn *turn, int backend, uint32_t reason,
                     unsigned how, uint64_t cooldown_ns, uint64_t now);

/* The backend answered with STATUS, at NOW, what is this request's own fault: it is of no use to
 * the transfer, and does not cool. */
void pool_refused(struct pool *pool, struct pool_turn *turn, int backend, int status, uint64_t now);

/* The attempt ended without saying anything about the backend. */
void pool_give_up(struct pool *pool, struct pool_turn *turn, int backend);

/* This transfer can't use the backend; others may. */
void pool_bar(struct pool_turn *turn, int backend);

/* Nanoseconds until the backend may be used, 0 if at once; *REASON (if not NULL) says why. One that
 * was drained does not cool by that. */
uint64_t pool_cooling(const struct pool *pool, int backend, uint64_t now, uint32_t *reason);

/* Nanoseconds until the soonest backend without a bit in EXCEPT may be used; 0 if one may be now,
 * or is being tried after its cooldown, which shows at any moment whether it may; UINT64_MAX if
 * EXCEPT has them all. */
uint64_t pool_soonest(const struct pool *pool, uint64_t except, uint64_t now);

/* Whether the backend was taken out by hand, and doing it: 1 takes it out, 0 puts it back. */
bool pool_drained(const struct pool *pool, int backend);
void pool_drain(struct pool *pool, int backend, bool drained);

/* Ends the backend's cooldown, as if nothing had been learned of it. */
void pool_reset(struct pool *pool, int backend);

enum pool_state { POOL_AVAILABLE, POOL_COOLING, POOL_PROBING, POOL_DRAINED };

/* What is known of a backend. */
struct pool_view {
    enum pool_state state;
    uint64_t left_ns;     /* of its cooldown; 0 unless it cools, also if it is drained */
    uint32_t reason;      /* of the last cooldown, 0 if there never was one */
    unsigned in_flight;   /* attempts that run, of all processes */
    uint32_t last_status; /* 0: none yet */
    uint64_t last_at;     /* when its attempt began, or failed, CLOCK_BOOTTIME in ns */
    uint64_t outcomes[LEDGER_OUTCOMES];
    uint64_t duration_us; /* the sum of all answered attempts that are over */
    uint64_t classes[LEDGER_CLASSES];
};

/* Looks at each of the endpoint's backends: VIEWS has room for all of them. */
void pool_view(const struct pool *pool, uint64_t now, struct pool_view *views);

/* REASON as a word for log and messages: "429", "connect", "reset", "timeout", "quota". TEXT has
 * room for 12 bytes. Returns TEXT. */
const char *pool_reason_name(uint32_t reason, char *text);

#endif
