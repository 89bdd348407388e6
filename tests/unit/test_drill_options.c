/*
 * The command line of `spillway drill`.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shim/command/drill_options.h"

static char message[500];

/* WORDS ends with NULL; the first one is behind "drill". */
static bool parse(struct drill_options *options, const char *const *words) {
    static char storage[20][120];
    static char *argv[21];
    int argc = 0;
    snprintf(storage[argc], sizeof storage[argc], "drill");
    argv[argc] = storage[argc];
    argc++;
    for (; *words; words++, argc++) {
        snprintf(storage[argc], sizeof storage[argc], "%s", *words);
        argv[argc] = storage[argc];
    }
    argv[argc] = NULL;
    message[0] = '\0';
    return drill_options_parse(argc, argv, options, message, sizeof message);
}

Test(drill_options, all) {
    static const char *const words[] = {"-c",
                                        "a.yaml",
                                        "--fault",
                                        "ptu: 429",
                                        "-f",
                                        "b: reset",
                                        "--against-mocks",
                                        "--seed",
                                        "18446744073709551615",
                                        "--html",
                                        "h",
                                        "--json",
                                        "j",
                                        "--expect",
                                        "p99 < 2s",
                                        "--quiet",
                                        "curl",
                                        "-m",
                                        "3",
                                        NULL};
    struct drill_options options;
    cr_assert(parse(&options, words), "%s", message);
    cr_expect_str_eq(options.run.config, "a.yaml");
    cr_expect_eq(options.fault_count, 2);
    cr_expect_str_eq(options.faults[0], "ptu: 429");
    cr_expect_str_eq(options.faults[1], "b: reset");
    cr_expect(options.against_mocks && options.quiet);
    cr_expect_eq(options.seed, UINT64_MAX);
    cr_expect_str_eq(options.html, "h");
    cr_expect_str_eq(options.json, "j");
    cr_expect_str_eq(options.expect, "p99 < 2s");
    cr_expect_str_eq(options.run.program[0], "curl");
    cr_expect_str_eq(options.run.program[1], "-m");
    drill_options_free(&options);
}

Test(drill_options, few) {
    static const char *const words[] = {
        "--endpoint", "https://e.example", "--backend", "1=https://a.example", "--", "-odd", NULL};
    struct drill_options options;
    cr_assert(parse(&options, words), "%s", message);
    cr_expect_eq(options.run.flags.count, 2);
    cr_expect(options.run.flags.list[0].endpoint && !options.run.flags.list[1].endpoint);
    cr_expect_eq(options.seed, DRILL_SEED);
    cr_expect_null(options.expect);
    cr_expect_str_eq(options.run.program[0], "-odd");
    drill_options_free(&options);
}

Test(drill_options, wrong_ones_are_named) {
    static const struct {
        const char *words[6];
        const char *want;
    } cases[] = {
        {{"--against-mock", "--faults", "x"},
         "found --faults which is no option; did you mean --fault?"},
        {{"--fault"}, "found --fault without a value"},
        {{"-x", "curl"}, "-x"},
        {{"--seed", "-1", "curl"}, "--seed: expected a whole number"},
        {{"--seed", "1x", "curl"}, "--seed: expected a whole number"},
        {{"--seed", "", "curl"}, "--seed: expected a whole number"},
        {{"--seed", "18446744073709551616", "curl"}, "--seed: expected a whole number"},
        {{"--against-mocks=yes", "curl"}, "--against-mocks"},
        {{"-m"}, "the program to run"},
        {{"--html", "a", "--json", "a", "curl"}, "same file"},
        {{"--strategy", "first", "curl"}, "go with --endpoint"},
        {{"-c", "f", "--endpoint", "https://e.example", "curl"}, "one or the other"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drill_options options;
        cr_expect_not(parse(&options, cases[i].words), "case %zu", i);
        cr_expect_not_null(strstr(message, cases[i].want), "case %zu: %s", i, message);
    }
}

Test(drill_options, help_asks_for_no_program) {
    static const char *const words[] = {"--help", NULL};
    struct drill_options options;
    cr_assert(parse(&options, words));
    cr_expect(options.help);
    drill_options_free(&options);
}
