#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "shim/command/drill_report.h"
#include "shim/command/json.h"

#define ROWS_MAX 2000 /* of the table of attempts: more is for the JSON */

void drill_put_html(const char *text, FILE *out) {
    while (*text) {
        unsigned length = json_sequence(text);
        unsigned char c = (unsigned char)*text;
        if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '&')
            fputs("&amp;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c == '\'')
            fputs("&#39;", out);
        else if (length == 0 || c < ' ' || c == 0x7f)
            fputs("&#xfffd;", out);
        else
            fwrite(text, 1, length, out);
        text += length ? length : 1;
    }
}

static void put_time(double seconds, FILE *out) {
    char text[32];
    drill_write_time(seconds, text, sizeof text);
    fputs(text, out);
}

/* The shapes say the same as the colours. */
static const char shapes[] =
    "<svg width=\"0\" height=\"0\" class=\"shapes\" aria-hidden=\"true\"><defs>"
    "<circle id=\"answered\" r=\"3.6\"/>"
    "<path id=\"throttled\" d=\"M0-4.6 4.6 3.6H-4.6Z\"/>"
    "<path id=\"rejected\" d=\"M-3.7-3.7H3.7V3.7H-3.7Z\"/>"
    "<path id=\"failed\" d=\"M-3.6-3.6 3.6 3.6M-3.6 3.6 3.6-3.6\"/>"
    "<circle id=\"unfinished\" r=\"3.2\"/>"
    "</defs></svg>\n";

static void put_shape(enum drill_outcome outcome, FILE *out) {
    const char *name = drill_outcome_name(outcome);
    fprintf(
        out,
        "<svg class=\"shape\" width=\"12\" height=\"12\" aria-hidden=\"true\"><use href=\"#%s\" "
        "class=\"%s\" x=\"6\" y=\"6\"/></svg>",
        name, name);
}

static void put_when(double start, FILE *out) {
    time_t seconds = (time_t)start;
    struct tm parts;
    char text[64];
    if (gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts))
        fprintf(out, " &middot; %s", text);
}

static void put_head(const struct drill_report *report, FILE *out) {
    const struct drill_facts *facts = report->facts;
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Fault drill: ",
          out);
    drill_put_html(facts->program, out);
    fprintf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n%s<header>\n", drill_style, shapes);
    fputs("<p class=\"kicker\">Spillway fault drill</p>\n<h1>", out);
    drill_put_html(facts->program, out);
    fputs("</h1>\n<p class=\"facts\">", out);
    if (facts->signal)
        fprintf(out, "was ended by signal %d", facts->signal);
    else
        fprintf(out, "ended with status %d", facts->exit_status);
    fputs(" after ", out);
    put_time(report->record->length, out);
    put_when(report->record->start, out);
    fprintf(out, " &middot; seed %" PRIu64 "%s</p>\n</header>\n", facts->seed,
            facts->against_mocks ? " &middot; against mocks" : "");
}

static void put_tile(const char *value, const char *label, const char *kind, FILE *out) {
    fprintf(out, "<div class=\"tile%s\"><b>%s</b><span>%s</span></div>\n", kind, value, label);
}

static void put_tiles(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    const char *kind = figures->answered == figures->transfers ? "" : " some";
    char text[64], label[64];
    fputs("<section class=\"tiles\">\n", out);
    drill_metric_write(DRILL_SHARE, figures->answered_share, text, sizeof text);
    snprintf(label, sizeof label, "of %zu transfers answered", figures->transfers);
    put_tile(text, label, kind, out);
    snprintf(text, sizeof text, "%zu", figures->transfers - figures->answered);
    put_tile(text, "not answered", kind, out);
    drill_write_time(figures->p50, text, sizeof text);
    put_tile(text, "p50 of a transfer", "", out);
    drill_write_time(figures->p99, text, sizeof text);
    put_tile(text, "p99 of a transfer", "", out);
    drill_metric_write(DRILL_RATIO, figures->attempts_per_answer, text, sizeof text);
    put_tile(text, "attempts per answer", "", out);
    snprintf(text, sizeof text, "%zu", figures->wasted);
    put_tile(text, "wasted attempts", "", out);
    snprintf(text, sizeof text, "%zu", figures->retries);
    put_tile(text, "retries by the program", "", out);
    snprintf(text, sizeof text, "%d", report->facts->exit_status);
    put_tile(text, "exit status", report->facts->exit_status ? " some" : "", out);
    fputs("</section>\n", out);
}

static void put_expectations(const struct drill_report *report, FILE *out) {
    const struct drill_expectations *expectations = report->expectations;
    if (!expectations->count)
        return;
    fputs("<section>\n<h2>What was expected</h2>\n<ul class=\"expected\">\n", out);
    for (size_t i = 0; i < expectations->count; i++) {
        const struct drill_expectation *e = &expectations->list[i];
        char actual[64];
        drill_metric_write(e->choice.metric->unit, e->actual, actual, sizeof actual);
        fprintf(out, "<li class=\"%s\"><b>%s</b><span><code>", e->met ? "met" : "missed",
                e->met ? "&#10003; met" : "&#10007; not met");
        drill_put_html(e->text, out);
        fprintf(out, "</code> <small>is %s</small></span></li>\n", actual);
    }
    fputs("</ul>\n</section>\n", out);
}

static void put_legend(FILE *out) {
    static const char *const words[DRILL_OUTCOMES] = {"answered", "429", "another error status",
                                                      "failed or cut", "unfinished"};
    fputs("<ul class=\"legend\">\n", out);
    for (unsigned i = 0; i < DRILL_OUTCOMES; i++) {
        fputs("<li>", out);
        put_shape((enum drill_outcome)i, out);
        fprintf(out, "%s</li>\n", words[i]);
    }
    fputs("<li><svg class=\"shape\" width=\"22\" height=\"12\" aria-hidden=\"true\"><rect "
          "class=\"cooldown\" width=\"22\" height=\"12\" rx=\"3\"/></svg>cooldown</li>\n"
          "<li><svg class=\"shape\" width=\"22\" height=\"12\" aria-hidden=\"true\"><rect "
          "class=\"outage\" width=\"22\" height=\"12\"/><rect class=\"fault\" width=\"22\" "
          "height=\"2\"/></svg>fault</li>\n</ul>\n",
          out);
}

static void put_timeline(const struct drill_report *report, FILE *out) {
    fputs("<section>\n<h2>Timeline</h2>\n<div class=\"timeline\">\n", out);
    drill_print_picture(report, out);
    fputs("</div>\n", out);
    put_legend(out);
    fputs("</section>\n", out);
}

/* ---- tables ------------------------------------------------------------------------------- */

static void put_ending(const struct drill_figures *figures, enum drill_outcome outcome,
                       const char *what, size_t count, FILE *out) {
    if (!count)
        return;
    fputs("<tr><td>", out);
    put_shape(outcome, out);
    fprintf(out, "%s</td><td class=\"n\">%zu</td><td class=\"n\">%.1f %%</td></tr>\n", what, count,
            100.0 * (double)count / (double)figures->transfers);
}

static void put_endings(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    fputs("<section>\n<h2>What the program saw</h2>\n", out);
    if (!figures->transfers) {
        fputs("<p>No transfer to an endpoint of the settings.</p>\n</section>\n", out);
        return;
    }
    fputs("<div class=\"wide\"><table>\n<thead><tr><th>outcome</th><th class=\"n\">transfers</th>"
          "<th class=\"n\">share</th></tr></thead>\n<tbody>\n",
          out);
    for (int status = 1; status < DRILL_STATUSES; status++) {
        char text[32];
        snprintf(text, sizeof text, "%d", status);
        put_ending(figures,
                   status < 400    ? DRILL_ANSWERED
                   : status == 429 ? DRILL_THROTTLED
                                   : DRILL_REJECTED,
                   text, figures->statuses[status], out);
    }
    put_ending(figures, DRILL_FAILED, "an error of the connection", figures->errors, out);
    put_ending(figures, DRILL_UNFINISHED, "unfinished", figures->unfinished, out);
    fputs("</tbody>\n</table></div>\n<p class=\"note\">The slowest took ", out);
    put_time(figures->longest, out);
    fprintf(out, "; %zu process%s.</p>\n</section>\n", figures->processes,
            figures->processes == 1 ? "" : "es");
}

static void put_backend(const struct drill_report *report, size_t place, FILE *out) {
    const struct drill_backend *backend = &report->record->backends[place];
    const struct drill_backend_figures *f = &report->figures->backends[place];
    const size_t numbers[] = {f->attempts,
                              f->answers,
                              f->statuses[429],
                              drill_statuses(f->statuses, 500, 599),
                              f->outcomes[DRILL_FAILED],
                              f->faulted,
                              f->cooldowns};
    fputs("<tr><td>", out);
    drill_put_html(backend->name, out);
    if (backend->priority == DRILL_UNKNOWN)
        fputs("</td><td class=\"n\">?</td>", out);
    else
        fprintf(out, "</td><td class=\"n\">%d</td>", backend->priority);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fprintf(out, "<td class=\"n%s\">%zu</td>", numbers[i] ? "" : " zero", numbers[i]);
    fputs("<td class=\"n\">", out);
    put_time(f->cooldowns ? f->cooling : -1, out);
    fputs("</td></tr>\n", out);
}

static void put_backends(const struct drill_report *report, FILE *out) {
    fputs("<section>\n<h2>What it took</h2>\n<div class=\"wide\"><table>\n<thead><tr>"
          "<th>backend</th><th class=\"n\">tier</th><th class=\"n\">attempts</th>"
          "<th class=\"n\">answers</th><th class=\"n\">429</th><th class=\"n\">5xx</th>"
          "<th class=\"n\">failed</th><th class=\"n\">faults</th><th class=\"n\">cooldowns</th>"
          "<th class=\"n\">cooling</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < report->record->backend_count; i++)
        put_backend(report, report->record->order[i], out);
    fputs("</tbody>\n</table></div>\n</section>\n", out);
}

static void put_fault(const struct drill_report *report, size_t place, FILE *out) {
    const struct drill_fault *fault = &report->facts->faults[place];
    const struct drill_outage *outage = NULL;
    for (size_t i = 0; i < report->figures->outage_count; i++)
        if (report->figures->outages[i].fault == place)
            outage = &report->figures->outages[i];
    fputs("<tr><td><code>", out);
    drill_put_html(fault->text, out);
    fprintf(out, "</code></td><td class=\"n\">%zu</td><td class=\"n\">",
            report->figures->met[place]);
    put_time(outage ? outage->after_begin : -1, out);
    fputs("</td><td class=\"n\">", out);
    put_time(outage ? outage->after_end : -1, out);
    fputs("</td></tr>\n", out);
}

static void put_faults(const struct drill_report *report, FILE *out) {
    if (!report->facts->fault_count)
        return;
    fputs("<section>\n<h2>Faults</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>fault</th>"
          "<th class=\"n\">met</th><th class=\"n\">first answer after it began</th>"
          "<th class=\"n\">after it ended</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < report->facts->fault_count; i++)
        put_fault(report, i, out);
    fputs("</tbody>\n</table></div>\n<p class=\"note\">Met: how many attempts. After it began: to "
          "the end of the first "
          "answered transfer that began during it. After it ended: to the first answer from that "
          "backend.</p>\n</section>\n",
          out);
}

static void put_attempt(const struct drill_report *report, const struct drill_attempt *a,
                        FILE *out) {
    const struct drill_record *record = report->record;
    const struct drill_transfer *t =
        a->transfer == DRILL_NONE ? NULL : &record->transfers[a->transfer];
    char outcome[48];
    drill_write_outcome(a, outcome, sizeof outcome);
    fprintf(out, "<tr><td class=\"n\">%.3f s</td><td>", a->begin);
    drill_put_html(record->backends[a->backend].name, out);
    fputs("</td><td class=\"outcome\">", out);
    put_shape(a->outcome, out);
    drill_put_html(outcome, out);
    fputs("</td><td class=\"n\">", out);
    put_time(a->end - a->begin, out);
    fprintf(out, "</td><td class=\"n\">%lu</td><td>", a->count);
    drill_put_html(drill_fault_text(report, a), out);
    fputs("</td><td>", out);
    drill_put_html(t ? t->id : "", out);
    fputs("</td><td>", out);
    drill_put_html(t ? t->path : "", out);
    fputs("</td></tr>\n", out);
}

static void put_attempts(const struct drill_report *report, FILE *out) {
    const struct drill_record *record = report->record;
    fputs("<section>\n<h2>Attempts</h2>\n<div class=\"wide tall\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"Attempts\"><table>\n<thead><tr><th class=\"n\">began</th><th>backend</th>"
          "<th>outcome</th><th class=\"n\">took</th><th class=\"n\">attempt</th><th>fault</th>"
          "<th>transfer</th><th>path</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < record->attempt_count && i < ROWS_MAX; i++)
        put_attempt(report, &record->attempts[i], out);
    fputs("</tbody>\n</table></div>\n", out);
    if (record->attempt_count > ROWS_MAX)
        fprintf(out, "<p class=\"note\">These are the first %d of %zu; --json has them all.</p>\n",
                ROWS_MAX, record->attempt_count);
    fputs("</section>\n", out);
}

void drill_print_html(const struct drill_report *report, FILE *out) {
    put_head(report, out);
    put_tiles(report, out);
    put_expectations(report, out);
    put_timeline(report, out);
    fputs("<div class=\"pair\">\n", out);
    put_endings(report, out);
    put_faults(report, out);
    fputs("</div>\n", out);
    put_backends(report, out);
    put_attempts(report, out);
    if (report->record->strange)
        fprintf(out, "<p class=\"note\">%zu lines of the record could not be read.</p>\n",
                report->record->strange);
    fputs("</body>\n</html>\n", out);
}
