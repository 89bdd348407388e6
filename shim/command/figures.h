/*
 * What the live state of a backend amounts to: shares, percentiles, and how they are written. Pure
 * functions, thread-safe, independent of the locale as long as LC_NUMERIC is "C".
 */
#ifndef SPILLWAY_COMMAND_FIGURES_H
#define SPILLWAY_COMMAND_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/pool/pool.h"

/* How many durations are in CLASSES. */
uint64_t figures_durations(const uint64_t classes[LEDGER_CLASSES]);

/*
 * The duration in seconds that the fraction QUANTILE (0 to 1) of those in CLASSES does not exceed,
 * as if they were evenly spread inside each class; the last class, which has no end, counts as its
 * beginning of 1000 s. -1 if there is none.
 */
double figures_quantile(const uint64_t classes[LEDGER_CLASSES], double quantile);

/* The mean duration in seconds; -1 if there is none. */
double figures_mean(const struct pool_view *view);

/* The backend's part, 0 to 1, in what all COUNT backends of VIEWS answered; -1 if that is nothing.
 */
double figures_share(const struct pool_view *views, size_t count, size_t backend);

/* A cooldown of NS as "4.2 s", rounded up so that it has not passed when it seems so; whole seconds
 * from ten on. */
void figures_write_left(uint64_t ns, char *out, size_t size);

/* "available", "cooling 4.2 s left: 429" (BRIEF: "4.2 s: 429"), "probing" or "drained". */
void figures_write_state(const struct pool_view *view, bool brief, char *out, size_t size);

/* The word for STATE alone: "available", "cooling", "probing", "drained". */
const char *figures_state_name(enum pool_state state);

/* A number in four characters at most: 9999, 12k, 999k, 1.2M, 34M ... rounded down. */
void figures_write_count(uint64_t count, char *out, size_t size);

/* "0.8/1.9/4.2s" or "118/350/990ms": the durations that 50, 90 and 99 % do not exceed; "-" if
 * there are none. */
void figures_write_latency(const uint64_t classes[LEDGER_CLASSES], char *out, size_t size);

#endif
