#include "shim/command/drill_figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double drill_quantile(const double *values, size_t count, double quantile) {
    /* 0.07 * 100 is more than 7 */
    double rank = ceil(quantile * (double)count * (1 - 1e-12));
    if (count == 0)
        return -1;
    return values[rank < 1 ? 0 : (size_t)rank - 1];
}

size_t drill_statuses(const size_t statuses[DRILL_STATUSES], int first, int last) {
    size_t sum = 0;
    for (int status = first; status <= last && status < DRILL_STATUSES; status++)
        sum += statuses[status];
    return sum;
}

bool drill_fault_is_for(const struct drill_fault *fault, const struct drill_backend *backend) {
    return (!fault->backend || strcmp(fault->backend, backend->name) == 0) &&
           (!fault->endpoint || strcmp(fault->endpoint, backend->endpoint) == 0);
}

static size_t place_of(int status) {
    return status > 0 && status < DRILL_STATUSES ? (size_t)status : 0;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool count_durations(struct drill_figures *figures, const struct drill_record *record) {
    size_t count = 0;
    double *durations = calloc(record->transfer_count + 1, sizeof *durations);
    if (!durations)
        return false;
    for (size_t i = 0; i < record->transfer_count; i++)
        if (record->transfers[i].finished)
            durations[count++] = record->transfers[i].end - record->transfers[i].begin;
    qsort(durations, count, sizeof *durations, compare_numbers);
    figures->p50 = drill_quantile(durations, count, 0.5);
    figures->p99 = drill_quantile(durations, count, 0.99);
    figures->longest = drill_quantile(durations, count, 1);
    free(durations);
    return true;
}

static bool count_processes(struct drill_figures *figures, const struct drill_record *record) {
    size_t count = record->transfer_count;
    double *pids = calloc(count + 1, sizeof *pids);
    if (!pids)
        return false;
    for (size_t i = 0; i < count; i++)
        pids[i] = record->transfers[i].pid;
    qsort(pids, count, sizeof *pids, compare_numbers);
    for (size_t i = 0; i < count; i++)
        figures->processes += i == 0 || pids[i] > pids[i - 1];
    free(pids);
    return true;
}

static void count_transfers(struct drill_figures *figures, const struct drill_record *record) {
    figures->transfers = record->transfer_count;
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        figures->answered += t->outcome == DRILL_ANSWERED;
        figures->errors += t->outcome == DRILL_FAILED;
        figures->unfinished += t->outcome == DRILL_UNFINISHED;
        figures->exhausted += t->exhausted;
        figures->retries += t->retry;
        if (t->finished && t->outcome != DRILL_FAILED)
            figures->statuses[place_of(t->status)]++;
    }
}

static void count_attempts(struct drill_figures *figures, const struct drill_record *record) {
    figures->attempts = figures->wasted = record->attempt_count;
    for (size_t i = 0; i < record->attempt_count; i++) {
        const struct drill_attempt *attempt = &record->attempts[i];
        struct drill_backend_figures *backend = &figures->backends[attempt->backend];
        backend->attempts++;
        backend->answers += attempt->answer;
        backend->faulted += attempt->fault != NULL;
        backend->outcomes[attempt->outcome]++;
        backend->statuses[place_of(attempt->status)]++;
        figures->wasted -= attempt->answer;
        figures->faulted += attempt->fault != NULL;
    }
    for (size_t i = 0; i < record->cooldown_count; i++) {
        const struct drill_cooldown *cooldown = &record->cooldowns[i];
        figures->backends[cooldown->backend].cooldowns++;
        figures->backends[cooldown->backend].cooling += cooldown->end - cooldown->begin;
    }
}

static void count_met(struct drill_figures *figures, const struct drill_record *record,
                      const struct drill_facts *facts) {
    for (size_t i = 0; i < record->attempt_count; i++) {
        size_t number = record->attempts[i].fault_number;
        if (number > 0 && number <= facts->fault_count)
            figures->met[number - 1]++;
    }
}

static double first_after_begin(const struct drill_record *record,
                                const struct drill_fault *fault) {
    double first = INFINITY;
    for (size_t i = 0; i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        if (t->outcome == DRILL_ANSWERED && t->begin >= fault->begin && t->begin < fault->end &&
            (!fault->endpoint || strcmp(fault->endpoint, t->endpoint) == 0))
            first = fmin(first, t->end - fault->begin);
    }
    return isfinite(first) ? first : -1;
}

static double first_after_end(const struct drill_record *record, const struct drill_fault *fault) {
    double first = INFINITY;
    for (size_t i = 0; i < record->attempt_count; i++) {
        const struct drill_attempt *attempt = &record->attempts[i];
        if (attempt->answer && attempt->end >= fault->end && !attempt->fault &&
            drill_fault_is_for(fault, &record->backends[attempt->backend]))
            first = fmin(first, attempt->end - fault->end);
    }
    return isfinite(first) ? first : -1;
}

static void look_at_outages(struct drill_figures *figures, const struct drill_record *record,
                            const struct drill_facts *facts) {
    figures->first_answer_after_begin = figures->first_answer_after_end = -1;
    bool all_begun = true, all_ended = true;
    for (size_t i = 0; i < facts->fault_count; i++) {
        const struct drill_fault *fault = &facts->faults[i];
        if (!fault->outage || fault->begin >= record->length)
            continue;
        struct drill_outage *outage = &figures->outages[figures->outage_count++];
        *outage = (struct drill_outage){.fault = i, .ended = fault->end < record->length};
        outage->after_begin = first_after_begin(record, fault);
        outage->after_end = outage->ended ? first_after_end(record, fault) : -1;
        all_begun &= outage->after_begin >= 0;
        all_ended &= outage->after_end >= 0 || isinf(fault->end);
        figures->first_answer_after_begin =
            fmax(figures->first_answer_after_begin, outage->after_begin);
        figures->first_answer_after_end = fmax(figures->first_answer_after_end, outage->after_end);
    }
    if (!all_begun)
        figures->first_answer_after_begin = -1;
    if (!all_ended)
        figures->first_answer_after_end = -1;
}

struct drill_figures *drill_figures_new(const struct drill_record *record,
                                        const struct drill_facts *facts) {
    struct drill_figures *figures = calloc(1, sizeof *figures);
    if (!figures)
        return NULL;
    figures->backends = calloc(record->backend_count + 1, sizeof *figures->backends);
    figures->outages = calloc(facts->fault_count + 1, sizeof *figures->outages);
    figures->met = calloc(facts->fault_count + 1, sizeof *figures->met);
    if (!figures->backends || !figures->outages || !figures->met ||
        !count_durations(figures, record) || !count_processes(figures, record)) {
        drill_figures_free(figures);
        return NULL;
    }
    count_transfers(figures, record);
    count_attempts(figures, record);
    count_met(figures, record, facts);
    look_at_outages(figures, record, facts);
    figures->answered_share =
        figures->transfers ? (double)figures->answered / (double)figures->transfers : -1;
    figures->attempts_per_answer =
        figures->answered ? (double)figures->attempts / (double)figures->answered : -1;
    return figures;
}

void drill_figures_free(struct drill_figures *figures) {
    if (!figures)
        return;
    free(figures->backends);
    free(figures->outages);
    free(figures->met);
    free(figures);
}
