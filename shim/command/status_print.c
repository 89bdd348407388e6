#include "shim/command/status_print.h"

#include <inttypes.h>
#include <string.h>

#include "shim/command/figures.h"

const char *const status_headings[STATUS_CELLS] = {"RUN", "ANSW", "%", "429", "5XX", "NET", "LAST"};

static void write_cells(const struct pool_view *views, size_t count, size_t backend,
                        struct status_row *row) {
    const struct pool_view *view = &views[backend];
    const size_t size = sizeof row->cells[0];
    const uint64_t *outcomes = view->outcomes;
    double share = figures_share(views, count, backend);
    figures_write_count(view->in_flight, row->cells[0], size);
    figures_write_count(outcomes[LEDGER_ANSWERED], row->cells[1], size);
    if (share < 0)
        snprintf(row->cells[2], size, "-");
    else
        snprintf(row->cells[2], size, "%.0f", share * 100);
    figures_write_count(outcomes[LEDGER_THROTTLED], row->cells[3], size);
    figures_write_count(outcomes[LEDGER_SERVER_ERROR], row->cells[4], size);
    figures_write_count(outcomes[LEDGER_CONNECT] + outcomes[LEDGER_RESET] +
                            outcomes[LEDGER_TIMEOUT],
                        row->cells[5], size);
    if (view->last_status)
        snprintf(row->cells[6], size, "%" PRIu32, view->last_status);
    else
        snprintf(row->cells[6], size, "-");
}

void status_rows(const struct endpoint *endpoint, const struct pool_view *views, bool brief,
                 struct status_row *rows) {
    size_t order[BACKENDS_MAX];
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        size_t place = i; /* in the order of the file inside a tier */
        for (; place > 0 &&
               endpoint->backends[order[place - 1]].priority > endpoint->backends[i].priority;
             place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const struct backend *backend = &endpoint->backends[order[i]];
        struct status_row *row = &rows[i];
        row->backend = order[i];
        row->name = backend->name;
        snprintf(row->tier, sizeof row->tier, "%d", backend->priority);
        figures_write_state(&views[order[i]], brief, row->state, sizeof row->state);
        write_cells(views, endpoint->backend_count, order[i], row);
        figures_write_latency(views[order[i]].classes, row->latency, sizeof row->latency);
    }
}

const char *status_colour(enum pool_state state) {
    static const char *const colours[] = {"32", "31", "33", "35"};
    return colours[state];
}

static const char name_heading[] = "TIER BACKEND", latency_heading[] = "P50/P90/P99";

struct widths {
    size_t tier, name, state, cells[STATUS_CELLS], latency; /* name: with the tier and a space */
};

static void widen(size_t *width, size_t length) {
    if (*width < length)
        *width = length;
}

/* One set for all endpoints, so that their tables are aligned with each other. */
static void measure(const struct endpoint *endpoint, const struct status_row *rows,
                    struct widths *widths) {
    widen(&widths->state, strlen("STATE"));
    widen(&widths->latency, strlen(latency_heading));
    for (size_t c = 0; c < STATUS_CELLS; c++)
        widen(&widths->cells[c], strlen(status_headings[c]));
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        widen(&widths->tier, strlen(rows[i].tier));
        widen(&widths->state, strlen(rows[i].state));
        widen(&widths->latency, strlen(rows[i].latency));
        for (size_t c = 0; c < STATUS_CELLS; c++)
            widen(&widths->cells[c], strlen(rows[i].cells[c]));
    }
    for (size_t i = 0; i < endpoint->backend_count; i++)
        widen(&widths->name, widths->tier + 1 + strlen(rows[i].name));
    widen(&widths->name, strlen(name_heading));
}

static size_t total(const struct widths *widths) {
    size_t sum = widths->name + 1 + widths->state + 1 + widths->latency;
    for (size_t c = 0; c < STATUS_CELLS; c++)
        sum += widths->cells[c] + 1;
    return sum;
}

static struct widths measure_all(const struct live *live, bool brief) {
    struct widths widths = {0};
    for (int pass = 0; pass < 2; pass++) /* the tier's width adds to every name */
        for (size_t i = 0; i < live->settings->endpoint_count; i++) {
            struct status_row rows[BACKENDS_MAX];
            status_rows(&live->settings->endpoints[i], live->views[i], brief, rows);
            measure(&live->settings->endpoints[i], rows, &widths);
        }
    return widths;
}

static void print_row(const struct widths *widths, const struct status_row *row, const char *colour,
                      FILE *out) {
    fprintf(out, "%*s %-*s ", (int)widths->tier, row->tier, (int)(widths->name - widths->tier - 1),
            row->name);
    if (colour)
        fprintf(out, "\33[%sm%s\33[0m%*s", colour, row->state,
                (int)(widths->state - strlen(row->state)), "");
    else
        fprintf(out, "%-*s", (int)widths->state, row->state);
    for (size_t c = 0; c < STATUS_CELLS; c++)
        fprintf(out, " %*s", (int)widths->cells[c], row->cells[c]);
    fprintf(out, " %*s\n", (int)widths->latency, row->latency);
}

static void print_header(const struct widths *widths, bool colours, FILE *out) {
    fprintf(out, "%s%-*s %-*s", colours ? "\33[1m" : "", (int)widths->name, name_heading,
            (int)widths->state, "STATE");
    for (size_t c = 0; c < STATUS_CELLS; c++)
        fprintf(out, " %*s", (int)widths->cells[c], status_headings[c]);
    fprintf(out, " %*s%s\n", (int)widths->latency, latency_heading, colours ? "\33[0m" : "");
}

void status_print(const struct live *live, bool colours, size_t width, FILE *out) {
    struct widths widths = measure_all(live, false);
    bool brief = width && total(&widths) > width;
    if (brief)
        widths = measure_all(live, true);
    for (size_t i = 0; i < live->settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &live->settings->endpoints[i];
        struct status_row rows[BACKENDS_MAX];
        status_rows(endpoint, live->views[i], brief, rows);
        fprintf(out, "%sendpoint %s, %s\n", i ? "\n" : "", endpoint->name,
                settings_strategy_name(endpoint->strategy));
        print_header(&widths, colours, out);
        for (size_t k = 0; k < endpoint->backend_count; k++)
            print_row(&widths, &rows[k],
                      colours ? status_colour(live->views[i][rows[k].backend].state) : NULL, out);
    }
}
