/*
 * The pool against a plain model of what it promises, over random pools, states and times.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/pool/pool.h"

#define SECOND UINT64_C(1000000000)
#define NOW    (1000 * SECOND)

struct world {
    struct endpoint endpoint;
    struct backend backends[BACKENDS_MAX];
    char names[BACKENDS_MAX][16];
    struct ledger *ledger;
    struct pool *pool;
    struct ledger_slot *slots[BACKENDS_MAX];
};

static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned limit) {
    return (unsigned)(next_random(state) % limit);
}

static char base[] = "https://backend.test", endpoint_name[] = "endpoint";

/* COUNT backends of priority 0 and weight 1, in order, with state in DIRECTORY or private. */
static void open_world(struct world *w, unsigned count, const char *directory) {
    w->ledger = ledger_open(directory);
    cr_assert_not_null(w->ledger);
    w->endpoint = (struct endpoint){.name = endpoint_name,
                                    .strategy = STRATEGY_FIRST,
                                    .failure_threshold = 1,
                                    .backends = w->backends,
                                    .backend_count = count};
    for (unsigned i = 0; i < count; i++) {
        snprintf(w->names[i], sizeof w->names[i], "b%u", i);
        w->backends[i] = (struct backend){.name = w->names[i], .url = base, .weight = 1};
    }
}

static void start_world(struct world *w) {
    w->pool = pool_new(&w->endpoint, w->ledger);
    cr_assert_not_null(w->pool);
    for (size_t i = 0; i < w->endpoint.backend_count; i++)
        w->slots[i] = ledger_slot(w->ledger, ledger_key(endpoint_name, w->names[i], base));
}

static void close_world(struct world *w) {
    pool_free(w->pool);
    ledger_close(w->ledger);
}

static void randomize_world(struct world *w, uint64_t *seed) {
    unsigned tiers = 1 + below(seed, 8);
    w->endpoint.strategy = (enum strategy)below(seed, 4);
    for (size_t i = 0; i < w->endpoint.backend_count; i++) {
        w->backends[i].priority = (int)below(seed, tiers);
        w->backends[i].weight = 1 + below(seed, below(seed, 2) ? 4 : 1000);
    }
}

static void randomize_state(struct world *w, struct pool_turn *turn, uint64_t *seed) {
    unsigned cold = below(seed, 5), idle = below(seed, 5);
    memset(turn, 0, sizeof *turn);
    for (size_t i = 0; i < w->endpoint.backend_count; i++) {
        uint64_t until = below(seed, 4) < cold ? NOW + 1 + next_random(seed) % (100 * SECOND)
                                               : next_random(seed) % (NOW + 1);
        atomic_store(&w->slots[i]->until, until);
        atomic_store(&w->slots[i]->probing, 0);
        turn->attempts[i] = (uint8_t)(below(seed, 3) ? 0 : below(seed, POOL_ATTEMPTS + 2));
        if (below(seed, 4) > idle)
            turn->barred |= UINT64_C(1) << i;
        if (below(seed, 3) == 0)
            turn->spent |= UINT64_C(1) << i;
    }
}

static bool is_usable(const struct world *w, const struct pool_turn *turn, size_t i) {
    return atomic_load(&w->slots[i]->until) <= NOW && turn->attempts[i] < POOL_ATTEMPTS &&
           !(turn->barred >> i & 1);
}

/* What may be chosen: the best tier of the unspent; of the spent if there are no others. */
static uint64_t model(const struct world *w, const struct pool_turn *turn) {
    uint64_t fresh = 0, spent = 0, best = 0;
    int priority = 0;
    for (size_t i = 0; i < w->endpoint.backend_count; i++)
        if (is_usable(w, turn, i))
            *(turn->spent >> i & 1 ? &spent : &fresh) |= UINT64_C(1) << i;
    uint64_t all = fresh ? fresh : spent;
    for (size_t i = 0; i < w->endpoint.backend_count; i++) {
        if (!(all >> i & 1) || (best && w->backends[i].priority > priority))
            continue;
        if (w->backends[i].priority < priority)
            best = 0;
        priority = w->backends[i].priority;
        best |= UINT64_C(1) << i;
    }
    return best;
}

static void check_choice(struct world *w, struct pool_turn *turn, uint64_t *seed) {
    uint64_t allowed = model(w, turn);
    struct pool_turn before = *turn;
    int chosen = pool_choose(w->pool, turn, NOW, next_random(seed));
    if (!allowed) {
        cr_assert_eq(chosen, -1, "chose %d of none", chosen);
        cr_assert_arr_eq(turn->attempts, before.attempts, sizeof before.attempts);
        return;
    }
    cr_assert(chosen >= 0 && chosen < (int)w->endpoint.backend_count, "chose %d", chosen);
    cr_assert(allowed >> chosen & 1, "chose %d (priority %d), allowed are %llx", chosen,
              w->backends[chosen].priority, (unsigned long long)allowed);
    atomic_store(&w->slots[chosen]->probing, 0); /* the claim, if its cooldown has just ended */
    turn->probes = 0;
    before.attempts[chosen]++;
    cr_assert_arr_eq(turn->attempts, before.attempts, sizeof before.attempts);
    cr_assert_eq(turn->spent, before.spent);
    cr_assert_eq(turn->barred, before.barred);
}

static void check_soonest(const struct world *w) {
    uint64_t soonest = UINT64_MAX;
    for (size_t i = 0; i < w->endpoint.backend_count; i++) {
        uint64_t until = atomic_load(&w->slots[i]->until);
        uint64_t left = until > NOW ? until - NOW : 0;
        cr_assert_eq(pool_cooling(w->pool, (int)i, NOW, NULL), left);
        if (left < soonest)
            soonest = left;
    }
    cr_assert_eq(pool_soonest(w->pool, 0, NOW), soonest);
}

Test(pool, keeps_its_tiers_in_any_state) {
    static struct world w;
    uint64_t seed = 20240501;
    for (unsigned round = 0; round < 4000; round++) {
        open_world(&w, 1 + (round % 3 ? below(&seed, 8) : below(&seed, BACKENDS_MAX)), NULL);
        randomize_world(&w, &seed);
        start_world(&w);
        for (unsigned state = 0; state < 5; state++) {
            struct pool_turn turn;
            randomize_state(&w, &turn, &seed);
            for (unsigned choice = 0; choice < 4; choice++)
                check_choice(&w, &turn, &seed);
            check_soonest(&w);
        }
        close_world(&w);
    }
}

/* The same question asked in two ways: another one, or a choice once FAILING cools. */
Test(pool, has_another_is_what_a_choice_would_find) {
    static struct world w;
    uint64_t seed = 3;
    unsigned wrong = 0, questions = 0;
    for (unsigned round = 0; round < 2000; round++) {
        open_world(&w, 1 + below(&seed, 6), NULL);
        randomize_world(&w, &seed);
        start_world(&w);
        for (unsigned state = 0; state < 5; state++, questions++) {
            struct pool_turn turn;
            randomize_state(&w, &turn, &seed);
            int failing = (int)below(&seed, (unsigned)w.endpoint.backend_count + 1) - 1;
            bool another = pool_has_another(w.pool, &turn, failing, NOW);
            if (failing >= 0)
                atomic_store(&w.slots[failing]->until, NOW + SECOND);
            wrong += another != (pool_choose(w.pool, &turn, NOW, next_random(&seed)) >= 0);
        }
        close_world(&w);
    }
    cr_expect_eq(wrong, 0, "%u of %u answers are wrong", wrong, questions);
}

/* A failed without cooling, B is about to fail: A is what is left. */
Test(pool, has_another_counts_the_spent_ones) {
    static struct world w;
    open_world(&w, 2, NULL);
    w.endpoint.failure_threshold = 5;
    start_world(&w);
    struct pool_turn turn = {0};
    cr_assert_eq(pool_choose(w.pool, &turn, NOW, 0), 0);
    cr_assert_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), 0);
    cr_assert_eq(pool_choose(w.pool, &turn, NOW, 0), 1);
    cr_expect(pool_has_another(w.pool, &turn, 1, NOW));
    close_world(&w);
}

Test(pool, ends_a_transfer_in_which_nothing_ever_cools) {
    static struct world w;
    open_world(&w, 3, NULL);
    w.endpoint.failure_threshold = 1000;
    w.backends[2].priority = 1;
    start_world(&w);
    struct pool_turn turn = {0};
    int chosen[3] = {0}, backend, order[3] = {-1, -1, -1}, n = 0;
    while ((backend = pool_choose(w.pool, &turn, NOW, 0)) >= 0) {
        if (n < 3)
            order[n] = backend;
        n++;
        chosen[backend]++;
        pool_failed(w.pool, &turn, backend, 503, 0, SECOND, NOW);
    }
    cr_expect_eq(n, 3 * POOL_ATTEMPTS);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(order[i], i, "each backend comes once before any comes again");
        cr_expect_eq(chosen[i], POOL_ATTEMPTS);
    }
    close_world(&w);
}

Test(pool, retry_after_zero_is_bounded) {
    static struct world w;
    open_world(&w, 2, NULL);
    start_world(&w);
    struct pool_turn turn = {0};
    int backend, attempts = 0;
    while ((backend = pool_choose(w.pool, &turn, NOW, 0)) >= 0 && attempts < 100) {
        cr_assert_eq(pool_failed(w.pool, &turn, backend, 429, POOL_AT_ONCE, 0, NOW), 0);
        attempts++;
    }
    cr_expect_eq(attempts, 2 * POOL_ATTEMPTS);
    close_world(&w);
}

Test(pool, a_later_deadline_stands) {
    static struct world w;
    open_world(&w, 1, NULL);
    start_world(&w);
    struct pool_turn turn = {0};
    uint64_t seed = 9, now = NOW, latest = 0, left;
    uint32_t reason, expected = 0;
    for (unsigned i = 0; i < 5000; i++) {
        now += next_random(&seed) % SECOND;
        uint64_t cooldown = next_random(&seed) % (20 * SECOND);
        uint32_t why = 400 + below(&seed, 200);
        bool later = now + cooldown > latest;
        expected = later ? why : expected;
        latest = later ? now + cooldown : latest;
        left = pool_failed(w.pool, &turn, 0, why, POOL_AT_ONCE, cooldown, now);
        cr_assert_eq(left, latest > now ? latest - now : 0);
        cr_assert_eq(pool_cooling(w.pool, 0, now, &reason), left);
        cr_assert_eq(reason, expected);
        if (below(&seed, 4) == 0) /* an answer to an older attempt ends no cooldown */
            cr_assert_eq(pool_succeeded(w.pool, &turn, 0, 200, now), left == 0);
        if (left == 0)
            latest = 0;
        cr_assert_eq(pool_cooling(w.pool, 0, now, NULL), left);
    }
    close_world(&w);
}

/* After a cooldown one transfer tries the backend; the others follow when it has reported. */
Test(pool, is_tried_by_one_after_a_cooldown) {
    static struct world w;
    open_world(&w, 1, NULL);
    w.endpoint.cooldown_ns = 5 * SECOND;
    start_world(&w);
    struct pool_turn turn = {0}, other = {0}, third = {0};
    uint64_t then = NOW + SECOND;
    pool_failed(w.pool, &turn, 0, 429, POOL_AT_ONCE, SECOND, NOW);
    cr_expect_eq(pool_choose(w.pool, &other, then, 0), 0, "the first to come tries it");
    cr_expect_eq(pool_choose(w.pool, &third, then, 0), -1, "nobody else does");
    cr_expect_eq(pool_choose(w.pool, &other, then, 0), 0, "the first may go on");
    cr_expect_eq(pool_soonest(w.pool, 0, then), 0);
    cr_expect_eq(pool_choose(w.pool, &third, then + 5 * SECOND, 0), 0, "a lease runs out");
    pool_give_up(w.pool, &third, 0);
    cr_expect_eq(pool_choose(w.pool, &turn, then, 0), 0, "it was given up");
    cr_expect(pool_succeeded(w.pool, &turn, 0, 200, then));
    memset(&third, 0, sizeof third);
    memset(&other, 0, sizeof other);
    cr_expect_eq(pool_choose(w.pool, &third, then, 0), 0);
    cr_expect_eq(pool_choose(w.pool, &other, then, 0), 0, "it answered: all may");
    close_world(&w);
}

/* Who read the clock first may be the second to choose. */
Test(pool, is_tried_by_one_whoever_read_the_clock_first) {
    static struct world w;
    open_world(&w, 1, NULL);
    w.endpoint.cooldown_ns = 5 * SECOND;
    start_world(&w);
    struct pool_turn turn = {0}, other = {0}, third = {0};
    pool_failed(w.pool, &turn, 0, 429, POOL_AT_ONCE, SECOND / 2, NOW);
    cr_expect_eq(pool_choose(w.pool, &other, NOW + SECOND, 0), 0);
    cr_expect_eq(pool_choose(w.pool, &third, NOW + SECOND - 1, 0), -1);
    cr_expect_eq(pool_choose(w.pool, &third, NOW + SECOND / 2, 0), -1);
    close_world(&w);
}

Test(pool, cools_after_enough_failures_in_a_row) {
    static struct world w;
    open_world(&w, 1, NULL);
    w.endpoint.failure_threshold = 3;
    start_world(&w);
    struct pool_turn turn = {0};
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), 0);
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), 0);
    cr_expect_not(pool_succeeded(w.pool, &turn, 0, 200, NOW), "it never cooled");
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), 0);
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), 0);
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 500, 0, SECOND, NOW), SECOND);
    cr_expect_not(pool_succeeded(w.pool, &turn, 0, 200, NOW + SECOND - 1));
    cr_expect(pool_succeeded(w.pool, &turn, 0, 200, NOW + SECOND));
    cr_expect_not(pool_succeeded(w.pool, &turn, 0, 200, NOW + SECOND), "it recovers once");
    close_world(&w);
}

Test(pool, the_longest_cooldown_of_the_settings_is_one) {
    const uint64_t day = 24 * 3600 * SECOND;
    static struct world w;
    open_world(&w, 1, NULL);
    start_world(&w);
    struct pool_turn turn = {0};
    cr_expect_eq(pool_failed(w.pool, &turn, 0, 429, POOL_AT_ONCE, day, NOW), day);
    cr_expect_eq(pool_soonest(w.pool, 0, NOW), day);
    cr_expect_eq(pool_soonest(w.pool, 0, NOW + day - 1), 1);
    cr_expect_eq(pool_soonest(w.pool, 0, NOW + day), 0);
    close_world(&w);
}

/* What a response names was limited where it was read. */
Test(pool, the_settings_own_cooldown_has_their_maximum) {
    static struct world w;
    open_world(&w, 1, NULL);
    w.endpoint.max_cooldown_ns = SECOND;
    start_world(&w);
    struct pool_turn turn = {0};
    cr_expect_eq(pool_failed(w.pool, &turn, 0, REASON_CONNECT, 0, 10 * SECOND, NOW), SECOND);
    close_world(&w);
}

Test(pool, names_its_reasons) {
    char text[12];
    cr_expect_str_eq(pool_reason_name(429, text), "429");
    cr_expect_str_eq(pool_reason_name(503, text), "503");
    cr_expect_str_eq(pool_reason_name(REASON_CONNECT, text), "connect");
    cr_expect_str_eq(pool_reason_name(REASON_RESET, text), "reset");
    cr_expect_str_eq(pool_reason_name(REASON_TIMEOUT, text), "timeout");
    cr_expect_str_eq(pool_reason_name(REASON_QUOTA, text), "quota");
    for (uint64_t reason = 0; reason <= UINT32_MAX; reason += 0x1234567)
        cr_expect_lt(strlen(pool_reason_name((uint32_t)reason, text)), sizeof text);
}

/* Calls WORK in COUNT children at once; each must end well. */
static void in_children(unsigned count, void (*work)(unsigned number, void *shared), void *shared) {
    pid_t children[16];
    int gate[2], status;
    char byte;
    cr_assert_eq(pipe(gate), 0);
    for (unsigned i = 0; i < count; i++)
        if ((children[i] = fork()) == 0) {
            close(gate[1]);
            if (read(gate[0], &byte, 1) == 0) /* until all of them are there */
                work(i, shared);
            _exit(0);
        }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert_eq(status, 0);
    }
}

struct shared_test {
    char directory[32];
    _Atomic unsigned picks[BACKENDS_MAX];
    _Atomic uint64_t latest;
    struct world world; /* each child has its own, as memory that is shared but for the pool */
};

static const unsigned uneven[] = {7, 1, 4, 2, 3};

static void open_uneven(struct world *w, const char *directory) {
    open_world(w, 5, directory);
    w->endpoint.strategy = STRATEGY_ROUND_ROBIN;
    for (unsigned i = 0; i < 5; i++)
        w->backends[i].weight = uneven[i];
    w->pool = pool_new(&w->endpoint, w->ledger);
}

static void choose_often(unsigned number, void *memory) {
    struct shared_test *test = memory;
    struct world own;
    open_uneven(&own, test->directory);
    if (ledger_problem(own.ledger))
        _exit(1);
    for (unsigned i = 0; i < 17 * 100; i++) {
        struct pool_turn turn = {0};
        int chosen = pool_choose(own.pool, &turn, NOW, number);
        if (chosen < 0 || chosen > 4)
            _exit(1);
        atomic_fetch_add(&test->picks[chosen], 1);
    }
}

static void fail_often(unsigned number, void *memory) {
    struct shared_test *test = memory;
    struct world own;
    open_uneven(&own, test->directory);
    uint64_t seed = number;
    for (unsigned i = 0; i < 5000; i++) {
        struct pool_turn turn = {0};
        uint64_t cooldown = next_random(&seed) % (1000 * SECOND), seen = atomic_load(&test->latest);
        if (pool_failed(own.pool, &turn, 0, 429, POOL_AT_ONCE, cooldown, NOW) < cooldown)
            _exit(1);
        while (cooldown > seen && !atomic_compare_exchange_weak(&test->latest, &seen, cooldown))
            ;
    }
}

static struct shared_test *shared_test(void) {
    void *memory = mmap(NULL, sizeof(struct shared_test), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    struct shared_test *test = memory;
    snprintf(test->directory, sizeof test->directory, "/tmp/spillway-pool.XXXXXX");
    cr_assert_not_null(mkdtemp(test->directory));
    return test;
}

static void end_shared_test(struct shared_test *test) {
    char path[64];
    snprintf(path, sizeof path, "%s/ledger", test->directory);
    unlink(path);
    cr_expect_eq(rmdir(test->directory), 0, "there is more than the ledger in %s", test->directory);
    munmap(test, sizeof *test);
}

Test(pool, round_robin_is_exact_over_processes) {
    struct shared_test *test = shared_test();
    in_children(4, choose_often, test);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(test->picks[i], 400 * uneven[i], "backend %u: %u", i, test->picks[i]);
    end_shared_test(test);
}

Test(pool, the_latest_deadline_of_all_processes_stands) {
    struct shared_test *test = shared_test();
    in_children(4, fail_often, test);
    open_uneven(&test->world, test->directory);
    cr_expect_eq(pool_cooling(test->world.pool, 0, NOW, NULL), test->latest);
    close_world(&test->world);
    end_shared_test(test);
}

static void claim_and_die(unsigned number, void *memory) {
    struct shared_test *test = memory;
    struct world own;
    open_uneven(&own, test->directory);
    own.endpoint.strategy = STRATEGY_LEAST_BUSY;
    if (pool_begin(own.pool, (int)number, ledger_now()) < 0)
        _exit(1);
}

Test(pool, leaves_errno_alone) {
    struct shared_test *test = shared_test();
    struct world *w = &test->world;
    in_children(2, claim_and_die, test);
    open_uneven(w, test->directory);
    w->endpoint.strategy = STRATEGY_LEAST_BUSY;
    struct pool_turn turn = {0};
    errno = EXDEV;
    int chosen = pool_choose(w->pool, &turn, NOW, 0);
    cr_expect_eq(errno, EXDEV, "after a choice: %d", errno);
    errno = EXDEV;
    pool_end(w->pool, pool_begin(w->pool, chosen, NOW));
    pool_failed(w->pool, &turn, chosen, 429, POOL_AT_ONCE, SECOND, NOW);
    pool_succeeded(w->pool, &turn, chosen, 200, NOW);
    cr_expect_eq(errno, EXDEV);
    close_world(w);
    end_shared_test(test);
}

/* Two died in the middle of an attempt; the others are not kept away from their backends. */
Test(pool, least_busy_forgets_the_dead) {
    struct shared_test *test = shared_test();
    struct world *w = &test->world;
    in_children(2, claim_and_die, test);
    open_uneven(w, test->directory);
    w->endpoint.strategy = STRATEGY_LEAST_BUSY;
    unsigned picks[5] = {0};
    for (uint64_t i = 0; i < 50; i++) {
        struct pool_turn turn = {0};
        picks[pool_choose(w->pool, &turn, NOW, i << 32)]++;
    }
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(picks[i], 10, "backend %u: %u", i, picks[i]);
    close_world(w);
    end_shared_test(test);
}

Test(pool, least_busy_spreads_by_weight) {
    static struct world w;
    open_uneven(&w, NULL);
    w.endpoint.strategy = STRATEGY_LEAST_BUSY;
    int claims[17 * 4];
    unsigned picks[5] = {0};
    for (unsigned i = 0; i < 17 * 4; i++) { /* all of them run at the same time */
        struct pool_turn turn = {0};
        int chosen = pool_choose(w.pool, &turn, NOW, (uint64_t)i << 32);
        picks[chosen]++;
        claims[i] = pool_begin(w.pool, chosen, ledger_now());
        cr_assert_geq(claims[i], 0);
    }
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(picks[i], 4 * uneven[i], "backend %u: %u", i, picks[i]);
    for (unsigned i = 0; i < 17 * 4; i++)
        pool_end(w.pool, claims[i]);
    close_world(&w);
}

static void knock_often(unsigned number, void *memory) {
    struct shared_test *test = memory;
    struct world own;
    (void)number;
    open_uneven(&own, test->directory);
    own.endpoint.max_cooldown_ns = 1000;
    for (uint64_t now = ledger_now(), end = now + SECOND / 2; now < end; now = ledger_now()) {
        struct pool_turn turn = {.barred = ~UINT64_C(1)};
        if (pool_choose(own.pool, &turn, now, 0) < 0)
            continue;
        uint64_t failed = ledger_now();
        if (turn.probes && atomic_exchange(&test->latest, failed + 1000) > now)
            atomic_fetch_add(&test->picks[0], 1);
        atomic_fetch_add(&test->picks[1], 1);
        pool_failed(own.pool, &turn, 0, 503, 0, 1000, failed);
    }
}

/* One may fail, and be gone again, between another's look at the backend and its claim. To look at
 * the rest of the tier takes a while here: they are being tried. */
Test(pool, nobody_tries_a_backend_that_has_just_failed_again) {
    struct shared_test *test = shared_test();
    struct world w;
    open_uneven(&w, test->directory);
    for (int i = 0; i < 5; i++) {
        struct pool_turn turn = {.barred = ~(UINT64_C(1) << i)};
        pool_failed(w.pool, &turn, i, 503, 0, 1, ledger_now());
        cr_assert(i == 0 || pool_choose(w.pool, &turn, ledger_now(), 0) == i);
    }
    in_children(4, knock_often, test);
    cr_expect_eq(test->picks[0], 0, "%u of %u attempts in a cooldown", test->picks[0],
                 test->picks[1]);
    close_world(&w);
    end_shared_test(test);
}

/* The ledger of DIRECTORY as it lies there, for free(). */
static char *content(const char *directory, size_t *size) {
    char path[64], *text = NULL;
    FILE *memory = open_memstream(&text, size);
    snprintf(path, sizeof path, "%s/ledger", directory);
    FILE *file = fopen(path, "r");
    cr_assert(file && memory);
    for (int c; (c = getc(file)) != EOF;)
        putc(c, memory);
    fclose(file);
    fclose(memory);
    return text;
}

/* Two that cool, one that is tried, one that was drained; the last is what is left. */
static void ask_around(struct pool *pool, bool is_left) {
    struct pool_turn turn = {0};
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(pool_choose(pool, &turn, NOW + SECOND, i), is_left ? 4 : -1);
    cr_expect_eq(pool_has_another(pool, &turn, -1, NOW + SECOND), false);
    cr_expect_gt(pool_cooling(pool, 0, NOW + SECOND, NULL), 0);
    pool_soonest(pool, 0, NOW + SECOND);
}

/* What many read should stay in all their caches. */
Test(pool, who_passes_a_cooled_tier_writes_nothing) {
    struct shared_test *test = shared_test();
    static struct world w;
    struct pool_turn turn = {0}, prober = {.barred = 27};
    size_t size, size_after;
    open_world(&w, 5, test->directory);
    w.backends[4].priority = 1;
    start_world(&w);
    for (int i = 0; i < 3; i++)
        pool_failed(w.pool, &turn, i, 429, POOL_AT_ONCE, i == 2 ? 1 : 100 * SECOND, NOW);
    cr_assert_eq(pool_choose(w.pool, &prober, NOW + SECOND, 0), 2);
    pool_drain(w.pool, 3, true);
    for (unsigned round = 0; round < 8; round++) {
        w.endpoint.strategy = (enum strategy)(round % 4);
        if (round == 4)
            pool_failed(w.pool, &turn, 4, 429, POOL_AT_ONCE, 100 * SECOND, NOW);
        char *before = content(test->directory, &size);
        ask_around(w.pool, round < 4);
        char *after = content(test->directory, &size_after);
        cr_assert_eq(size, size_after);
        cr_expect_eq(memcmp(before, after, size), 0, "round %u", round);
        free(before);
        free(after);
    }
    close_world(&w);
    end_shared_test(test);
}
