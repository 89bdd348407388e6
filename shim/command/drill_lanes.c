/* The timeline as text: time goes to the right, a lane for the program and for each backend. */
#include <math.h>
#include <string.h>

#include "shim/command/drill_report.h"

#define COLUMNS_MAX 200
#define LABEL_MAX   24

/* What a column of a lane holds, as bits. */
enum { OK = 1, REJECTED = 2, FAILED = 4, OPEN = 8, RUNNING = 16, COOLING = 32, FAULT = 64 };

struct lanes {
    const struct drill_report *report;
    FILE *out;
    bool colours;
    int label;      /* width */
    size_t columns; /* of the lanes */
    unsigned char cells[COLUMNS_MAX];
};

static const struct {
    unsigned bits; /* any of these; the first line that fits counts */
    char glyph;
    const char *colour;
} glyphs[] = {
    {FAILED, '!', "31"},  {OPEN, '?', "31"},   {REJECTED, 'x', "33"}, {OK, 'o', "32"},
    {RUNNING, '.', "32"}, {COOLING, '-', "2"}, {FAULT, '=', "35"},
};

static const unsigned char of_outcome[DRILL_OUTCOMES] = {[DRILL_ANSWERED] = OK,
                                                         [DRILL_THROTTLED] = REJECTED,
                                                         [DRILL_REJECTED] = REJECTED,
                                                         [DRILL_FAILED] = FAILED,
                                                         [DRILL_UNFINISHED] = OPEN};

static size_t column_of(const struct lanes *lanes, double time) {
    double length = lanes->report->record->length;
    double column = length > 0 ? time / length * (double)lanes->columns : 0;
    return column < 0 ? 0 : (size_t)fmin(column, (double)lanes->columns - 1);
}

static void fill(struct lanes *lanes, double begin, double end, unsigned char bit) {
    for (size_t i = column_of(lanes, begin); i <= column_of(lanes, end); i++)
        lanes->cells[i] |= bit;
}

static void put_cell(const struct lanes *lanes, unsigned char cell) {
    if ((cell & OK) && (cell & (REJECTED | FAILED | OPEN))) {
        fputs(lanes->colours ? "\33[33m%\33[0m" : "%", lanes->out);
        return;
    }
    for (size_t i = 0; i < sizeof glyphs / sizeof *glyphs; i++) {
        if (!(cell & glyphs[i].bits))
            continue;
        if (lanes->colours)
            fprintf(lanes->out, "\33[%sm%c\33[0m", glyphs[i].colour, glyphs[i].glyph);
        else
            fputc(glyphs[i].glyph, lanes->out);
        return;
    }
    fputc(' ', lanes->out);
}

/* Writes the lane and empties it. */
static void put_lane(struct lanes *lanes, const char *indent, const char *label) {
    size_t last = lanes->columns;
    while (last > 0 && !lanes->cells[last - 1])
        last--;
    int width = lanes->label - (int)strlen(indent);
    fprintf(lanes->out, "%s%-*.*s ", indent, width, width, label);
    for (size_t i = 0; i < last; i++)
        put_cell(lanes, lanes->cells[i]);
    fputc('\n', lanes->out);
    memset(lanes->cells, 0, sizeof lanes->cells);
}

static void put_axis(struct lanes *lanes) {
    double length = lanes->report->record->length;
    double step = drill_step(length, (unsigned)lanes->columns / 9);
    char line[COLUMNS_MAX + 32], mark[32];
    memset(line, ' ', sizeof line);
    size_t used = 0;
    for (unsigned i = 0; (double)i * step <= length; i++) {
        size_t at = column_of(lanes, (double)i * step);
        int size = snprintf(mark, sizeof mark, "%.10g s", (double)i * step);
        if (size <= 0 || at + (size_t)size > lanes->columns)
            break;
        memcpy(line + at, mark, (size_t)size);
        used = at + (size_t)size;
    }
    fprintf(lanes->out, "%*s %.*s\n", lanes->label, "", (int)used, line);
}

static void put_program(struct lanes *lanes) {
    const struct drill_record *record = lanes->report->record;
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        fill(lanes, t->begin, t->end, RUNNING);
        fill(lanes, t->end, t->end, of_outcome[t->outcome]);
    }
    put_lane(lanes, "", "program");
}

static void put_faults(struct lanes *lanes, const struct drill_backend *backend) {
    const struct drill_facts *facts = lanes->report->facts;
    bool any = false;
    for (size_t i = 0; i < facts->fault_count; i++) {
        const struct drill_fault *fault = &facts->faults[i];
        if (!drill_fault_is_for(fault, backend) || fault->begin > lanes->report->record->length)
            continue;
        fill(lanes, fault->begin, fault->end, FAULT);
        any = true;
    }
    if (any)
        put_lane(lanes, "", "  fault");
}

static void put_backend(struct lanes *lanes, size_t place) {
    const struct drill_record *record = lanes->report->record;
    const struct drill_backend *backend = &record->backends[place];
    for (size_t i = 0; i < record->cooldown_count; i++)
        if (record->cooldowns[i].backend == place)
            fill(lanes, record->cooldowns[i].begin, record->cooldowns[i].end, COOLING);
    for (size_t i = 0; i < record->attempt_count; i++) {
        const struct drill_attempt *attempt = &record->attempts[i];
        if (attempt->backend != place)
            continue;
        fill(lanes, attempt->begin, attempt->end, RUNNING);
        fill(lanes, attempt->end, attempt->end, of_outcome[attempt->outcome]);
    }
    char number[16] = "? ";
    if (backend->priority != DRILL_UNKNOWN)
        snprintf(number, sizeof number, "%d ", backend->priority);
    put_lane(lanes, number, backend->name);
    put_faults(lanes, backend);
}

/* The backends in the order of their tiers, an endpoint after the other. */
static void put_backends(struct lanes *lanes) {
    const struct drill_record *record = lanes->report->record;
    const size_t *order = record->order;
    for (size_t i = 0; i < record->backend_count; i++) {
        const char *endpoint = record->backends[order[i]].endpoint;
        bool several = strcmp(record->backends[order[0]].endpoint,
                              record->backends[order[record->backend_count - 1]].endpoint) != 0;
        if (several && (i == 0 || strcmp(endpoint, record->backends[order[i - 1]].endpoint) != 0))
            fprintf(lanes->out, "endpoint %s\n", endpoint);
        put_backend(lanes, order[i]);
    }
}

void drill_print_lanes(const struct drill_report *report, bool colours, unsigned columns,
                       FILE *out) {
    struct lanes lanes = {.report = report, .out = out, .colours = colours};
    size_t longest = strlen("program");
    for (size_t i = 0; i < report->record->backend_count; i++) {
        size_t length = strlen(report->record->backends[i].name) + 3;
        longest = length > longest ? length : longest;
    }
    lanes.label = (int)(longest < LABEL_MAX ? longest : LABEL_MAX);
    lanes.columns = columns > (unsigned)lanes.label + 21 ? columns - (unsigned)lanes.label - 1 : 20;
    if (lanes.columns > COLUMNS_MAX)
        lanes.columns = COLUMNS_MAX;
    put_axis(&lanes);
    put_program(&lanes);
    put_backends(&lanes);
    fputs(
        "o answered  x rejected  ! failed  % both  ? unfinished  . running  - cooldown  = fault\n",
        out);
}
