#include "shim/pool/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/strategy.h"

/* A deadline further off than any that the settings allow (max_cooldown: 24h) is damage, not a
 * cooldown. */
#define DEADLINE_LIMIT (25ull * 3600 * 1000000000)

/* In a slot that was taken out by hand; any other value is none. */
#define DRAINED 0x6472616eu

/* The shortest lease of the one who tries a backend after its cooldown. */
#define PROBE_MINIMUM 1000000000ull

struct tier {
    uint64_t members; /* bit per backend */
    struct ledger_slot *cursor;
    uint64_t key; /* of the cursor */
    bool even;    /* all weights are the same */
    uint8_t count;
    uint8_t list[BACKENDS_MAX];
};

struct pool {
    const struct endpoint *endpoint;
    struct ledger *ledger;
    struct ledger_slot *slots[BACKENDS_MAX];
    uint64_t keys[BACKENDS_MAX];
    struct tier tiers[BACKENDS_MAX]; /* best first */
    unsigned tier_count;
    struct ledger_slot private_slots[]; /* for what found no room: backends, then tiers */
};

static uint64_t bit(int backend) {
    return 1ull << backend;
}

static struct ledger_slot *slot_or_private(struct pool *pool, uint64_t key, size_t number) {
    struct ledger_slot *slot = ledger_slot(pool->ledger, key);
    if (slot)
        return slot;
    atomic_init(&pool->private_slots[number].key, key);
    return &pool->private_slots[number];
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
        tier->key = ledger_key(endpoint->name, name, NULL);
        tier->cursor = slot_or_private(pool, tier->key, endpoint->backend_count + pool->tier_count);
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
        pool->keys[i] = ledger_key(endpoint->name, backend->name, backend->url);
        pool->slots[i] = slot_or_private(pool, pool->keys[i], i);
    }
    add_tiers(pool);
    return pool;
}

void pool_free(struct pool *pool) {
    free(pool);
}

static bool has_key(const struct ledger_slot *slot, uint64_t key) {
    return atomic_load_explicit(&slot->key, memory_order_relaxed) == key;
}

bool pool_is_intact(const struct pool *pool) {
    bool intact = true;
    for (size_t i = 0; i < pool->endpoint->backend_count; i++)
        intact &= has_key(pool->slots[i], pool->keys[i]);
    for (unsigned t = 0; t < pool->tier_count; t++)
        intact &= has_key(pool->tiers[t].cursor, pool->tiers[t].key);
    return intact;
}

const struct endpoint *pool_endpoint(const struct pool *pool) {
    return pool->endpoint;
}

static uint64_t cooling(const struct ledger_slot *slot, uint64_t now) {
    uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
    return until > now && until - now <= DEADLINE_LIMIT ? until - now : 0;
}

/* For how long a probe keeps the others away, if its process lives. */
static uint64_t lease(const struct pool *pool) {
    uint64_t cooldown = pool->endpoint->cooldown_ns;
    return cooldown > PROBE_MINIMUM ? cooldown : PROBE_MINIMUM;
}

/* Whether PROBING, as a slot has it, is somebody who tries the backend at this moment. */
static bool is_probed(const struct pool *pool, uint64_t probing, uint64_t now) {
    uint64_t since = probing ? ledger_mark_time(probing, now) : 0;
    return since && now - since < lease(pool) && ledger_lives(probing, now);
}

/* Whether another transfer tries the backend, whose cooldown is over, at this moment. */
static bool probed_by_another(const struct pool *pool, const struct pool_turn *turn, int backend,
                              uint64_t now) {
    const struct ledger_slot *slot = pool->slots[backend];
    if (!atomic_load_explicit(&slot->until, memory_order_relaxed) || (turn->probes & bit(backend)))
        return false;
    return is_probed(pool, atomic_load_explicit(&slot->probing, memory_order_relaxed), now);
}

static void release_probe(struct pool *pool, struct pool_turn *turn, int backend) {
    if (!(turn->probes & bit(backend)))
        return;
    /* after the lease it may be another's */
    uint64_t probing = atomic_load_explicit(&pool->slots[backend]->probing, memory_order_relaxed);
    if (ledger_is_mine(probing))
        atomic_compare_exchange_strong(&pool->slots[backend]->probing, &probing, 0);
    turn->probes &= ~bit(backend);
}

/*
 * Makes this transfer the one that tries the backend, if its cooldown has only just ended. False
 * if another was quicker. The claim is a lease: who holds it may hang, or die.
 */
static bool claim_probe(struct pool *pool, struct pool_turn *turn, int backend, uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    if (!atomic_load_explicit(&slot->until, memory_order_relaxed) || (turn->probes & bit(backend)))
        return true;
    uint64_t probing = atomic_load_explicit(&slot->probing, memory_order_relaxed);
    if (is_probed(pool, probing, now) ||
        !atomic_compare_exchange_strong(&slot->probing, &probing, ledger_mark(now)))
        return false;
    turn->probes |= bit(backend);
    /* somebody may have tried it, and failed, since this transfer found that it does not cool */
    if (!cooling(slot, now))
        return true;
    release_probe(pool, turn, backend);
    return false;
}

static bool is_drained(const struct ledger_slot *slot) {
    return atomic_load_explicit(&slot->drained, memory_order_relaxed) == DRAINED;
}

uint64_t pool_cooling(const struct pool *pool, int backend, uint64_t now, uint32_t *reason) {
    const struct ledger_slot *slot = pool->slots[backend];
    if (reason)
        *reason = atomic_load_explicit(&slot->reason, memory_order_relaxed);
    return cooling(slot, now);
}

uint64_t pool_soonest(const struct pool *pool, uint64_t except, uint64_t now) {
    uint64_t soonest = UINT64_MAX;
    bool drained = false;
    for (size_t i = 0; i < pool->endpoint->backend_count; i++) {
        uint64_t left = cooling(pool->slots[i], now);
        if (except & bit((int)i))
            continue;
        if (is_drained(pool->slots[i]))
            drained = true;
        else if (left < soonest)
            soonest = left;
    }
    /* nobody knows when somebody will put it back */
    return soonest == UINT64_MAX && drained ? lease(pool) : soonest;
}

/* The members of TIER that this transfer may use now, without those in EXCEPT. */
static uint64_t available(const struct pool *pool, const struct tier *tier,
                          const struct pool_turn *turn, uint64_t except, uint64_t now) {
    uint64_t mask = 0;
    for (unsigned i = 0; i < tier->count; i++) {
        int member = tier->list[i];
        const struct ledger_slot *slot = pool->slots[member];
        /* mostly a backend has never cooled, or has recovered: then its deadline is 0 */
        bool rests = atomic_load_explicit(&slot->until, memory_order_relaxed) &&
                     (cooling(slot, now) || probed_by_another(pool, turn, member, now));
        if (!rests && !is_drained(slot) && turn->attempts[member] < POOL_ATTEMPTS)
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

int pool_begin(struct pool *pool, int backend, uint64_t now) {
    return ledger_claim(pool->ledger, pool->slots[backend], now);
}

void pool_end(struct pool *pool, int claim) {
    ledger_release(pool->ledger, claim);
}

static void count(struct ledger_slot *slot, enum ledger_outcome outcome, int status, uint64_t now) {
    atomic_fetch_add_explicit(&slot->outcomes[outcome], 1, memory_order_relaxed);
    if (!status)
        return;
    atomic_store_explicit(&slot->last_at, now, memory_order_relaxed);
    if (atomic_load_explicit(&slot->last_status, memory_order_relaxed) != (uint32_t)status)
        atomic_store_explicit(&slot->last_status, (uint32_t)status, memory_order_relaxed);
}

bool pool_succeeded(struct pool *pool, struct pool_turn *turn, int backend, int status,
                    uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    count(slot, LEDGER_ANSWERED, status, now);
    /* read before writing: the line is shared by all processes, and mostly nothing changes */
    if (atomic_load_explicit(&slot->failures, memory_order_relaxed))
        atomic_store_explicit(&slot->failures, 0, memory_order_relaxed);
    uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
    if (!until)
        return false;
    /* a deadline that stands was set by somebody who asked later than this attempt did */
    bool recovered = !cooling(slot, now) && atomic_compare_exchange_strong(&slot->until, &until, 0);
    if (recovered)
        atomic_store_explicit(&slot->doublings, 0, memory_order_relaxed);
    release_probe(pool, turn, backend);
    return recovered;
}

void pool_took(struct pool *pool, int backend, uint64_t duration) {
    ledger_count_duration(pool->slots[backend], duration);
}

static enum ledger_outcome outcome_of(uint32_t reason) {
    switch (reason) {
    case REASON_CONNECT:
        return LEDGER_CONNECT;
    case REASON_RESET:
        return LEDGER_RESET;
    case REASON_TIMEOUT:
        return LEDGER_TIMEOUT;
    case REASON_QUOTA:
    case 429:
        return LEDGER_THROTTLED;
    default:
        return reason >= 500 ? LEDGER_SERVER_ERROR : LEDGER_REJECTED;
    }
}

/* A cooldown of the settings after N probes in a row that failed. */
static uint64_t doubled(const struct pool *pool, uint64_t cooldown_ns, uint32_t n) {
    uint64_t longest = pool->endpoint->max_cooldown_ns;
    for (; n > 0 && cooldown_ns && cooldown_ns < longest; n--)
        cooldown_ns = cooldown_ns <= longest / 2 ? cooldown_ns * 2 : longest;
    return longest && cooldown_ns > longest ? longest : cooldown_ns;
}

uint64_t pool_failed(struct pool *pool, struct pool_turn *turn, int backend, uint32_t reason,
                     unsigned how, uint64_t cooldown_ns, uint64_t now) {
    struct ledger_slot *slot = pool->slots[backend];
    int status = reason == REASON_QUOTA ? 429 : reason >= 100 ? (int)reason : 0;
    count(slot, outcome_of(reason), status, now);
    uint32_t failures = atomic_fetch_add_explicit(&slot->failures, 1, memory_order_relaxed) + 1;
    uint32_t doublings = atomic_load_explicit(&slot->doublings, memory_order_relaxed);
    if ((turn->probes & bit(backend)) && doublings < UINT32_MAX)
        atomic_store_explicit(&slot->doublings, ++doublings, memory_order_relaxed);
    if (!(how & POOL_NAMED))
        cooldown_ns = doubled(pool, cooldown_ns, doublings);
    if (cooldown_ns && (how & POOL_AT_ONCE || failures >= pool->endpoint->failure_threshold)) {
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

void pool_refused(struct pool *pool, struct pool_turn *turn, int backend, int status,
                  uint64_t now) {
    count(pool->slots[backend], status == 429 ? LEDGER_THROTTLED : LEDGER_REJECTED, status, now);
    pool_bar(turn, backend);
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

bool pool_drained(const struct pool *pool, int backend) {
    return is_drained(pool->slots[backend]);
}

void pool_drain(struct pool *pool, int backend, bool drained) {
    atomic_store_explicit(&pool->slots[backend]->drained, drained ? DRAINED : 0,
                          memory_order_release);
}

void pool_reset(struct pool *pool, int backend) {
    struct ledger_slot *slot = pool->slots[backend];
    atomic_store(&slot->until, 0);
    atomic_store(&slot->probing, 0);
    atomic_store(&slot->failures, 0);
    atomic_store(&slot->doublings, 0);
}

static void view(const struct pool *pool, const struct ledger_slot *slot, uint64_t now,
                 struct pool_view *out) {
    uint64_t until = atomic_load_explicit(&slot->until, memory_order_relaxed);
    out->left_ns = cooling(slot, now);
    out->reason = until ? atomic_load_explicit(&slot->reason, memory_order_relaxed) : 0;
    if (is_drained(slot))
        out->state = POOL_DRAINED;
    else if (out->left_ns)
        out->state = POOL_COOLING;
    else
        out->state = until && is_probed(pool, atomic_load(&slot->probing), now) ? POOL_PROBING
                                                                                : POOL_AVAILABLE;
    out->last_status = atomic_load_explicit(&slot->last_status, memory_order_relaxed);
    out->last_at = atomic_load_explicit(&slot->last_at, memory_order_relaxed);
    for (unsigned i = 0; i < LEDGER_OUTCOMES; i++)
        out->outcomes[i] = atomic_load_explicit(&slot->outcomes[i], memory_order_relaxed);
    out->duration_us = atomic_load_explicit(&slot->duration_us, memory_order_relaxed);
    for (unsigned i = 0; i < LEDGER_CLASSES; i++)
        out->classes[i] = atomic_load_explicit(&slot->classes[i], memory_order_relaxed);
}

void pool_view(const struct pool *pool, uint64_t now, struct pool_view *views) {
    unsigned count = (unsigned)pool->endpoint->backend_count, in_flight[BACKENDS_MAX];
    ledger_in_flight(pool->ledger, pool->slots, count, now, in_flight);
    for (unsigned i = 0; i < count; i++) {
        view(pool, pool->slots[i], now, &views[i]);
        views[i].in_flight = in_flight[i];
    }
}
