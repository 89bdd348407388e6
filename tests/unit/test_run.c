#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/flags.h"
#include "shim/command/launch.h"
#include "shim/command/run.h"

static char message[1000];

/* Runs the parser over the arguments behind "run", up to NULL. */
static bool parse(struct run_options *options, const char *first, ...) {
    static char *argv[20];
    static char words[20][100];
    int argc = 0;
    va_list rest;
    snprintf(words[0], sizeof words[0], "run");
    argv[argc++] = words[0];
    va_start(rest, first);
    for (const char *next = first; next; next = va_arg(rest, const char *)) {
        snprintf(words[argc], sizeof words[argc], "%s", next);
        argv[argc] = words[argc];
        argc++;
    }
    va_end(rest);
    argv[argc] = NULL;
    message[0] = '\0';
    return run_parse(argc, argv, options, message, sizeof message);
}

static void discard(struct run_options *options) {
    run_options_free(options);
}

Test(run, options_end_at_the_program) {
    struct run_options options;
    cr_assert(parse(&options, "-c", "a.yaml", "--log", "l", "--log-level", "info", "curl", "-c",
                    "jar", "--log", "x", NULL));
    cr_expect_str_eq(options.config, "a.yaml");
    cr_expect_str_eq(options.log_file, "l");
    cr_expect_str_eq(options.log_level, "info");
    cr_expect_str_eq(options.program[0], "curl");
    cr_expect_str_eq(options.program[1], "-c");
    cr_expect_null(options.program[5]);
    discard(&options);
    cr_assert(parse(&options, "--", "--odd-name", NULL));
    cr_expect_str_eq(options.program[0], "--odd-name");
    discard(&options);
}

Test(run, wrong_options_are_named) {
    static const struct {
        const char *arguments[4];
        const char *want;
    } cases[] = {
        {{"--backends", "1=https://a.example"}, "--backend?"},
        {{"--key=sk-secret", "x"}, "found --key which"},
        {{"-x", "prog"}, "-x"},
        {{"-c"}, "found -c without a value"},
        {{"--log"}, "found --log without a value"},
        {{"--log-level", "loud", "prog"}, "off, error, warn, info or debug"},
        {{"-c", "f"}, "the program to run"},
        {{"-c", "f", "--endpoint", "https://a.example"}, "one or the other"},
        {{"--strategy", "first", "prog"}, "go with --endpoint"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_options options;
        const char *const *a = cases[i].arguments;
        cr_expect_not(parse(&options, a[0], a[1], a[2], a[3], NULL), "case %zu", i);
        cr_expect_not_null(strstr(message, cases[i].want), "case %zu: %s", i, message);
        cr_expect_null(strstr(message, "secret"), "case %zu: %s", i, message);
    }
}

static struct settings *load(const char *const *values, const char *strategy,
                             const char *exhausted) {
    struct flag list[10];
    struct flags flags = {list, 0, strategy, exhausted};
    for (; values[flags.count]; flags.count++) {
        bool endpoint = strncmp(values[flags.count], "endpoint ", 9) == 0;
        list[flags.count] = (struct flag){endpoint, values[flags.count] + (endpoint ? 9 : 0)};
    }
    message[0] = '\0';
    char *text = flags_text(&flags, message, sizeof message);
    if (!text)
        return NULL;
    struct settings *settings = flags_load(&flags, text, message, sizeof message);
    free(text);
    return settings;
}

Test(flags, become_settings) {
    static const char *const values[] = {
        "endpoint https://api.openai.com/v1",
        "1=https://a.example/v1,key_env=KEY_A,weight=3,name=ptu",
        "2=https://b.example,dialect=azure,api_version=2024-10-21,key_file=keys/b",
        "endpoint http://llm.internal/v1",
        "0=http://c.example",
        NULL,
    };
    struct settings *settings = load(values, "least_busy", "wait");
    cr_assert_not_null(settings, "%s", message);
    cr_assert_eq(settings->endpoint_count, 2);
    const struct endpoint *first = &settings->endpoints[0];
    cr_assert_eq(first->backend_count, 2);
    cr_expect_str_eq(first->urls[0], "https://api.openai.com/v1");
    cr_expect_eq(first->strategy, STRATEGY_LEAST_BUSY);
    cr_expect_eq(first->on_exhausted, EXHAUSTED_WAIT);
    cr_expect_str_eq(first->backends[0].name, "ptu");
    cr_expect_str_eq(first->backends[0].url, "https://a.example/v1");
    cr_expect_str_eq(first->backends[0].key, "KEY_A");
    cr_expect_eq(first->backends[0].key_source, KEY_ENVIRONMENT);
    cr_expect_eq(first->backends[0].weight, 3);
    cr_expect_eq(first->backends[1].priority, 2);
    cr_expect_eq(first->backends[1].dialect, DIALECT_AZURE);
    cr_expect_str_eq(first->backends[1].api_version, "2024-10-21");
    cr_expect_eq(first->backends[1].key_source, KEY_FILE);
    cr_expect_eq(first->backends[1].key[0], '/', "%s", first->backends[1].key);
    cr_expect_eq(settings->endpoints[1].strategy, STRATEGY_LEAST_BUSY);
    cr_expect_str_eq(settings->endpoints[1].backends[0].url, "http://c.example");
    settings_free(settings);
}

/* What means something in YAML must not get out of its string. */
Test(flags, strings_stay_strings) {
    static const char *const files[] = {
        "/a\"b", "/a\\b", "/a\\n", "/{x}", "/ *x", "/a: b", "/a # c", "/caf\xc3\xa9", "/'", "/]}\"",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char backend[100];
        snprintf(backend, sizeof backend, "1=https://a.example,key_file=%s", files[i]);
        const char *const values[] = {"endpoint https://e.example", backend, NULL};
        struct settings *settings = load(values, NULL, NULL);
        cr_assert_not_null(settings, "%s: %s", files[i], message);
        cr_expect_str_eq(settings->endpoints[0].backends[0].key, files[i]);
        settings_free(settings);
    }
}

Test(flags, wrong_values_are_explained) {
    static const struct {
        const char *values[4];
        const char *want;
    } cases[] = {
        {{"1=https://a.example"}, "expected an --endpoint before it"},
        {{"endpoint https://e.example"}, "at least one --backend"},
        {{"endpoint https://e.example", "endpoint https://f.example", "1=https://a.example"},
         "at least one --backend"},
        {{"endpoint https://e.example", "https://a.example"}, "PRIORITY=URL"},
        {{"endpoint https://e.example", "one=https://a.example"}, "PRIORITY=URL"},
        {{"endpoint https://e.example", "-1=https://a.example"}, "PRIORITY=URL"},
        {{"endpoint https://e.example", "=https://a.example"}, "PRIORITY=URL"},
        {{"endpoint https://e.example", "1="}, "no URL"},
        {{"endpoint https://e.example", "1=https://a.example,key=sk-secret"}, "key_env=VARIABLE"},
        {{"endpoint https://e.example", "1=https://a.example,api_key=sk-secret"}, "key_env="},
        {{"endpoint https://e.example", "1=https://a.example,key_env=sk-secret"},
         "name of an environment variable"},
        {{"endpoint https://e.example", "1=https://a.example,sk-secret"}, "NAME=VALUE"},
        {{"endpoint https://e.example", "1=https://a.example,key_env="}, "without a value"},
        {{"endpoint https://e.example", "1=https://a.example,wait=3"}, "'wait=', expected key_env"},
        {{"endpoint https://e.example", "1=https://a.example,weight=x"}, "weight=x"},
        {{"endpoint https://e.example", "1=https://a.example,weight=1,weight=2"}, "twice"},
        {{"endpoint https://e.example", "1=https://a.example", "1=ftp://b.example"},
         "--backend 2: "},
        {{"endpoint https://e.example", "1=https://a.example,dialect=french"}, "--backend 1: "},
        {{"endpoint nonsense://e", "1=https://a.example"}, "--endpoint 1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings *settings = load(cases[i].values, NULL, NULL);
        cr_expect_null(settings, "case %zu", i);
        settings_free(settings);
        cr_expect_not_null(strstr(message, cases[i].want), "case %zu: %s", i, message);
        cr_expect_null(strstr(message, "secret"), "case %zu: %s", i, message);
    }
}

Test(flags, words_are_checked) {
    static const char *const values[] = {"endpoint https://e.example", "1=https://a.example", NULL};
    cr_expect_null(load(values, "robin", NULL));
    cr_expect_not_null(strstr(message, "--strategy: found 'robin', expected round_robin, "), "%s",
                       message);
    cr_expect_null(load(values, NULL, "never"));
    cr_expect_not_null(strstr(message, "expected reply, last or wait"), "%s", message);
}

static unsigned asked;

static const char *only_a(const char *name) {
    asked++;
    return strcmp(name, "KEY_A") == 0   ? "value-of-a"
           : strcmp(name, "KEY_C") == 0 ? ""
           : strcmp(name, "KEY_D") == 0 ? "value-of-d\n"
                                        : NULL;
}

Test(run, missing_keys_are_named) {
    static const char *const values[] = {
        "endpoint https://e.example",
        "1=https://a.example,key_env=KEY_A,name=one",
        "1=https://b.example,key_env=KEY_B,name=two",
        "1=https://c.example,key_env=KEY_C,name=three",
        "1=https://d.example",
        "1=https://d.example/2,key_env=KEY_D,name=six",
        "1=https://f.example,key_file=/no/key,name=four",
        "1=https://g.example,key_file=/dev/null,name=five",
        NULL,
    };
    char *text = NULL;
    size_t size = 0;
    struct settings *settings = load(values, NULL, NULL);
    cr_assert_not_null(settings, "%s", message);
    FILE *out = open_memstream(&text, &size);
    cr_expect_eq(run_warn_keys(settings, only_a, out), 5);
    fclose(out);
    cr_expect_eq(asked, 4);
    cr_expect_not_null(strstr(text, "KEY_B is not set: backend two"), "%s", text);
    cr_expect_not_null(strstr(text, "KEY_C is not set: backend three"), "%s", text);
    cr_expect_not_null(strstr(text, "/no/key: No such file or directory: backend four"), "%s",
                       text);
    cr_expect_not_null(strstr(text, "/dev/null: it is no regular file: backend five"), "%s", text);
    cr_expect_not_null(strstr(text, "KEY_D has a line break or another control character in it: "
                                    "backend six"),
                       "%s", text);
    cr_expect_null(strstr(text, "KEY_A"));
    cr_expect_null(strstr(text, "value-of-d"));
    cr_expect_null(strstr(text, "value-of-a"));
    free(text);
    settings_free(settings);
}

Test(launch, the_preload_list_has_the_shim_once_and_first) {
    static const struct {
        const char *library, *current, *want;
    } cases[] = {
        {"/l/libspillway.so", NULL, "/l/libspillway.so"},
        {"/l/libspillway.so", "", "/l/libspillway.so"},
        {"/l/libspillway.so", "/a.so", "/l/libspillway.so:/a.so"},
        {"/l/libspillway.so", "/a.so /b.so:/c.so", "/l/libspillway.so:/a.so:/b.so:/c.so"},
        {"/l/libspillway.so", ": /a.so : :", "/l/libspillway.so:/a.so"},
        {"/l/libspillway.so", "/l/libspillway.so", "/l/libspillway.so"},
        {"/l/libspillway.so", "/a.so /other/libspillway.so", "/l/libspillway.so:/a.so"},
        {"/l/libspillway.so", "libspillway.so:/a.so", "/l/libspillway.so:/a.so"},
        {"/l/libspillway.so", "/a/notlibspillway.so", "/l/libspillway.so:/a/notlibspillway.so"},
        {"/l/other.so", "/l/other.so:/l/other.so", "/l/other.so"},
        {NULL, "/a.so:/l/libspillway.so", "/a.so"},
        {NULL, "/l/libspillway.so", ""},
        {NULL, NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *list = launch_preload(cases[i].library, cases[i].current);
        cr_expect_str_eq(list, cases[i].want, "case %zu: %s", i, list);
        free(list);
    }
}

Test(launch, paths_become_absolute) {
    char path[100];
    cr_assert_eq(chdir("/"), 0);
    cr_expect(launch_absolute("/a/b", path, sizeof path));
    cr_expect_str_eq(path, "/a/b");
    cr_expect(launch_absolute("a", path, sizeof path));
    cr_expect_str_eq(path, "//a");
    cr_expect_not(launch_absolute("/too/long", path, 5));
}

static void make(const char *path, mode_t mode) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    cr_assert_eq(chmod(path, mode), 0);
}

Test(launch, programs_are_searched_as_a_shell_does) {
    char directory[] = "/tmp/spillway-run.XXXXXX", found[200], command[100];
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(mkdir("one", 0755) | mkdir("two", 0755) | mkdir("one/folder", 0755), 0);
    make("one/plain", 0644);
    make("two/plain", 0755);
    make("one/locked", 0644);
    make("here", 0755);
    cr_expect_eq(launch_find_program("plain", "one:two", found, sizeof found), 0);
    cr_expect_str_eq(found, "two/plain");
    cr_expect_eq(launch_find_program("locked", "one:two", found, sizeof found), EACCES);
    cr_expect_eq(launch_find_program("folder", "one:two", found, sizeof found), ENOENT);
    cr_expect_eq(launch_find_program("absent", "one:two", found, sizeof found), ENOENT);
    cr_expect_eq(launch_find_program("here", "one", found, sizeof found), ENOENT);
    cr_expect_eq(launch_find_program("here", "one:", found, sizeof found), 0);
    cr_expect_eq(launch_find_program("here", "", found, sizeof found), 0);
    cr_expect_str_eq(found, "./here");
    cr_expect_eq(launch_find_program("", "one", found, sizeof found), ENOENT);
    cr_expect_eq(launch_find_program("one/folder", "", found, sizeof found), EISDIR);
    cr_expect_eq(launch_find_program("one/locked", "", found, sizeof found), EACCES);
    cr_expect_eq(launch_find_program("here/below", "", found, sizeof found), ENOENT);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}
