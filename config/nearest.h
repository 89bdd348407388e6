/*
 * The word that somebody probably meant, for messages.
 */
#ifndef SPILLWAY_CONFIG_NEAREST_H
#define SPILLWAY_CONFIG_NEAREST_H

#include <stddef.h>

#define NEAREST_LENGTH_MAX 48 /* longer words are near to nothing */

/* Start with .word set and all else zero. The words are not copied. */
struct nearest {
    const char *word;
    const char *best; /* the nearest so far; NULL while none is near enough to be worth naming */
    size_t distance;  /* its distance */
};

/*
 * The optimal string alignment distance of A and B: how many insertions, deletions, changes and
 * swaps of neighbours lead from one to the other. ASCII case counts for nothing. SIZE_MAX if
 * one of them is longer than NEAREST_LENGTH_MAX.
 */
size_t nearest_distance(const char *a, const char *b);

/* Takes note of one candidate; of two that are equally near the first stays. A candidate that
 * starts with the whole word (three letters or more) counts as near, however long it is. */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
