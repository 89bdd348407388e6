/*
 * What is expected of a drill.
 */
#include "tests/unit/drill_sample.h"

static char message[500];

static bool parse(const char *list, struct drill_expectations *out, struct settings *settings) {
    message[0] = '\0';
    return drill_expect_parse(list, settings, &sample_facts, out, message, sizeof message);
}

Test(drill_expect, lists) {
    struct settings *settings = sample_settings(sample_yaml);
    struct drill_expectations all;
    cr_assert(parse(" answered>=99% ,program_429 = 0, p99 < 250ms,attempts@ptu!=2,"
                    "status_5xx@llm/other == 0, answered <= 0.995",
                    &all, settings),
              "%s", message);
    cr_assert_eq(all.count, 6);
    cr_expect_str_eq(all.list[0].text, "answered>=99%");
    cr_expect_eq(all.list[0].relation, DRILL_AT_LEAST);
    sample_near(all.list[0].value, 0.99);
    cr_expect_eq(all.list[1].choice.first, 429);
    sample_near(all.list[2].value, 0.25);
    cr_expect_eq(all.list[3].relation, DRILL_UNEQUAL);
    cr_expect_str_eq(all.list[3].choice.backend, "ptu");
    cr_expect_null(all.list[3].choice.endpoint);
    cr_expect_eq(all.list[4].choice.last, 599);
    cr_expect_str_eq(all.list[4].choice.endpoint, "llm");
    cr_expect_eq(all.list[4].relation, DRILL_EQUAL);
    sample_near(all.list[5].value, 0.995);
    drill_expect_free(&all);
    settings_free(settings);
}

Test(drill_expect, what_is_wrong) {
    static const struct {
        const char *list, *want;
    } cases[] = {
        {"", "column 1: found the end, expected a metric"},
        {"answered >= 99%,", "column 17: found the end, expected a metric"},
        {",answered >= 99%", "column 1: found a comma, expected a metric"},
        {"answerd >= 99%", "column 1: found 'answerd', expected a metric such as answered, "
                           "program_429 or p99; did you mean 'answered'?"},
        {"answered >= 99%, p98 < 2s", "column 18: found 'p98', "},
        {"answered >= 99%, p98 < 2s", "did you mean 'p99'?"},
        {"program_42 = 0", "did you mean 'program_429'?"},
        {"program_600 = 0", "column 1: found 'program_600'"},
        {"attempt@ptu < 3", "did you mean 'attempts@...'?"},
        {"attempts@ptv < 3", "column 10: found 'ptv', expected a backend of the settings; did you "
                             "mean 'ptu'?"},
        {"attempts@lm/ptu < 3", "column 10: found 'lm/ptu', expected a backend"},
        {"attempts@ < 3", "column 10: found '<', expected a backend of"},
        {"answered@ptu < 3", "column 9: found '@', but answered is of the whole drill"},
        {"cooldowns < 3", "column 10: expected '@' and a backend behind cooldowns"},
        {"answered", "column 9: found the end, expected <, <=, =, !=, >= or >"},
        {"answered 99%", "column 10: found '99%', expected <, <=, =, !=, >= or >"},
        {"answered => 99%", "column 10: found '=>', expected <, <=, =, !=, >= or >; did you mean "
                            "'>='?"},
        {"answered >= ", "column 13: found the end, expected a share such as 99%"},
        {"answered >= 99", "column 13: found '99', expected a share such as 99%; did you mean "
                           "'99%'?"},
        {"answered >= 2s", "column 13: found '2s', expected a share such as 99%"},
        {"p99 < 2", "column 7: found '2', expected a time such as 2s or 250ms; did you mean '2s'?"},
        {"p99 < -2s", "column 7: found '-2s', expected a time"},
        {"p99 < 2 s", "column 7: found '2', expected a time"},
        {"transfers = 1.5", "column 13: found '1.5', expected a whole number; did you mean '2'?"},
        {"transfers = many", "column 13: found 'many', expected a whole number"},
        {"attempts_per_answer < 1.2x", "expected a number such as 1.5"},
        {"answered >= 99% p99 < 2s", "column 17: found 'p99', expected ','"},
        {"answered >= 120%", "column 1: found 'answered >= 120%', which can't be: it is at most "
                             "100%; did you mean 'answered >= 100%'?"},
        {"answered > 100%", "which can't be: it is at most 100%"},
        {"exit_status = 256", "which can't be: it is at most 255"},
        {"program_429 < 0", "which can't be: it is at least 0; did you mean 'program_429 = 0'?"},
        {"p99 < 0s", "which can't be: it is at least 0s; did you mean 'p99 = 0s'?"},
        {"attempts > 5, attempts < 6", "column 15: found 'attempts < 6', which can't be together "
                                       "with 'attempts > 5'"},
        {"attempts = 5, attempts != 5", "can't be together"},
        {"p99 > 2s, p50 < 1s, p99 < 2s", "column 21: found 'p99 < 2s'"},
        {"status_429@ptu = 0, status_429@ptu > 0", "can't be together"},
    };
    struct settings *settings = sample_settings(sample_yaml);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drill_expectations all;
        cr_expect_not(parse(cases[i].list, &all, settings), "%s", cases[i].list);
        cr_expect_not_null(strstr(message, cases[i].want), "%s: %s", cases[i].list, message);
    }
    settings_free(settings);
}

Test(drill_expect, what_is_possible) {
    static const char *const lists[] = {
        "answered >= 100%",
        "answered = 0%",
        "answered >= 0.5, answered <= 0.5",
        "attempts > 5, attempts < 7",
        "attempts != 5, attempts > 3",
        "attempts@ptu = 5, attempts@other = 6",
        "status_429@ptu = 0, status_429@other > 0",
        "exit_status = 255",
        "first_answer_after_begin < 1s, first_answer_after_end < 1s",
    };
    struct settings *settings = sample_settings(sample_yaml);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct drill_expectations all;
        cr_assert(parse(lists[i], &all, settings), "%s: %s", lists[i], message);
        drill_expect_free(&all);
    }
    settings_free(settings);
}

/* Without an outage there is no time after it. */
Test(drill_expect, outages_are_needed) {
    static const struct drill_fault endless[] = {{"ptu: reset", NULL, "ptu", 0, INFINITY, true}};
    const struct drill_facts without = {.fault_count = 0};
    const struct drill_facts open = {.faults = endless, .fault_count = 1};
    struct settings *settings = sample_settings(sample_yaml);
    struct drill_expectations all;
    cr_expect_not(drill_expect_parse("first_answer_after_begin < 1s", settings, &without, &all,
                                     message, sizeof message));
    cr_expect_not_null(strstr(message, "no fault is one of time"), "%s", message);
    cr_expect_not(drill_expect_parse("first_answer_after_end < 1s", settings, &open, &all, message,
                                     sizeof message));
    cr_expect_not_null(strstr(message, "no fault has an end in time"), "%s", message);
    cr_assert(drill_expect_parse("first_answer_after_begin < 1s", settings, &open, &all, message,
                                 sizeof message));
    drill_expect_free(&all);
    settings_free(settings);
}

Test(drill_expect, results) {
    static const struct {
        const char *expectation;
        bool met;
    } cases[] = {
        {"transfers = 4", true},
        {"transfers != 4", false},
        {"answered >= 50%", true},
        {"answered > 50%", false},
        {"program_429 = 1", true},
        {"program_4xx < 1", false},
        {"program_200 = 2", true},
        {"program_5xx = 0", true},
        {"program_errors <= 1", true},
        {"p99 <= 1s", true},
        {"p50 < 1s", false},
        {"wasted = 3", true},
        {"attempts_per_answer > 2", true},
        {"retries = 1", true},
        {"exit_status = 3", true},
        {"attempts@ptu = 3", true},
        {"attempts@llm/other = 2", true},
        {"status_429@ptu = 1", true},
        {"failed@other = 1", true},
        {"cooling@ptu > 4s", true},
        {"answers@ptu = 1", true},
        {"first_answer_after_begin < 3s", true},
        {"unfinished = 0", true},
        {"exhausted = 1", true},
        {"processes = 1", true},
        {"faulted@other = 1", true},
        {"cooldowns@ptu = 1", true},
        {"longest < 2s", true},
        /* what has no value meets nothing */
        {"first_answer_after_end < 1h", false},
        {"first_answer_after_end > 0s", false},
    };
    struct settings *settings = sample_settings(sample_yaml);
    struct drill_record *record = sample_read(settings, sample_record);
    struct drill_figures *figures = drill_figures_new(record, &sample_facts);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drill_expectations all;
        cr_assert(parse(cases[i].expectation, &all, settings), "%s", message);
        cr_expect_eq(drill_expect_check(&all, record, figures, &sample_facts), cases[i].met,
                     "%s: %g", cases[i].expectation, all.list[0].actual);
        drill_expect_free(&all);
    }
    drill_figures_free(figures);
    drill_record_free(record);
    settings_free(settings);
}
