/*
 * The settings: what a user writes in YAML, loaded, checked and immutable from then on.
 *
 * Every string belongs to the settings and lives as long as they do. Nothing in here is
 * written after loading, so that any number of threads may read without a lock.
 */
#ifndef SPILLWAY_CONFIG_SETTINGS_H
#define SPILLWAY_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/fault.h"
#include "config/url.h"

enum dialect { DIALECT_OPENAI, DIALECT_AZURE };
enum strategy { STRATEGY_ROUND_ROBIN, STRATEGY_RANDOM, STRATEGY_LEAST_BUSY, STRATEGY_FIRST };
enum exhausted_policy { EXHAUSTED_REPLY, EXHAUSTED_LAST, EXHAUSTED_WAIT };
enum sockets_mode { SOCKETS_RELAY, SOCKETS_ADDRESS, SOCKETS_OFF };
enum state_scope { STATE_HOST, STATE_PROCESS };
enum switch_state { SWITCH_OFF, SWITCH_ON };
enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum key_source { KEY_NONE, KEY_ENVIRONMENT, KEY_FILE, KEY_INLINE, KEY_COMMAND };

/* Per endpoint. An attempt's set of backends is one machine word. */
#define BACKENDS_MAX 64

/* Which outcomes of an attempt make the transfer go on at another backend. */
struct retry_on {
    uint64_t status[10]; /* bit (s % 64) of word (s / 64): HTTP status s, 100 to 599 */
    bool connect;        /* DNS, TCP or TLS failed, or the reply was empty */
    bool reset;          /* the connection broke after the request and before any header */
    bool timeout;        /* no response within the time limits of the attempt */
};

struct model {
    char *name;       /* as the program says it */
    char *deployment; /* as the backend says it */
};

struct backend {
    char *name;      /* unique within its endpoint */
    char *url;       /* without a trailing '/', query or fragment; for `host:` without scheme */
    bool any_scheme; /* spelled as `host:`: takes the scheme that the program asked with */
    int priority;    /* the lower is preferred; 0 or more */
    unsigned weight; /* 1 to 1000 */
    enum dialect dialect; /* the endpoint's, unless it has its own */
    char *api_version;    /* NULL if not set */
    enum key_source key_source;
    char *key; /* variable name, file path, command or the key itself, by key_source; or NULL */
    struct model *models;
    size_t model_count;
};

struct endpoint {
    char *name; /* unique */
    char **urls;
    struct url *prefixes; /* the urls, taken apart; no trailing '/' in the path, no query */
    size_t url_count;
    enum dialect dialect;
    enum strategy strategy;
    unsigned failure_threshold; /* 1 or more */
    uint64_t cooldown_ns;
    uint64_t max_cooldown_ns;
    struct retry_on retry_on;
    enum exhausted_policy on_exhausted;
    uint64_t max_wait_ns;
    uint64_t connect_timeout_ns;    /* 0: none of ours */
    uint64_t first_byte_timeout_ns; /* 0: none */
    uint64_t first_body_timeout_ns; /* 0: none */
    uint64_t replay_limit;          /* bytes */
    enum sockets_mode sockets;
    struct backend *backends; /* in the order of the file */
    size_t backend_count;     /* 1 to BACKENDS_MAX */
};

struct settings {
    char *file; /* where they come from, for messages */
    enum log_level log_level;
    char *log_file; /* NULL: no log */
    char **only;    /* names of executables, NULL-terminated; never NULL itself */
    char **skip;
    enum state_scope state_scope;
    char *state_directory; /* NULL: the default */
    enum switch_state relay_tls;
    struct endpoint *endpoints;
    size_t endpoint_count;
    struct fault *faults; /* for drills alone, in the order of the file */
    size_t fault_count;   /* 0 to FAULTS_MAX */
};

struct settings_error {
    unsigned line; /* from 1; 0 if the error is not about a place in the text */
    unsigned column;
    char message[400]; /* "found X, expected Y"; never holds the value of a `key` */
};

/* Gives the value of an environment variable or NULL, as getenv does. */
typedef const char *settings_lookup(const char *name);

/*
 * Writes the path of the settings file to PATH: the value of SPILLWAY_CONFIG if it is set, else
 * the first that exists of $XDG_CONFIG_HOME/spillway/spillway.yaml (~/.config if unset) and
 * /etc/spillway/spillway.yaml. Returns true, or false if there is none or it does not fit.
 */
bool settings_locate(settings_lookup *lookup, char *path, size_t size);

/*
 * Loads and checks settings. NAME stands for the file in messages. Returns settings for
 * settings_free, or NULL with the first error in *ERROR. A file over 1 MiB is refused.
 * Opens one file descriptor and closes it. Thread-safe.
 */
struct settings *settings_load_file(const char *path, struct settings_error *error);
struct settings *settings_load_text(const char *name, const char *text, size_t length,
                                    struct settings_error *error);

/* Frees SETTINGS; NULL is allowed. Nobody may hold a pointer into them any more. */
void settings_free(struct settings *settings);

/*
 * Writes "FILE:LINE:COLUMN: message" (or "FILE: message") to OUT, truncated to SIZE.
 */
void settings_describe_error(const char *file, const struct settings_error *error, char *out,
                             size_t size);

/* Reads a duration such as 250ms, 10s, 5m, 1h or 0. Returns false if TEXT is none, or too long
 * for 64 bits of nanoseconds. */
bool settings_parse_duration(const char *text, uint64_t *ns);

/* "off", "error", "warn", "info", "debug". Returns false for anything else. */
bool settings_parse_log_level(const char *text, enum log_level *level);

/* The words of the settings for values, for messages and tables. */
const char *settings_strategy_name(enum strategy strategy);
const char *settings_dialect_name(enum dialect dialect);
const char *settings_exhausted_name(enum exhausted_policy policy);

#endif
