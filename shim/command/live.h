/*
 * The settings and the live state that goes with them, as commands see them.
 */
#ifndef SPILLWAY_COMMAND_LIVE_H
#define SPILLWAY_COMMAND_LIVE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config/settings.h"
#include "shim/pool/pool.h"

struct live {
    struct settings *settings;
    const char *directory;    /* of the shared state; perhaps in `path`, so never copy this */
    struct pool_view **views; /* one array per endpoint, with one view per backend */
    uint64_t now;             /* when they were taken: CLOCK_BOOTTIME in ns ... */
    double time;              /* ... and in seconds since the epoch */
    char path[PATH_MAX];
};

/*
 * Loads the settings: CONFIG (the argument of -c), or without it (NULL) the text in
 * SPILLWAY_SETTINGS, else the file that settings_locate finds. Returns NULL, with a line on stderr
 * that begins with "spillway COMMAND" or with the place in the settings, if there are none or if
 * they are bad.
 */
struct settings *live_settings(const char *command, const char *config);

/*
 * Loads the settings in the same way. Returns false, likewise, also if their state is not shared.
 * Nothing needs to be closed then. All views are zero at first.
 */
bool live_open(struct live *live, const char *command, const char *config);

/* Takes all views anew, and changes nothing: what is not there yet counts as zero. Returns NULL, or
 * why it is impossible. */
const char *live_look(struct live *live);

/* live_open and live_look in one, for commands that look once. */
bool live_open_and_look(struct live *live, const char *command, const char *config);

void live_close(struct live *live);

/* Flushes stdout. Returns COMMAND's exit status: 0, or 1 with a line on stderr if not all could be
 * written. */
int live_finish_output(const char *command);

#endif
