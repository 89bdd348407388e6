/*
 * What a mock is told to do: the --script grammar, one step per request, and the --limit
 * window. No I/O and no clock; not thread-safe, the caller locks.
 *
 *   script  = step *( "," step )
 *   step    = outcome [ repeat ] *( ":" option ) [ repeat ]
 *   outcome = 100..599 (not 101) | "cut" | "stall" | "slow" | "trickle" | "reset" | "close" |
 * "hang" repeat  = "*" NUMBER | "*"               "*" alone, for ever: at the last step only option
 * = cause | "latency=" DURATION | "interim=" 1xx | "body=" value | header-name "=" value | "after="
 * BYTES          (cut and stall) | "interval=" DURATION    (slow and trickle) cause   = "quota" |
 * "too-large" | "content-filter" | "not-json" | "no-model" | "no-key" | "no-resource" value   =
 * text without "," ":" "*" | "'" text "'" | '"' text '"'
 *
 * Spaces around a step are ignored. After the last step the last step goes on for ever.
 */
#ifndef SPILLWAY_COMMAND_MOCK_SCRIPT_H
#define SPILLWAY_COMMAND_MOCK_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/mock_error.h"

#define MOCK_PIECE 16

enum mock_action {
    MOCK_REPLY,   /* a whole response */
    MOCK_CUT,     /* the header and a part of the body, then the connection closes */
    MOCK_STALL,   /* the same, then nothing, until the client goes */
    MOCK_SLOW,    /* the body in ten pieces */
    MOCK_TRICKLE, /* the body in pieces of MOCK_PIECE bytes */
    MOCK_RESET,   /* TCP RST after the request was read */
    MOCK_CLOSE,   /* the connection closes in order, without a byte */
    MOCK_HANG     /* nothing, until the client goes */
};

struct mock_header {
    char *name;  /* as written */
    char *value; /* never empty, without control characters */
};

struct mock_step {
    enum mock_action action;
    int status;            /* 200 to 599; 0 with MOCK_RESET, MOCK_CLOSE and MOCK_HANG */
    int interim;           /* a 1xx status to send first, or 0 */
    uint64_t repeat;       /* how many requests it serves; 0: all that follow */
    enum mock_cause cause; /* which form of a 429 */
    bool has_latency;
    uint64_t latency_ns; /* instead of the mock's own, with has_latency */
    bool has_after;
    uint64_t after; /* bytes of the body before a cut or a stall, with has_after; else half of it */
    uint64_t interval_ns; /* between two pieces, instead of the mock's own; 0: that */
    char *body;           /* NULL: the usual one */
    struct mock_header *headers;
    size_t header_count;
};

struct mock_script {
    struct mock_step *steps;
    size_t count;    /* 0: no script */
    size_t position; /* of the step that serves the next request */
    uint64_t used;   /* requests that this step has served */
};

/*
 * Reads TEXT into *SCRIPT, which mock_script_free empties. Returns true, or false with *SCRIPT
 * empty and a message in ERROR: "at character N: found X, expected Y".
 */
bool mock_script_parse(const char *text, struct mock_script *script, char *error, size_t size);

/* The step for one more request, or NULL without a script. Valid until mock_script_free. */
const struct mock_step *mock_script_next(struct mock_script *script);

/* The value of the first header of STEP with that name (case-insensitive), or NULL. */
const char *mock_step_header(const struct mock_step *step, const char *name);

/* Whether STEP names a header of its own that says how long to wait (retry-after,
 * retry-after-ms, x-ms-retry-after-ms, x-ratelimit-reset-*, x-rate-limit-reset-*). */
bool mock_step_has_wait(const struct mock_step *step);

void mock_script_free(struct mock_script *script);

/* At most COUNT requests in any WINDOW_NS: a sliding window over the requests let through. */
struct mock_limit {
    unsigned count; /* 0: no limit */
    uint64_t window_ns;
    uint64_t *times; /* a ring of COUNT times */
    unsigned oldest; /* index of the oldest time in it */
    unsigned used;
};

/* Reads "COUNT/WINDOW" such as 3/10s (COUNT 1 to 100000, WINDOW above 0; a bare unit such as
 * 60/m counts as one of it). Returns false if TEXT is no such thing. */
bool mock_limit_parse(const char *text, struct mock_limit *limit);

/*
 * Whether one more request may pass at NOW_NS (any clock that never goes back). If it may, it
 * is counted; if not, *WAIT_NS is the time until the window frees, above 0.
 */
bool mock_limit_take(struct mock_limit *limit, uint64_t now_ns, uint64_t *wait_ns);

void mock_limit_free(struct mock_limit *limit);

#endif
