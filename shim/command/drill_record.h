/*
 * What happened in a drill, read from the log that the shim has written meanwhile.
 *
 * Times are seconds since the start of the drill, with the log's resolution of a millisecond. The
 * record is written by other processes: a line that is none, or that makes no sense, is counted and
 * left out, and no time lies outside of the drill.
 */
#ifndef SPILLWAY_COMMAND_DRILL_RECORD_H
#define SPILLWAY_COMMAND_DRILL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "config/settings.h"

#define DRILL_NONE    ((size_t)-1)
#define DRILL_UNKNOWN (-1) /* for a priority that the settings don't tell */

enum drill_outcome {
    DRILL_ANSWERED,   /* a whole response with a status below 400 */
    DRILL_THROTTLED,  /* 429 */
    DRILL_REJECTED,   /* another status from 400 on */
    DRILL_FAILED,     /* no response, or not all of it */
    DRILL_UNFINISHED, /* the program gave it up, or its process ended before it did */
    DRILL_OUTCOMES
};

/* A lane: in the order of the settings, then those that only the record knows. */
struct drill_backend {
    char *endpoint;
    char *name;
    int priority; /* or DRILL_UNKNOWN */
};

struct drill_attempt {
    size_t backend;      /* index */
    size_t transfer;     /* index, or DRILL_NONE */
    double begin, end;   /* end: when it was accepted, rejected or failed */
    unsigned long count; /* in its transfer, from 1 */
    int status;          /* 0: none */
    int curl;            /* libcurl's code if it failed, else 0 */
    char error[16];      /* connect, reset, timeout, cut, ...; empty if it did not fail */
    char *fault;         /* the kind of the fault that met it; NULL: none */
    size_t fault_number; /* its place in the list of faults, from 1; 0: none, or unknown */
    enum drill_outcome outcome;
    bool answer; /* its response is the one that answered the program */
};

struct drill_cooldown {
    size_t backend;
    double begin, end; /* cut off where a newer one begins and at the end of the drill */
    double seconds;    /* as it was announced */
    char reason[16];   /* status, connect, reset, timeout, quota */
};

struct drill_transfer {
    char *id; /* PID-N */
    char *endpoint, *path;
    pid_t pid;
    double begin, end;
    double first;           /* from its begin to the first byte that was handed over; -1: unknown */
    unsigned long attempts; /* as the record has them */
    int status;             /* what the program got; 0: none */
    int result;             /* libcurl's code */
    bool over;              /* it has ended in some way */
    bool finished;          /* it has ended with a result */
    bool exhausted;
    bool retry; /* the program asks again what was not answered, it seems */
    enum drill_outcome outcome;
    size_t last_attempt; /* index, or DRILL_NONE */
    double tried;        /* when the last attempt ended that was read so far */
};

struct drill_record {
    double start;  /* of the drill, since the epoch */
    double length; /* of the drill */
    struct drill_backend *backends;
    struct drill_attempt *attempts; /* by their begin, as all of these */
    struct drill_cooldown *cooldowns;
    struct drill_transfer *transfers;
    size_t *order; /* of lanes in a report: an endpoint after the other, by priority in each */
    size_t backend_count, attempt_count, cooldown_count, transfer_count;
    size_t strange; /* lines that were left out */
    struct drill_names *names;
};

/* An empty record with a lane for each backend of SETTINGS, for a drill that began at START (since
 * the epoch) and took LENGTH seconds. For drill_record_free; NULL without memory. */
struct drill_record *drill_record_new(const struct settings *settings, double start, double length);

/* Reads all lines of IN, once. Returns false without memory, or if IN cannot be read (errno). */
bool drill_record_read(struct drill_record *record, FILE *in);

void drill_record_free(struct drill_record *record);

/* "answered", "throttled", "rejected", "failed", "unfinished". */
const char *drill_outcome_name(enum drill_outcome outcome);

#endif
