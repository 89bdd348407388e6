#include "shim/pool/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/strategy.h"

/* A deadline further off than any that this version writes is damage, not a cooldown. */
#define DEADLINE_LIMIT (366ull * 24 * 3600 * 1000000000)

/* The shortest lease of the one who tries a backend after its cooldown. */
#define PROBE_MINIMUM 1000000000ull

struct tier {
    uint64_t members; /* bit per backend */
    struct ledger_slot *cursor;
    bool even; /* all weights are the same */
    uint8_t count;
    uint8_t list[BACKENDS_MAX];
};

struct pool {
    const struct endpoint *endpoint;
    struct ledger *ledger;
    struct ledger_slot *slots[BACKENDS_MAX];
    struct tier tiers[BACKENDS_MAX]; /* best first */
    unsigned tier_count;
    struct ledger_slot private_slots[]; /* for what found no room: backends, then tiers */
};

static uint64_t bit(int backend) {
    return 1ull << backend;
}

static struct ledger_slot *slot_or_private(struct pool *pool, uint64_t key, size_t number) {
    struct ledger_slot *slot = ledger_slot(pool->ledger, key);
    return slot ? slot : &pool->private_slots[number];
}

static void add_tiers(struct pool *pool) {
    const struct endpoint *endpoint = pool->endpoint;
    uint64_t done = 0;
    while (pool->tier_count < endpoint->backend_count) {
        int best = -1;
        for (int i = 0; i < (int)endpoint->backend_count; i++)
            if (!(done & bit(i)) &&
                (best < 0 || endpoint->backends[i].priority < endpoint->backends[best].priority))
                best = i;
        if (best < 0)
            return;
        struct tier *tier = &pool->tiers[pool->tier_count];
        int priority = endpoint->backends[best].priority;
        tier->even = true;
        for (int i = 0; i < (int)endpoint->backend_count; i++)
            if (endpoint->backends[i].priority == priority) {
                tier->members |= bit(i);
                tier->list[tier->count++] = (uint8_t)i;
                tier->even &= endpoint->backends[i].weight == endpoint->backends[best].weight;
            }
        done |= tier->members;
        char name[24];
        snprintf(name, sizeof name, "tier %d", priority);
        tier->cursor = slot_or_private(pool, ledger_key(endpoint->name, name, NULL),
                                       endpoint->backend_count + pool->tier_count);
        pool->tier_count++;
    }
}

struct pool *pool_new(const struct endpoint *endpoint, struct ledger *ledger) {
    size_t spare = endpoint->backend_count * 2 * sizeof(struct ledger_slot);
    size_t size = (sizeof(struct pool) + spare + 63) / 64 * 64;
    struct pool *pool = aligned_alloc(64, size);
    if (!pool)
        return NULL;
    memset(pool, 0, size);
    pool->endpoint = endpoint;
    pool->ledger = ledger;
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const struct backend *backend = &endpoint->backends[i];
        pool->slots[i] =
            slot_or_private(pool, ledger_key(endpoint->name, backend->name, backend->url), i);
    }
    add_tiers(pool);
    return pool;
}

void pool_free(struct pool *pool) {
    free(pool);
}

const struct endpoint *pool_endpoint(const struct pool *pool) {
    return pool->endpoint;
}

static uint64_t cooling(const struct ledger_slot *slot, uint64_t now) {
    uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
    return until > now && until - now <= DEADLINE_LIMIT ? until - now : 0;
}

/* Whether another transfer tries the backend, whose cooldown is over, at this moment. */
static bool probed_by_another(const struct pool *pool, const struct pool_turn *turn, int backend,
                              uint64_t now) {
    const struct ledger_slot *slot = pool->slots[backend];
    uint64_t probing;
    if (!atomic_load_explicit(&slot->until, memory_order_relaxed) || (turn->probes & bit(backend)))
        return false;
    probing = atomic_load_explicit(&slot->probing, memory_order_relaxed);
    return probing > now && probing - now <= DEADLINE_LIMIT;
}

/*
 * Makes this transfer the one that tries the backend, if its cooldown has only just ended. False
 * if another was quicker. The claim is a lease: who holds it may die.
 */
static bool claim_probe(struct pool *pool, struct pool_turn *turn, int backend, uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    if (!atomic_load_explicit(&slot->until, memory_order_relaxed) || (turn->probes & bit(backend)))
        return true;
    uint64_t probing = atomic_load_explicit(&slot->probing, memory_order_relaxed);
    uint64_t lease =
        pool->endpoint->cooldown_ns > PROBE_MINIMUM ? pool->endpoint->cooldown_ns : PROBE_MINIMUM;
    if ((probing > now && probing - now <= DEADLINE_LIMIT) ||
        !atomic_compare_exchange_strong(&slot->probing, &probing, now + lease))
        return false;
    turn->probes |= bit(backend);
    return true;
}

static void release_probe(struct pool *pool, struct pool_turn *turn, int backend) {
    if (turn->probes & bit(backend))
        atomic_store_explicit(&pool->slots[backend]->probing, 0, memory_order_release);
    turn->probes &= ~bit(backend);
}

uint64_t pool_cooling(const struct pool *pool, int backend, uint64_t now, uint32_t *reason) {
    const struct ledger_slot *slot = pool->slots[backend];
    if (reason)
        *reason = atomic_load_explicit(&slot->reason, memory_order_relaxed);
    return cooling(slot, now);
}

uint64_t pool_soonest(const struct pool *pool, uint64_t except, uint64_t now) {
    uint64_t soonest = UINT64_MAX;
    for (size_t i = 0; i < pool->endpoint->backend_count; i++) {
        uint64_t left = cooling(pool->slots[i], now);
        if (!(except & bit((int)i)) && left < soonest)
            soonest = left;
    }
    return soonest;
}

/* The members of TIER that this transfer may use now, without those in EXCEPT. */
static uint64_t available(const struct pool *pool, const struct tier *tier,
                          const struct pool_turn *turn, uint64_t except, uint64_t now) {
    uint64_t mask = 0;
    for (unsigned i = 0; i < tier->count; i++) {
        int member = tier->list[i];
        if (turn->attempts[member] < POOL_ATTEMPTS && !cooling(pool->slots[member], now) &&
            !probed_by_another(pool, turn, member, now))
            mask |= bit(member);
    }
    return mask & ~(turn->barred | except);
}

bool pool_has_another(const struct pool *pool, const struct pool_turn *turn, int failing,
                      uint64_t now) {
    uint64_t except = failing >= 0 ? bit(failing) : 0;
    for (unsigned t = 0; t < pool->tier_count; t++)
        if (available(pool, &pool->tiers[t], turn, except, now))
            return true;
    return false;
}

static uint64_t take_turn(const struct tier *tier) {
    return atomic_fetch_add_explicit(&tier->cursor->cursor, 1, memory_order_relaxed);
}

static int pick(struct pool *pool, const struct tier *tier, uint64_t mask, uint64_t now,
                uint64_t random) {
    enum strategy strategy = pool->endpoint->strategy;
    if (!(mask & (mask - 1)) || strategy == STRATEGY_FIRST)
        return __builtin_ctzll(mask);
    if (strategy == STRATEGY_ROUND_ROBIN && mask == tier->members && tier->even)
        return tier->list[take_turn(tier) % tier->count];
    int members[BACKENDS_MAX];
    unsigned weights[BACKENDS_MAX], in_flight[BACKENDS_MAX], n = 0;
    struct ledger_slot *slots[BACKENDS_MAX];
    for (; mask; mask &= mask - 1) {
        members[n] = __builtin_ctzll(mask);
        weights[n] = pool->endpoint->backends[members[n]].weight;
        slots[n] = pool->slots[members[n]];
        n++;
    }
    if (strategy == STRATEGY_RANDOM)
        return members[strategy_random(weights, n, random)];
    if (strategy == STRATEGY_LEAST_BUSY) {
        ledger_in_flight(pool->ledger, slots, n, now, in_flight);
        return members[strategy_least_busy(weights, in_flight, n, random >> 32)];
    }
    return members[strategy_round_robin(weights, n, take_turn(tier))];
}

static int choose_without(struct pool *pool, struct pool_turn *turn, uint64_t except, uint64_t now,
                          uint64_t random) {
    for (unsigned t = 0; t < pool->tier_count; t++) {
        uint64_t mask = available(pool, &pool->tiers[t], turn, except, now);
        while (mask) {
            int chosen = pick(pool, &pool->tiers[t], mask, now, random);
            if (claim_probe(pool, turn, chosen, now)) {
                turn->attempts[chosen]++;
                return chosen;
            }
            mask &= ~bit(chosen);
        }
    }
    return -1;
}

int pool_choose(struct pool *pool, struct pool_turn *turn, uint64_t now, uint64_t random) {
    int chosen = choose_without(pool, turn, turn->spent, now, random);
    return chosen < 0 && turn->spent ? choose_without(pool, turn, 0, now, random) : chosen;
}

int pool_begin(struct pool *pool, int backend) {
    return pool->endpoint->strategy == STRATEGY_LEAST_BUSY
               ? ledger_claim(pool->ledger, pool->slots[backend])
               : -1;
}

void pool_end(struct pool *pool, int claim) {
    ledger_release(pool->ledger, claim);
}

bool pool_succeeded(struct pool *pool, struct pool_turn *turn, int backend, uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    /* read before writing: the line is shared by all processes, and mostly nothing changes */
    if (atomic_load_explicit(&slot->failures, memory_order_relaxed))
        atomic_store_explicit(&slot->failures, 0, memory_order_relaxed);
    uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
    if (!until)
        return false;
    /* a deadline that stands was set by somebody who asked later than this attempt did */
    bool recovered = !cooling(slot, now) && atomic_compare_exchange_strong(&slot->until, &until, 0);
    release_probe(pool, turn, backend);
    return recovered;
}

uint64_t pool_failed(struct pool *pool, struct pool_turn *turn, int backend, uint32_t reason,
                     bool at_once, uint64_t cooldown_ns, uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    uint32_t failures = atomic_fetch_add_explicit(&slot->failures, 1, memory_order_relaxed) + 1;
    if (cooldown_ns && (at_once || failures >= pool->endpoint->failure_threshold)) {
        uint64_t deadline = now + cooldown_ns;
        uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
        while (deadline > until || until - now > DEADLINE_LIMIT) {
            atomic_store_explicit(&slot->reason, reason, memory_order_relaxed);
            if (atomic_compare_exchange_weak(&slot->until, &until, deadline))
                break;
        }
    }
    release_probe(pool, turn, backend);
    uint64_t left = cooling(slot, now);
    if (!left)
        turn->spent |= bit(backend);
    return left;
}

void pool_give_up(struct pool *pool, struct pool_turn *turn, int backend) {
    release_probe(pool, turn, backend);
}

void pool_bar(struct pool_turn *turn, int backend) {
    turn->barred |= bit(backend);
}

const char *pool_reason_name(uint32_t reason, char *text) {
    switch (reason) {
    case REASON_CONNECT:
        return "connect";
    case REASON_RESET:
        return "reset";
    case REASON_TIMEOUT:
        return "timeout";
    case REASON_QUOTA:
        return "quota";
    default:
        snprintf(text, 12, "%u", reason % 1000);
        return text;
    }
}
