/*
 * The settings: what is accepted, what it means, and what is said about what is not. Runs in
 * the root of the repository.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/schema.h"
#include "config/settings.h"
#include "config/value.h"

#define FIXTURES "tests/fixtures/settings/"
#define EXAMPLES "config/examples/"
#define DRILLS   "config/drills/"
#define MANUAL   "config/man/spillway.yaml.5"
#define SECOND   UINT64_C(1000000000)

/* What a text loads to; the caller frees it. Fails the test if it does not load. */
static struct settings *loaded(const char *text) {
    struct settings_error error;
    struct settings *settings = settings_load_text("test.yaml", text, strlen(text), &error);
    cr_assert_not_null(settings, "%u:%u: %s\n%s", error.line, error.column, error.message, text);
    return settings;
}

static struct settings *loaded_file(const char *path) {
    struct settings_error error;
    struct settings *settings = settings_load_file(path, &error);
    cr_assert_not_null(settings, "%s:%u:%u: %s", path, error.line, error.column, error.message);
    return settings;
}

/* The error that TEXT gives. Fails the test if it loads. */
static struct settings_error refused(const char *text, size_t length) {
    struct settings_error error;
    struct settings *settings = settings_load_text("test.yaml", text, length, &error);
    cr_assert_null(settings, "accepted: %s", text);
    cr_assert(error.message[0], "no message for: %s", text);
    return error;
}

static char *read_whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "can't open %s, run in the root of the repository", path);
    char *text = calloc(1, (1 << 20) + 2);
    cr_assert_not_null(text);
    *length = fread(text, 1, (1 << 20) + 1, file);
    fclose(file);
    return text;
}

/* Calls CHECK for each file of DIRECTORY. Returns how many there were. */
static unsigned each_file(const char *directory, void (*check)(const char *path)) {
    unsigned count = 0;
    DIR *handle = opendir(directory);
    cr_assert_not_null(handle, "can't open %s, run in the root of the repository", directory);
    for (struct dirent *entry; (entry = readdir(handle));) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s%s", directory, entry->d_name);
        check(path);
        count++;
    }
    closedir(handle);
    return count;
}

static void loads(const char *path) {
    settings_free(loaded_file(path));
}

/* The first line is "# expect: LINE:COLUMN message". */
static void fails_as_expected(const char *path) {
    static const char prefix[] = "# expect: ";
    size_t length;
    char *text = read_whole(path, &length), found[500];
    cr_assert(strncmp(text, prefix, sizeof prefix - 1) == 0, "%s expects nothing", path);
    const char *expected = text + sizeof prefix - 1;
    struct settings_error error;
    struct settings *settings = settings_load_file(path, &error);
    cr_expect_null(settings, "%s is accepted", path);
    snprintf(found, sizeof found, "%u:%u %s", error.line, error.column, error.message);
    size_t line = strcspn(expected, "\n");
    cr_expect(strlen(found) == line && strncmp(found, expected, line) == 0,
              "%s\n   found: %s\nexpected: %.*s", path, found, (int)line, expected);
    cr_expect_null(strstr(error.message, "sk-secret"), "%s shows a key", path);
    settings_free(settings);
    free(text);
}

Test(settings, good_files_load) {
    cr_expect_geq(each_file(FIXTURES "good/", loads), 10);
}

Test(settings, bad_files_say_where_and_what) {
    cr_expect_geq(each_file(FIXTURES "bad/", fails_as_expected), 100);
}

Test(settings, examples_load) {
    cr_expect_geq(each_file(EXAMPLES, loads), 5);
}

static void loads_with_faults(const char *path) {
    struct settings *settings = loaded_file(path);
    cr_expect_gt(settings->fault_count, 0, "%s has no faults", path);
    settings_free(settings);
}

Test(settings, drills_load) {
    cr_expect_geq(each_file(DRILLS, loads_with_faults), 8);
}

Test(settings, defaults) {
    struct settings *settings = loaded_file(FIXTURES "good/minimal.yaml");
    cr_expect_str_eq(settings->file, FIXTURES "good/minimal.yaml");
    cr_expect_eq(settings->log_level, LOG_WARN);
    cr_expect_null(settings->log_file);
    cr_expect_null(settings->only[0]);
    cr_expect_null(settings->skip[0]);
    cr_expect_eq(settings->state_scope, STATE_HOST);
    cr_expect_null(settings->state_directory);
    cr_assert_eq(settings->endpoint_count, 1);
    const struct endpoint *endpoint = &settings->endpoints[0];
    cr_expect_str_eq(endpoint->name, "endpoint-1");
    cr_expect_eq(endpoint->dialect, DIALECT_OPENAI);
    cr_expect_eq(endpoint->strategy, STRATEGY_ROUND_ROBIN);
    cr_expect_eq(endpoint->failure_threshold, 1);
    cr_expect_eq(endpoint->cooldown_ns, 10 * SECOND);
    cr_expect_eq(endpoint->max_cooldown_ns, 600 * SECOND);
    cr_expect_eq(endpoint->on_exhausted, EXHAUSTED_REPLY);
    cr_expect_eq(endpoint->max_wait_ns, 60 * SECOND);
    cr_expect_eq(endpoint->connect_timeout_ns, 5 * SECOND);
    cr_expect_eq(endpoint->first_byte_timeout_ns, 0);
    cr_expect_eq(endpoint->first_body_timeout_ns, 0);
    cr_expect_eq(endpoint->replay_limit, 8 << 20);
    cr_expect_eq(endpoint->sockets, SOCKETS_RELAY);
    char outcomes[200];
    value_write_outcomes(&endpoint->retry_on, outcomes, sizeof outcomes);
    cr_expect_str_eq(outcomes, "429, 5xx, connect");
    cr_assert_eq(endpoint->backend_count, 1);
    const struct backend *backend = &endpoint->backends[0];
    cr_expect_str_eq(backend->name, "a.example");
    cr_expect_eq(backend->priority, 1);
    cr_expect_eq(backend->weight, 1);
    cr_expect_eq(backend->key_source, KEY_NONE);
    cr_expect_null(backend->key);
    cr_expect_null(backend->api_version);
    settings_free(settings);
}

Test(settings, every_endpoint_key_arrives) {
    struct settings *settings = loaded_file(FIXTURES "good/everything.yaml");
    cr_expect_eq(settings->log_level, LOG_DEBUG);
    cr_expect_str_eq(settings->log_file, "/var/log/spillway.log");
    cr_expect_str_eq(settings->only[0], "curl");
    cr_expect_str_eq(settings->only[1], "php");
    cr_expect_null(settings->only[2]);
    cr_expect_str_eq(settings->skip[0], "git");
    cr_expect_eq(settings->state_scope, STATE_PROCESS);
    cr_expect_str_eq(settings->state_directory, "/run/spillway");
    const struct endpoint *endpoint = &settings->endpoints[0];
    cr_expect_str_eq(endpoint->name, "openai");
    cr_assert_eq(endpoint->url_count, 2);
    cr_expect_str_eq(endpoint->urls[0], "https://api.openai.com/v1");
    cr_expect_eq(endpoint->prefixes[0].path.length, 3);
    cr_expect(endpoint->prefixes[0].https && endpoint->prefixes[0].port == 443);
    cr_expect(!endpoint->prefixes[1].https && endpoint->prefixes[1].port == 80);
    cr_expect_eq(endpoint->strategy, STRATEGY_LEAST_BUSY);
    cr_expect_eq(endpoint->failure_threshold, 3);
    cr_expect_eq(endpoint->cooldown_ns, 3 * SECOND / 2);
    cr_expect_eq(endpoint->max_cooldown_ns, 3600 * SECOND);
    cr_expect_eq(endpoint->on_exhausted, EXHAUSTED_WAIT);
    cr_expect_eq(endpoint->max_wait_ns, SECOND / 4);
    cr_expect_eq(endpoint->connect_timeout_ns, 0);
    cr_expect_eq(endpoint->first_byte_timeout_ns, 30 * SECOND);
    cr_expect_eq(endpoint->first_body_timeout_ns, 40 * SECOND);
    cr_expect_eq(endpoint->replay_limit, 512 << 10);
    cr_expect_eq(endpoint->sockets, SOCKETS_ADDRESS);
    char outcomes[200];
    value_write_outcomes(&endpoint->retry_on, outcomes, sizeof outcomes);
    cr_expect_str_eq(outcomes, "408, 5xx, reset, timeout");
    settings_free(settings);
}

Test(settings, every_backend_key_arrives) {
    struct settings *settings = loaded_file(FIXTURES "good/everything.yaml");
    const struct backend *backend = settings->endpoints[0].backends;
    cr_assert_eq(settings->endpoints[0].backend_count, 4);
    cr_expect_str_eq(backend->name, "eastus-ptu");
    cr_expect_str_eq(backend->url, "https://oai-eastus.openai.azure.com");
    cr_expect_not(backend->any_scheme);
    cr_expect_eq(backend->priority, 0);
    cr_expect_eq(backend->weight, 1000);
    cr_expect_eq(backend->dialect, DIALECT_AZURE);
    cr_expect_str_eq(backend->api_version, "2024-10-21");
    cr_expect_eq(backend->key_source, KEY_ENVIRONMENT);
    cr_expect_str_eq(backend->key, "AZURE_KEY_EASTUS");
    cr_assert_eq(backend->model_count, 2);
    cr_expect_str_eq(backend->models[1].name, "gpt-4o-mini");
    cr_expect_str_eq(backend->models[1].deployment, "mini");
    backend++;
    cr_expect_str_eq(backend->url, "oai-westus.openai.azure.com:8443/openai/v1");
    cr_expect(backend->any_scheme);
    cr_expect_eq(backend->dialect, DIALECT_OPENAI);
    cr_expect_eq(backend->priority, 1000000);
    cr_expect_eq(backend->key_source, KEY_INLINE);
    cr_expect_str_eq(backend->key, "0123456789abcdef");
    backend++;
    cr_expect_eq(backend->key_source, KEY_FILE);
    cr_expect_str_eq(backend->key, FIXTURES "good/keys/local");
    backend++;
    cr_expect_eq(backend->key_source, KEY_INLINE);
    cr_expect_str_eq(backend->key, "abc");
    settings_free(settings);
}

Test(settings, names_come_from_hosts_and_are_unique) {
    static const char *const expected[] = {"a.example:8443",   "a.example:8443-2",
                                           "a.example:8443-3", "a.example:8443-4",
                                           "::1:8080",         "a_b-c.example"};
    struct settings *settings = loaded_file(FIXTURES "good/names.yaml");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect_str_eq(settings->endpoints[0].backends[i].name, expected[i]);
    cr_expect_str_eq(settings->endpoints[0].name, "endpoint-1");
    cr_expect_str_eq(settings->endpoints[1].name, "endpoint-3");
    cr_expect_str_eq(settings->endpoints[2].name, "endpoint-3-2");
    settings_free(settings);
}

Test(settings, null_means_the_default_where_it_may_stand) {
    struct settings *settings = loaded_file(FIXTURES "good/nulls.yaml");
    const struct endpoint *endpoint = &settings->endpoints[0];
    cr_expect_eq(settings->log_level, LOG_OFF);
    cr_expect_null(settings->log_file);
    cr_expect_null(settings->only[0]);
    cr_expect_eq(endpoint->connect_timeout_ns, 0);
    cr_expect_eq(endpoint->first_byte_timeout_ns, 0);
    cr_expect_eq(endpoint->sockets, SOCKETS_OFF);
    cr_expect_not(endpoint->retry_on.connect);
    settings_free(settings);
    settings = loaded_file(FIXTURES "good/booleans-for-off.yaml");
    cr_expect_eq(settings->log_level, LOG_OFF);
    cr_expect_eq(settings->endpoints[0].sockets, SOCKETS_OFF);
    settings_free(settings);
}

/* A document that has only KEY, with its example, at its place. */
static void write_document(const struct schema_key *key, char *out, size_t size) {
    static const char *const backend = "backends: [{url: https://b.example}]";
    bool endpoint_url = strcmp(key->name, "url") == 0 || strcmp(key->name, "urls") == 0;
    bool backend_url = strcmp(key->name, "url") == 0 || strcmp(key->name, "host") == 0;
    switch (key->section) {
    case SECTION_BACKEND:
        snprintf(out, size, "endpoints:\n  - url: https://e.example\n    backends:\n      - %s\n%s",
                 key->example,
                 backend_url                      ? ""
                 : strcmp(key->name, "path") == 0 ? "        host: b.example\n"
                                                  : "        url: https://b.example\n");
        break;
    case SECTION_ENDPOINT:
        snprintf(out, size, "endpoints:\n  - %s\n%s    %s\n", key->example,
                 endpoint_url ? "" : "    url: https://e.example\n",
                 strcmp(key->name, "backends") == 0 ? "" : backend);
        break;
    case SECTION_ROOT:
        snprintf(out, size, "%s\n%s\n", key->example,
                 strcmp(key->name, "endpoints") == 0
                     ? ""
                     : "endpoints: [{url: https://e.example, backends: [{host: b}]}]");
        break;
    default:
        snprintf(out, size,
                 "%s: {%s}\nendpoints: [{url: https://e.example, backends: [{host: b}]}]",
                 schema_section_path(key->section), key->example);
        break;
    }
}

Test(settings, every_example_of_the_schema_loads) {
    for (size_t i = 0; i < schema_key_count; i++) {
        char text[600];
        write_document(&schema_keys[i], text, sizeof text);
        settings_free(loaded(text));
    }
}

/* TEXT as the manual page spells it, where '-' is "\-". */
static void as_in_manual(const char *text, char *out, size_t size) {
    size_t used = 0;
    for (; *text && used + 5 < size; text++) {
        const char *spelled = *text == '-' ? "\\-" : *text == '"' ? "\\(dq" : NULL;
        used += (size_t)snprintf(out + used, size - used, spelled ? "%s" : "%.1s",
                                 spelled ? spelled : text);
    }
}

static bool has_line(const char *entry, const char *label, const char *value, const char *end) {
    char spelled[500], line[600];
    as_in_manual(value, spelled, sizeof spelled);
    snprintf(line, sizeof line, "\n%s%s%s\n", label, spelled, end);
    return strstr(entry, line);
}

Test(settings, every_key_has_its_entry_in_the_manual) {
    size_t length;
    char *manual = read_whole(MANUAL, &length);
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        char path[100], heading[120];
        schema_path(key, path, sizeof path);
        snprintf(heading, sizeof heading, "\n.It Cm %s\n", path);
        char *start = strstr(manual, heading);
        cr_expect_not_null(start, "%s has no entry", path);
        if (!start)
            continue;
        const char *next = strstr(start + 1, "\n.It ");
        char *entry = strndup(start, next ? (size_t)(next + 1 - start) : strlen(start));
        cr_expect_not_null(strstr(entry, "\nType: "), "%s has no type", path);
        cr_expect(has_line(entry, "Default: ", key->preset ? key->preset : key->absent, "."),
                  "%s has another default", path);
        cr_expect(has_line(entry, "Example: ", key->example, ""), "%s has another example", path);
        free(entry);
    }
    free(manual);
}

static const char *fake_chosen, *fake_base, *fake_home;

static const char *fake_lookup(const char *name) {
    return strcmp(name, "SPILLWAY_CONFIG") == 0   ? fake_chosen
           : strcmp(name, "XDG_CONFIG_HOME") == 0 ? fake_base
           : strcmp(name, "HOME") == 0            ? fake_home
                                                  : NULL;
}

Test(settings, located_in_order) {
    char directory[] = "/tmp/settings-XXXXXX", file[100], path[100], tiny[4], command[100];
    cr_assert_not_null(mkdtemp(directory));
    snprintf(command, sizeof command, "mkdir -p %s/.config/spillway", directory);
    cr_assert_eq(system(command), 0);
    snprintf(file, sizeof file, "%s/.config/spillway/spillway.yaml", directory);
    fake_home = directory;
    cr_expect(!settings_locate(fake_lookup, path, sizeof path) ||
              strcmp(path, "/etc/spillway/spillway.yaml") == 0);
    fclose(fopen(file, "w"));
    cr_expect(settings_locate(fake_lookup, path, sizeof path));
    cr_expect_str_eq(path, file);
    fake_base = "/nonexistent";
    cr_expect(!settings_locate(fake_lookup, path, sizeof path) ||
              strcmp(path, "/etc/spillway/spillway.yaml") == 0);
    fake_base = "relative";
    cr_expect(settings_locate(fake_lookup, path, sizeof path) && strcmp(path, file) == 0);
    fake_chosen = "not/there.yaml";
    cr_expect(settings_locate(fake_lookup, path, sizeof path));
    cr_expect_str_eq(path, "not/there.yaml");
    cr_expect_not(settings_locate(fake_lookup, tiny, sizeof tiny));
    snprintf(command, sizeof command, "rm -r %s", directory);
    cr_assert_eq(system(command), 0);
}

Test(settings, files_that_can_not_be_read) {
    char path[] = "/tmp/settings-XXXXXX", text[600];
    struct settings_error error;
    cr_expect_null(settings_load_file("/nonexistent/spillway.yaml", &error));
    cr_expect_eq(error.line, 0);
    settings_describe_error("/nonexistent/spillway.yaml", &error, text, sizeof text);
    cr_expect_str_eq(text,
                     "/nonexistent/spillway.yaml: can't be opened: No such file or directory");
    cr_expect_null(settings_load_file("/tmp", &error));
    cr_expect_null(settings_load_file("/dev/zero", &error));
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (1 << 20) + 1), 0);
    cr_expect_null(settings_load_file(path, &error));
    cr_expect_not_null(strstr(error.message, "1 MiB"));
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_expect_null(settings_load_file(path, &error));
    cr_expect_not_null(strstr(error.message, "empty"));
    close(fd);
    unlink(path);
    error = (struct settings_error){3, 7, "wrong"};
    settings_describe_error("a.yaml", &error, text, sizeof text);
    cr_expect_str_eq(text, "a.yaml:3:7: wrong");
}

Test(settings, every_beginning_of_a_file_is_safe) {
    size_t length;
    char *text = read_whole(FIXTURES "good/everything.yaml", &length);
    for (size_t part = 0; part < length; part++) {
        struct settings_error error;
        struct settings *settings = settings_load_text("test.yaml", text, part, &error);
        cr_expect(settings || error.line > 0, "%zu bytes", part);
        settings_free(settings);
    }
    free(text);
}

static double seconds_of_cpu(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Brackets and aliases are where readers of YAML need quadratic or exponential time. */
Test(settings, hostile_files_are_refused_quickly, .timeout = 20) {
    double start = seconds_of_cpu();
    size_t size = 1 << 20;
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    text[size] = '\0';
    for (const char *bracket = "[{-?&!\"'"; *bracket; bracket++) {
        for (size_t i = 0; i < size; i++)
            text[i] = *bracket == '-' || *bracket == '?' ? i % 2 ? ' ' : *bracket : *bracket;
        refused(text, size);
    }
    size_t used = (size_t)snprintf(text, size,
                                   "endpoints:\n- url: http://h\n  backends: [{host: a, "
                                   "models: &m {");
    for (int i = 0; i < 256; i++)
        used += (size_t)snprintf(text + used, size - used, "m%d: x,", i);
    used += (size_t)snprintf(text + used, size - used, "}}]\n");
    for (int i = 0; i < 255; i++) {
        used += (size_t)snprintf(text + used, size - used, "- url: http://h%d\n  backends: [", i);
        for (int j = 0; j < 64; j++)
            used += (size_t)snprintf(text + used, size - used, "{host: a, models: *m},");
        used += (size_t)snprintf(text + used, size - used, "]\n");
    }
    struct settings_error error = refused(text, used);
    cr_expect_not_null(strstr(error.message, "too many values"), "%s", error.message);
    cr_expect_lt(seconds_of_cpu() - start, 10.0);
    free(text);
}
