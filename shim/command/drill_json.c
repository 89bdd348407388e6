#include <inttypes.h>
#include <math.h>

#include "shim/command/drill_report.h"
#include "shim/command/json.h"

static void put_name(const char *before, const char *name, FILE *out) {
    fprintf(out, "%s\"%s\": ", before, name);
}

static void put_text(const char *before, const char *name, const char *text, FILE *out) {
    put_name(before, name, out);
    if (text)
        json_put_text(text, out);
    else
        fputs("null", out);
}

static void put_number(const char *before, const char *name, double value, FILE *out) {
    put_name(before, name, out);
    json_put_number(value, out);
}

static void put_count(const char *before, const char *name, size_t count, FILE *out) {
    put_name(before, name, out);
    fprintf(out, "%zu", count);
}

/* COUNT, or null if it is 0: a status, or a code of libcurl's. */
static void put_code(const char *before, const char *name, int code, FILE *out) {
    put_name(before, name, out);
    if (code)
        fprintf(out, "%d", code);
    else
        fputs("null", out);
}

static void put_truth(const char *before, const char *name, bool truth, FILE *out) {
    put_name(before, name, out);
    fputs(truth ? "true" : "false", out);
}

static void put_metric(const char *before, const struct drill_metric *metric, double value,
                       FILE *out) {
    bool whole = metric->unit == DRILL_COUNT || metric->unit == DRILL_STATUS;
    if (whole)
        put_count(before, metric->name, (size_t)value, out);
    else
        put_number(before, metric->name, value, out);
}

static void put_statuses(const char *before, const char *name,
                         const size_t statuses[DRILL_STATUSES], FILE *out) {
    const char *between = "";
    put_name(before, name, out);
    fputc('{', out);
    for (int status = 100; status < DRILL_STATUSES; status++) {
        if (!statuses[status])
            continue;
        fprintf(out, "%s\"%d\": %zu", between, status, statuses[status]);
        between = ", ";
    }
    fputc('}', out);
}

static void put_facts(const struct drill_report *report, FILE *out) {
    const struct drill_facts *facts = report->facts;
    put_number("", "time", report->record->start, out);
    put_number(",\n ", "seconds", report->record->length, out);
    put_text(",\n ", "program", facts->program, out);
    put_code(",\n ", "signal", facts->signal, out);
    fprintf(out, ",\n \"seed\": %" PRIu64, facts->seed);
    put_truth(",\n ", "against_mocks", facts->against_mocks, out);
}

static void put_figures(const struct drill_report *report, FILE *out) {
    const struct drill_figures *figures = report->figures;
    for (size_t i = 0; i < drill_metric_count; i++)
        if (drill_metrics[i].of_all)
            put_metric(",\n ", &drill_metrics[i], drill_metrics[i].of_all(figures, report->facts),
                       out);
    put_count(",\n ", "program_429", figures->statuses[429], out);
    put_count(",\n ", "program_4xx", drill_statuses(figures->statuses, 400, 499), out);
    put_count(",\n ", "program_5xx", drill_statuses(figures->statuses, 500, 599), out);
    put_statuses(",\n ", "program_statuses", figures->statuses, out);
}

static void put_backends(const struct drill_report *report, FILE *out) {
    const struct drill_record *record = report->record;
    fputs(",\n \"backends\": [", out);
    for (size_t i = 0; i < record->backend_count; i++) {
        const struct drill_backend *backend = &record->backends[i];
        const struct drill_backend_figures *f = &report->figures->backends[i];
        put_text(i ? ",\n  {" : "\n  {", "endpoint", backend->endpoint, out);
        put_text(", ", "name", backend->name, out);
        put_name(", ", "priority", out);
        if (backend->priority == DRILL_UNKNOWN)
            fputs("null", out);
        else
            fprintf(out, "%d", backend->priority);
        fputs(",\n   ", out);
        const char *before = "";
        for (size_t k = 0; k < drill_metric_count; k++) {
            if (!drill_metrics[k].of_backend)
                continue;
            put_metric(before, &drill_metrics[k], drill_metrics[k].of_backend(f), out);
            before = ", ";
        }
        put_statuses(",\n   ", "statuses", f->statuses, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static const struct drill_outage *outage_of(const struct drill_figures *figures, size_t fault) {
    for (size_t i = 0; i < figures->outage_count; i++)
        if (figures->outages[i].fault == fault)
            return &figures->outages[i];
    return NULL;
}

static void put_faults(const struct drill_report *report, FILE *out) {
    const struct drill_facts *facts = report->facts;
    fputs(",\n \"faults\": [", out);
    for (size_t i = 0; i < facts->fault_count; i++) {
        const struct drill_fault *fault = &facts->faults[i];
        const struct drill_outage *outage = outage_of(report->figures, i);
        put_text(i ? ",\n  {" : "\n  {", "fault", fault->text, out);
        put_number(", ", "begin", fault->begin, out);
        put_number(", ", "end", fault->end, out);
        put_count(", ", "met", report->figures->met[i], out);
        put_number(",\n   ", "first_answer_after_begin", outage ? outage->after_begin : -1, out);
        put_number(", ", "first_answer_after_end", outage ? outage->after_end : -1, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_expectations(const struct drill_report *report, FILE *out) {
    fputs(",\n \"expectations\": [", out);
    for (size_t i = 0; i < report->expectations->count; i++) {
        const struct drill_expectation *e = &report->expectations->list[i];
        put_text(i ? ",\n  {" : "\n  {", "expectation", e->text, out);
        put_number(", ", "actual", e->actual, out);
        put_truth(", ", "met", e->met, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_transfers(const struct drill_record *record, FILE *out) {
    fputs(",\n \"transfer_list\": [", out);
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        put_text(i ? ",\n  {" : "\n  {", "transfer", t->id, out);
        put_text(", ", "endpoint", t->endpoint, out);
        put_text(", ", "path", t->path, out);
        put_number(",\n   ", "begin", t->begin, out);
        put_number(", ", "end", t->over ? t->end : -1, out);
        put_number(", ", "first_byte", t->first, out);
        put_count(", ", "attempts", t->attempts, out);
        put_code(", ", "status", t->status, out);
        put_code(", ", "curl", t->result, out);
        put_text(",\n   ", "outcome", drill_outcome_name(t->outcome), out);
        put_truth(", ", "retry", t->retry, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_attempts(const struct drill_record *record, FILE *out) {
    fputs(",\n \"attempt_list\": [", out);
    for (size_t i = 0; i < record->attempt_count; i++) {
        const struct drill_attempt *a = &record->attempts[i];
        const struct drill_backend *backend = &record->backends[a->backend];
        bool known = a->transfer != DRILL_NONE;
        put_text(i ? ",\n  {" : "\n  {", "transfer",
                 known ? record->transfers[a->transfer].id : NULL, out);
        put_text(", ", "endpoint", backend->endpoint, out);
        put_text(", ", "backend", backend->name, out);
        put_number(",\n   ", "begin", a->begin, out);
        put_number(", ", "end", a->end, out);
        put_code(", ", "status", a->status, out);
        put_text(", ", "error", *a->error ? a->error : NULL, out);
        put_code(", ", "curl", a->curl, out);
        put_text(",\n   ", "outcome", drill_outcome_name(a->outcome), out);
        put_text(", ", "fault", a->fault, out);
        put_code(", ", "fault_number", (int)a->fault_number, out);
        put_truth(", ", "answer", a->answer, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_cooldowns(const struct drill_record *record, FILE *out) {
    fputs(",\n \"cooldown_list\": [", out);
    for (size_t i = 0; i < record->cooldown_count; i++) {
        const struct drill_cooldown *cooldown = &record->cooldowns[i];
        const struct drill_backend *backend = &record->backends[cooldown->backend];
        put_text(i ? ",\n  {" : "\n  {", "endpoint", backend->endpoint, out);
        put_text(", ", "backend", backend->name, out);
        put_number(", ", "begin", cooldown->begin, out);
        put_number(", ", "end", cooldown->end, out);
        put_number(", ", "seconds", cooldown->seconds, out);
        put_text(", ", "reason", cooldown->reason, out);
        fputc('}', out);
    }
    fputc(']', out);
}

void drill_print_json(const struct drill_report *report, FILE *out) {
    fputc('{', out);
    put_facts(report, out);
    put_figures(report, out);
    put_backends(report, out);
    put_faults(report, out);
    put_expectations(report, out);
    put_transfers(report->record, out);
    put_attempts(report->record, out);
    put_cooldowns(report->record, out);
    fputs("}\n", out);
}
