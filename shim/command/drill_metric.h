/*
 * The figures of a drill by their names, as --json and --expect know them. Pure functions.
 */
#ifndef SPILLWAY_COMMAND_DRILL_METRIC_H
#define SPILLWAY_COMMAND_DRILL_METRIC_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/command/drill_figures.h"

enum drill_unit {
    DRILL_COUNT,   /* a whole number */
    DRILL_RATIO,   /* a number */
    DRILL_SHARE,   /* 0 to 1, written in per cent */
    DRILL_SECONDS, /* a time */
    DRILL_STATUS   /* an exit status, 0 to 255 */
};

struct drill_metric {
    const char *name; /* without the number of a status: program_ or status_ */
    enum drill_unit unit;
    double (*of_all)(const struct drill_figures *figures, const struct drill_facts *facts);
    double (*of_backend)(const struct drill_backend_figures *backend); /* one of these two is set */
    bool needs_outage, needs_end;                                      /* of a fault */
};

/* All metrics but those by status, in the order in which they are shown. */
extern const struct drill_metric drill_metrics[];
extern const size_t drill_metric_count;

/* One metric, for all or one backend. */
struct drill_choice {
    const struct drill_metric *metric;
    int first, last;      /* statuses, if the metric is by status; else 0 */
    const char *endpoint; /* of a backend's metric; NULL: any */
    const char *backend;
};

/*
 * Finds the metric that LENGTH bytes at NAME, without what follows '@', stand for: a name of the
 * table, program_NNN or program_Nxx, and with OF_BACKEND status_NNN or status_Nxx. Returns false if
 * there is none; *NEAREST is then what was meant, perhaps, or NULL, and is constant.
 */
bool drill_metric_find(const char *name, size_t length, bool of_backend,
                       struct drill_choice *choice, const char **nearest);

/* The value; -1 if there is none. Those of backends of one name are added up. */
double drill_metric_value(const struct drill_choice *choice, const struct drill_record *record,
                          const struct drill_figures *figures, const struct drill_facts *facts);

/* Writes VALUE as --expect takes it: 12, 1.07, 99.5%, 2.31s; "none" for -1. */
void drill_metric_write(enum drill_unit unit, double value, char *out, size_t size);

#endif
