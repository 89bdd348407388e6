/*
 * `spillway status --watch`: the live state on the whole screen.
 */
#ifndef SPILLWAY_COMMAND_STATUS_WATCH_H
#define SPILLWAY_COMMAND_STATUS_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "shim/command/live.h"

/* What backends did between two looks. */
struct watch_rate {
    double per_second; /* answered requests */
    double share;      /* of the endpoint's, 0 to 1; 0 if there were none */
};

/* Writes to RATES, COUNT of them, what became of BEFORE within ELAPSED ns. A counter that went back
 * (the state was made anew) has begun at 0. */
void watch_rates(const struct pool_view *before, const struct pool_view *after, size_t count,
                 uint64_t elapsed, struct watch_rate *rates);

/* Writes a bar of WIDTH cells to OUT (WIDTH + 1 bytes), filled up to SHARE; one that is not 0 fills
 * a cell at least. */
void watch_bar(double share, size_t width, char *out);

/* VIEW as it is ELAPSED ns later, if nothing happened meanwhile. */
struct pool_view watch_later(const struct pool_view *view, uint64_t elapsed);

/*
 * Shows LIVE, looks again every INTERVAL seconds, and returns the exit status: 0 once somebody
 * presses q or Ctrl-C, 2, with a line on stderr, if stdin and stdout are no terminal that can do
 * it, 1 if the state can't be had any more. SIGTERM and SIGHUP end the process by themselves. In
 * every case the terminal is as it was before.
 */
int status_watch(struct live *live, double interval);

#endif
