#include "shim/command/drill_stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/command/room.h"
#include "shim/pool/ledger.h"

/* A socket's path has 108 bytes (unix(7)), and there are names behind this one. */
#define DIRECTORY_MAX 80

static bool set_environment(const struct drill_stage *stage, const struct drill_faults *faults) {
    const struct {
        const char *name, *value;
    } variables[] = {{"SPILLWAY_DRILL", stage->directory},
                     {"SPILLWAY_FAULTS", faults->text},
                     {"SPILLWAY_STATE_DIR", stage->directory},
                     {"SPILLWAY_LOG_FILE", stage->record},
                     {"SPILLWAY_LOG", "info"}};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (setenv(variables[i].name, variables[i].value, 1) != 0)
            return false;
    return true;
}

bool drill_stage_set(struct drill_stage *stage, const struct drill_faults *faults,
                     const struct settings *settings, uint64_t seed, bool against_mocks,
                     char *message, size_t size) {
    struct timespec now;
    (void)settings, (void)seed, (void)against_mocks;
    *stage = (struct drill_stage){0};
    if (!room_make("drill-", stage->directory, DIRECTORY_MAX)) {
        snprintf(message, size, "cannot make a private directory");
        return false;
    }
    snprintf(stage->record, sizeof stage->record, "%.*s/record", DIRECTORY_MAX, stage->directory);
    if (!set_environment(stage, faults)) {
        snprintf(message, size, "cannot set the environment: %s", strerror(errno));
        room_remove(stage->directory);
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    stage->start = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    stage->start_ns = ledger_now();
    return true;
}

double drill_stage_seconds(const struct drill_stage *stage) {
    return (double)(ledger_now() - stage->start_ns) / 1e9;
}

void drill_stage_clear(struct drill_stage *stage) {
    room_remove(stage->directory);
}
