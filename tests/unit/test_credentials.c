/*
 * Credentials: where a key comes from, what it must not hold, and which headers are one.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/request/credentials.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define KEY_LIMIT    16384

static const char *variable; /* the value of KEY_VARIABLE */

static const char *lookup(const char *name) {
    return strcmp(name, "KEY_VARIABLE") == 0 ? variable : NULL;
}

static struct backend backend_with(enum key_source source, char *key, enum dialect dialect) {
    return (struct backend){.dialect = dialect, .key_source = source, .key = key};
}

/* The line for BACKEND must be EXPECTED; NULL: the key is missing. */
static void expect_line(const struct backend *backend, const char *expected, const char *what) {
    char *line = (char *)1;
    enum credentials_state state = credentials_line(backend, lookup, &line);
    if (expected) {
        cr_assert_eq(state, CREDENTIALS_READY, "%s", what);
        cr_expect_str_eq(line, expected, "%s", what);
    } else {
        cr_expect_eq(state, CREDENTIALS_MISSING, "%s", what);
        cr_expect_null(line, "%s", what);
    }
    credentials_free(line);
}

Test(credentials, none_are_the_programs) {
    struct backend backend = backend_with(KEY_NONE, NULL, DIALECT_AZURE);
    char *line = (char *)1;
    cr_expect_eq(credentials_line(&backend, lookup, &line), CREDENTIALS_OF_PROGRAM);
    cr_expect_null(line);
    credentials_free(NULL);
}

Test(credentials, of_the_settings_and_the_environment) {
    char key[] = "k-1", name[] = "KEY_VARIABLE", unset[] = "KEY_UNSET";
    struct backend azure = backend_with(KEY_INLINE, key, DIALECT_AZURE);
    struct backend openai = backend_with(KEY_INLINE, key, DIALECT_OPENAI);
    expect_line(&azure, "api-key: k-1", "inline, azure");
    expect_line(&openai, "Authorization: Bearer k-1", "inline, openai");
    struct backend environment = backend_with(KEY_ENVIRONMENT, name, DIALECT_OPENAI);
    variable = "k 2";
    expect_line(&environment, "Authorization: Bearer k 2", "environment");
    variable = "";
    expect_line(&environment, NULL, "empty variable");
    variable = NULL;
    expect_line(&environment, NULL, "no variable");
    environment.key = unset;
    expect_line(&environment, NULL, "another variable");
}

Test(credentials, with_control_characters_are_missing) {
    static char key[8];
    char name[] = "KEY_VARIABLE";
    struct backend backend = backend_with(KEY_ENVIRONMENT, name, DIALECT_AZURE);
    variable = key;
    for (int c = 1; c < 256; c++)
        for (int place = 0; place < 3; place++) {
            char line[32] = "api-key: abc";
            snprintf(key, sizeof key, "abc");
            key[place] = (char)c;
            line[9 + place] = (char)c;
            expect_line(&backend, c < 32 || c == 127 ? NULL : line, "a control character");
        }
}

static char file[64];

static void make_file(void) {
    snprintf(file, sizeof file, "/tmp/spillway-key.XXXXXX");
    int fd = mkstemp(file);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_file(void) {
    unlink(file);
}

static void write_file(const char *bytes, size_t length) {
    FILE *stream = fopen(file, "wb");
    cr_assert_not_null(stream);
    cr_assert_eq(fwrite(bytes, 1, length, stream), length);
    fclose(stream);
}

TestSuite(credentials, .init = make_file, .fini = remove_file);

Test(credentials, of_a_file_are_trimmed) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *line;
    } cases[] = {
        {"k", 1, "api-key: k"},
        {"k\n", 2, "api-key: k"},
        {" \t\r\nk v\r\n \t\n", 12, "api-key: k v"},
        {"", 0, NULL},
        {"\n \n", 3, NULL},
        {"a\nb\n", 4, NULL},
        {"a\rb", 3, NULL},
        {"a\tb", 3, NULL},
        {"\va", 2, NULL},
        {"a\0b", 3, NULL},
        {"a\0\n", 3, NULL},
    };
    struct backend backend = backend_with(KEY_FILE, file, DIALECT_AZURE);
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(cases[i].bytes, cases[i].length);
        expect_line(&backend, cases[i].line, cases[i].bytes);
    }
}

Test(credentials, of_a_file_have_a_limit) {
    static char bytes[KEY_LIMIT + 2], line[KEY_LIMIT + 16];
    struct backend backend = backend_with(KEY_FILE, file, DIALECT_AZURE);
    memset(bytes, 'k', sizeof bytes);
    snprintf(line, sizeof line, "api-key: %.*s", KEY_LIMIT - 1, bytes);
    write_file(bytes, KEY_LIMIT - 1);
    expect_line(&backend, line, "a byte less than 16 KiB");
    snprintf(line, sizeof line, "api-key: %.*s", KEY_LIMIT, bytes);
    write_file(bytes, KEY_LIMIT);
    expect_line(&backend, line, "16 KiB");
    write_file(bytes, KEY_LIMIT + 1);
    expect_line(&backend, NULL, "a byte more than 16 KiB, which is not cut");
}

Test(credentials, of_no_file_are_missing) {
    char none[] = "/tmp/spillway-key.none/key", directory[] = "/tmp", null[] = "/dev/null";
    struct backend backend = backend_with(KEY_FILE, none, DIALECT_OPENAI);
    expect_line(&backend, NULL, none);
    backend.key = directory;
    expect_line(&backend, NULL, directory);
    backend.key = null;
    expect_line(&backend, NULL, null);
    unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    backend.key = file;
    expect_line(&backend, NULL, "a fifo without a writer, which does not block");
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
