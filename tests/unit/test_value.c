/*
 * Single values of the settings, from their spelling and back, and the nearest word.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "config/nearest.h"
#include "config/settings.h"
#include "config/value.h"

#define SECOND UINT64_C(1000000000)

Test(value, durations) {
    static const struct {
        const char *text;
        bool valid;
        uint64_t ns;
    } table[] = {
        {"0", true, 0},
        {"0s", true, 0},
        {"250ms", true, SECOND / 4},
        {"10s", true, 10 * SECOND},
        {"5m", true, 300 * SECOND},
        {"1h", true, 3600 * SECOND},
        {"1.5s", true, 3 * SECOND / 2},
        {"0.25ms", true, 250000},
        {"1.0000000019s", true, SECOND + 1},
        {"5124095h", true, UINT64_C(5124095) * 3600 * SECOND},
        {"5124096h", false, 0},
        {"18446744073709551616ms", false, 0},
        {"", false, 0},
        {"s", false, 0},
        {"10", false, 0},
        {"-1s", false, 0},
        {"+1s", false, 0},
        {"1 s", false, 0},
        {"1.s", false, 0},
        {".5s", false, 0},
        {"1S", false, 0},
        {"1us", false, 0},
        {"1s ", false, 0},
        {"1m30s", false, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t ns = 0;
        cr_expect_eq(settings_parse_duration(table[i].text, &ns), table[i].valid, "%s",
                     table[i].text);
        if (table[i].valid)
            cr_expect_eq(ns, table[i].ns, "%s", table[i].text);
    }
}

Test(value, sizes) {
    static const char *const invalid[] = {"",   "B",      "8MB",           "8 MiB",
                                          "-1", "1.5MiB", "17179869184GiB"};
    uint64_t bytes;
    cr_expect(value_parse_size("8MiB", &bytes) && bytes == 8 << 20);
    cr_expect(value_parse_size("512KiB", &bytes) && bytes == 512 << 10);
    cr_expect(value_parse_size("1GiB", &bytes) && bytes == 1 << 30);
    cr_expect(value_parse_size("100B", &bytes) && bytes == 100);
    cr_expect(value_parse_size("0", &bytes) && bytes == 0);
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        cr_expect_not(value_parse_size(invalid[i], &bytes), "%s", invalid[i]);
}

Test(value, values_are_written_as_they_are_read) {
    static const char *const durations[] = {"0", "250ms", "1h", "90s", "10m", "0.25ms"};
    static const char *const sizes[] = {"0B", "100B", "512KiB", "8MiB", "1GiB"};
    char text[64];
    uint64_t value;
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        cr_expect(settings_parse_duration(durations[i], &value));
        value_write_duration(value, text, sizeof text);
        cr_expect_str_eq(text, durations[i]);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cr_expect(value_parse_size(sizes[i], &value));
        value_write_size(value, text, sizeof text);
        cr_expect_str_eq(text, sizes[i]);
    }
    enum log_level level;
    cr_expect(settings_parse_log_level("debug", &level) && level == LOG_DEBUG);
    cr_expect_not(settings_parse_log_level("DEBUG", &level));
    cr_expect_str_eq(settings_strategy_name(STRATEGY_LEAST_BUSY), "least_busy");
    cr_expect_str_eq(settings_dialect_name(DIALECT_AZURE), "azure");
    cr_expect_str_eq(settings_exhausted_name(EXHAUSTED_WAIT), "wait");
}

Test(value, nearest_word) {
    cr_expect_eq(nearest_distance("priority", "priority"), 0);
    cr_expect_eq(nearest_distance("prioritty", "priority"), 1);
    cr_expect_eq(nearest_distance("kye", "key"), 1);
    cr_expect_eq(nearest_distance("", "key"), 3);
    cr_expect_eq(nearest_distance("kitten", "sitting"), 3);
    cr_expect_eq(nearest_distance("Key", "kEY"), 0);
    struct nearest nearest = {.word = "zzz"};
    nearest_offer(&nearest, "key");
    cr_expect_null(nearest.best);
    char huge[200];
    memset(huge, 'k', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    cr_expect_eq(nearest_distance(huge, "key"), SIZE_MAX);
}
