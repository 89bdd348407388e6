#include <criterion/criterion.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/cooldown.h"

#define MS           1000000ULL
#define S            (1000 * MS)
#define M            (60 * S)
#define H            (60 * M)
#define DEFAULT      (10 * S)
#define MAX          (600 * S)
#define NEVER        (100 * 365 * 24 * H) /* a cap that does not hide what was read */
#define WALL         784111777            /* Sun, 06 Nov 1994 08:49:37 GMT */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Gives the line in memory of its own, so that a sanitizer sees a byte that is read beyond it. */
static void give(struct cooldown_hints *hints, const char *line, size_t length) {
    char *copy = malloc(length + (length == 0));
    cr_assert_not_null(copy);
    if (length > 0)
        memcpy(copy, line, length);
    cooldown_header(hints, copy, length);
    free(copy);
}

/* What a response with these header lines (NULL ends them) and this body asks for. */
static uint64_t ask(const char *const *lines, const char *body, uint64_t max) {
    struct cooldown_hints hints;
    cooldown_reset(&hints);
    for (; *lines != NULL; lines++)
        give(&hints, *lines, strlen(*lines));
    size_t length = body != NULL ? strlen(body) : 0;
    char *copy = body != NULL ? malloc(length + 1) : NULL;
    if (copy != NULL)
        memcpy(copy, body, length);
    char *tight = copy != NULL && length > 0 ? realloc(copy, length) : copy;
    uint64_t time = cooldown_duration(&hints, tight, length, WALL, DEFAULT, max);
    free(tight);
    return time;
}

struct line_case {
    const char *line;
    uint64_t expected; /* DEFAULT: the line counts as absent */
};

static void check_lines(const struct line_case *cases, size_t count, uint64_t max) {
    for (size_t i = 0; i < count; i++) {
        const char *lines[] = {cases[i].line, NULL};
        uint64_t time = ask(lines, NULL, max);
        cr_expect(time == cases[i].expected, "\"%s\": %llu ns instead of %llu", cases[i].line,
                  (unsigned long long)time, (unsigned long long)cases[i].expected);
    }
}

Test(cooldown, retry_after_in_seconds) {
    static const struct line_case cases[] = {
        {"Retry-After: 5\r\n", 5 * S},
        {"Retry-After: 5", 5 * S},
        {"Retry-After:5\n", 5 * S},
        {"retry-after: 007", 7 * S},
        {"RETRY-AFTER: 1", 1 * S},
        {"rEtRy-AfTeR:\t 1 \t\r\n", 1 * S},
        {"Retry-After:\r\n 5\r\n", 5 * S}, /* folded */
        {"Retry-After: 0.5", 500 * MS},
        {"Retry-After: .25", 250 * MS},
        {"Retry-After: 2.", 2 * S},
        {"Retry-After: 1.000000001", 1 * S + 1},
        {"Retry-After: 1.0000000001", 1 * S + 1}, /* up, so as not to be early */
        {"Retry-After: 1.0000000000000000000000000000", 1 * S},
        {"Retry-After: 1.0000000000000000000000000001", 1 * S + 1},
        {"Retry-After: 1.5e1", 15 * S},
        {"Retry-After: 1500E-3", 1500 * MS},
        {"Retry-After: 1s", 1 * S},
        {"Retry-After: 6 seconds", 6 * S},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, what_is_over_means_now) {
    static const struct line_case cases[] = {
        {"Retry-After: 0", 0},
        {"Retry-After: 0.0", 0},
        {"Retry-After: -1", 0},
        {"Retry-After: -58.5", 0},
        {"Retry-After: -0", 0},
        {"Retry-After: 0e99999999999999999999", 0},
        {"retry-after-ms: 0", 0},
        {"retry-after-ms: -20", 0},
        {"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Retry-After: Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Retry-After: Mon, 01 Jan 0001 00:00:00 GMT", 0},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, milliseconds) {
    static const struct line_case cases[] = {
        {"retry-after-ms: 2000\r\n", 2 * S},   {"Retry-After-Ms: 1500.5", 1500 * MS + 500000},
        {"retry-after-ms:1", 1 * MS},          {"x-ms-retry-after-ms: 6\r\n", 6 * MS},
        {"x-ms-retry-after-ms:5", 5 * MS},     {"X-MS-RETRY-AFTER-MS: 0.000001", 1},
        {"x-ms-retry-after-ms: 0.0000001", 1},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, durations_of_the_rate_limit) {
    static const struct line_case cases[] = {
        {"x-ratelimit-reset-requests: 10\r\n", 10 * S}, /* is DEFAULT as well: see the next */
        {"x-ratelimit-reset-requests: 11\r\n", 11 * S},
        {"x-ratelimit-reset-tokens: 300", 300 * S},
        {"x-ratelimit-reset-tokens:1", 1 * S},
        {"x-rate-limit-reset-tokens: 55", 55 * S},
        {"X-Rate-Limit-Reset-Requests: 56", 56 * S},
        {"x-ratelimit-reset-requests: 1s", 1 * S},
        {"x-ratelimit-reset-requests: 20ms", 20 * MS},
        {"x-ratelimit-reset-tokens: 6m0s", 6 * M},
        {"x-ratelimit-reset-tokens: 2m59.56s", 179560000000ULL},
        {"x-ratelimit-reset-tokens: 1h2m", 1 * H + 2 * M},
        {"x-ratelimit-reset-tokens: 1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5006},
        {"x-ratelimit-reset-tokens: 7\xc2\xb5s", 7000},
        {"x-ratelimit-reset-tokens: 1d", 24 * H},
        {"x-ratelimit-reset-tokens: 0.1d", 24 * H / 10},
        {"x-ratelimit-reset-tokens: 0.1000000000000000001d", 24 * H / 10 + 1},
        {"x-ratelimit-reset-tokens: 1M30S", 90 * S},
        {"x-ratelimit-reset-tokens: 7.66s", 7660 * MS},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, garbage_counts_as_absent) {
    static const struct line_case cases[] = {
        {"", DEFAULT},
        {"\r\n", DEFAULT},
        {":", DEFAULT},
        {"r", DEFAULT},
        {"Retry-After", DEFAULT},
        {"Retry-After:", DEFAULT},
        {"Retry-After:\r\n", DEFAULT},
        {"Retry-After:   \r\n", DEFAULT},
        {"Retry-After 5", DEFAULT},
        {"Retry-After : 5", DEFAULT},
        {" Retry-After: 5", DEFAULT},
        {"Retry-Afte: 5", DEFAULT},
        {"Retry-After-: 5", DEFAULT},
        {"X-Retry-After: 5", DEFAULT},
        {"Retry-After: soon", DEFAULT},
        {"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT5", DEFAULT},
        {"Retry-After: Sun, 06 Nov 1994 08:49:47", DEFAULT},
        {"Retry-After: 5abc", DEFAULT},
        {"Retry-After: 5 abc", DEFAULT},
        {"Retry-After: 5 6", DEFAULT},
        {"Retry-After: 5 6s", DEFAULT},
        {"Retry-After: 0x10", DEFAULT},
        {"Retry-After: +5", DEFAULT},
        {"Retry-After: --5", DEFAULT},
        {"Retry-After: - 5", DEFAULT},
        {"Retry-After: 1.2.3", DEFAULT},
        {"Retry-After: .", DEFAULT},
        {"Retry-After: -", DEFAULT},
        {"Retry-After: 1e", DEFAULT},
        {"Retry-After: e5", DEFAULT},
        {"Retry-After: \"5\"", DEFAULT},
        {"Retry-After: 5;q=1", DEFAULT},
        {"Retry-After: inf", DEFAULT},
        {"Retry-After: nan", DEFAULT},
        {"Retry-After: \xd9\xa5", DEFAULT},
        {"Retry-After: , ,,", DEFAULT},
        {"retry-after-ms: later", DEFAULT},
        {"retry-after-msx: 5", DEFAULT},
        {"retry-after-mx: 5", DEFAULT},
        {"x-ms-retry-after: 5000000000", DEFAULT},
        {"x-ratelimit-reset-requests: 1m2", DEFAULT},
        {"x-ratelimit-reset-requests: 1m-2s", DEFAULT},
        {"x-ratelimit-reset-requests: 5x", DEFAULT},
        {"x-ratelimit-reset-requests: s", DEFAULT},
        {"x-ratelimit-reset-tokens: 0", DEFAULT},
        {"x-ratelimit-reset-tokens: 0s", DEFAULT},
        {"x-ratelimit-reset-tokens: -1", DEFAULT},
        {"x-ratelimit-reset-tokens: -6m0s", DEFAULT},
        {"x-ratelimit-reset-tokens_usage_based: 5", DEFAULT},
        {"x-ratelimit-remaining-tokens: 0", DEFAULT},
        {"x-ratelimit-limit-tokens: 5", DEFAULT},
        {"x--ratelimit-reset-tokens: 5", DEFAULT},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, a_nul_byte_is_garbage) {
    static const struct {
        const char *line;
        size_t length;
    } cases[] = {
#define BYTES(text) text, sizeof(text) - 1
        {BYTES("Retry-After: 5\0")},
        {BYTES("Retry-After: \0005")},
        {BYTES("Retry-After: 5\0006")},
        {BYTES("Retry\0After: 5")},
        {BYTES("\0Retry-After: 5")},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {BYTES("retry-after-ms: 5\0\r\n")},
        {BYTES("x-ratelimit-reset-tokens: 1\0s")},
#undef BYTES
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cooldown_hints hints;
        cooldown_reset(&hints);
        give(&hints, cases[i].line, cases[i].length);
        cr_expect(!cooldown_has_time(&hints), "case %zu", i);
    }
}

Test(cooldown, what_is_huge_is_capped) {
    static const struct line_case cases[] = {
        {"Retry-After: 86400", MAX},
        {"Retry-After: 600.000000001", MAX},
        {"Retry-After: 1e30", MAX},
        {"Retry-After: 1e99999999999999999999999999", MAX},
        {"Retry-After: 18446744073709551615", MAX},
        {"Retry-After: 18446744073709551616", MAX},
        {"Retry-After: 1111111111222222222233333333334444444444", MAX},
        {"retry-after-ms: 1111111111222222222233333333334444444444", MAX},
        {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", MAX},
        {"Retry-After: Thu, 27 May 2579 08:24:11 GMT", MAX}, /* 0.3 s beyond 64 bits of ns */
        {"x-ratelimit-reset-tokens: 99999999999999999999d", MAX},
        {"x-ratelimit-reset-tokens: 18446744073s710ms", MAX}, /* 448384 ns beyond 64 bits */
        {"x-ratelimit-reset-tokens: 1h", MAX},
    };
    check_lines(cases, COUNT(cases), MAX);
    const char *none[] = {NULL};
    cr_expect(ask(none, NULL, 3 * S) == 3 * S, "the default is capped too");
    cr_expect(ask(none, "retry after 86400 seconds", MAX) == MAX, "a body's time is capped too");
    cr_expect(ask(none, NULL, 0) == 0);
}

Test(cooldown, what_is_long_is_exact) {
    static const struct line_case cases[] = {
        {"Retry-After: 86400", 24 * H},
        {"Retry-After: 599.999999999", 600 * S - 1},
        {"Retry-After: 0000000000000000000000000000000000000000000000005", 5 * S},
        {"Retry-After: 12345678.123456789", 12345678123456789ULL},
        {"Retry-After: 0.00000000000000000000000000000000000000005e41", 5 * S},
        {"Retry-After: 50000000000000000000000000000000000000000e-40", 5 * S},
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, dates_are_set_against_the_clock) {
    static const struct line_case cases[] = {
        {"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", 10 * S},
        {"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", 60 * S},
        {"Retry-After: Sunday, 06-Nov-94 08:49:38 GMT\r\n", 1 * S},
        {"Retry-After: Wednesday, 09-Nov-94 08:49:37 GMT", 72 * H},
        {"Retry-After: Sun Nov  6 09:49:37 1994\r\n", 1 * H},
        {"Retry-After: Wed Nov 16 08:49:37 1994", 240 * H},
        {"Retry-After: sun, 06 nov 1994 08:49:38 gmt", 1 * S},
        {"Retry-After: Mon, 06 Nov 1994 08:49:38 GMT", 1 * S}, /* the weekday is wrong */
    };
    check_lines(cases, COUNT(cases), NEVER);
}

Test(cooldown, dates_are_set_against_the_date_of_the_response) {
    static const char retry[] = "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT";
    static const struct {
        const char *lines[4];
        uint64_t expected;
    } cases[] = {
        {{"Date: Sun, 06 Nov 1994 08:49:42 GMT\r\n", retry}, 5 * S},
        {{retry, "Date: Sun, 06 Nov 1994 08:49:42 GMT\r\n"}, 5 * S},
        {{"date:Sun Nov  6 08:49:42 1994", retry}, 5 * S},
        {{"DATE: Sunday, 06-Nov-94 08:49:42 GMT", retry}, 5 * S},
        {{"Date: Sun, 06 Nov 1994 08:49:50 GMT", retry}, 0},
        {{"Date: yesterday", retry}, 10 * S}, /* so the clock is asked */
        {{"Date: 784111700", retry}, 10 * S},
        {{"Date: ", retry}, 10 * S},
        {{"Date: Sun, 06 Nov 1994 08:49:42 GMT", "Date: Sun, 06 Nov 1994 08:49:40 GMT", retry},
         7 * S}, /* the later deadline */
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect(ask(cases[i].lines, NULL, NEVER) == cases[i].expected, "case %zu", i);
}

struct lines_case {
    const char *lines[6];
    uint64_t expected;
};

static void check_responses(const struct lines_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t time = ask(cases[i].lines, "please retry after 77 seconds", NEVER);
        cr_expect(time == cases[i].expected, "case %zu, \"%s\": %llu ns instead of %llu", i,
                  cases[i].lines[0], (unsigned long long)time,
                  (unsigned long long)cases[i].expected);
    }
}

Test(cooldown, of_duplicates_the_later_wins) {
    static const struct lines_case cases[] = {
        {{"Retry-After: 3", "Retry-After: 5"}, 5 * S},
        {{"Retry-After: 5", "Retry-After: 3"}, 5 * S},
        {{"Retry-After: 3, 5"}, 5 * S},
        {{"Retry-After: 5,3"}, 5 * S},
        {{"Retry-After: ,5 , ,3,"}, 5 * S},
        {{"Retry-After: 5abc, 3"}, 3 * S},
        {{"Retry-After: 3, soon"}, 3 * S},
        {{"Retry-After: -3, 0"}, 0},
        {{"Retry-After: soon", "Retry-After: 3"}, 3 * S},
        {{"Retry-After: 3, Sun, 06 Nov 1994 08:49:47 GMT"}, 10 * S},
        {{"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT, 30"}, 30 * S},
        {{"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT, Sun, 06 Nov 1994 08:49:57 GMT"}, 20 * S},
        {{"Retry-After: Sun, 06 Nov 1994 08:49:57 GMT", "Retry-After: Sun Nov  6 08:49:47 1994"},
         20 * S},
        {{"Retry-After: 15", "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT"}, 15 * S},
        {{"Retry-After: 5", "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT"}, 10 * S},
        {{"retry-after-ms: 300", "retry-after-ms: 200"}, 300 * MS},
        {{"retry-after-ms: 300", "x-ms-retry-after-ms: 400"}, 400 * MS},
        {{"x-ms-retry-after-ms: 400, 401.5", "retry-after-ms: 300"}, 401500000},
        {{"x-ratelimit-reset-tokens: 3", "x-ratelimit-reset-tokens: 6m0s"}, 6 * M},
        {{"x-ratelimit-reset-tokens: 3, 7s, 0"}, 7 * S},
        {{"x-ratelimit-reset-tokens: 3", "x-rate-limit-reset-tokens: 5"}, 5 * S},
    };
    check_responses(cases, COUNT(cases));
}

Test(cooldown, the_first_form_that_parses_wins) {
    static const struct lines_case cases[] = {
        {{"x-ratelimit-reset-tokens: 1", "Retry-After: 2", "retry-after-ms: 3"}, 3 * MS},
        {{"retry-after-ms: 3", "Retry-After: 2", "x-ratelimit-reset-tokens: 1"}, 3 * MS},
        {{"x-ms-retry-after-ms: 3", "Retry-After: 2"}, 3 * MS},
        {{"x-ratelimit-reset-tokens: 1", "Retry-After: 2"}, 2 * S},
        {{"Retry-After: 0", "x-ratelimit-reset-tokens: 1"}, 0},
        {{"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", "x-ratelimit-reset-tokens: 1"}, 10 * S},
        {{"x-ratelimit-reset-tokens: 1"}, 1 * S}, /* though the body names a time */
        {{"retry-after-ms: none", "Retry-After: 2"}, 2 * S},
        {{"retry-after-ms: none", "Retry-After: none", "x-ratelimit-reset-tokens: 1"}, 1 * S},
        {{"Retry-After: none", "x-ratelimit-reset-tokens: 0"}, 77 * S},
        {{"HTTP/1.1 429 Too Many Requests", "content-type: text/plain"}, 77 * S},
    };
    check_responses(cases, COUNT(cases));
}

#define RESETS "x-ratelimit-reset-requests: 2", "x-ratelimit-reset-tokens: 30"

Test(cooldown, the_spent_dimension_decides) {
    static const struct lines_case cases[] = {
        {{RESETS}, 30 * S},
        {{RESETS, "x-ratelimit-remaining-requests: 0"}, 2 * S},
        {{"x-ratelimit-remaining-requests: 0\r\n", RESETS}, 2 * S},
        {{RESETS, "X-RateLimit-Remaining-Requests: -1"}, 2 * S},
        {{RESETS, "x-rate-limit-remaining-requests: 0"}, 2 * S},
        {{RESETS, "x-ratelimit-remaining-requests:0"}, 2 * S},
        {{RESETS, "x-ratelimit-remaining-tokens: 0"}, 30 * S},
        {{"x-ratelimit-reset-requests: 30", "x-ratelimit-reset-tokens: 2",
          "x-ratelimit-remaining-tokens: 0"},
         2 * S},
        {{RESETS, "x-ratelimit-remaining-tokens: 0", "x-ratelimit-remaining-requests: 0"}, 30 * S},
        {{RESETS, "x-ratelimit-remaining-requests: 59"}, 30 * S},
        {{RESETS, "x-ratelimit-remaining-requests: none"}, 30 * S},
        {{RESETS, "x-ratelimit-remaining-requests:"}, 30 * S},
        {{"x-ratelimit-reset-tokens: 30", "x-ratelimit-remaining-requests: 0"}, 30 * S},
        {{"x-ratelimit-reset-requests: 2", "x-ratelimit-reset-tokens: 0",
          "x-ratelimit-remaining-tokens: 0"},
         2 * S},
    };
    check_responses(cases, COUNT(cases));
}

Test(cooldown, reset_forgets_the_response_before) {
    struct cooldown_hints hints;
    cooldown_reset(&hints);
    cr_expect(!cooldown_has_time(&hints));
    give(&hints, "retry-after-ms: 5", 17);
    give(&hints, "Retry-After: 5", 14);
    give(&hints, "x-ratelimit-reset-tokens: 5", 27);
    cr_expect(cooldown_has_time(&hints));
    cooldown_reset(&hints);
    cr_expect(!cooldown_has_time(&hints));
    cr_expect(cooldown_duration(&hints, NULL, 0, WALL, DEFAULT, MAX) == DEFAULT);
}

Test(cooldown, sentences_in_the_body) {
    static const struct line_case cases[] = {
        {"Please retry after 6 seconds.", 6 * S},
        {"Please retry after 1 second. Please contact Azure support service", 1 * S},
        {"{\"error\":{\"code\":\"429\",\"message\":\"... Please retry after 45 seconds\"}}",
         45 * S},
        {"Rate limit is exceeded. Try again in 50 seconds.", 50 * S},
        {"Please try again in 20ms. Visit https://platform.openai.com", 20 * MS},
        {"Please try again in 1m2.5s.", 62500 * MS},
        {"Please try again in 6m0s", 6 * M},
        {"TRY AGAIN IN 2 MINUTES", 2 * M},
        {"try again in 1 minute 5 seconds", 65 * S},
        {"try again in\n  3h", 3 * H},
        {"try again in 1 day", 24 * H},
        {"\\u0022Retry after 6 seconds\\nor so", 6 * S},
        {"retry after 0 seconds", 0},
        {"retry after -3 seconds", 0},
        {"retry after a while, or retry after 4s", 4 * S},
        {"retry after a while, or try again in 4s", 4 * S},
        {"try try again in 4s", 4 * S},
        {"try again in 9s, or retry after 8s", 8 * S}, /* the phrases have an order */
        {"retry after 6", DEFAULT},
        {"retry after 6 more attempts", DEFAULT},
        {"retry after 2026-01-01T00:00:00Z", DEFAULT},
        {"retry after 6 secondsabc", DEFAULT},
        {"retry after 1.2.3s", DEFAULT},
        {"retry after ", DEFAULT},
        {"retry after", DEFAULT},
        {"retry afte", DEFAULT},
        {"wait 6 seconds", DEFAULT},
        {"", DEFAULT},
    };
    const char *none[] = {"content-type: application/json", NULL};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t time = ask(none, cases[i].line, NEVER);
        cr_expect(time == cases[i].expected, "\"%s\": %llu ns instead of %llu", cases[i].line,
                  (unsigned long long)time, (unsigned long long)cases[i].expected);
    }
}

/* Puts TEXT where it ends at byte END of a body of LENGTH bytes, and asks. */
static uint64_t ask_at(const char *text, size_t end, size_t length) {
    char *body = malloc(length);
    cr_assert_not_null(body);
    memset(body, ' ', length);
    memcpy(body + end - strlen(text), text, strlen(text));
    struct cooldown_hints hints;
    cooldown_reset(&hints);
    uint64_t time = cooldown_duration(&hints, body, length, WALL, DEFAULT, NEVER);
    free(body);
    return time;
}

Test(cooldown, only_the_start_of_a_body_counts) {
    const size_t limit = COOLDOWN_BODY_LIMIT;
    cr_expect_eq(ask_at("retry after 6s.", limit, limit), 6 * S);
    cr_expect_eq(ask_at("retry after 6s.", limit, limit * 2), 6 * S);
    cr_expect_eq(ask_at("retry after 6s", limit - 1, limit - 1), 6 * S);
    cr_expect_eq(ask_at("retry after 6s", limit + 1, limit * 2), DEFAULT, "the unit is cut off");
    cr_expect_eq(ask_at("retry after 20ms", limit + 1, limit * 2), DEFAULT, "20m is not 20ms");
    cr_expect_eq(ask_at("retry after 20m", limit, limit), DEFAULT, "more may have followed");
    cr_expect_eq(ask_at("retry after 6s.", limit + 20, limit * 2), DEFAULT);
}

Test(cooldown, kinds_of_rejection) {
    static const struct {
        const char *body;
        enum cooldown_kind expected;
    } cases[] = {
        {"{\"error\":{\"type\":\"insufficient_quota\"}}", COOLDOWN_QUOTA},
        {"{\"error\":{\"code\":\"credit_balance_exhausted\"}}", COOLDOWN_QUOTA},
        {"{\"error\":{\"code\":\"organization_usage_limit_exceeded\"}}", COOLDOWN_QUOTA},
        {"{\"error\":{\"code\":\"organization_spend_limit_exceeded\"}}", COOLDOWN_QUOTA},
        {"{\"error\":{\"code\":\"project_spend_limit_exceeded\"}}", COOLDOWN_QUOTA},
        {"Request too large, insufficient_quota", COOLDOWN_QUOTA},
        {"{\"error\":{\"message\":\"Request too large for gpt-4\"}}", COOLDOWN_TOO_LARGE},
        {"request too large", COOLDOWN_TOO_LARGE},
        {"{\"error\":{\"code\":\"rate_limit_exceeded\"}}", COOLDOWN_NORMAL},
        {"insufficient_quot", COOLDOWN_NORMAL},
        {"Request too larg", COOLDOWN_NORMAL},
        {"", COOLDOWN_NORMAL},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(cooldown_kind(cases[i].body, strlen(cases[i].body)), cases[i].expected, "%s",
                     cases[i].body);
    cr_expect_eq(cooldown_kind(NULL, 0), COOLDOWN_NORMAL);
}

/* In a locale with a decimal comma, if the machine has one; the names of no locale are ours. */
Test(cooldown, the_host_program_may_have_any_locale) {
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8",
                                        "de_DE.utf8",  "fr_FR.utf8",  "tr_TR.ISO-8859-9"};
    static const struct line_case cases[] = {
        {"RETRY-AFTER: 0.5", 500 * MS},
        {"X-RATELIMIT-RESET-TOKENS: 2m59.56s", 179560000000ULL},
        {"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", 10 * S},
        {"Retry-After: 0,5", 5 * S}, /* a list */
    };
    size_t found = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        found++;
        check_lines(cases, COUNT(cases), NEVER);
    }
    if (found == 0)
        cr_skip_test("no such locale is installed");
}
