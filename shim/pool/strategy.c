#include "shim/pool/strategy.h"

/* Up to this many turns a cycle is played out. */
#define CYCLE_PLAYED 100

static unsigned common_divisor(unsigned a, unsigned b) {
    while (b) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The candidate whose share of the line 0 ... total holds POINT. */
static unsigned share_of(const unsigned *weights, unsigned n, unsigned unit, uint64_t point) {
    for (unsigned i = 0; i + 1 < n; i++) {
        unsigned share = weights[i] / unit;
        if (point < share)
            return i;
        point -= share;
    }
    return n - 1;
}

/*
 * Smooth weighted round robin, as nginx has it: each turn everybody gains its weight, the richest
 * is picked and pays the sum of all. Exact over a cycle and well spread, but it has to be played
 * from the cycle's beginning.
 */
static unsigned play(const unsigned *weights, unsigned n, unsigned unit, unsigned cycle,
                     unsigned place) {
    int64_t wealth[64] = {0};
    unsigned richest = 0;
    for (unsigned turn = 0; turn <= place; turn++) {
        richest = 0;
        for (unsigned i = 0; i < n; i++) {
            wealth[i] += weights[i] / unit;
            if (wealth[i] > wealth[richest])
                richest = i;
        }
        wealth[richest] -= cycle;
    }
    return richest;
}

/*
 * For long cycles: a step through the cycle that visits every place once and puts neighbours far
 * apart, near the golden section of the cycle and with no common divisor with it.
 */
static uint64_t stride(unsigned cycle) {
    unsigned step = (unsigned)((uint64_t)cycle * 618 / 1000);
    while (common_divisor(step, cycle) != 1)
        step++;
    return step;
}

unsigned strategy_round_robin(const unsigned *weights, unsigned n, uint64_t turn) {
    unsigned unit = weights[0], total = 0;
    for (unsigned i = 0; i < n; i++) {
        unit = common_divisor(unit, weights[i]);
        total += weights[i];
    }
    unsigned cycle = unit ? total / unit : 0;
    if (cycle == 0)
        return 0; /* no weights at all: outside the contract */
    if (cycle == n)
        return (unsigned)(turn % n);
    if (cycle <= CYCLE_PLAYED)
        return play(weights, n, unit, cycle, (unsigned)(turn % cycle));
    return share_of(weights, n, unit, turn % cycle * stride(cycle) % cycle);
}

unsigned strategy_random(const unsigned *weights, unsigned n, uint64_t random) {
    uint64_t total = 0;
    for (unsigned i = 0; i < n; i++)
        total += weights[i];
    /* the high half, scaled: no bias that matters with weights of 1000 at most */
    return share_of(weights, n, 1, (random >> 32) * total >> 32);
}

unsigned strategy_least_busy(const unsigned *weights, const unsigned *in_flight, unsigned n,
                             uint64_t turn) {
    unsigned best = (unsigned)(turn % n);
    for (unsigned i = 1; i < n; i++) {
        unsigned other = (unsigned)((turn + i) % n);
        if ((uint64_t)in_flight[other] * weights[best] < (uint64_t)in_flight[best] * weights[other])
            best = other;
    }
    return best;
}
