/*
 * What surrounds the program of a drill: a private directory with the page that the shim finds, the
 * server that acts faults out, the record, and the live state of the drill alone.
 */
#ifndef SPILLWAY_COMMAND_DRILL_STAGE_H
#define SPILLWAY_COMMAND_DRILL_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/drill_faults.h"

struct drill_server;

struct drill_stage {
    double start;          /* since the epoch */
    uint64_t start_ns;     /* the same by ledger_now() */
    char record[PATH_MAX]; /* the file that the shim logs to; there may be none */
    char directory[PATH_MAX];
    struct drill_server *server;
};

/*
 * Makes the directory, and sets our environment, which the program is to inherit. Returns true with
 * STAGE for drill_stage_clear, or false with a sentence in MESSAGE and nothing left behind.
 */
bool drill_stage_make(struct drill_stage *stage, const struct drill_faults *faults, char *message,
                      size_t size);

/*
 * Starts the drill: the server, whose threads have all signals blocked, and the clock. Returns
 * false with a sentence in MESSAGE.
 */
bool drill_stage_start(struct drill_stage *stage, uint64_t seed, bool against_mocks, char *message,
                       size_t size);

/* Seconds since the start. */
double drill_stage_seconds(const struct drill_stage *stage);

/* Ends the server, if it was started, and removes the directory. */
void drill_stage_clear(struct drill_stage *stage);

#endif
