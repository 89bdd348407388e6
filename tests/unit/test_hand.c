/*
 * `spillway reset`, `drain` and `undrain`: which backends a name means.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shim/command/hand.h"

static const char yaml[] =
    "endpoints:\n"
    "  - {name: openai, url: https://x.example, backends: [\n"
    "      {name: eastus, url: https://a.example}, {name: westus, url: https://b.example}]}\n"
    "  - {name: eastus, url: https://y.example, backends: [\n"
    "      {name: openai, url: https://a.example}, {name: westus, url: https://b.example}]}\n";

Test(hand, names) {
    static const struct {
        const char *name;
        uint64_t marks[2];
        const char *message; /* NULL: it is a name */
    } cases[] = {
        {"eastus", {1, 0}, NULL},
        {"openai", {0, 1}, NULL},
        {"westus", {2, 2}, NULL},
        {"openai/westus", {2, 0}, NULL},
        {"eastus/openai", {0, 1}, NULL},
        {"wetsus",
         {0, 0},
         "found 'wetsus', expected BACKEND or ENDPOINT/BACKEND of the settings; "
         "did you mean 'westus'?"},
        {"openai/eastsu",
         {0, 0},
         "found 'openai/eastsu', expected BACKEND or ENDPOINT/BACKEND of "
         "the settings; did you mean 'openai/eastus'?"},
        {"eastus/eastus",
         {0, 0},
         "found 'eastus/eastus', expected BACKEND or ENDPOINT/BACKEND of "
         "the settings; did you mean 'eastus/westus'?"},
        {"", {0, 0}, "found '', expected BACKEND or ENDPOINT/BACKEND of the settings"},
        {"openai/", {0, 0}, NULL},
        {"something-else",
         {0, 0},
         "found 'something-else', expected BACKEND or ENDPOINT/BACKEND "
         "of the settings"},
    };
    struct settings_error error;
    struct settings *settings = settings_load_text("t", yaml, strlen(yaml), &error);
    cr_assert_not_null(settings, "%s", error.message);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t marks[2] = {0};
        char message[300] = "";
        bool found = hand_select(settings, cases[i].name, marks, message, sizeof message);
        cr_expect_eq(found, cases[i].marks[0] || cases[i].marks[1], "%s", cases[i].name);
        cr_expect_arr_eq(marks, cases[i].marks, sizeof marks, "%s", cases[i].name);
        if (cases[i].message)
            cr_expect_str_eq(message, cases[i].message);
    }
    settings_free(settings);
}
