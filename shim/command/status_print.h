/*
 * What `spillway status` prints, as a table and as JSON.
 */
#ifndef SPILLWAY_COMMAND_STATUS_PRINT_H
#define SPILLWAY_COMMAND_STATUS_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "shim/command/live.h"

/* Numbers of a row. */
#define STATUS_CELLS 7

/* A row of the table, as text. */
struct status_row {
    size_t backend; /* its place in the endpoint */
    char tier[12];
    const char *name;
    char state[64], cells[STATUS_CELLS][16], latency[48];
};

/* Over the cells of a row. */
extern const char *const status_headings[STATUS_CELLS];

/* Writes the rows of ENDPOINT, its tiers in order, to ROWS, which has room for all its backends.
 * BRIEF: with short states. */
void status_rows(const struct endpoint *endpoint, const struct pool_view *views, bool brief,
                 struct status_row *rows);

/* The SGR parameters (ECMA-48) of the colour for STATE, "32" say. */
const char *status_colour(enum pool_state state);

/* Prints a table for each endpoint to OUT. WIDTH, unless it is 0, is how many columns there are:
 * where they don't suffice, the states are short. Lines are never cut. */
void status_print(const struct live *live, bool colours, size_t width, FILE *out);

/* Prints one JSON object to OUT, the one of the manual. */
void status_print_json(const struct live *live, FILE *out);

#endif
