/*
 * The faults of a drill: those of the settings, then those of the command line.
 */
#ifndef SPILLWAY_COMMAND_DRILL_FAULTS_H
#define SPILLWAY_COMMAND_DRILL_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/fault.h"
#include "config/settings.h"
#include "shim/command/drill_figures.h"

struct drill_faults {
    struct fault *faults;
    struct drill_fault *list; /* the same for the report, with texts of theirs */
    size_t count;             /* of both; at most FAULTS_MAX */
    char *text;               /* all of them, one per line, for the shim */
};

/*
 * Reads GIVEN, COUNT texts of the command line, behind the faults of SETTINGS. Returns true with
 * *OUT for drill_faults_free, or false with a message: "--fault N, column M: found X, expected Y".
 */
bool drill_faults_make(struct drill_faults *out, const struct settings *settings,
                       const char *const *given, size_t count, char *message, size_t size);

void drill_faults_free(struct drill_faults *faults);

#endif
