#include "shim/command/drill_faults.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

/* Whether FAULT makes attempts fail by time, and not by their number. */
static bool is_outage(const struct fault *fault) {
    bool answers =
        fault->kind == FAULT_TRICKLE || (fault->kind == FAULT_STATUS && fault->status < 400);
    bool timed = fault->after_ns > 0 || fault->for_ns != UINT64_MAX;
    bool all = fault->rate >= 1000000 && fault->every <= 1;
    return !answers && fault->after_attempts == 0 && fault->for_attempts == UINT64_MAX &&
           (timed || all);
}

static void describe(const struct fault *fault, struct drill_fault *out) {
    bool endless = fault->for_ns == UINT64_MAX;
    *out = (struct drill_fault){.text = fault->text,
                                .endpoint = *fault->endpoint ? fault->endpoint : NULL,
                                .backend = *fault->backend ? fault->backend : NULL,
                                .begin = seconds(fault->after_ns),
                                .outage = is_outage(fault)};
    out->end = endless ? INFINITY : out->begin + seconds(fault->for_ns);
}

/* Reads fault NUMBER of the command line, from 1. */
static bool take(struct drill_faults *out, const struct settings *settings, const char *text,
                 size_t number, char *message, size_t size) {
    struct fault_error error;
    struct fault *fault = &out->faults[out->count];
    if (out->count == FAULTS_MAX) {
        snprintf(message, size,
                 "--fault %zu: expected at most %d faults, those of the settings "
                 "included",
                 number, FAULTS_MAX);
        return false;
    }
    if (!fault_parse(text, fault, &error) || !fault_check(fault, settings, &error)) {
        snprintf(message, size, "--fault %zu, column %zu: %s", number, error.column, error.message);
        return false;
    }
    out->count++;
    return true;
}

/* The shim reads a fault per line. */
static char *join(const struct drill_faults *faults) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out && i < faults->count; i++)
        fprintf(out, "%s\n", faults->faults[i].text);
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

bool drill_faults_make(struct drill_faults *out, const struct settings *settings,
                       const char *const *given, size_t count, char *message, size_t size) {
    bool good;
    *out = (struct drill_faults){0};
    out->faults = calloc(FAULTS_MAX, sizeof *out->faults);
    out->list = calloc(FAULTS_MAX, sizeof *out->list);
    good = out->faults && out->list;
    snprintf(message, size, "out of memory");
    for (size_t i = 0; good && i < settings->fault_count; i++)
        out->faults[out->count++] = settings->faults[i];
    for (size_t i = 0; good && i < count; i++)
        good = take(out, settings, given[i], i + 1, message, size);
    for (size_t i = 0; good && i < out->count; i++)
        describe(&out->faults[i], &out->list[i]);
    if (good)
        out->text = join(out);
    if (good && out->text)
        return true;
    drill_faults_free(out);
    return false;
}

void drill_faults_free(struct drill_faults *faults) {
    free(faults->faults);
    free(faults->list);
    free(faults->text);
    *faults = (struct drill_faults){0};
}
