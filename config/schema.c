#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "config/settings.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)
#define HOUR        (3600 * SECOND)
#define GIB         (UINT64_C(1) << 30)

const char *const schema_dialects[] = {
    [DIALECT_OPENAI] = "openai", [DIALECT_AZURE] = "azure", NULL};
const char *const schema_strategies[] = {[STRATEGY_ROUND_ROBIN] = "round_robin",
                                         [STRATEGY_RANDOM] = "random",
                                         [STRATEGY_LEAST_BUSY] = "least_busy",
                                         [STRATEGY_FIRST] = "first",
                                         NULL};
const char *const schema_exhausted[] = {
    [EXHAUSTED_REPLY] = "reply", [EXHAUSTED_LAST] = "last", [EXHAUSTED_WAIT] = "wait", NULL};
const char *const schema_sockets[] = {
    [SOCKETS_RELAY] = "relay", [SOCKETS_ADDRESS] = "address", [SOCKETS_OFF] = "off", NULL};
const char *const schema_scopes[] = {[STATE_HOST] = "host", [STATE_PROCESS] = "process", NULL};
const char *const schema_levels[] = {
    [LOG_OFF] = "off",   [LOG_ERROR] = "error", [LOG_WARN] = "warn",
    [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};

const char *const schema_switches[] = {[SWITCH_OFF] = "off", [SWITCH_ON] = "on", NULL};

/* The loader writes words and numbers as four bytes. */
_Static_assert(sizeof(enum dialect) == 4 && sizeof(enum log_level) == 4, "enums are four bytes");
_Static_assert(sizeof(int) == 4 && sizeof(unsigned) == 4, "numbers are four bytes");

#define IN_SETTINGS(field) .offset = offsetof(struct settings, field)
#define IN_ENDPOINT(field) .section = SECTION_ENDPOINT, .offset = offsetof(struct endpoint, field)
#define IN_BACKEND(field)  .section = SECTION_BACKEND, .offset = offsetof(struct backend, field)

const struct schema_key schema_keys[] = {
    {.section = SECTION_ROOT,
     .name = "log",
     .type = SCHEMA_MAP,
     .opens = SECTION_LOG,
     .absent = "its keys' defaults",
     .nullable = true,
     .meaning = "What is logged, and where to.",
     .example = "log: {level: info, file: /var/log/spillway.log}"},
    {.section = SECTION_ROOT,
     .name = "programs",
     .type = SCHEMA_MAP,
     .opens = SECTION_PROGRAMS,
     .absent = "all programs",
     .nullable = true,
     .meaning = "In which programs Spillway does anything at all.",
     .example = "programs: {skip: [git]}"},
    {.section = SECTION_ROOT,
     .name = "state",
     .type = SCHEMA_MAP,
     .opens = SECTION_STATE,
     .absent = "its keys' defaults",
     .nullable = true,
     .meaning = "Who shares what was learned about the backends: which of them cool down.",
     .example = "state: {scope: process}"},
    {.section = SECTION_ROOT,
     .name = "relay",
     .type = SCHEMA_MAP,
     .opens = SECTION_RELAY,
     .absent = "its keys' defaults",
     .nullable = true,
     .meaning = "The companion process through which programs without libcurl are served.",
     .example = "relay: {tls: on}"},
    {.section = SECTION_ROOT,
     .name = "endpoints",
     .type = SCHEMA_MAPS,
     .opens = SECTION_ENDPOINT,
     .minimum = 1,
     .maximum = 256,
     .absent = "required",
     .meaning = "What the programs ask for, and the backends that answer instead.",
     .example = "endpoints: [{url: https://api.openai.com/v1, backends: [{url: "
                "https://a.example/v1}]}]"},
    {.section = SECTION_ROOT,
     .name = "faults",
     .type = SCHEMA_FAULTS,
     .maximum = FAULTS_MAX,
     .absent = "none",
     .nullable = true,
     .meaning = "What spillway drill lets happen to attempts on backends instead of asking them; "
                "see Faults below. Without effect outside of a drill.",
     .example = "faults: ['*: 429 retry-after=5 for 60s', '*: reset 10%']"},

    {.section = SECTION_LOG,
     .name = "level",
     .type = SCHEMA_WORD,
     IN_SETTINGS(log_level),
     .words = schema_levels,
     .preset = "warn",
     .meaning = "The least weight of a line that is logged. The environment variable SPILLWAY_LOG "
                "wins over it.",
     .example = "level: info"},
    {.section = SECTION_LOG,
     .name = "file",
     .type = SCHEMA_FILE,
     IN_SETTINGS(log_file),
     .absent = "no log",
     .nullable = true,
     .meaning = "The file that log lines are appended to. A relative path starts at the directory "
                "of the settings file. The environment variable SPILLWAY_LOG_FILE wins over it.",
     .example = "file: /var/log/spillway.log"},

    {.section = SECTION_PROGRAMS,
     .name = "only",
     .type = SCHEMA_NAMES,
     IN_SETTINGS(only),
     .maximum = 256,
     .preset = "[]",
     .nullable = true,
     .meaning = "The names of the executables in which Spillway acts; if empty, in all.",
     .example = "only: [curl, php]"},
    {.section = SECTION_PROGRAMS,
     .name = "skip",
     .type = SCHEMA_NAMES,
     IN_SETTINGS(skip),
     .maximum = 256,
     .preset = "[]",
     .nullable = true,
     .meaning = "The names of the executables in which Spillway does nothing.",
     .example = "skip: [git, apt]"},

    {.section = SECTION_STATE,
     .name = "scope",
     .type = SCHEMA_WORD,
     IN_SETTINGS(state_scope),
     .words = schema_scopes,
     .preset = "host",
     .meaning = "Who shares the cooldowns: all processes of one user on this host, or each "
                "process for itself.",
     .example = "scope: process"},
    {.section = SECTION_STATE,
     .name = "directory",
     .type = SCHEMA_FILE,
     IN_SETTINGS(state_directory),
     .absent = "$XDG_RUNTIME_DIR/spillway",
     .nullable = true,
     .meaning = "Where the shared state lies. A relative path starts at the directory of the "
                "settings file. The environment variable SPILLWAY_STATE_DIR wins over it.",
     .example = "directory: /run/spillway"},

    {.section = SECTION_RELAY,
     .name = "tls",
     .type = SCHEMA_WORD,
     IN_SETTINGS(relay_tls),
     .words = schema_switches,
     .preset = "off",
     .meaning =
         "Whether the relay takes https requests of programs without libcurl, too. It then shows "
         "certificates of an authority that 'spillway ca' makes, and 'spillway run' makes its "
         "program "
         "trust that. Whoever gets hold of the authority's key can read and change what such "
         "programs send to the logical hosts; to no other host, and no other program trusts it.",
     .example = "tls: on"},

    {IN_ENDPOINT(name), .name = "name", .type = SCHEMA_NAME,
     .absent = "endpoint-1, endpoint-2 and so on, by its place",
     .meaning = "What logs and tables call the endpoint.", .example = "name: openai"},
    {.section = SECTION_ENDPOINT,
     .name = "url",
     .type = SCHEMA_URL,
     .absent = "required, unless urls is there",
     .meaning = "The URL prefix that programs ask for. A request belongs to the endpoint if "
                "scheme, host, port and all segments of this path are the same.",
     .example = "url: https://api.openai.com/v1"},
    {.section = SECTION_ENDPOINT,
     .name = "urls",
     .type = SCHEMA_URLS,
     .minimum = 1,
     .maximum = 16,
     .absent = "required, unless url is there",
     .meaning = "The same for several prefixes that lead to the same backends.",
     .example = "urls: [https://api.openai.com/v1, http://llm.internal/v1]"},
    {IN_ENDPOINT(dialect), .name = "dialect", .type = SCHEMA_WORD, .words = schema_dialects,
     .preset = "openai", .meaning = "What the program speaks.", .example = "dialect: azure"},
    {IN_ENDPOINT(strategy), .name = "strategy", .type = SCHEMA_WORD, .words = schema_strategies,
     .preset = "round_robin",
     .meaning = "Which of the available backends of one priority is next: each in its turn, any, "
                "the one with the fewest requests under way, or the first of the file.",
     .example = "strategy: least_busy"},
    {IN_ENDPOINT(failure_threshold), .name = "failure_threshold", .type = SCHEMA_NUMBER,
     .minimum = 1, .maximum = 1000, .preset = "1",
     .meaning = "How many failures in a row send a backend into cooldown. A 429 always does.",
     .example = "failure_threshold: 3"},
    {IN_ENDPOINT(cooldown_ns), .name = "cooldown", .type = SCHEMA_DURATION, .maximum = 24 * HOUR,
     .preset = "10s",
     .meaning =
         "How long a backend is left alone when its response names no time. Then one request "
         "tries it; if that fails too, the time doubles, up to max_cooldown.",
     .example = "cooldown: 30s"},
    {IN_ENDPOINT(max_cooldown_ns), .name = "max_cooldown", .type = SCHEMA_DURATION,
     .maximum = 24 * HOUR, .preset = "10m",
     .meaning = "The longest cooldown, whatever a response says.", .example = "max_cooldown: 1h"},
    {IN_ENDPOINT(retry_on), .name = "retry_on", .type = SCHEMA_OUTCOMES,
     .preset = "[429, 5xx, connect]",
     .meaning = "Which outcomes make a request go on at another backend: a status (100 to 599), "
                "a class (4xx, 5xx), connect (DNS, TCP or TLS failed, or the reply was empty), "
                "reset (the connection broke before the response), timeout. With reset, a "
                "connection that breaks within a response counts as a failure of the backend, "
                "too; the program gets the error, and nothing is asked again.",
     .example = "retry_on: [408, 429, 5xx, connect, reset]"},
    {IN_ENDPOINT(on_exhausted), .name = "on_exhausted", .type = SCHEMA_WORD,
     .words = schema_exhausted, .preset = "reply",
     .meaning = "What the program gets when every backend cools down: a 429 with Retry-After, "
                "the last backend's own answer, or nothing until one of them is available.",
     .example = "on_exhausted: wait"},
    {IN_ENDPOINT(max_wait_ns), .name = "max_wait", .type = SCHEMA_DURATION, .maximum = 24 * HOUR,
     .preset = "60s", .meaning = "With on_exhausted: wait, how long at most.",
     .example = "max_wait: 5m"},
    {IN_ENDPOINT(connect_timeout_ns), .name = "connect_timeout", .type = SCHEMA_DURATION,
     .maximum = HOUR, .preset = "5s", .nullable = true,
     .meaning = "The time limit for connecting to a backend; 0 or null for none but the "
                "program's own. Of two limits the shorter wins.",
     .example = "connect_timeout: 2s"},
    {IN_ENDPOINT(first_byte_timeout_ns), .name = "first_byte_timeout", .type = SCHEMA_DURATION,
     .maximum = HOUR, .absent = "no limit", .nullable = true,
     .meaning = "The time limit from the end of the request to the first byte of the response.",
     .example = "first_byte_timeout: 30s"},
    {IN_ENDPOINT(first_body_timeout_ns), .name = "first_body_timeout", .type = SCHEMA_DURATION,
     .maximum = HOUR, .absent = "no limit", .nullable = true,
     .meaning = "The time limit from the end of the request to the first byte of the body of a "
                "response that succeeds (2xx). Until then the program is not given its headers, "
                "either, so that another backend may still answer.",
     .example = "first_body_timeout: 30s"},
    {IN_ENDPOINT(replay_limit), .name = "replay_limit", .type = SCHEMA_SIZE, .maximum = 64 * GIB,
     .preset = "8MiB", .meaning = "The largest request body that is kept for a second attempt.",
     .example = "replay_limit: 512KiB"},
    {IN_ENDPOINT(sockets), .name = "sockets", .type = SCHEMA_WORD, .words = schema_sockets,
     .preset = "relay",
     .meaning = "How programs without libcurl are served: through the relay, which sees their "
                "requests (http:// URLs, with relay.tls https:// ones too), by the choice of a "
                "backend's address when they connect, whatever they say then, or not at all.",
     .example = "sockets: off"},
    {.section = SECTION_ENDPOINT,
     .name = "backends",
     .type = SCHEMA_MAPS,
     .opens = SECTION_BACKEND,
     .minimum = 1,
     .maximum = BACKENDS_MAX,
     .absent = "required",
     .meaning = "The deployments that answer.",
     .example = "backends: [{url: https://a.example/v1, key_env: KEY_A}]"},

    {IN_BACKEND(name), .name = "name", .type = SCHEMA_NAME,
     .absent = "the host and port of its URL, with -2, -3 and so on if taken",
     .meaning = "What logs and tables call the backend.", .example = "name: eastus-ptu"},
    {.section = SECTION_BACKEND,
     .name = "url",
     .type = SCHEMA_URL,
     .absent = "required, unless host is there",
     .meaning = "Where the backend is. What the program asked for below the endpoint's URL is "
                "appended.",
     .example = "url: https://oai-eastus.openai.azure.com"},
    {.section = SECTION_BACKEND,
     .name = "host",
     .type = SCHEMA_TEXT,
     .absent = "required, unless url is there",
     .meaning = "Another spelling of url: the host and perhaps :port alone. The scheme is the one "
                "that the program asked with.",
     .example = "host: oai-eastus.openai.azure.com"},
    {.section = SECTION_BACKEND,
     .name = "path",
     .type = SCHEMA_TEXT,
     .absent = "no prefix",
     .nullable = true,
     .meaning = "With host, the path that every request to this backend starts with.",
     .example = "path: /openai/v1"},
    {IN_BACKEND(priority), .name = "priority", .type = SCHEMA_NUMBER, .maximum = 1000000,
     .preset = "1",
     .meaning = "The tier of the backend. A higher number is used only while no backend with a "
                "lower one is available.",
     .example = "priority: 2"},
    {IN_BACKEND(weight), .name = "weight", .type = SCHEMA_NUMBER, .minimum = 1, .maximum = 1000,
     .preset = "1", .meaning = "The backend's share among those of the same priority.",
     .example = "weight: 3"},
    {IN_BACKEND(dialect), .name = "dialect", .type = SCHEMA_WORD, .words = schema_dialects,
     .absent = "the endpoint's",
     .meaning = "What the backend speaks. If it is not what the program speaks, requests are "
                "translated, see DIALECTS. It decides the header of the backend's key, too: "
                "api-key (azure) or Authorization: Bearer (openai).",
     .example = "dialect: azure"},
    {.section = SECTION_BACKEND,
     .name = "api_version",
     .type = SCHEMA_TEXT,
     .absent = "the program's own, or 2024-10-21 if it speaks openai",
     .nullable = true,
     .meaning = "The api-version that an Azure backend is asked for. Below /openai/v1 none is "
                "sent, unless it is a word such as preview.",
     .example = "api_version: \"2024-10-21\""},
    {.section = SECTION_BACKEND,
     .name = "key_env",
     .type = SCHEMA_VARIABLE,
     .absent = "the program's own credentials go to the backend",
     .meaning = "The environment variable that holds the backend's key. It is sent as api-key "
                "(azure) or as Authorization: Bearer (openai). A key from any source that is a "
                "JSON web token, such as one of Entra ID, is sent as Authorization: Bearer at an "
                "azure backend as well.",
     .example = "key_env: AZURE_KEY_EASTUS"},
    {IN_BACKEND(key), .name = "key_file", .type = SCHEMA_FILE, .absent = "see key_env",
     .meaning = "The file that holds the backend's key, and nothing else but white space around "
                "it. It is read again when it changes: put a new file in its place (rename) to "
                "change the key of programs that run. A file that can't be read, or holds no key, "
                "leaves the key that was there. A relative path starts at the directory of the "
                "settings file.",
     .example = "key_file: /etc/spillway/eastus.key"},
    {.section = SECTION_BACKEND,
     .name = "key_command",
     .type = SCHEMA_TEXT,
     .absent = "see key_env",
     .meaning = "The command that prints the backend's key, of at most 4096 bytes, such as one for "
                "tokens of Entra ID. It is run by spillway run with /bin/sh -c, before the program "
                "starts and again before the token expires, and always sent as Authorization: "
                "Bearer. The settings file must be the user's or root's, and nobody else may be "
                "able to write it. Without spillway run the backend has no key.",
     .example = "key_command: az account get-access-token --resource "
                "https://cognitiveservices.azure.com"},
    {.section = SECTION_BACKEND,
     .name = "key",
     .type = SCHEMA_SECRET,
     .absent = "see key_env",
     .meaning = "The key itself. Let nobody else read the settings file then.",
     .example = "key: 0123456789abcdef"},
    {.section = SECTION_BACKEND,
     .name = "api_key",
     .type = SCHEMA_SECRET,
     .absent = "see key_env",
     .meaning = "Another spelling of key.",
     .example = "api_key: 0123456789abcdef"},
    {.section = SECTION_BACKEND,
     .name = "models",
     .type = SCHEMA_MODELS,
     .maximum = 256,
     .absent = "names stay as they are",
     .nullable = true,
     .meaning = "The program's names of models, and this backend's names of deployments or models "
                "for them. From an azure program to an openai backend it is read the other way "
                "round first: the program's deployment on the right, the model on the left.",
     .example = "models: {gpt-4: gpt4, gpt-4o-mini: mini}"},
};

const size_t schema_key_count = sizeof schema_keys / sizeof *schema_keys;
_Static_assert(sizeof schema_keys / sizeof *schema_keys <= SCHEMA_KEYS_MAX, "too many keys");

const struct schema_key *schema_find(enum schema_section section, const char *name) {
    for (size_t i = 0; i < schema_key_count; i++)
        if (schema_keys[i].section == section && strcmp(schema_keys[i].name, name) == 0)
            return &schema_keys[i];
    return NULL;
}

const char *schema_section_path(enum schema_section section) {
    static const char *const paths[SECTION_COUNT] = {
        [SECTION_ROOT] = "",
        [SECTION_LOG] = "log",
        [SECTION_PROGRAMS] = "programs",
        [SECTION_STATE] = "state",
        [SECTION_RELAY] = "relay",
        [SECTION_ENDPOINT] = "endpoints[]",
        [SECTION_BACKEND] = "endpoints[].backends[]",
    };
    return paths[section];
}

void schema_path(const struct schema_key *key, char *out, size_t size) {
    const char *section = schema_section_path(key->section);
    snprintf(out, size, "%s%s%s", section, *section ? "." : "", key->name);
}
