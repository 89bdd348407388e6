/*
 * `spillway status`: what its figures are worth, how they are written, and what its screen shows.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/figures.h"
#include "shim/command/status.h"
#include "shim/command/status_print.h"
#include "shim/command/status_watch.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static void add_duration(uint64_t classes[LEDGER_CLASSES], double seconds) {
    struct ledger_slot slot = {0};
    ledger_count_duration(&slot, (uint64_t)(seconds * 1e9));
    for (unsigned i = 0; i < LEDGER_CLASSES; i++)
        classes[i] += slot.classes[i];
}

static void expect_near(double got, double want) {
    cr_expect(fabs(got - want) < 1e-9, "%.12g instead of %.12g", got, want);
}

Test(figures, nothing_is_known_of_nothing) {
    struct pool_view views[2] = {0};
    cr_expect_eq(figures_durations(views[0].classes), 0);
    expect_near(figures_quantile(views[0].classes, 0.5), -1);
    expect_near(figures_mean(&views[0]), -1);
    expect_near(figures_share(views, 2, 0), -1);
}

Test(figures, quantiles_are_interpolated_inside_a_class) {
    uint64_t classes[LEDGER_CLASSES] = {0}, fast[LEDGER_CLASSES] = {0};
    /* all in the class from 4 to 5 ms */
    for (int i = 1; i <= 4; i++)
        add_duration(classes, 0.004 + 0.00025 * i);
    expect_near(figures_quantile(classes, 0.5), 0.0045);
    expect_near(figures_quantile(classes, 0.25), 0.00425);
    expect_near(figures_quantile(classes, 1), 0.005);
    /* the first class begins at 0 */
    add_duration(fast, 0.0001);
    add_duration(fast, 0.001);
    expect_near(figures_quantile(fast, 0.5), 0.0005);
}

Test(figures, quantiles_over_classes) {
    uint64_t classes[LEDGER_CLASSES] = {0};
    classes[20] = 90; /* 80 to 100 ms */
    classes[30] = 10; /* 0.8 to 1 s */
    expect_near(figures_quantile(classes, 0.5), 0.08 + 0.02 * 50 / 90);
    expect_near(figures_quantile(classes, 0.9), 0.1);
    expect_near(figures_quantile(classes, 0.99), 0.8 + 0.2 * 9 / 10);
    cr_expect_eq(figures_durations(classes), 100);
}

Test(figures, the_last_class_has_no_end) {
    uint64_t classes[LEDGER_CLASSES] = {0};
    add_duration(classes, 5000);
    expect_near(figures_quantile(classes, 0.5), 1000);
}

/* Whatever the durations are, a quantile is in the class of the one that a sorted list has there.
 */
Test(figures, quantiles_against_a_sorted_list) {
    unsigned short state[3] = {1, 2, 3};
    for (int round = 0; round < 200; round++) {
        double list[100] = {0};
        uint64_t classes[LEDGER_CLASSES] = {0};
        for (int i = 0; i < 100; i++) {
            double value = pow(10, erand48(state) * 6 - 3);
            int place = i;
            for (; place > 0 && list[place - 1] > value; place--)
                list[place] = list[place - 1];
            list[place] = value;
            add_duration(classes, value);
        }
        for (int rank = 1; rank <= 100; rank++) {
            double want = list[rank - 1], got = figures_quantile(classes, rank / 100.0);
            cr_assert(got <= fmax(want * 1.29, 0.001) + 1e-9 && got >= want / 1.29 - 0.001,
                      "rank %d: %g instead of %g", rank, got, want);
        }
    }
}

Test(figures, mean_and_share) {
    struct pool_view views[2] = {{.duration_us = 3000000}, {0}};
    views[0].classes[31] = 2;
    views[0].outcomes[LEDGER_ANSWERED] = 3;
    views[1].outcomes[LEDGER_ANSWERED] = 1;
    expect_near(figures_mean(&views[0]), 1.5);
    expect_near(figures_share(views, 2, 0), 0.75);
    expect_near(figures_share(views, 2, 1), 0.25);
}

Test(figures, counts_are_short) {
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {{0, "0"},          {9999, "9999"},      {10000, "10k"},     {12999, "12k"},
                 {999999, "999k"},  {1000000, "1.0M"},   {1290000, "1.2M"},  {9999999, "9.9M"},
                 {10000000, "10M"}, {999999999, "999M"}, {UINT64_MAX, "18E"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        figures_write_count(cases[i].count, text, sizeof text);
        cr_expect_str_eq(text, cases[i].text);
    }
}

Test(figures, states) {
    static const struct {
        struct pool_view view;
        const char *text, *brief;
    } cases[] = {
        {{.state = POOL_AVAILABLE, .reason = 429}, "available", "available"},
        {{.state = POOL_COOLING, .left_ns = 4111 * MS, .reason = 429},
         "cooling 4.2 s left: 429",
         "4.2 s: 429"},
        {{.state = POOL_COOLING, .left_ns = 1, .reason = REASON_CONNECT},
         "cooling 0.1 s left: connect",
         "0.1 s: connect"},
        {{.state = POOL_COOLING, .left_ns = 9900 * MS, .reason = 503},
         "cooling 9.9 s left: 503",
         "9.9 s: 503"},
        {{.state = POOL_COOLING, .left_ns = 9901 * MS, .reason = 503},
         "cooling 10 s left: 503",
         "10 s: 503"},
        {{.state = POOL_COOLING, .left_ns = 600 * SECOND, .reason = REASON_QUOTA},
         "cooling 600 s left: quota",
         "600 s: quota"},
        {{.state = POOL_PROBING}, "probing", "probing"},
        {{.state = POOL_DRAINED, .left_ns = 5 * SECOND}, "drained", "drained"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        figures_write_state(&cases[i].view, false, text, sizeof text);
        cr_expect_str_eq(text, cases[i].text);
        figures_write_state(&cases[i].view, true, text, sizeof text);
        cr_expect_str_eq(text, cases[i].brief);
    }
}

Test(figures, latencies) {
    uint64_t classes[LEDGER_CLASSES] = {0};
    char text[48];
    figures_write_latency(classes, text, sizeof text);
    cr_expect_str_eq(text, "-");
    classes[20] = 100; /* 80 to 100 ms */
    figures_write_latency(classes, text, sizeof text);
    cr_expect_str_eq(text, "90/98/100ms");
    classes[31] = 10; /* 1 to 1.25 s */
    figures_write_latency(classes, text, sizeof text);
    cr_expect_str_eq(text, "0.1/0.1/1.2s");
    classes[61] = 1000;
    figures_write_latency(classes, text, sizeof text);
    cr_expect_str_eq(text, "1000/1000/1000s");
}

static const char yaml[] =
    "endpoints:\n"
    "  - name: openai\n"
    "    url: https://api.openai.com/v1\n"
    "    backends:\n"
    "      - {name: openai, url: https://c.example, priority: 10, key: sk-x}\n"
    "      - {name: westus, url: 'https://b.example/\"q', weight: 3}\n"
    "      - {name: ptu, host: a.example}\n"
    "  - {name: other, url: https://x.example, strategy: first,\n"
    "     backends: [{name: alone, url: https://y.example}]}\n";

static struct live live;
static struct pool_view first[3], second[1];
static struct pool_view *views[] = {first, second};

static void set_up(void) {
    struct settings_error error;
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    live = (struct live){.settings = settings_load_text("t", yaml, strlen(yaml), &error),
                         .views = views,
                         .now = 100 * SECOND,
                         .time = 1700000000.5};
    cr_assert_not_null(live.settings, "%u: %s", error.line, error.message);
    first[2] = (struct pool_view){.state = POOL_COOLING,
                                  .left_ns = 4200 * MS,
                                  .reason = 429,
                                  .in_flight = 2,
                                  .last_status = 429,
                                  .last_at = 98 * SECOND,
                                  .duration_us = 150000000,
                                  .outcomes = {75, 4, 1, 2, 3, 5, 6}};
    first[2].classes[31] = 100;
    first[1].outcomes[LEDGER_ANSWERED] = 25;
}

static void tear_down(void) {
    settings_free(live.settings);
}

TestSuite(status, .init = set_up, .fini = tear_down);

static char *table(bool colours, size_t width) {
    static char *text;
    static size_t length;
    FILE *out = open_memstream(&text, &length);
    status_print(&live, colours, width, out);
    fclose(out);
    return text;
}

Test(status, table) {
    char *text = table(false, 0);
    cr_expect_str_eq(
        text, "endpoint openai, round_robin\n"
              "TIER BACKEND STATE                   RUN ANSW  % 429 5XX NET LAST  P50/P90/P99\n"
              " 1 westus    available                 0   25 25   0   0   0    -            -\n"
              " 1 ptu       cooling 4.2 s left: 429   2   75 75   4   1  10  429 1.1/1.2/1.2s\n"
              "10 openai    available                 0    0  0   0   0   0    -            -\n"
              "\n"
              "endpoint other, first\n"
              "TIER BACKEND STATE                   RUN ANSW  % 429 5XX NET LAST  P50/P90/P99\n"
              " 1 alone     available                 0    0  -   0   0   0    -            -\n");
    free(text);
}

Test(status, a_narrow_terminal_gets_short_states) {
    char *wide = table(false, 0);
    size_t width = strcspn(strchr(wide, '\n') + 1, "\n");
    cr_expect_leq(width, 80);
    char *same = table(false, width), *text = table(false, width - 1);
    cr_expect_str_eq(wide, same);
    cr_expect_not_null(strstr(text, " 1 ptu       4.2 s: 429   2"));
    free(wide);
    free(same);
    free(text);
}

Test(status, colours_change_no_width) {
    char *plain = table(false, 0), *text = table(true, 0), *to = text;
    cr_expect_not_null(strstr(text, "\33[31mcooling 4.2 s left: 429\33[0m"));
    for (const char *from = text; *from;)
        if (*from == '\33')
            from += strcspn(from, "m") + 1;
        else
            *to++ = *from++;
    *to = '\0';
    cr_expect_str_eq(text, plain);
    free(plain);
    free(text);
}

Test(status, long_names_widen_the_table) {
    char name[] = "a-backend-with-quite-a-long-name.example:8443";
    live.settings->endpoints[1].backends[0].name = name;
    char *text = table(false, 0);
    cr_expect_not_null(strstr(text, " 1 a-backend-with-quite-a-long-name.example:8443 available "));
    size_t length = strcspn(strchr(text, '\n') + 1, "\n");
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        if (strchr("T 1", *line))
            cr_expect_eq(strcspn(line, "\n"), length, "%s", line);
    free(text);
}

Test(status, json) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    status_print_json(&live, out);
    fclose(out);
    static const char *const parts[] = {
        "{\"time\": 1700000000.500,",
        "{\"name\": \"openai\", \"strategy\": \"round_robin\",",
        "{\"name\": \"ptu\", \"url\": \"a.example\",",
        "\"state\": \"cooling\", \"cooldown_seconds\": 4.200000, \"reason\": \"429\",",
        "\"in_flight\": 2, \"answered\": 75, \"throttled\": 4, \"server_errors\": 1,",
        "\"connect_failures\": 2, \"resets\": 3, \"timeouts\": 5, \"rejected\": 6,",
        "\"last_status\": 429, \"last_status_age_seconds\": 2.000000,",
        "\"p50\": 1.125000, \"p90\": 1.225000, \"p99\": 1.247500, \"mean\": 1.500000}",
        "\"share\": 0.750000}",
        "\"url\": \"https://b.example/\\\"q\",\n       \"priority\": 1, \"weight\": 3,",
        "\"last_status\": null, \"last_status_age_seconds\": null,",
        "{\"p50\": null, \"p90\": null, \"p99\": null, \"mean\": null},\n       \"share\": null}",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect_not_null(strstr(text, parts[i]), "%s in %s", parts[i], text);
    cr_expect_null(strstr(text, "sk-x"));
    free(text);
}

Test(status, wrong_options, .init = cr_redirect_stderr) {
    static const char *const wrong[][2] = {
        {"--nonsense", NULL}, {"surplus", NULL},  {"--json", "--watch"}, {"--watch", "0.01"},
        {"--watch", "3601"},  {"--watch", "nan"}, {"--watch", "1s"},     {"--watch=", NULL}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char name[] = "status", a[20], b[20];
        snprintf(a, sizeof a, "%s", wrong[i][0]);
        snprintf(b, sizeof b, "%s", wrong[i][1] ? wrong[i][1] : "");
        char *arguments[] = {name, a, wrong[i][1] ? b : NULL, NULL};
        cr_expect_eq(command_status(wrong[i][1] ? 3 : 2, arguments), 2, "%s %s", a, b);
    }
}

Test(watch, rates) {
    struct pool_view before[3] = {0}, after[3] = {0};
    struct watch_rate rates[3];
    before[0].outcomes[LEDGER_ANSWERED] = 10;
    after[0].outcomes[LEDGER_ANSWERED] = 25;
    before[1].outcomes[LEDGER_ANSWERED] = 100; /* the state was made anew */
    after[1].outcomes[LEDGER_ANSWERED] = 5;
    watch_rates(before, after, 3, 2 * SECOND, rates);
    expect_near(rates[0].per_second, 7.5);
    expect_near(rates[1].per_second, 2.5);
    expect_near(rates[0].share, 0.75);
    expect_near(rates[2].share, 0);
    watch_rates(after, after, 3, 0, rates);
    expect_near(rates[0].per_second, 0);
    expect_near(rates[0].share, 0);
}

Test(watch, bars) {
    char bar[11];
    watch_bar(0, 10, bar);
    cr_expect_str_eq(bar, "..........");
    watch_bar(0.001, 10, bar);
    cr_expect_str_eq(bar, "#.........");
    watch_bar(0.5, 10, bar);
    cr_expect_str_eq(bar, "#####.....");
    watch_bar(1, 10, bar);
    cr_expect_str_eq(bar, "##########");
}

Test(watch, cooldowns_count_down) {
    struct pool_view view = {.state = POOL_COOLING, .left_ns = 3 * SECOND, .reason = 429};
    cr_expect_eq(watch_later(&view, SECOND).left_ns, 2 * SECOND);
    cr_expect_eq(watch_later(&view, SECOND).state, POOL_COOLING);
    cr_expect_eq(watch_later(&view, 4 * SECOND).left_ns, 0);
    cr_expect_eq(watch_later(&view, 4 * SECOND).state, POOL_AVAILABLE);
    view.state = POOL_DRAINED;
    cr_expect_eq(watch_later(&view, 4 * SECOND).state, POOL_DRAINED);
}
