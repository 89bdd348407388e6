#include "shim/runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "shim/log.h"
#include "shim/private.h"
#include "shim/request/dialect.h"

/*
 * Our environment variables as they were when the program began: a program may replace, or
 * overwrite, its environment later. Written by the constructor alone.
 */
static struct {
    const char *name;
    const char *value;
} environment[] = {
    {"SPILLWAY_CONFIG", NULL},   {"SPILLWAY_SETTINGS", NULL},  {"SPILLWAY_LOG", NULL},
    {"SPILLWAY_LOG_FILE", NULL}, {"SPILLWAY_STATE_DIR", NULL}, {"SPILLWAY_KEYS", NULL},
};
#define ENVIRONMENT_SIZE (sizeof environment / sizeof environment[0])

/* Written once, under `once`; constant afterwards. */
static struct runtime runtime;
const struct runtime *_Atomic runtime_active;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A copy that lives as long as the process, or NULL. Mostly without the heap, which many a
 * program does not need at all. */
static const char *keep(const char *value) {
    static char room[1024];
    static size_t used;
    size_t size = strlen(value) + 1;
    if (size > sizeof room - used)
        return strdup(value);
    used += size;
    return memcpy(room + used - size, value, size);
}

__attribute__((constructor)) static void copy_environment(void) {
    int saved = errno;
    for (size_t i = 0; i < ENVIRONMENT_SIZE; i++) {
        const char *value = secure_getenv(environment[i].name);
        if (value && *value)
            environment[i].value = keep(value);
    }
    errno = saved;
}

const char *runtime_environment(const char *name) {
    for (size_t i = 0; i < ENVIRONMENT_SIZE; i++)
        if (strcmp(name, environment[i].name) == 0)
            return environment[i].value;
    return secure_getenv(name);
}

static void open_log(const struct settings *settings) {
    enum log_level level = settings ? settings->log_level : LOG_WARN;
    const char *file = runtime_environment("SPILLWAY_LOG_FILE"),
               *word = runtime_environment("SPILLWAY_LOG");
    if (word)
        settings_parse_log_level(word, &level);
    if (!file && settings)
        file = settings->log_file;
    log_open(file, level);
}

static struct settings *load(void) {
    struct settings_error error = {0};
    const char *text = runtime_environment("SPILLWAY_SETTINGS");
    char path[PATH_MAX];
    struct settings *settings;
    if (text) {
        snprintf(path, sizeof path, "SPILLWAY_SETTINGS");
        settings = settings_load_text(path, text, strlen(text), &error);
    } else {
        if (!settings_locate(runtime_environment, path, sizeof path))
            return NULL;
        settings = settings_load_file(path, &error);
    }
    open_log(settings);
    if (!settings) {
        char message[PATH_MAX + sizeof error.message + 32];
        struct log_line line;
        settings_describe_error(path, &error, message, sizeof message);
        log_begin(&line, LOG_ERROR, "settings");
        log_text(&line, "error", message);
        log_end(&line);
    }
    return settings;
}

static bool is_listed(char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* Whether the settings mean this program, by the name of its executable. */
static bool is_meant(const struct settings *settings) {
    if (!settings->only[0] && !settings->skip[0])
        return true;
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return (!settings->only[0] || is_listed(settings->only, name)) &&
           !is_listed(settings->skip, name);
}

/* Where the ledger lies; NULL if the state is to be private. */
static const char *state_directory(const struct settings *settings, char *path, size_t size) {
    const char *given = runtime_environment("SPILLWAY_STATE_DIR");
    if (settings->state_scope == STATE_PROCESS)
        return NULL;
    if (given || settings->state_directory)
        return given ? given : settings->state_directory;
    return private_default_directory(runtime_environment, path, size) ? path : NULL;
}

static struct ledger *open_ledger(const struct settings *settings) {
    char path[PATH_MAX];
    const char *directory = state_directory(settings, path, sizeof path);
    struct ledger *ledger = ledger_open(directory);
    if (ledger && ledger_problem(ledger)) {
        struct log_line line;
        log_begin(&line, LOG_WARN, "state");
        log_text(&line, "directory", directory);
        log_text(&line, "error", ledger_problem(ledger));
        log_text(&line, "scope", "process");
        log_end(&line);
    }
    return ledger;
}

static bool load_keys(const struct endpoint *endpoint, struct runtime_endpoint *out) {
    out->keys = calloc(endpoint->backend_count, sizeof *out->keys);
    if (!out->keys)
        return false;
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        const struct backend *backend = &endpoint->backends[i];
        if (!key_init(&out->keys[i], endpoint, backend, runtime_environment))
            return false;
        const char *missing = key_missing(&out->keys[i], backend);
        if (missing) {
            struct log_line line;
            log_begin(&line, LOG_ERROR, "credentials");
            log_text(&line, "backend", backend->name);
            log_text(&line, "missing", missing);
            log_end(&line);
        }
    }
    return true;
}

static uint64_t find_translations(const struct endpoint *endpoint) {
    uint64_t mask = 0;
    for (size_t i = 0; i < endpoint->backend_count; i++)
        if (dialect_translates(endpoint, &endpoint->backends[i]))
            mask |= 1ull << i;
    return mask;
}

static void make(void) {
    int saved = errno;
    struct settings *settings = load();
    struct ledger *ledger = NULL;
    if (settings && is_meant(settings))
        ledger = open_ledger(settings);
    if (!ledger) {
        settings_free(settings);
    } else {
        runtime.settings = settings;
        runtime.endpoints = calloc(settings->endpoint_count, sizeof *runtime.endpoints);
        bool made = runtime.endpoints != NULL;
        for (size_t i = 0; made && i < settings->endpoint_count; i++) {
            runtime.endpoints[i].pool = pool_new(&settings->endpoints[i], ledger);
            made = runtime.endpoints[i].pool &&
                   load_keys(&settings->endpoints[i], &runtime.endpoints[i]);
            runtime.endpoints[i].translates = find_translations(&settings->endpoints[i]);
            runtime.translates |= runtime.endpoints[i].translates != 0;
        }
        if (made)
            atomic_store_explicit(&runtime_active, &runtime, memory_order_release);
    }
    errno = saved;
}

const struct runtime *runtime_load(void) {
    pthread_once(&once, make);
    return atomic_load_explicit(&runtime_active, memory_order_acquire);
}

uint64_t runtime_random(uint64_t salt) {
    static __thread uint64_t state;
    if (!state) {
        const char *seed = (const char *)getauxval(AT_RANDOM); /* 16 bytes from the kernel */
        if (seed)
            memcpy(&state, seed, sizeof state);
        state ^= ledger_now() ^ (uint64_t)getpid() << 32 ^ (uintptr_t)&state;
    }
    /* splitmix64, as published by Steele, Lea and Flood, 2014 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u) ^ salt;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
