#include <inttypes.h>

#include "shim/command/figures.h"
#include "shim/command/json.h"
#include "shim/command/status_print.h"

/* VALUE, or null if it is negative. */
static void put_number(const char *name, double value, const char *end, FILE *out) {
    fprintf(out, "\"%s\": ", name);
    json_put_number(value, out);
    fputs(end, out);
}

static void put_outcomes(const struct pool_view *view, FILE *out) {
    static const char *const names[LEDGER_OUTCOMES] = {[LEDGER_ANSWERED] = "answered",
                                                       [LEDGER_THROTTLED] = "throttled",
                                                       [LEDGER_CONNECT] = "connect_failures",
                                                       [LEDGER_SERVER_ERROR] = "server_errors",
                                                       [LEDGER_RESET] = "resets",
                                                       [LEDGER_TIMEOUT] = "timeouts",
                                                       [LEDGER_REJECTED] = "rejected"};
    fprintf(out, "       \"in_flight\": %u", view->in_flight);
    for (unsigned i = 0; i < LEDGER_OUTCOMES; i++)
        fprintf(out, ", \"%s\": %" PRIu64, names[i], view->outcomes[i]);
    fputs(",\n", out);
}

static void put_state(const struct pool_view *view, FILE *out) {
    char reason[12];
    fprintf(out, "       \"state\": \"%s\", ", figures_state_name(view->state));
    put_number("cooldown_seconds", (double)view->left_ns / 1e9, ", \"reason\": ", out);
    if (view->reason)
        json_put_text(pool_reason_name(view->reason, reason), out);
    else
        fputs("null", out);
    fputs(",\n", out);
}

static void put_answers(const struct pool_view *view, uint64_t now, FILE *out) {
    double age =
        view->last_status && view->last_at <= now ? (double)(now - view->last_at) / 1e9 : 0;
    fputs("       \"last_status\": ", out);
    if (view->last_status)
        fprintf(out, "%" PRIu32 ", ", view->last_status);
    else
        fputs("null, ", out);
    put_number("last_status_age_seconds", view->last_status ? age : -1, ",\n", out);
    fputs("       \"latency_seconds\": {", out);
    put_number("p50", figures_quantile(view->classes, 0.5), ", ", out);
    put_number("p90", figures_quantile(view->classes, 0.9), ", ", out);
    put_number("p99", figures_quantile(view->classes, 0.99), ", ", out);
    put_number("mean", figures_mean(view), "},\n", out);
}

static void put_backend(const struct endpoint *endpoint, const struct pool_view *views,
                        size_t place, uint64_t now, FILE *out) {
    const struct backend *backend = &endpoint->backends[place];
    fputs("      {\"name\": ", out);
    json_put_text(backend->name, out);
    fputs(", \"url\": ", out);
    json_put_text(backend->url, out);
    fprintf(out, ",\n       \"priority\": %d, \"weight\": %u,\n", backend->priority,
            backend->weight);
    put_state(&views[place], out);
    put_outcomes(&views[place], out);
    put_answers(&views[place], now, out);
    fputs("       ", out);
    put_number("share", figures_share(views, endpoint->backend_count, place), "}", out);
}

void status_print_json(const struct live *live, FILE *out) {
    fprintf(out, "{\"time\": %.3f,\n \"endpoints\": [", live->time);
    for (size_t i = 0; i < live->settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &live->settings->endpoints[i];
        fprintf(out, "%s\n   {\"name\": ", i ? "," : "");
        json_put_text(endpoint->name, out);
        fprintf(out, ", \"strategy\": \"%s\",\n    \"backends\": [",
                settings_strategy_name(endpoint->strategy));
        for (size_t k = 0; k < endpoint->backend_count; k++) {
            fputs(k ? ",\n" : "\n", out);
            put_backend(endpoint, live->views[i], k, live->now, out);
        }
        fputs("]}", out);
    }
    fputs("]}\n", out);
}
