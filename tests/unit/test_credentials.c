/*
 * Credentials: the header that carries a key, what it must not hold, and which headers are one.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/credentials.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The line for KEY must be EXPECTED; NULL: it can't be sent. */
static void expect_line(enum dialect dialect, enum key_source source, const char *key,
                        const char *expected) {
    struct backend backend = {.dialect = dialect, .key_source = source};
    char *line = credentials_line(&backend, key);
    if (expected)
        cr_expect_str_eq(line, expected, "%s", key);
    else
        cr_expect_null(line, "%s", key);
    credentials_free(line);
}

Test(credentials, header_is_the_dialects) {
    expect_line(DIALECT_AZURE, KEY_INLINE, "k-1", "api-key: k-1");
    expect_line(DIALECT_OPENAI, KEY_INLINE, "k-1", "Authorization: Bearer k-1");
    expect_line(DIALECT_AZURE, KEY_ENVIRONMENT, "k 2", "api-key: k 2");
    expect_line(DIALECT_OPENAI, KEY_FILE, "k 2", "Authorization: Bearer k 2");
    credentials_free(NULL);
}

Test(credentials, tokens_are_sent_as_bearer) {
    static const char *const tokens[] = {"eyJ.x.y", "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.",
                                         "eyJ0-_.eyJ9.AZaz09-_"};
    static const char *const others[] = {"eyJ",      "eyJ.x",      "eyJ.x.y.z",       "xeyJ.x.y",
                                         "eyj.x.y",  "eyJ.x.y=",   "eyJ x.y.z",       "eyJ.x+.y",
                                         "eyJ.x.y ", "eyJ.x/.y.z", "0123456789abcdef"};
    char line[100];
    for (size_t i = 0; i < COUNT(tokens); i++) {
        cr_expect(credentials_is_token(tokens[i]), "%s", tokens[i]);
        snprintf(line, sizeof line, "Authorization: Bearer %s", tokens[i]);
        expect_line(DIALECT_AZURE, KEY_FILE, tokens[i], line);
        expect_line(DIALECT_OPENAI, KEY_INLINE, tokens[i], line);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        cr_expect_not(credentials_is_token(others[i]), "%s", others[i]);
        snprintf(line, sizeof line, "api-key: %s", others[i]);
        expect_line(DIALECT_AZURE, KEY_ENVIRONMENT, others[i], line);
    }
}

Test(credentials, with_control_characters_are_never_sent) {
    expect_line(DIALECT_OPENAI, KEY_INLINE, "", NULL);
    for (int c = 1; c < 256; c++)
        for (int place = 0; place < 3; place++) {
            char line[32] = "api-key: abc";
            line[9 + place] = (char)c;
            expect_line(DIALECT_AZURE, KEY_INLINE, line + 9, c < 32 || c == 127 ? NULL : line);
        }
}

Test(credentials, headers_are_known_by_name) {
    static const struct {
        const char *line;
        bool expected;
    } cases[] = {
        {"Authorization: Bearer x", true},
        {"authorization:x", true},
        {"AUTHORIZATION:", true},
        {"Authorization:", true},
        {"authorization ;", true},
        {"Authorization;", true},
        {"Authorization\t: x", true},
        {"api-key: x", true},
        {"API-Key: x", true},
        {"Api-Key:", true},
        {"x-api-key: x", true},
        {"X-API-KEY;", true},
        {"Ocp-Apim-Subscription-Key: x", true},
        {"ocp-apim-subscription-key:x", true},
        {"AuthorizationX: x", false},
        {"Authorization", false},
        {"Authorizatio: x", false},
        {"X-Authorization: x", false},
        {"Proxy-Authorization: x", false},
        {"api-key-id: x", false},
        {"api_key: x", false},
        {"api-key", false},
        {"api-keyboard: x", false},
        {"x-api-keys: x", false},
        {"x-api: x", false},
        {"Accept: authorization: x", false},
        {"Content-Type: application/json", false},
        {"", false},
        {":", false},
        {"a", false},
        {"o", false},
        {"x", false},
        {"A:", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *line = strdup(cases[i].line); /* ASan sees what is read beyond */
        cr_expect_eq(credentials_is_header(line), cases[i].expected, "'%s'", line);
        free(line);
    }
    cr_expect(credentials_header_is("HOST: x", "host"));
    cr_expect(credentials_header_is("Host  ;", "host"));
    cr_expect_not(credentials_header_is("Hostess: x", "host"));
    cr_expect_not(credentials_header_is("Hos", "host"));
}

Test(credentials, a_programs_key_in_the_other_dialects_header) {
    static const struct {
        enum dialect dialect;
        const char *line, *told; /* NULL: it stays */
    } cases[] = {
        {DIALECT_OPENAI, "api-key: k", "Authorization: Bearer k"},
        {DIALECT_OPENAI, "Api-Key :\t k  ", "Authorization: Bearer k"},
        {DIALECT_OPENAI, "api-key:k k", "Authorization: Bearer k k"},
        {DIALECT_OPENAI, "api-key: ", NULL},
        {DIALECT_OPENAI, "api-key;", NULL},
        {DIALECT_OPENAI, "api-key: k\nX: y", NULL},
        {DIALECT_OPENAI, "Authorization: Bearer k", NULL},
        {DIALECT_OPENAI, "x-api-key: k", NULL},
        {DIALECT_AZURE, "Authorization: Bearer k", "api-key: k"},
        {DIALECT_AZURE, "authorization:bearer  k ", "api-key: k"},
        {DIALECT_AZURE, "Authorization: Bearer eyJ.x.y", NULL},
        {DIALECT_AZURE, "Authorization: Bearer eyJ.x.y \t", NULL},
        {DIALECT_AZURE, "Authorization: Bearer ", NULL},
        {DIALECT_AZURE, "Authorization: Bearer", NULL},
        {DIALECT_AZURE, "Authorization: Basic k", NULL},
        {DIALECT_AZURE, "Authorization;", NULL},
        {DIALECT_AZURE, "Authorization: Bearer a\r\nX: y", NULL},
        {DIALECT_AZURE, "api-key: k", NULL},
        {DIALECT_AZURE, "", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct backend backend = {.dialect = cases[i].dialect, .key_source = KEY_NONE};
        char *line = strdup(cases[i].line); /* ASan sees what is read beyond */
        char *told = credentials_retell(&backend, line);
        if (cases[i].told)
            cr_expect(told && strcmp(told, cases[i].told) == 0, "'%s': %s", line, told);
        else
            cr_expect_null(told, "'%s': %s", line, told);
        credentials_free(told);
        free(line);
    }
}
