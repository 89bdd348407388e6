/*
 * What key_commands print: bare tokens, az's JSON, and what is none of them.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/command/token.h"
#include "shim/request/credentials.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* {"alg":"none"} . {"exp":2000000000} . ; the others with "exp":"x" and without exp */
#define JWT          "eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDAwMDAwMDB9."
#define JWT_WITH_X   "eyJhbGciOiJub25lIn0.eyJleHAiOiJ4In0.AAAA"
#define JWT_WITHOUT  "eyJhbGciOiJub25lIn0.e30.AAAA"
#define JWT_OF_NOISE "eyJhbGciOiJub25lIn0.!!!.AAAA"

/* In memory of its exact size, so that ASan sees what is read beyond. */
static const char *find(const char *output, size_t length, struct token *token, char **copy) {
    *copy = malloc(length + 1);
    cr_assert_not_null(*copy);
    memcpy(*copy, output, length);
    (*copy)[length] = '\0';
    return token_find(*copy, length, token);
}

Test(token, is_found_with_its_expiry) {
    static const struct {
        const char *output, *text;
        long long expires;
    } cases[] = {
        {"abc", "abc", 0},
        {" \n\tabc\r\n\n", "abc", 0},
        {"\"abc\"\n", "abc", 0},
        {JWT "\n", JWT, 2000000000},
        {"\"" JWT "\"", JWT, 2000000000},
        {JWT_WITH_X, JWT_WITH_X, 0},
        {JWT_WITHOUT, JWT_WITHOUT, 0},
        {"{\"accessToken\": \"abc\"}", "abc", 0},
        {"{\"access_token\": \"abc\"}", "abc", 0},
        {"{\"token\": \"abc\"}", "abc", 0},
        {"{\"token\":\"no\",\"access_token\":\"no\",\"accessToken\":\"abc\"}", "abc", 0},
        {"{\"a\":{\"accessToken\":\"no\"},\"accessToken\":\"abc\"}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":1900000000}", "abc", 1900000000},
        {"{\"expires_on\":\"1900000000\",\"accessToken\":\"abc\"}", "abc", 1900000000},
        {"{\"accessToken\":\"abc\",\"expires_on\":1900000000.75}", "abc", 1900000000},
        {"{\"accessToken\":\"abc\",\"expires_on\":\"soon\"}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":null}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":-1}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":99999999999999999999}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":[1900000000]}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"x\":{\"expires_on\":1900000000}}", "abc", 0},
        {"{\"accessToken\":\"abc\",\"expires_on\":1900000000,\"expiresOn\":\"2001-01-01 "
         "00:00:00\"}",
         "abc", 1900000000},
        {"{\"accessToken\":\"" JWT "\",\"expires_on\":1900000000}", JWT, 1900000000},
        {"{\"accessToken\":\"" JWT "\",\"expires_on\":\"soon\"}", JWT, 2000000000},
        {"\n{\n  \"accessToken\": \"" JWT "\",\n  \"tenant\": \"t\",\n  \"tokenType\": "
         "\"Bearer\"\n}\n",
         JWT, 2000000000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct token token;
        char *copy;
        const char *fault = find(cases[i].output, strlen(cases[i].output), &token, &copy);
        cr_assert_null(fault, "%s: %s", cases[i].output, fault);
        cr_expect_str_eq(token.text, cases[i].text, "%s", cases[i].output);
        cr_expect_eq((long long)token.expires, cases[i].expires, "%s: %lld", cases[i].output,
                     (long long)token.expires);
        free(copy);
    }
}

Test(token, expires_in_local_time) {
    static const struct {
        const char *zone, *time;
        long long expires;
    } cases[] = {
        {"UTC0", "2026-11-20 15:04:05.000000", 1795187045},
        {"UTC0", "2026-11-20 15:04:05", 1795187045},
        {"XST-2", "2026-11-20 15:04:05.123456", 1795187045 - 7200},
        {"UTC0", "2026-11-20", 0},
        {"UTC0", "2026-11-20 15:04:05 o'clock", 0},
        {"UTC0", "11/20/2026 3:04:05 PM +00:00", 0},
        {"UTC0", "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char output[200], *copy;
        struct token token;
        setenv("TZ", cases[i].zone, 1);
        tzset();
        snprintf(output, sizeof output, "{\"accessToken\":\"abc\",\"expiresOn\":\"%s\"}",
                 cases[i].time);
        cr_assert_null(find(output, strlen(output), &token, &copy));
        cr_expect_eq((long long)token.expires, cases[i].expires, "%s: %lld", cases[i].time,
                     (long long)token.expires);
        free(copy);
    }
}

static void expect_fault(const char *output, size_t length, const char *expected) {
    struct token token;
    char *copy;
    const char *fault = find(output, length, &token, &copy);
    cr_assert_not_null(fault, "%.40s", output);
    cr_expect_str_eq(fault, expected, "%.40s", output);
    free(copy);
}

Test(token, is_missed) {
    static const struct {
        const char *output, *fault;
    } cases[] = {
        {"", "printed nothing"},
        {" \n", "printed nothing"},
        {"\"\"", "printed nothing"},
        {"{\"accessToken\":\"\"}", "printed nothing"},
        {"\"", "printed something that is no token"},
        {"two words", "printed something that is no token"},
        {"WARNING: old\nabc", "printed something that is no token"},
        {"caf\xc3\xa9", "printed something that is no token"},
        {"a\x7f", "printed something that is no token"},
        {"[\"abc\"]", "printed something that is no token"},
        {"{\"accessToken\":\"a\\nb\"}", "printed something that is no token"},
        {"{\"accessToken\":\"a b\"}", "printed something that is no token"},
        {"{", "printed JSON that is none"},
        {"{\"accessToken\":\"abc\"", "printed JSON that is none"},
        {"{}", "printed JSON without accessToken, access_token or token"},
        {"{\"accessToken\":1}", "printed JSON without accessToken, access_token or token"},
        {"{\"accessToken\":{\"token\":\"x\"}}",
         "printed JSON without accessToken, access_token or token"},
        {"{\"a\":{\"token\":\"x\"}}", "printed JSON without accessToken, access_token or token"},
        {"{\"error\":\"token\"}", "printed JSON without accessToken, access_token or token"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_fault(cases[i].output, strlen(cases[i].output), cases[i].fault);
    expect_fault("a\0b", 3, "printed a zero byte");
    expect_fault("\0", 1, "printed a zero byte");
}

Test(token, has_a_limit) {
    size_t length = CREDENTIALS_KEY_MAX;
    char *output = malloc(length + 2), *copy;
    struct token token;
    cr_assert_not_null(output);
    memset(output, 'a', length + 1);
    cr_expect_null(find(output, length, &token, &copy));
    free(copy);
    expect_fault(output, length + 1, "printed a token of more than 16 KiB");
    /* a payload that is too long to look into */
    static const char front[] = "eyJhbGciOiJub25lIn0.";
    memcpy(output, front, sizeof front - 1);
    output[length - 1] = '.';
    cr_expect_null(find(output, length, &token, &copy));
    cr_expect_eq(token.expires, 0);
    free(copy);
    free(output);
}

Test(token, is_no_web_token_with_other_letters) {
    struct token token;
    char *copy;
    cr_expect_null(find(JWT_OF_NOISE, strlen(JWT_OF_NOISE), &token, &copy));
    cr_expect_eq(token.expires, 0);
    free(copy);
}

Test(token, waits) {
    static const struct {
        time_t life;
        int64_t ms;
    } cases[] = {{3600, 3300000}, {86400, 86100000}, {600, 480000},
                 {1500, 1200000}, {1501, 1201000},   {3, 2400},
                 {1, 1000},       {0, 1000},         {-5, 1000}};
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(token_wait_ms(1800000000 + cases[i].life, 1800000000), cases[i].ms,
                     "a life of %lld s: %lld ms", (long long)cases[i].life,
                     (long long)token_wait_ms(1800000000 + cases[i].life, 1800000000));
    cr_expect_eq(token_wait_ms(0, 1800000000), 300000, "an unknown life");
}

Test(token, waits_longer_after_failures) {
    static const int64_t seconds[] = {5, 10, 20, 40, 60, 60, 60};
    for (unsigned i = 0; i < COUNT(seconds); i++)
        cr_expect_eq(token_retry_ms(i + 1), seconds[i] * 1000, "failure %u", i + 1);
    cr_expect_eq(token_retry_ms(1000000), 60000);
}
