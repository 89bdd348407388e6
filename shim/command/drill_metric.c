#include "shim/command/drill_metric.h"

#include <stdio.h>
#include <string.h>

#include "config/nearest.h"

#define OF_ALL(name, value)                                                                        \
    static double name(const struct drill_figures *figures, const struct drill_facts *facts) {     \
        (void)figures, (void)facts;                                                                \
        return (double)(value);                                                                    \
    }
OF_ALL(answered, figures->answered_share)
OF_ALL(transfers, figures->transfers)
OF_ALL(unfinished, figures->unfinished)
OF_ALL(exhausted, figures->exhausted)
OF_ALL(retries, figures->retries)
OF_ALL(processes, figures->processes)
OF_ALL(attempts, figures->attempts)
OF_ALL(attempts_per_answer, figures->attempts_per_answer)
OF_ALL(wasted, figures->wasted)
OF_ALL(faulted, figures->faulted)
OF_ALL(p50, figures->p50)
OF_ALL(p99, figures->p99)
OF_ALL(longest, figures->longest)
OF_ALL(first_answer_after_begin, figures->first_answer_after_begin)
OF_ALL(first_answer_after_end, figures->first_answer_after_end)
OF_ALL(program_errors, figures->errors)
OF_ALL(exit_status, facts->exit_status)
#undef OF_ALL

#define OF_BACKEND(name, value)                                                                    \
    static double name(const struct drill_backend_figures *backend) {                              \
        return (double)(value);                                                                    \
    }
OF_BACKEND(backend_attempts, backend->attempts)
OF_BACKEND(backend_answers, backend->answers)
OF_BACKEND(backend_failed, backend->outcomes[DRILL_FAILED])
OF_BACKEND(backend_faulted, backend->faulted)
OF_BACKEND(backend_cooldowns, backend->cooldowns)
OF_BACKEND(backend_cooling, backend->cooling)
#undef OF_BACKEND

const struct drill_metric drill_metrics[] = {
    {"transfers", DRILL_COUNT, transfers, NULL, false, false},
    {"answered", DRILL_SHARE, answered, NULL, false, false},
    {"program_errors", DRILL_COUNT, program_errors, NULL, false, false},
    {"unfinished", DRILL_COUNT, unfinished, NULL, false, false},
    {"exhausted", DRILL_COUNT, exhausted, NULL, false, false},
    {"retries", DRILL_COUNT, retries, NULL, false, false},
    {"processes", DRILL_COUNT, processes, NULL, false, false},
    {"p50", DRILL_SECONDS, p50, NULL, false, false},
    {"p99", DRILL_SECONDS, p99, NULL, false, false},
    {"longest", DRILL_SECONDS, longest, NULL, false, false},
    {"attempts", DRILL_COUNT, attempts, NULL, false, false},
    {"attempts_per_answer", DRILL_RATIO, attempts_per_answer, NULL, false, false},
    {"wasted", DRILL_COUNT, wasted, NULL, false, false},
    {"faulted", DRILL_COUNT, faulted, NULL, false, false},
    {"first_answer_after_begin", DRILL_SECONDS, first_answer_after_begin, NULL, true, false},
    {"first_answer_after_end", DRILL_SECONDS, first_answer_after_end, NULL, true, true},
    {"exit_status", DRILL_STATUS, exit_status, NULL, false, false},
    {"attempts", DRILL_COUNT, NULL, backend_attempts, false, false},
    {"answers", DRILL_COUNT, NULL, backend_answers, false, false},
    {"failed", DRILL_COUNT, NULL, backend_failed, false, false},
    {"faulted", DRILL_COUNT, NULL, backend_faulted, false, false},
    {"cooldowns", DRILL_COUNT, NULL, backend_cooldowns, false, false},
    {"cooling", DRILL_SECONDS, NULL, backend_cooling, false, false},
};
const size_t drill_metric_count = sizeof drill_metrics / sizeof *drill_metrics;

/* Their values are sums over statuses. */
static const struct drill_metric program_status = {"program_", DRILL_COUNT, NULL,
                                                   NULL,       false,       false};
static const struct drill_metric backend_status = {"status_", DRILL_COUNT, NULL,
                                                   NULL,      false,       false};

/* NNN or Nxx. */
static bool take_status(const char *text, size_t length, struct drill_choice *choice) {
    if (length != 3 || text[0] < '1' || text[0] > '5')
        return false;
    int hundreds = (text[0] - '0') * 100;
    if (memcmp(text + 1, "xx", 2) == 0) {
        choice->first = hundreds;
        choice->last = hundreds + 99;
        return true;
    }
    if (text[1] < '0' || text[1] > '9' || text[2] < '0' || text[2] > '9')
        return false;
    choice->first = choice->last = hundreds + (text[1] - '0') * 10 + (text[2] - '0');
    return true;
}

static bool is_for(const struct drill_metric *metric, bool of_backend) {
    return of_backend ? metric->of_backend != NULL : metric->of_all != NULL;
}

static const char *find_nearest(const char *name, size_t length, bool of_backend) {
    char word[NEAREST_LENGTH_MAX + 1];
    struct nearest nearest = {.word = word};
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    for (size_t i = 0; i < drill_metric_count; i++)
        if (is_for(&drill_metrics[i], of_backend))
            nearest_offer(&nearest, drill_metrics[i].name);
    static const char *const by_status[2][4] = {
        {"program_429", "program_5xx", "program_4xx", "program_200"},
        {"status_429", "status_5xx", "status_4xx", "status_200"}};
    for (size_t i = 0; i < 4; i++)
        nearest_offer(&nearest, by_status[of_backend][i]);
    return nearest.best;
}

bool drill_metric_find(const char *name, size_t length, bool of_backend,
                       struct drill_choice *choice, const char **nearest) {
    const struct drill_metric *by_status = of_backend ? &backend_status : &program_status;
    size_t prefix = strlen(by_status->name);
    *choice = (struct drill_choice){0};
    for (size_t i = 0; i < drill_metric_count && !choice->metric; i++)
        if (is_for(&drill_metrics[i], of_backend) && strlen(drill_metrics[i].name) == length &&
            memcmp(drill_metrics[i].name, name, length) == 0)
            choice->metric = &drill_metrics[i];
    if (!choice->metric && length > prefix && memcmp(name, by_status->name, prefix) == 0 &&
        take_status(name + prefix, length - prefix, choice))
        choice->metric = by_status;
    *nearest = choice->metric ? NULL : find_nearest(name, length, of_backend);
    return choice->metric != NULL;
}

double drill_metric_value(const struct drill_choice *choice, const struct drill_record *record,
                          const struct drill_figures *figures, const struct drill_facts *facts) {
    const struct drill_fault meant = {.endpoint = choice->endpoint, .backend = choice->backend};
    double sum = 0;
    if (choice->metric->of_all)
        return choice->metric->of_all(figures, facts);
    if (choice->metric == &program_status)
        return (double)drill_statuses(figures->statuses, choice->first, choice->last);
    for (size_t i = 0; i < record->backend_count; i++) {
        const struct drill_backend_figures *backend = &figures->backends[i];
        if (!drill_fault_is_for(&meant, &record->backends[i]))
            continue;
        sum += choice->first
                   ? (double)drill_statuses(backend->statuses, choice->first, choice->last)
                   : choice->metric->of_backend(backend);
    }
    return sum;
}

/* Without zeros at the end of the fraction. */
static void write_number(double value, int decimals, const char *unit, char *out, size_t size) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    size_t length = strlen(text);
    while (length > 1 && decimals > 0 && text[length - 1] == '0')
        text[--length] = '\0';
    if (length > 1 && text[length - 1] == '.')
        text[--length] = '\0';
    snprintf(out, size, "%s%s", text, unit);
}

void drill_metric_write(enum drill_unit unit, double value, char *out, size_t size) {
    if (value < 0)
        snprintf(out, size, "none");
    else if (unit == DRILL_SHARE)
        write_number(value * 100, 2, "%", out, size);
    else if (unit == DRILL_SECONDS)
        write_number(value, 3, "s", out, size);
    else
        write_number(value, unit == DRILL_RATIO ? 2 : 0, "", out, size);
}
