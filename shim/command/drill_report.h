/*
 * The report of a drill, in three forms. All of them only read; what goes wrong in writing stays as
 * the stream's error. LC_NUMERIC has to be "C".
 */
#ifndef SPILLWAY_COMMAND_DRILL_REPORT_H
#define SPILLWAY_COMMAND_DRILL_REPORT_H

#include <stdio.h>

#include "shim/command/drill_expect.h"
#include "shim/command/drill_figures.h"
#include "shim/command/drill_record.h"

struct drill_report {
    const struct drill_record *record;
    const struct drill_figures *figures;
    const struct drill_facts *facts;
    const struct drill_expectations *expectations; /* checked; perhaps none */
};

/* As text of at most COLUMNS, as far as names allow it, with terminal colours if COLOURS. */
void drill_print_text(const struct drill_report *report, bool colours, unsigned columns, FILE *out);

/* The timeline alone, as a part of that. */
void drill_print_lanes(const struct drill_report *report, bool colours, unsigned columns,
                       FILE *out);

/* As one JSON object; spillway(1) describes it. */
void drill_print_json(const struct drill_report *report, FILE *out);

/* As a page of HTML that needs nothing else, neither files nor scripts. */
void drill_print_html(const struct drill_report *report, FILE *out);

/* The timeline alone, as a part of that. */
void drill_print_picture(const struct drill_report *report, FILE *out);

/* The style sheet of the page. */
extern const char drill_style[];

/* TEXT with what means something in HTML escaped, also for attributes. */
void drill_put_html(const char *text, FILE *out);

/* The distance of the marks on an axis of LENGTH seconds that shall have at most MOST of them: 1, 2
 * or 5 times a power of ten. */
double drill_step(double length, unsigned most);

/* Writes SECONDS for people: "0 s", "12 ms", "1.25 s", "75 s"; "-" for what is negative. */
void drill_write_time(double seconds, char *out, size_t size);

/* Writes what came of ATTEMPT for people: "200", "429", "connect", "200, then cut". */
void drill_write_outcome(const struct drill_attempt *attempt, char *out, size_t size);

/* The same for what TRANSFER gave its program. */
void drill_write_ending(const struct drill_transfer *transfer, char *out, size_t size);

/* The fault that met ATTEMPT, as it was written, or its kind if that is all that is known; "" if
 * none did. */
const char *drill_fault_text(const struct drill_report *report,
                             const struct drill_attempt *attempt);

#endif
