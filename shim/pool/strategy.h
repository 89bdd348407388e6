/*
 * Which backend of a tier: the strategies, as plain functions of their inputs.
 */
#ifndef SPILLWAY_POOL_STRATEGY_H
#define SPILLWAY_POOL_STRATEGY_H

#include <stdint.h>

/*
 * Each picks one of N candidates (1 to 64) and returns its position. WEIGHTS are 1 or more.
 *
 * round robin: turn number TURN. Over any cycle of turns (the sum of the weights, divided by
 * their common divisor) each candidate is picked exactly by its weight, and the picks of one
 * candidate are spread over the cycle. Equal weights go in order.
 */
unsigned strategy_round_robin(const unsigned *weights, unsigned n, uint64_t turn);

/* random: by weight; RANDOM is uniform over 64 bits. */
unsigned strategy_random(const unsigned *weights, unsigned n, uint64_t random);

/* least busy: the fewest attempts IN_FLIGHT per weight; among equals the one at TURN's place. */
unsigned strategy_least_busy(const unsigned *weights, const unsigned *in_flight, unsigned n,
                             uint64_t turn);

#endif
