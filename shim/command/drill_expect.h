/*
 * What is expected of a drill: the argument of --expect.
 *
 *   list        = expectation *( "," expectation )
 *   expectation = metric relation value
 *   metric      = NAME | NAME "@" BACKEND | NAME "@" ENDPOINT "/" BACKEND   (drill_metric.h)
 *   relation    = "<" | "<=" | "=" | "==" | "!=" | ">=" | ">"
 *   value       = NUMBER | NUMBER "%" | DURATION, as the metric has it
 *
 * Pure functions, thread-safe.
 */
#ifndef SPILLWAY_COMMAND_DRILL_EXPECT_H
#define SPILLWAY_COMMAND_DRILL_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/command/drill_metric.h"

enum drill_relation {
    DRILL_LESS,
    DRILL_AT_MOST,
    DRILL_EQUAL,
    DRILL_UNEQUAL,
    DRILL_AT_LEAST,
    DRILL_MORE
};

struct drill_expectation {
    char *text; /* as it was written, without the spaces around it */
    size_t position;
    struct drill_choice choice; /* its names are those of the settings */
    enum drill_relation relation;
    double value;
    double actual; /* from drill_expect_check: the metric's value, -1 if it has none ... */
    bool met;      /* ... in which case nothing is met */
};

struct drill_expectations {
    struct drill_expectation *list;
    size_t count;
};

/*
 * Reads LIST. Returns true with *OUT for drill_expect_free, or false with a message: "column N:
 * found X, expected Y; did you mean Z?", also for an expectation that can never be met: by its
 * value, by another one of the list, or since none of FAULTS makes what it is about. SETTINGS must
 * outlive *OUT.
 */
bool drill_expect_parse(const char *list, const struct settings *settings,
                        const struct drill_facts *facts, struct drill_expectations *out,
                        char *message, size_t size);

/* Compares with what came out. Returns whether all is met. */
bool drill_expect_check(struct drill_expectations *expectations, const struct drill_record *record,
                        const struct drill_figures *figures, const struct drill_facts *facts);

void drill_expect_free(struct drill_expectations *expectations);

#endif
