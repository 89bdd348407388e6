/*
 * The timeline as lanes of inline SVG. Across, everything is in per cent of a lane, so that the
 * page can be as wide as it likes while marks and letters keep their size.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/drill_report.h"

#define BINS     500 /* marks that fall together become one */
#define ROWS_MAX 8   /* of transfers at the same time */
#define TEXT     16  /* pixels of a line of letters */

struct bin {
    size_t count;
    double begin, end;
    const char *first; /* what the first of them says */
};

/* The marks of one row of a lane, to be. */
struct row {
    struct bin bins[DRILL_OUTCOMES][BINS];
};

struct picture {
    const struct drill_report *report;
    FILE *out;
    double length; /* of the axis, seconds; above 0 */
    struct row *row;
};

static double across(const struct picture *picture, double time) {
    return fmin(fmax(time / picture->length, 0), 1) * 100;
}

static void put_time(double seconds, FILE *out) {
    char text[32];
    drill_write_time(seconds, text, sizeof text);
    fputs(text, out);
}

/* Lines at the marks of the axis, for a lane. */
static void put_grid(const struct picture *picture) {
    double step = drill_step(picture->length, 6);
    for (unsigned i = 0; (double)i * step <= picture->length * (1 + 1e-9); i++)
        fprintf(picture->out, "<line class=\"grid\" x1=\"%.3f%%\" x2=\"%.3f%%\" y2=\"100%%\"/>",
                across(picture, (double)i * step), across(picture, (double)i * step));
}

static void put_axis(const struct picture *picture) {
    double step = drill_step(picture->length, 6);
    fputs("<div class=\"lane axis\"><div></div><svg height=\"18\" aria-hidden=\"true\">",
          picture->out);
    for (unsigned i = 0; (double)i * step <= picture->length * (1 + 1e-9); i++) {
        double x = across(picture, (double)i * step);
        fprintf(picture->out, "<text x=\"%.3f%%\" y=\"12\"%s>%.10g s</text>", x,
                i == 0   ? ""
                : x > 96 ? " text-anchor=\"end\""
                         : " text-anchor=\"middle\"",
                (double)i * step);
    }
    fputs("</svg></div>\n", picture->out);
}

/* ---- marks -------------------------------------------------------------------------------- */

static void add_mark(struct picture *picture, enum drill_outcome outcome, double begin, double end,
                     const char *says) {
    double place = across(picture, end) / 100 * BINS;
    struct bin *bin = &picture->row->bins[outcome][(size_t)fmin(place, BINS - 1)];
    if (bin->count++ == 0) {
        *bin = (struct bin){1, begin, end, says};
        return;
    }
    bin->begin = fmin(bin->begin, begin);
    bin->end = fmax(bin->end, end);
}

static void put_mark(const struct picture *picture, enum drill_outcome outcome,
                     const struct bin *bin, double y) {
    const char *name = drill_outcome_name(outcome);
    fprintf(picture->out, "<use href=\"#%s\" class=\"%s\" x=\"%.3f%%\" y=\"%.1f\"><title>", name,
            name, across(picture, bin->end), y);
    if (bin->count > 1)
        fprintf(picture->out, "%zu %s, ", bin->count, name);
    else
        drill_put_html(bin->first, picture->out);
    if (bin->count > 1) {
        put_time(bin->begin, picture->out);
        fputs(" to ", picture->out);
        put_time(bin->end, picture->out);
    }
    fputs("</title></use>", picture->out);
}

/* Puts the marks of the row and empties it; what failed is drawn last, above all else. */
static void put_marks(struct picture *picture, const double y[DRILL_OUTCOMES]) {
    for (unsigned outcome = 0; outcome < DRILL_OUTCOMES; outcome++)
        for (size_t i = 0; i < BINS; i++)
            if (picture->row->bins[outcome][i].count)
                put_mark(picture, (enum drill_outcome)outcome, &picture->row->bins[outcome][i],
                         y[outcome]);
    memset(picture->row, 0, sizeof *picture->row);
}

/* The time that something took, if it can be seen. */
static void put_span(const struct picture *picture, enum drill_outcome outcome, double begin,
                     double end, double y) {
    double x = across(picture, begin), width = across(picture, end) - x;
    if (width >= 0.3)
        fprintf(picture->out,
                "<rect class=\"span %s\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" height=\"3\"/>",
                drill_outcome_name(outcome), x, width, y - 1.5);
}

/* ---- the program's transfers -------------------------------------------------------------- */

static size_t row_for(double ends[ROWS_MAX], const struct drill_transfer *t, double gap) {
    size_t row = 0;
    for (size_t i = 0; i < ROWS_MAX; i++) {
        if (ends[i] + gap <= t->begin)
            return i;
        if (ends[i] < ends[row])
            row = i;
    }
    return row;
}

/* Rows for transfers so that those of the same time are one above the other. Returns their number.
 */
static size_t arrange(const struct picture *picture, unsigned char *rows) {
    const struct drill_record *record = picture->report->record;
    double ends[ROWS_MAX];
    size_t used = 1;
    for (size_t i = 0; i < ROWS_MAX; i++)
        ends[i] = -INFINITY;
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        size_t row = row_for(ends, t, picture->length / 1000);
        ends[row] = fmax(ends[row], t->end);
        rows[i] = (unsigned char)row;
        used = row + 1 > used ? row + 1 : used;
    }
    return used;
}

static void put_transfer_row(struct picture *picture, const unsigned char *rows, unsigned char row,
                             char (*says)[120]) {
    const struct drill_record *record = picture->report->record;
    double y = 12.0 + 12.0 * row;
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        char ending[64], time[32];
        if (rows[i] != row)
            continue;
        drill_write_ending(t, ending, sizeof ending);
        drill_write_time(t->end - t->begin, time, sizeof time);
        snprintf(says[i], sizeof says[i], "%s, %s after %s, %lu attempt%s", t->id, ending, time,
                 t->attempts, t->attempts == 1 ? "" : "s");
        put_span(picture, t->outcome, t->begin, t->end, y);
        add_mark(picture, t->outcome, t->begin, t->end, says[i]);
    }
    const double same[DRILL_OUTCOMES] = {y, y, y, y, y};
    put_marks(picture, same);
}

static void put_program(struct picture *picture) {
    const struct drill_record *record = picture->report->record;
    const struct drill_figures *figures = picture->report->figures;
    unsigned char *rows = calloc(record->transfer_count + 1, 1);
    char(*says)[120] = calloc(record->transfer_count + 1, sizeof *says);
    size_t used = rows ? arrange(picture, rows) : 0;
    fprintf(picture->out,
            "<div class=\"lane program\"><div class=\"name\"><b>program</b><small>%zu transfers, "
            "%zu answered</small></div><svg height=\"%zu\" role=\"img\" aria-label=\"%zu transfers "
            "of the program, %zu answered\">",
            figures->transfers, figures->answered, 12 + 12 * used, figures->transfers,
            figures->answered);
    put_grid(picture);
    for (size_t row = 0; says && row < used; row++)
        put_transfer_row(picture, rows, (unsigned char)row, says);
    fputs("</svg></div>\n", picture->out);
    free(rows);
    free(says);
}

/* ---- a backend ---------------------------------------------------------------------------- */

static bool is_shown(const struct picture *picture, const struct drill_fault *fault,
                     const struct drill_backend *backend) {
    return fault->begin < picture->length && drill_fault_is_for(fault, backend);
}

/* The lane says which backend it is. */
static const char *short_text(const struct drill_fault *fault) {
    const char *colon = strstr(fault->text, ": ");
    return colon ? colon + 2 : fault->text;
}

/* Each fault of the lane has a bar and a line of letters of its own; an outage colours the lane. */
static void put_faults(const struct picture *picture, const struct drill_backend *backend) {
    const struct drill_facts *facts = picture->report->facts;
    double y = 0;
    for (size_t i = 0; i < facts->fault_count; i++) {
        const struct drill_fault *fault = &facts->faults[i];
        if (!is_shown(picture, fault, backend))
            continue;
        double x = across(picture, fault->begin), end = across(picture, fault->end);
        bool right = x > 35;
        if (fault->outage)
            fprintf(picture->out,
                    "<rect class=\"outage\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" "
                    "height=\"100%%\"/>",
                    x, end - x, y);
        fprintf(picture->out,
                "<rect class=\"fault\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" height=\"2\"/>"
                "<text class=\"fault\" x=\"%.3f%%\" dx=\"%d\" y=\"%.1f\"%s>",
                x, end - x, y, right ? end : x, right ? -5 : 5, y + 13,
                right ? " text-anchor=\"end\"" : "");
        drill_put_html(short_text(fault), picture->out);
        fputs("</text>", picture->out);
        y += TEXT;
    }
}

static double height_of_faults(const struct picture *picture, const struct drill_backend *backend) {
    double height = 0;
    for (size_t i = 0; i < picture->report->facts->fault_count; i++)
        if (is_shown(picture, &picture->report->facts->faults[i], backend))
            height += TEXT;
    return height;
}

static void put_cooldowns(const struct picture *picture, size_t place, double y) {
    const struct drill_record *record = picture->report->record;
    for (size_t i = 0; i < record->cooldown_count; i++) {
        const struct drill_cooldown *c = &record->cooldowns[i];
        double x = across(picture, c->begin), width = across(picture, c->end) - x;
        if (c->backend != place)
            continue;
        fprintf(picture->out,
                "<rect class=\"cooldown\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" height=\"14\" "
                "rx=\"3\"><title>cooldown of ",
                x, fmax(width, 0.2), y);
        put_time(c->seconds, picture->out);
        fputs(" after ", picture->out);
        drill_put_html(c->reason, picture->out);
        fputs("</title></rect>", picture->out);
        if (width < 4.5)
            continue;
        /* an <svg> of its own cuts off what does not fit */
        fprintf(picture->out,
                "<svg x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.1f\" height=\"14\"><text class=\"%s\" "
                "x=\"5\" y=\"10.5\">",
                x, width, y, width < 14 ? "cooldown brief" : "cooldown");
        drill_put_html(c->reason, picture->out);
        fputs("</text></svg>", picture->out);
    }
}

static void put_attempts(struct picture *picture, size_t place, double top) {
    const struct drill_record *record = picture->report->record;
    const double bad = top + 10, good = top + 25;
    const double y[DRILL_OUTCOMES] = {good, bad, bad, bad, bad};
    char(*says)[120] = calloc(record->attempt_count + 1, sizeof *says);
    for (size_t i = 0; says && i < record->attempt_count; i++) {
        const struct drill_attempt *a = &record->attempts[i];
        char outcome[48], time[32];
        if (a->backend != place)
            continue;
        drill_write_outcome(a, outcome, sizeof outcome);
        drill_write_time(a->end - a->begin, time, sizeof time);
        snprintf(says[i], sizeof says[i], "%s after %s%s%s", outcome, time,
                 a->fault ? ", fault: " : "", drill_fault_text(picture->report, a));
        put_span(picture, a->outcome, a->begin, a->end, y[a->outcome]);
        add_mark(picture, a->outcome, a->begin, a->end, says[i]);
    }
    put_marks(picture, y);
    free(says);
}

static void put_backend(struct picture *picture, size_t place) {
    const struct drill_backend *backend = &picture->report->record->backends[place];
    const struct drill_backend_figures *f = &picture->report->figures->backends[place];
    double top = height_of_faults(picture, backend);
    fputs("<div class=\"lane\"><div class=\"name\"><b>", picture->out);
    drill_put_html(backend->name, picture->out);
    fputs("</b><small>", picture->out);
    if (backend->priority != DRILL_UNKNOWN)
        fprintf(picture->out, "tier %d, ", backend->priority);
    fprintf(picture->out,
            "%zu attempt%s</small></div><svg height=\"%.0f\" role=\"img\" aria-label=\"%zu "
            "attempts, %zu answered, %zu met by a fault, %zu cooldowns\">",
            f->attempts, f->attempts == 1 ? "" : "s", top + 54, f->attempts, f->answers, f->faulted,
            f->cooldowns);
    put_grid(picture);
    put_faults(picture, backend);
    put_cooldowns(picture, place, top + 36);
    put_attempts(picture, place, top);
    fputs("</svg></div>\n", picture->out);
}

void drill_print_picture(const struct drill_report *report, FILE *out) {
    const struct drill_record *record = report->record;
    struct picture picture = {report, out, fmax(record->length, 0.001), NULL};
    const char *endpoint = "";
    picture.row = calloc(1, sizeof *picture.row);
    if (!picture.row)
        return;
    bool several = false;
    for (size_t i = 1; i < record->backend_count; i++)
        several |= strcmp(record->backends[i].endpoint, record->backends[0].endpoint) != 0;
    put_axis(&picture);
    put_program(&picture);
    for (size_t i = 0; i < record->backend_count; i++) {
        const struct drill_backend *backend = &record->backends[record->order[i]];
        if (several && strcmp(backend->endpoint, endpoint) != 0) {
            endpoint = backend->endpoint;
            fputs("<p class=\"endpoint\">endpoint <b>", out);
            drill_put_html(endpoint, out);
            fputs("</b></p>\n", out);
        }
        put_backend(&picture, record->order[i]);
    }
    free(picture.row);
}
