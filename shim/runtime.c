#include "shim/runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "shim/absolute.h"
#include "shim/identity.h"
#include "shim/log.h"
#include "shim/request/dialect.h"
#include "shim/state.h"

#define LOOK_INTERVAL 1000000000u /* ns between two looks at the settings file */

/*
 * Our environment variables as they were when the program began: a program may replace, or
 * overwrite, its environment later. Written by the constructor alone.
 */
static struct {
    const char *name;
    const char *value;
} environment[] = {
    {"SPILLWAY_CONFIG", NULL},   {"SPILLWAY_SETTINGS", NULL},   {"SPILLWAY_LOG", NULL},
    {"SPILLWAY_LOG_FILE", NULL}, {"SPILLWAY_STATE_DIR", NULL},  {"SPILLWAY_KEYS", NULL},
    {"SPILLWAY_RELAY", NULL},    {"SPILLWAY_DRILL", NULL},      {"SPILLWAY_FAULTS", NULL},
    {"SPILLWAY_SOCKETS", NULL},  {"SPILLWAY_RELAY_PORT", NULL},
};
#define ENVIRONMENT_SIZE (sizeof environment / sizeof environment[0])

/* Replaced under `lock`. */
const struct runtime *_Atomic runtime_active;
static atomic_bool translates;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Written once, under `once`; constant afterwards. */
static struct drill *drill; /* NULL: no drill */
static char *watched;       /* the absolute path of the settings file; NULL: they came otherwise */

/* When the file was looked at last, in ns, and whether a thread is at it. */
static _Atomic uint64_t looked;
static atomic_bool looking;
static struct identity seen; /* of the file that was read last; written by that thread */

/* Over the runtime in force and the holders of every one, for moments. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void) {
    pthread_mutex_unlock(&lock);
    atomic_store(&looking, false); /* the thread that was at it is not here */
}

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

/* Before our other constructors, which read the copy; 101 is the first that is not the compiler's.
 */
__attribute__((constructor(101))) static void copy_environment(void) {
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

static void log_bad_settings(const char *path, const struct settings_error *error) {
    char message[PATH_MAX + sizeof error->message + 32];
    struct log_line line;
    settings_describe_error(path, error, message, sizeof message);
    log_begin(&line, LOG_ERROR, "settings");
    log_text(&line, "error", message);
    log_end(&line);
}

static struct settings *load_text(const char *text, struct settings_error *error) {
    return settings_load_text("SPILLWAY_SETTINGS", text, strlen(text), error);
}

static struct settings *load(void) {
    struct settings_error error = {0};
    const char *text = runtime_environment("SPILLWAY_SETTINGS");
    char path[PATH_MAX] = "SPILLWAY_SETTINGS";
    struct settings *settings;
    if (text) {
        settings = load_text(text, &error);
    } else {
        if (!settings_locate(runtime_environment, path, sizeof path))
            return NULL;
        seen = identity_at(path); /* before it is read: a change meanwhile is one to come */
        settings = settings_load_file(path, &error);
        watched = settings ? absolute_path(path) : NULL;
    }
    open_log(settings);
    if (!settings)
        log_bad_settings(path, &error);
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
    if (runtime_environment("SPILLWAY_RELAY"))
        return true; /* its requests are those of other programs */
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

/* False if the program runs in a drill that can't be held: then it is not to be routed at all, for
 * its requests are not meant for the backends. */
static bool open_drill(void) {
    char error[512];
    struct log_line line;
    if (!runtime_environment("SPILLWAY_DRILL"))
        return true;
    drill = drill_open(runtime_environment, error, sizeof error);
    if (drill)
        return true;
    log_begin(&line, LOG_ERROR, "drill");
    log_text(&line, "error", error);
    log_end(&line);
    return false;
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

static void free_runtime(struct runtime *runtime) {
    for (size_t i = 0; runtime->endpoints && i < runtime->settings->endpoint_count; i++) {
        struct runtime_endpoint *endpoint = &runtime->endpoints[i];
        pool_free(endpoint->pool);
        for (size_t k = 0; endpoint->keys && k < runtime->settings->endpoints[i].backend_count; k++)
            key_clear(&endpoint->keys[k]);
        free(endpoint->keys);
    }
    free(runtime->endpoints);
    ledger_close(runtime->ledger);
    settings_free(runtime->settings);
    free(runtime);
}

/* A runtime for SETTINGS on LEDGER, which it takes over, with one holder. NULL without memory. */
static struct runtime *make_runtime(struct settings *settings, struct ledger *ledger) {
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime) {
        ledger_close(ledger);
        settings_free(settings);
        return NULL;
    }
    runtime->holders = 1;
    runtime->settings = settings;
    runtime->ledger = ledger;
    runtime->drill = drill;
    runtime->endpoints = calloc(settings->endpoint_count, sizeof *runtime->endpoints);
    bool made = runtime->endpoints != NULL;
    for (size_t i = 0; made && i < settings->endpoint_count; i++) {
        struct runtime_endpoint *endpoint = &runtime->endpoints[i];
        endpoint->pool = pool_new(&settings->endpoints[i], ledger);
        made = endpoint->pool && load_keys(&settings->endpoints[i], endpoint);
        endpoint->translates = find_translations(&settings->endpoints[i]);
    }
    if (made)
        return runtime;
    free_runtime(runtime);
    return NULL;
}

/* What everybody sees is only read; here it is ours. */
static struct runtime *ours(const struct runtime *runtime) {
    union {
        const struct runtime *seen;
        struct runtime *ours;
    } pointer = {runtime};
    return pointer.ours;
}

/* Takes a holder from RUNTIME. */
static void let_go(const struct runtime *runtime) {
    pthread_mutex_lock(&lock);
    bool unused = --ours(runtime)->holders == 0;
    pthread_mutex_unlock(&lock);
    if (unused)
        free_runtime(ours(runtime));
}

/* Puts NEXT in force, which counts as holding it. */
static void put_in_force(struct runtime *next) {
    bool any = false;
    for (size_t i = 0; i < next->settings->endpoint_count; i++)
        any |= next->endpoints[i].translates != 0;
    atomic_store(&translates, any);
    pthread_mutex_lock(&lock);
    const struct runtime *last = atomic_load_explicit(&runtime_active, memory_order_relaxed);
    atomic_store_explicit(&runtime_active, next, memory_order_release);
    pthread_mutex_unlock(&lock);
    if (last)
        let_go(last);
}

static void make(void) {
    int saved = errno;
    struct settings *settings = load();
    struct ledger *ledger = NULL;
    if (settings && is_meant(settings) && open_drill())
        ledger = state_open(settings, runtime_environment);
    struct runtime *first = ledger ? make_runtime(settings, ledger) : NULL;
    if (!ledger)
        settings_free(settings);
    if (first) {
        atomic_store_explicit(&looked, ledger_now(), memory_order_relaxed);
        pthread_atfork(before_fork, after_fork, after_fork_in_child);
        put_in_force(first);
    }
    errno = saved;
}

bool runtime_load(void) {
    pthread_once(&once, make);
    return atomic_load_explicit(&runtime_active, memory_order_acquire) != NULL;
}

bool runtime_translates(void) {
    return atomic_load_explicit(&translates, memory_order_relaxed);
}

/* Whether what is written to the ledger from elsewhere has left RUNTIME its places in it. */
static bool is_intact(const struct runtime *runtime) {
    bool intact = true;
    for (size_t i = 0; i < runtime->settings->endpoint_count; i++)
        intact &= pool_is_intact(runtime->endpoints[i].pool);
    return intact;
}

/* The settings once more, whether they have CHANGED or not. */
static struct settings *load_again(bool changed) {
    struct settings_error error = {0};
    const char *text = runtime_environment("SPILLWAY_SETTINGS");
    if (!watched)
        return text ? load_text(text, &error) : NULL;
    struct settings *settings = settings_load_file(watched, &error);
    if (!settings && changed)
        log_bad_settings(watched, &error);
    return settings;
}

/* Makes another runtime if the settings file is not what was read last, or the ledger not what
 * other processes share. */
static void look(uint64_t now) {
    /* in force, and no other thread replaces it */
    const struct runtime *last = atomic_load_explicit(&runtime_active, memory_order_relaxed);
    struct identity identity = watched ? identity_at(watched) : seen;
    bool changed = !identity_same(&identity, &seen);
    struct ledger *other = state_renew(last->ledger, now);
    if (!changed && !other && is_intact(last))
        return;
    seen = identity;
    struct settings *settings = load_again(changed);
    if (!settings) {
        ledger_close(other);
        return;
    }
    struct runtime *next = make_runtime(settings, other ? other : ledger_hold(last->ledger));
    if (!next) {
        seen.error = -1; /* memory ran out: once more */
        return;
    }
    put_in_force(next);
    if (!changed)
        return;
    struct log_line line;
    log_begin(&line, LOG_INFO, "reloaded");
    log_text(&line, "settings", watched);
    log_end(&line);
}

/* The same, if nobody has looked for a second. */
static void look_in_time(uint64_t now) {
    uint64_t last = atomic_load_explicit(&looked, memory_order_relaxed);
    if (now - last < LOOK_INTERVAL || now < last || atomic_exchange(&looking, true))
        return;
    int saved = errno;
    if (atomic_load(&looked) == last) {
        atomic_store(&looked, now);
        look(now);
    }
    atomic_store(&looking, false);
    errno = saved;
}

const struct runtime *runtime_renew(const struct runtime *held, uint64_t now) {
    if (!runtime_exists())
        return NULL;
    look_in_time(now);
    if (held == atomic_load_explicit(&runtime_active, memory_order_acquire))
        return held;
    pthread_mutex_lock(&lock);
    const struct runtime *active = atomic_load_explicit(&runtime_active, memory_order_relaxed);
    ours(active)->holders++;
    pthread_mutex_unlock(&lock);
    return active;
}

void runtime_release(const struct runtime *held) {
    if (held)
        let_go(held);
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
