/*
 * One line of the shim's log, taken apart. Pure functions, thread-safe, as long as LC_NUMERIC is
 * "C".
 */
#ifndef SPILLWAY_COMMAND_DRILL_LINE_H
#define SPILLWAY_COMMAND_DRILL_LINE_H

#include <stdbool.h>

/* Texts lie in the line that was read; one that is absent is empty. A number that is absent is
 * -1. */
struct drill_line {
    double time; /* since the epoch */
    double pid;
    const char *event, *endpoint, *backend, *transfer, *path, *error, *reason, *fault;
    double attempt, attempts, status, curl, result, fault_number;
    double ms, first_ms, seconds;
};

/*
 * Takes TEXT apart, which is changed for it. A pair that is not known here is skipped; of two of
 * one name the last counts. Returns false if it is no line of the log: not logfmt, a control
 * character, no time, no pid,
 * no event, or a number that is none or negative.
 */
bool drill_line_read(char *text, struct drill_line *line);

#endif
