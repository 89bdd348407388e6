/*
 * How long to leave a backend alone, read from the response that it gave.
 *
 * The forms and their order are those of Azure OpenAI and OpenAI as they are found in the wild:
 * retry-after-ms, Retry-After, x-ratelimit-reset-*, then the text of the body. What does not
 * parse counts as absent. Nothing in here allocates, locks or fails; all of it is thread-safe.
 */
#ifndef SPILLWAY_POOL_COOLDOWN_H
#define SPILLWAY_POOL_COOLDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define COOLDOWN_BODY_LIMIT 4096 /* bytes of a body that are looked at */

/* What one response says; fill it with cooldown_header() line by line. Times in nanoseconds. */
struct cooldown_hints {
    bool has_retry_after_ms;
    uint64_t retry_after_ms; /* from retry-after-ms and x-ms-retry-after-ms; the later one wins */
    bool has_retry_after;
    uint64_t retry_after; /* Retry-After in seconds; the later one wins */
    bool has_retry_date;
    time_t retry_date; /* Retry-After as a date, not yet set against `date` */
    bool has_date;
    time_t date; /* the response's own Date */
    bool has_reset_requests, has_reset_tokens;
    uint64_t reset_requests, reset_tokens;
    bool requests_spent, tokens_spent; /* the dimension's `remaining` is 0 or less */
};

enum cooldown_kind {
    COOLDOWN_NORMAL,   /* throttled or failed: cool it */
    COOLDOWN_QUOTA,    /* insufficient_quota and its kin: cool it for max_cooldown */
    COOLDOWN_TOO_LARGE /* this request never fits there: go on without cooling */
};

/* Starts over, for the next response. */
void cooldown_reset(struct cooldown_hints *hints);

/*
 * Takes note of one header line, LENGTH bytes, with or without its line end. Lines that say
 * nothing about cooldowns are cheap: they are told apart by their first bytes.
 */
void cooldown_header(struct cooldown_hints *hints, const char *line, size_t length);

/* Whether any header gave a time. */
bool cooldown_has_time(const struct cooldown_hints *hints);

/*
 * The cooldown in nanoseconds, from the headers, else from the LENGTH bytes of BODY (NULL is
 * allowed), else DEFAULT_NS; never more than MAX_NS. WALL is the time to set a Retry-After date
 * against if the response had no Date. Zero means that the backend may be used at once.
 */
uint64_t cooldown_duration(const struct cooldown_hints *hints, const char *body, size_t length,
                           time_t wall, uint64_t default_ns, uint64_t max_ns);

/* Whether headers or BODY name a time, so that cooldown_duration needs no default. */
bool cooldown_is_named(const struct cooldown_hints *hints, const char *body, size_t length);

/* What the body of a 429 says about its kind. BODY may be NULL if LENGTH is 0. */
enum cooldown_kind cooldown_kind(const char *body, size_t length);

#endif
