/*
 * The log: one logfmt line per event, one write(2) per line, to a file opened for append.
 *
 * Nothing is kept open in the host program, nothing is locked, and errno survives. A line looks
 * like: time=2026-01-31T12:00:00.123Z level=warn pid=4711 event=cooldown backend=ptu seconds=4.2
 *
 * No key may be handed to these functions.
 */
#ifndef SPILLWAY_SHIM_LOG_H
#define SPILLWAY_SHIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

/* A line in the making. It lives on the stack; a value that no longer fits is cut. */
struct log_line {
    char text[1000];
    size_t length;
    bool wanted;
};

/*
 * Where lines go from now on and which ones. FILE is copied; NULL means no log at all. Not
 * thread-safe: called once, before the first event.
 */
void log_open(const char *file, enum log_level level);

/* The highest level that is written. Written by log_open, constant from then on. */
extern enum log_level log_limit __attribute__((visibility("hidden")));

/* Whether events of LEVEL are written at all; for callers that have to prepare values. */
static inline bool log_wanted(enum log_level level) {
    return level <= log_limit;
}

/*
 * Begins a line for EVENT; log_end writes it. In between the values. All of these do nothing
 * if LEVEL is not wanted. Thread-safe; errno is kept.
 */
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *name, const char *value);
void log_slice(struct log_line *line, const char *name, const char *value, size_t length);
void log_number(struct log_line *line, const char *name, int64_t value);
/* Nanoseconds, written as seconds or milliseconds with up to three decimals. */
void log_seconds(struct log_line *line, const char *name, uint64_t ns);
void log_milliseconds(struct log_line *line, const char *name, uint64_t ns);
void log_end(struct log_line *line);

#endif
