/*
 * `spillway check`: its table, its doubts and its exit status. Runs in the root of the
 * repository.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/check.h"

static const char text[] = "endpoints:\n"
                           "  - name: openai\n"
                           "    urls: [https://api.openai.com/v1, http://llm.internal/v1]\n"
                           "    failure_threshold: 2\n"
                           "    on_exhausted: wait\n"
                           "    backends:\n"
                           "      - {host: spare.example, path: /v1, priority: 7, key: sk-secret}\n"
                           "      - name: ptu\n"
                           "        url: https://ptu.example\n"
                           "        weight: 10\n"
                           "        dialect: azure\n"
                           "        api_version: 2024-10-21\n"
                           "        key_env: THERE\n"
                           "        models: {gpt-4: gpt4}\n"
                           "      - {name: b, url: \"https://b.example/v1\", key_env: ABSENT}\n"
                           "      - {name: c, url: \"https://c.example/v1\", key_file: /no/key}\n"
                           "      - {name: d, url: \"https://d.example/v1\", priority: 2}\n";

static const char table[] =
    "endpoint openai\n"
    "  urls        https://api.openai.com/v1\n"
    "              http://llm.internal/v1\n"
    "  dialect     openai\n"
    "  strategy    round_robin\n"
    "  retry on    429, 5xx, connect\n"
    "  cooldown    10s if none is named, 10m at most, after 2 failures in a row or a 429\n"
    "  exhausted   wait, at most 1m\n"
    "  timeouts    connect 5s, first byte none\n"
    "  replay      bodies up to 8MiB\n"
    "  priority 1\n"
    "    ptu            https://ptu.example         weight 10  azure   key: env THERE (set)\n"
    "                   api-version 2024-10-21\n"
    "                   model gpt-4 is gpt4 here\n"
    "    b              https://b.example/v1        weight 1   openai  key: env ABSENT (not set)\n"
    "    c              https://c.example/v1        weight 1   openai  key: file /no/key\n"
    "  priority 2\n"
    "    d              https://d.example/v1        weight 1   openai  key: the program's own\n"
    "  priority 7\n"
    "    spare.example  http(s)://spare.example/v1  weight 1   openai  key: in the settings\n";

static const char *lookup(const char *name) {
    return strcmp(name, "THERE") == 0 ? "sk-secret" : NULL;
}

static const char *lookup_broken(const char *name) {
    return strcmp(name, "THERE") == 0 ? "sk-secret\r\n" : "x";
}

static struct settings *load(const char *name) {
    struct settings_error error;
    struct settings *settings = settings_load_text(name, text, strlen(text), &error);
    cr_assert_not_null(settings, "%u:%u: %s", error.line, error.column, error.message);
    return settings;
}

Test(check, table) {
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    struct settings *settings = load("test.yaml");
    check_print(settings, lookup, out);
    fclose(out);
    cr_expect_str_eq(printed, table);
    free(printed);
    settings_free(settings);
}

static char *warnings(const char *name, settings_lookup *values, unsigned expected) {
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    struct settings *settings = load(name);
    cr_expect_eq(check_warn(settings, values, out), expected);
    fclose(out);
    settings_free(settings);
    return printed;
}

Test(check, doubts) {
    char *printed = warnings("test.yaml", lookup, 2);
    cr_expect_str_eq(printed, "test.yaml: warning: openai/b: the variable ABSENT is not set\n"
                              "test.yaml: warning: openai/c: no key from /no/key: No such file or "
                              "directory\n");
    free(printed);
    printed = warnings("test.yaml", lookup_broken, 2);
    cr_expect_not_null(strstr(printed, "THERE has a line break"));
    cr_expect_null(strstr(printed, "sk-secret"));
    free(printed);
}

Test(check, key_files_that_hold_no_key) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *fault; /* NULL: it holds one */
    } cases[] = {
        {"k", 1, NULL},
        {"\r\n k k \n\n", 9, NULL},
        {"", 0, "it is empty"},
        {" \n\t\r\n", 5, "it is empty"},
        {"a\nb", 3, "it has a line break or another control character in its key"},
        {"a\0b", 3, "it has a zero byte"},
    };
    char path[] = "/tmp/spillway-key.XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, cases[i].bytes, cases[i].length, 0), (ssize_t)cases[i].length);
        const char *fault = check_key_file(path);
        if (cases[i].fault)
            cr_expect(fault && strcmp(fault, cases[i].fault) == 0, "case %zu: %s", i, fault);
        else
            cr_expect_null(fault, "case %zu: %s", i, fault);
    }
    cr_assert_eq(ftruncate(fd, 16385), 0);
    cr_expect_str_eq(check_key_file(path), "it is longer than 16 KiB");
    close(fd);
    unlink(path);
}

Test(check, dialects_that_make_no_sense) {
    static const struct {
        const char *endpoint, *backend, *warning; /* "": none */
    } cases[] = {
        {"openai", "url: https://a.example, dialect: azure, key: k", ""},
        {"openai", "url: https://a.example, dialect: azure",
         "the program's own, which is one for the other"},
        {"openai", "url: https://a.example/v1, api_version: preview", "is for dialect: azure"},
        {"openai", "url: https://a.example/openai/v1, dialect: azure, key: k, api_version: preview",
         ""},
        {"openai",
         "url: https://a.example/openai/v1, dialect: azure, key: k, api_version: 2024-10-21",
         "takes no dated api_version"},
        {"azure", "url: https://a.example, dialect: openai, key: k", "begin at /v1"},
        {"azure", "url: https://a.example/v1, dialect: openai, key: k", ""},
        {"azure", "url: https://a.example, api_version: 2024-10-21", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[512], *printed = NULL;
        size_t length = 0;
        struct settings_error error;
        FILE *out = open_memstream(&printed, &length);
        snprintf(yaml, sizeof yaml,
                 "endpoints: [{url: https://x.example, dialect: %s, backends: [{name: b, %s}]}]",
                 cases[i].endpoint, cases[i].backend);
        struct settings *settings = settings_load_text("t", yaml, strlen(yaml), &error);
        cr_assert_not_null(settings, "%s", error.message);
        cr_expect_eq(check_warn(settings, lookup, out), *cases[i].warning != '\0', "case %zu", i);
        fclose(out);
        cr_expect(*cases[i].warning ? strstr(printed, cases[i].warning) != NULL : !*printed,
                  "case %zu: %s", i, printed);
        free(printed);
        settings_free(settings);
    }
}

Test(check, keys_that_others_can_read) {
    char path[] = "/tmp/check-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    free(warnings(path, lookup, 2));
    cr_assert_eq(fchmod(fd, 0640), 0);
    char *printed = warnings(path, lookup, 3);
    cr_expect_not_null(strstr(printed, "others can read it"));
    free(printed);
    close(fd);
    unlink(path);
}

Test(check, key_command_in_a_file_that_others_can_write) {
    static const char commanding[] = "endpoints: [{url: https://e.example, backends: [{url: "
                                     "https://a.example, key_command: touch ran}]}]";
    char path[] = "/tmp/check-XXXXXX", *printed = NULL;
    size_t length = 0;
    struct settings_error error;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    struct settings *settings = settings_load_text(path, commanding, strlen(commanding), &error);
    cr_assert_not_null(settings, "%s", error.message);
    FILE *out = open_memstream(&printed, &length);
    cr_expect_eq(check_warn(settings, lookup, out), 0);
    cr_assert_eq(fchmod(fd, 0644), 0);
    cr_expect_eq(check_warn(settings, lookup, out), 0, "others may read it");
    cr_assert_eq(fchmod(fd, 0664), 0);
    cr_expect_eq(check_warn(settings, lookup, out), 1);
    check_print(settings, lookup, out);
    fclose(out);
    cr_expect_not_null(strstr(printed, "refuses its key_command: others can write it"));
    cr_expect_not_null(strstr(printed, "key: command (run by spillway run)"));
    cr_expect_neq(access("ran", F_OK), 0, "check runs the command");
    free(printed);
    settings_free(settings);
    close(fd);
    unlink(path);
}

static int run(const char *first, const char *second) {
    char name[] = "check", a[200], b[200];
    snprintf(a, sizeof a, "%s", first ? first : "");
    snprintf(b, sizeof b, "%s", second ? second : "");
    char *arguments[] = {name, first ? a : NULL, second ? b : NULL, NULL};
    return command_check(1 + !!first + !!second, arguments);
}

Test(check, status_of_good_settings, .init = cr_redirect_stdout) {
    cr_redirect_stderr();
    cr_expect_eq(run("-c", "tests/fixtures/settings/good/minimal.yaml"), 0);
}

Test(check, status_of_bad_settings, .init = cr_redirect_stderr) {
    cr_expect_eq(run("-c", "tests/fixtures/settings/bad/unknown-key-near.yaml"), 1);
    fflush(stderr);
    cr_expect_stderr_eq_str("tests/fixtures/settings/bad/unknown-key-near.yaml:6:9: "
                            "unknown key 'prioritty', did you mean 'priority'?\n");
}

Test(check, status_without_settings, .init = cr_redirect_stderr) {
    setenv("SPILLWAY_CONFIG", "/nonexistent/spillway.yaml", 1);
    cr_expect_eq(run(NULL, NULL), 1);
    fflush(stderr);
    cr_expect_stderr_eq_str(
        "/nonexistent/spillway.yaml: can't be opened: No such file or directory\n");
}

Test(check, status_of_wrong_options, .init = cr_redirect_stderr) {
    cr_expect_eq(run("--nonsense", NULL), 2);
    cr_expect_eq(run("-c", NULL), 2);
    cr_expect_eq(run("surplus", NULL), 2);
}

Test(check, help, .init = cr_redirect_stdout) {
    cr_expect_eq(run("--help", NULL), 0);
}
