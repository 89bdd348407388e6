#include "shim/command/figures.h"

#include <inttypes.h>
#include <stdio.h>

#define SECOND UINT64_C(1000000000)

uint64_t figures_durations(const uint64_t classes[LEDGER_CLASSES]) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < LEDGER_CLASSES; i++)
        sum += classes[i];
    return sum;
}

double figures_quantile(const uint64_t classes[LEDGER_CLASSES], double quantile) {
    uint64_t total = figures_durations(classes);
    /* 0.07 * 100 is more than 7 */
    double rank = quantile * (double)total * (1 - 1e-12), before = 0, low = 0;
    if (!total)
        return -1;
    for (unsigned i = 0; i < LEDGER_CLASSES - 1; i++) {
        double here = (double)classes[i], high = (double)ledger_class_bound(i) / 1e6;
        if (here > 0 && before + here >= rank)
            return low + (high - low) * (rank - before) / here;
        before += here;
        low = high;
    }
    return low;
}

double figures_mean(const struct pool_view *view) {
    uint64_t total = figures_durations(view->classes);
    return total ? (double)view->duration_us / 1e6 / (double)total : -1;
}

double figures_share(const struct pool_view *views, size_t count, size_t backend) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)views[i].outcomes[LEDGER_ANSWERED];
    return sum > 0 ? (double)views[backend].outcomes[LEDGER_ANSWERED] / sum : -1;
}

void figures_write_left(uint64_t ns, char *out, size_t size) {
    uint64_t tenths = ns / (SECOND / 10) + (ns % (SECOND / 10) != 0);
    if (tenths < 100)
        snprintf(out, size, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
    else
        snprintf(out, size, "%" PRIu64 " s", ns / SECOND + (ns % SECOND != 0));
}

const char *figures_state_name(enum pool_state state) {
    static const char *const names[] = {"available", "cooling", "probing", "drained"};
    return names[state];
}

void figures_write_state(const struct pool_view *view, bool brief, char *out, size_t size) {
    char left[32], reason[12];
    if (view->state != POOL_COOLING) {
        snprintf(out, size, "%s", figures_state_name(view->state));
        return;
    }
    figures_write_left(view->left_ns, left, sizeof left);
    snprintf(out, size, brief ? "%s: %s" : "cooling %s left: %s", left,
             pool_reason_name(view->reason, reason));
}

void figures_write_count(uint64_t count, char *out, size_t size) {
    static const char units[] = "kMGTPE";
    uint64_t unit = 1000;
    unsigned place = 0;
    if (count < 10000) {
        snprintf(out, size, "%" PRIu64, count);
        return;
    }
    for (; count / unit >= 1000; unit *= 1000)
        place++;
    uint64_t whole = count / unit, tenth = count % unit / (unit / 10);
    if (whole < 10)
        snprintf(out, size, "%" PRIu64 ".%" PRIu64 "%c", whole, tenth, units[place]);
    else
        snprintf(out, size, "%" PRIu64 "%c", whole, units[place]);
}

void figures_write_latency(const uint64_t classes[LEDGER_CLASSES], char *out, size_t size) {
    const double quantiles[] = {0.5, 0.9, 0.99};
    size_t length = 0;
    double slowest = figures_quantile(classes, 0.99);
    bool seconds = slowest >= 0.9995; /* 999.5 ms would be written as 1000 */
    if (slowest < 0) {
        snprintf(out, size, "-");
        return;
    }
    for (unsigned i = 0; i < 3 && length < size; i++) {
        double value = figures_quantile(classes, quantiles[i]) * (seconds ? 1 : 1000);
        int written = snprintf(out + length, size - length, "%.*f%s", value < 9.95 ? 1 : 0, value,
                               i < 2     ? "/"
                               : seconds ? "s"
                                         : "ms");
        length += written > 0 ? (size_t)written : 0;
    }
}
