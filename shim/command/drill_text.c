#include <math.h>
#include <string.h>

#include "shim/command/drill_report.h"

#define TIME_SIZE 32

static const char *plural(size_t count) {
    return count == 1 ? "" : "s";
}

static void put_end(const struct drill_report *report, FILE *out) {
    const struct drill_facts *facts = report->facts;
    char length[TIME_SIZE];
    drill_write_time(report->record->length, length, sizeof length);
    fprintf(out, "spillway drill: %s ", facts->program);
    if (facts->signal)
        fprintf(out, "was ended by signal %d", facts->signal);
    else
        fprintf(out, "ended with status %d", facts->exit_status);
    fprintf(out, " after %s (seed %llu%s)\n", length, (unsigned long long)facts->seed,
            facts->against_mocks ? ", against mocks" : "");
}

/* "429 x 2, 503 x 1, failed x 3", of what was not answered. */
static void put_unanswered(const struct drill_figures *figures, FILE *out) {
    const char *between = ": ";
    for (int status = 400; status < DRILL_STATUSES; status++) {
        if (!figures->statuses[status])
            continue;
        fprintf(out, "%s%d x %zu", between, status, figures->statuses[status]);
        between = ", ";
    }
    if (figures->errors) {
        fprintf(out, "%serror x %zu", between, figures->errors);
        between = ", ";
    }
    if (figures->unfinished)
        fprintf(out, "%sunfinished x %zu", between, figures->unfinished);
}

static void put_program(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    char share[TIME_SIZE], p50[TIME_SIZE], p99[TIME_SIZE], longest[TIME_SIZE];
    size_t unanswered = figures->transfers - figures->answered;
    drill_metric_write(DRILL_SHARE, figures->answered_share, share, sizeof share);
    drill_write_time(figures->p50, p50, sizeof p50);
    drill_write_time(figures->p99, p99, sizeof p99);
    drill_write_time(figures->longest, longest, sizeof longest);
    fprintf(out, "\nWhat the program saw (%zu process%s)\n", figures->processes,
            figures->processes == 1 ? "" : "es");
    if (!figures->transfers) {
        fputs("  no transfer to an endpoint of the settings\n", out);
        return;
    }
    fprintf(out, "  %zu transfer%s, %zu answered (%s)", figures->transfers,
            plural(figures->transfers), figures->answered, share);
    if (unanswered) {
        fprintf(out, ", %zu not", unanswered);
        put_unanswered(figures, out);
    }
    fprintf(out, "\n  time each took: p50 %s, p99 %s, longest %s\n", p50, p99, longest);
    fprintf(out, "  %zu retr%s of its own\n", figures->retries,
            figures->retries == 1 ? "y" : "ies");
}

static void put_backend(const struct drill_report *report, size_t place, int width, FILE *out) {
    const struct drill_backend *backend = &report->record->backends[place];
    const struct drill_backend_figures *f = &report->figures->backends[place];
    char cooling[TIME_SIZE] = "-", tier[16] = "?";
    if (f->cooldowns)
        drill_write_time(f->cooling, cooling, sizeof cooling);
    if (backend->priority != DRILL_UNKNOWN)
        snprintf(tier, sizeof tier, "%d", backend->priority);
    fprintf(out, "  %4s %-*s %8zu %7zu %5zu %5zu %6zu %6zu %9zu %8s\n", tier, width, backend->name,
            f->attempts, f->answers, f->statuses[429], drill_statuses(f->statuses, 500, 599),
            f->outcomes[DRILL_FAILED], f->faulted, f->cooldowns, cooling);
}

static void put_attempts(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    const struct drill_record *record = report->record;
    size_t longest = strlen("BACKEND");
    char ratio[TIME_SIZE];
    drill_metric_write(DRILL_RATIO, figures->attempts_per_answer, ratio, sizeof ratio);
    fprintf(out, "\nWhat it took\n  %zu attempt%s, %s per answer, %zu wasted, %zu met by a fault\n",
            figures->attempts, plural(figures->attempts), ratio, figures->wasted, figures->faulted);
    for (size_t i = 0; i < record->backend_count; i++) {
        size_t length = strlen(record->backends[i].name);
        longest = length > longest ? length : longest;
    }
    fprintf(out, "  TIER %-*s ATTEMPTS ANSWERS   429   5XX FAILED FAULTS COOLDOWNS  COOLING\n",
            (int)longest, "BACKEND");
    for (size_t i = 0; i < record->backend_count; i++)
        put_backend(report, record->order[i], (int)longest, out);
}

static void put_outage(const struct drill_report *report, const struct drill_outage *outage,
                       FILE *out) {
    const struct drill_fault *fault = &report->facts->faults[outage->fault];
    char time[TIME_SIZE];
    fprintf(out, "  %s\n    ", fault->text);
    drill_write_time(outage->after_begin, time, sizeof time);
    if (outage->after_begin >= 0)
        fprintf(out, "first answer %s after it began", time);
    else
        fputs("no answer while it lasted", out);
    drill_write_time(outage->after_end, time, sizeof time);
    if (!outage->ended)
        fputs("; it lasted to the end\n", out);
    else if (outage->after_end >= 0)
        fprintf(out, "; first answer from %s %s after it ended\n",
                fault->backend ? "that backend" : "any backend", time);
    else
        fputs("; no answer from that backend after it ended\n", out);
}

static void put_outages(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    if (figures->outage_count)
        fputs("\nOutages\n", out);
    for (size_t i = 0; i < figures->outage_count; i++)
        put_outage(report, &figures->outages[i], out);
}

static void put_expectations(const struct drill_report *report, bool colours, FILE *out) {
    const struct drill_expectations *expectations = report->expectations;
    size_t longest = 0;
    for (size_t i = 0; i < expectations->count; i++) {
        size_t length = strlen(expectations->list[i].text);
        longest = length > longest ? length : longest;
    }
    if (expectations->count)
        fputs("\nWhat was expected\n", out);
    for (size_t i = 0; i < expectations->count; i++) {
        const struct drill_expectation *e = &expectations->list[i];
        char actual[64];
        drill_metric_write(e->choice.metric->unit, e->actual, actual, sizeof actual);
        fprintf(out, "  %s%-7s%s  %-*s  is %s\n", colours ? e->met ? "\33[32m" : "\33[31m" : "",
                e->met ? "met" : "NOT MET", colours ? "\33[0m" : "", (int)longest, e->text, actual);
    }
}

void drill_print_text(const struct drill_report *report, bool colours, unsigned columns,
                      FILE *out) {
    put_end(report, out);
    fputc('\n', out);
    drill_print_lanes(report, colours, columns, out);
    put_program(report, out);
    put_attempts(report, out);
    put_outages(report, out);
    put_expectations(report, colours, out);
    if (report->record->strange)
        fprintf(out, "\n%zu line%s of the record could not be read\n", report->record->strange,
                plural(report->record->strange));
}
