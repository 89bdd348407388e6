/*
 * The faults of a drill: from settings and command line to shim and report.
 */
#include "tests/unit/drill_sample.h"

#include "shim/command/drill_faults.h"

static char message[600];

static bool make(struct drill_faults *faults, const struct settings *settings,
                 const char *const *given) {
    size_t count = 0;
    while (given[count])
        count++;
    message[0] = '\0';
    return drill_faults_make(faults, settings, given, count, message, sizeof message);
}

static const char with_faults[] =
    "endpoints:\n"
    "  - {name: llm, url: http://llm.test, backends: [{name: ptu, url: http://a.test}]}\n"
    "faults: ['ptu: 503 for 2s after 1s']\n";

Test(drill_faults, those_of_the_settings_come_first) {
    static const char *const given[] = {"llm/ptu: reset 10%", "*: refused", NULL};
    struct settings *settings = sample_settings(with_faults);
    struct drill_faults faults;
    cr_assert(make(&faults, settings, given), "%s", message);
    settings_free(settings); /* they are not needed any more */
    cr_assert_eq(faults.count, 3);
    cr_expect_str_eq(faults.text, "ptu: 503 for 2s after 1s\nllm/ptu: reset 10%\n*: refused\n");
    cr_expect_str_eq(faults.list[0].text, "ptu: 503 for 2s after 1s");
    cr_expect_str_eq(faults.list[0].backend, "ptu");
    cr_expect_null(faults.list[0].endpoint);
    sample_near(faults.list[0].begin, 1);
    sample_near(faults.list[0].end, 3);
    cr_expect_str_eq(faults.list[1].endpoint, "llm");
    cr_expect_null(faults.list[2].backend);
    cr_expect(isinf(faults.list[2].end));
    drill_faults_free(&faults);
}

Test(drill_faults, outages) {
    static const struct {
        const char *fault;
        bool outage;
    } cases[] = {
        {"ptu: 503 for 2s", true},
        {"ptu: 503 after 2s", true},
        {"ptu: 503", true},
        {"ptu: 503 10%", false},
        {"ptu: 503 every 2", false},
        {"ptu: 503 10% for 2s", true},
        {"ptu: 503 for 2 attempts", false},
        {"ptu: 503 after 2 attempts", false},
        {"ptu: 503 for 2 attempts after 3s", false},
        {"ptu: 200 latency=1s", false},
        {"ptu: trickle for 2s", false},
        {"ptu: silence", true},
    };
    struct settings *settings = sample_settings(sample_yaml);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const given[] = {cases[i].fault, NULL};
        struct drill_faults faults;
        cr_assert(make(&faults, settings, given), "%s", message);
        cr_expect_eq(faults.list[0].outage, cases[i].outage, "%s", cases[i].fault);
        drill_faults_free(&faults);
    }
    settings_free(settings);
}

Test(drill_faults, what_is_wrong) {
    static const struct {
        const char *fault, *want;
    } cases[] = {
        {"ptv: 429", "--fault 2, column 1: "},
        {"ptu: rest", "--fault 2, column 6: "},
        {"", "--fault 2, column 1: "},
        {"ptu: reset\nother: reset", "--fault 2, column "},
    };
    struct settings *settings = sample_settings(sample_yaml);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const given[] = {"ptu: reset", cases[i].fault, NULL};
        struct drill_faults faults;
        cr_expect_not(make(&faults, settings, given), "%s", cases[i].fault);
        cr_expect_not_null(strstr(message, cases[i].want), "%s: %s", cases[i].fault, message);
    }
    settings_free(settings);
}

/* The page has counters for so many. */
Test(drill_faults, too_many) {
    const char *given[FAULTS_MAX + 1] = {NULL};
    struct settings *settings = sample_settings(with_faults);
    struct drill_faults faults;
    for (size_t i = 0; i + 1 < FAULTS_MAX; i++)
        given[i] = "ptu: reset";
    cr_assert(make(&faults, settings, given), "%s", message);
    cr_expect_eq(faults.count, FAULTS_MAX);
    drill_faults_free(&faults);
    given[FAULTS_MAX - 1] = "ptu: reset";
    cr_expect_not(make(&faults, settings, given));
    cr_expect_not_null(strstr(message, "--fault 64: expected at most 64"), "%s", message);
    settings_free(settings);
}
