/*
 * The strategies: exact shares, spread, chance by weight, fewest per weight.
 */
#include <criterion/criterion.h>

#include "shim/pool/strategy.h"

#define MANY         64
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* splitmix64: the same numbers in every run */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned divisor_of(unsigned a, unsigned b) {
    return b ? divisor_of(b, a % b) : a;
}

/* How many turns make a cycle; SHARES gets each candidate's part of it. */
static unsigned cycle_of(const unsigned *weights, unsigned n, unsigned *shares) {
    unsigned unit = 0, cycle = 0;
    for (unsigned i = 0; i < n; i++)
        unit = divisor_of(weights[i], unit);
    for (unsigned i = 0; i < n; i++) {
        shares[i] = weights[i] / unit;
        cycle += shares[i];
    }
    return cycle;
}

static void expect_exact_cycle(const unsigned *weights, unsigned n, uint64_t first) {
    unsigned shares[MANY], picks[MANY] = {0};
    unsigned cycle = cycle_of(weights, n, shares);
    for (unsigned t = 0; t < cycle; t++) {
        unsigned picked = strategy_round_robin(weights, n, first + t);
        cr_assert_lt(picked, n, "%u of %u", picked, n);
        picks[picked]++;
    }
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(picks[i], shares[i], "candidate %u of %u: %u turns instead of %u", i, n,
                     picks[i], shares[i]);
}

Test(strategy, round_robin_is_exact_over_any_cycle) {
    static const unsigned largest[] = {1, 2, 3, 5, 20, 100, 1000};
    uint64_t seed = 1;
    unsigned weights[MANY], shares[MANY];
    unsigned long turns = 0;
    for (unsigned round = 0; turns < 400000; round++) {
        unsigned n = 1 + (unsigned)(next_random(&seed) % MANY);
        unsigned top = largest[round % COUNT(largest)];
        for (unsigned i = 0; i < n; i++)
            weights[i] = 1 + (unsigned)(next_random(&seed) % top);
        turns += cycle_of(weights, n, shares);
        expect_exact_cycle(weights, n, 0);
        expect_exact_cycle(weights, n, next_random(&seed) >> 1);
    }
}

Test(strategy, round_robin_is_exact_with_extreme_weights) {
    static const unsigned tables[][3] = {
        {1000, 1, 1}, {1, 1000, 999}, {1000, 1000, 1000}, {2, 4, 6}, {997, 991, 983}, {3, 1, 0},
    };
    for (size_t i = 0; i < COUNT(tables); i++)
        expect_exact_cycle(tables[i], tables[i][2] ? 3 : 2, 17);
    unsigned heaviest[MANY];
    for (unsigned i = 0; i < MANY; i++)
        heaviest[i] = 1000 - (i & 1);
    expect_exact_cycle(heaviest, MANY, 5);
}

Test(strategy, three_to_one_is_fifteen_to_five) {
    unsigned weights[] = {3, 1}, picks[2] = {0};
    for (uint64_t turn = 0; turn < 20; turn++)
        picks[strategy_round_robin(weights, 2, turn)]++;
    cr_expect_eq(picks[0], 15);
    cr_expect_eq(picks[1], 5);
}

Test(strategy, equal_weights_go_in_order) {
    for (unsigned n = 1; n <= MANY; n++) {
        unsigned weights[MANY];
        for (unsigned i = 0; i < n; i++)
            weights[i] = 7;
        for (uint64_t turn = 0; turn < 2 * n; turn++)
            cr_assert_eq(strategy_round_robin(weights, n, turn), turn % n);
    }
}

/* Whoever has at most half of the turns need never have three of them one after the other. */
Test(strategy, picks_of_one_candidate_are_spread) {
    unsigned weights[3], shares[3] = {0};
    for (unsigned code = 0; code < 6 * 6 * 6; code++) {
        weights[0] = 1 + code % 6;
        weights[1] = 1 + code / 6 % 6;
        weights[2] = 1 + code / 36;
        unsigned cycle = cycle_of(weights, 3, shares), run = 0, last = 3, crowded = 0;
        for (uint64_t turn = 0; turn < 2 * cycle; turn++) {
            unsigned picked = strategy_round_robin(weights, 3, turn);
            run = picked == last ? run + 1 : 1;
            last = picked;
            crowded += run >= 3 && shares[picked] * 2 <= cycle;
        }
        cr_expect_eq(crowded, 0, "weights %u %u %u", weights[0], weights[1], weights[2]);
    }
}

Test(strategy, random_follows_the_weights) {
    static const unsigned tables[][6] = {
        {1, 1, 1, 1, 1, 1},
        {1, 2, 3, 4, 5, 6},
        {1000, 1, 1, 1000, 500, 2},
        {7, 7, 1, 1, 1, 90},
    };
    const unsigned draws = 100000;
    uint64_t seed = 42;
    for (size_t t = 0; t < COUNT(tables); t++) {
        unsigned picks[6] = {0};
        double total = 0, chi_square = 0;
        for (unsigned i = 0; i < draws; i++) {
            unsigned picked = strategy_random(tables[t], 6, next_random(&seed));
            cr_assert_lt(picked, 6);
            picks[picked]++;
        }
        for (unsigned i = 0; i < 6; i++)
            total += tables[t][i];
        for (unsigned i = 0; i < 6; i++) {
            double expected = draws * tables[t][i] / total;
            chi_square += (picks[i] - expected) * (picks[i] - expected) / expected;
        }
        /* five degrees of freedom: 25.7 is passed once in ten thousand tries */
        cr_expect_lt(chi_square, 25.7, "table %zu: %f", t, chi_square);
    }
}

Test(strategy, random_takes_the_ends_of_its_range) {
    unsigned weights[MANY];
    for (unsigned i = 0; i < MANY; i++)
        weights[i] = 1000;
    for (unsigned n = 1; n <= MANY; n++) {
        cr_expect_eq(strategy_random(weights, n, 0), 0);
        cr_expect_eq(strategy_random(weights, n, UINT64_MAX), n - 1);
    }
}

/* By its definition: nobody has fewer per weight, and of those with as few the first from TURN. */
Test(strategy, least_busy_has_the_fewest_per_weight) {
    uint64_t seed = 7;
    unsigned weights[MANY], busy[MANY];
    for (unsigned round = 0; round < 20000; round++) {
        unsigned n = 1 + (unsigned)(next_random(&seed) % MANY);
        uint64_t turn = next_random(&seed);
        for (unsigned i = 0; i < n; i++) {
            weights[i] = 1 + (unsigned)(next_random(&seed) % (round & 1 ? 3 : 1000));
            busy[i] = (unsigned)(next_random(&seed) % (round & 2 ? 4 : 1025));
        }
        unsigned picked = strategy_least_busy(weights, busy, n, turn);
        cr_assert_lt(picked, n);
        for (unsigned i = 0; i < n; i++) {
            unsigned other = (unsigned)((turn + i) % n);
            uint64_t here = (uint64_t)busy[picked] * weights[other];
            uint64_t there = (uint64_t)busy[other] * weights[picked];
            cr_assert_leq(here, there);
            if (other == picked)
                break;
            cr_assert_lt(here, there, "an equal one came first");
        }
        for (unsigned i = 0; i < n; i++)
            cr_assert_leq((uint64_t)busy[picked] * weights[i], (uint64_t)busy[i] * weights[picked]);
    }
}

Test(strategy, least_busy_takes_turns_when_idle) {
    unsigned weights[] = {5, 1, 1}, busy[] = {0, 0, 0};
    for (uint64_t turn = 0; turn < 9; turn++)
        cr_expect_eq(strategy_least_busy(weights, busy, 3, turn), turn % 3);
}
