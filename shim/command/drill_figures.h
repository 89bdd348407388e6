/*
 * What a drill's record amounts to. Pure functions.
 */
#ifndef SPILLWAY_COMMAND_DRILL_FIGURES_H
#define SPILLWAY_COMMAND_DRILL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/drill_record.h"

#define DRILL_STATUSES 600

/* A fault as the report knows it. Its span is the time in which it may meet attempts. */
struct drill_fault {
    const char *text;     /* as it was written */
    const char *endpoint; /* NULL: any */
    const char *backend;  /* NULL: any */
    double begin, end;    /* seconds from the start of the drill; end: INFINITY if it has none */
    bool outage;          /* meets attempts by time, not by their number */
};

/* What `drill` knows of itself; all texts belong to the caller. */
struct drill_facts {
    const char *program; /* its name alone: arguments may hold secrets */
    int exit_status;     /* as a shell would have it: 128 + N after signal N */
    int signal;          /* 0: it ended by itself */
    uint64_t seed;
    bool against_mocks;
    const struct drill_fault *faults;
    size_t fault_count;
};

struct drill_outage {
    size_t fault;       /* its index */
    double after_begin; /* from its begin to the end of the first answered transfer that began in
                           it; -1: none */
    double after_end;   /* from its end to the first answered attempt on that backend; -1: none */
    bool ended;         /* in the drill */
};

struct drill_backend_figures {
    size_t attempts, answers, faulted, cooldowns;
    size_t outcomes[DRILL_OUTCOMES];
    size_t statuses[DRILL_STATUSES]; /* [0]: without one */
    double cooling;                  /* seconds */
};

/* Figures that don't exist are -1. */
struct drill_figures {
    size_t transfers, answered, errors, unfinished, exhausted, retries, processes;
    size_t statuses[DRILL_STATUSES]; /* of finished transfers; [0]: without one */
    size_t attempts, wasted, faulted;
    double answered_share;      /* 0 to 1 */
    double attempts_per_answer; /* all attempts, by answered transfers */
    double p50, p99, longest;   /* seconds that finished transfers took */
    double first_answer_after_begin, first_answer_after_end; /* the longest of all outages */
    struct drill_backend_figures *backends;                  /* one for each of the record's */
    size_t *met; /* per fault: how many attempts it met */
    struct drill_outage *outages;
    size_t outage_count;
};

/* The figures of RECORD, for drill_figures_free; NULL without memory. */
struct drill_figures *drill_figures_new(const struct drill_record *record,
                                        const struct drill_facts *facts);
void drill_figures_free(struct drill_figures *figures);

/* Whether FAULT is meant for BACKEND. */
bool drill_fault_is_for(const struct drill_fault *fault, const struct drill_backend *backend);

/* The sum of statuses from FIRST to LAST. */
size_t drill_statuses(const size_t statuses[DRILL_STATUSES], int first, int last);

/* The least of the COUNT ascending VALUES that the fraction QUANTILE of them does not exceed; -1 of
 * none. */
double drill_quantile(const double *values, size_t count, double quantile);

#endif
