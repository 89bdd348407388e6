#include "shim/command/drill_stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/command/drill_server.h"
#include "shim/command/room.h"
#include "shim/fault/page.h"
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

bool drill_stage_make(struct drill_stage *stage, const struct drill_faults *faults, char *message,
                      size_t size) {
    *stage = (struct drill_stage){0};
    if (!room_make("drill-", stage->directory, DIRECTORY_MAX)) {
        snprintf(message, size,
                 "cannot make a directory: neither $XDG_RUNTIME_DIR/spillway nor "
                 "/tmp/spillway-%u is this user's alone (mode 0700)",
                 (unsigned)geteuid());
        return false;
    }
    snprintf(stage->record, sizeof stage->record, "%.*s/record", DIRECTORY_MAX, stage->directory);
    if (set_environment(stage, faults))
        return true;
    snprintf(message, size, "cannot set the environment: %s", strerror(errno));
    room_remove(stage->directory);
    return false;
}

bool drill_stage_start(struct drill_stage *stage, uint64_t seed, bool against_mocks, char *message,
                       size_t size) {
    struct timespec now;
    stage->server = drill_server_start(stage->directory, message, size);
    if (!stage->server)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    stage->start = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    stage->start_ns = ledger_now();
    if (drill_page_make(stage->directory, stage->start_ns, seed,
                        against_mocks ? DRILL_AGAINST_MOCKS : 0))
        return true;
    snprintf(message, size, "cannot make a file in %s: %s", stage->directory, strerror(errno));
    return false;
}

double drill_stage_seconds(const struct drill_stage *stage) {
    return (double)(ledger_now() - stage->start_ns) / 1e9;
}

void drill_stage_clear(struct drill_stage *stage) {
    drill_server_stop(stage->server);
    room_remove(stage->directory);
}
