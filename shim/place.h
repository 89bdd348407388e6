/*
 * Where the relay is found: a small file beside the shared state, one per user and settings, that
 * names its ports. The process that takes connections holds the file locked as long as it does, so
 * that a file left behind by a relay that died is told from one in use.
 *
 * For programs that were started for it there are marks in the same directory: as long as one of
 * them lives the relay stays.
 *
 * No descriptor stays open but that of place_claim. errno is not preserved. Thread-safe.
 */
#ifndef SPILLWAY_SHIM_PLACE_H
#define SPILLWAY_SHIM_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

struct place {
    uint16_t port;     /* on 127.0.0.1, for plain http; 0: none */
    uint16_t tls_port; /* likewise for https; 0: none */
};

/*
 * Writes the path of the file for SETTINGS to PATH: the directory of the shared state, whatever
 * state.scope is, and a name by where the settings come from, as LOOKUP tells (SPILLWAY_SETTINGS,
 * else the file that settings_locate finds, whose path is made absolute). Returns false if there
 * is none, or if it does not fit.
 */
bool place_path(const struct settings *settings, settings_lookup *lookup, char path[PATH_MAX]);

/*
 * Takes the place at PATH, whose directory is made if only its last component is missing. Returns a
 * descriptor (O_CLOEXEC) that holds the lock, also for those who inherit it, until the last one
 * closes it; the file is empty then. Returns -1 with errno: EWOULDBLOCK if somebody has the place
 * already, EPERM if directory or file are not this user's alone.
 */
int place_claim(const char *path);

/* Gives the place at PATH back: removes the file, and closes CLAIM, which no other process may have
 * any more. */
void place_release(int claim, const char *path);

/* Tells everybody of PLACE, through the descriptor of place_claim. False with errno. */
bool place_announce(int claim, const struct place *place);

/*
 * Withdraws the announcement, unless the place is needed: who needs it notes that (place_join)
 * before he looks for it, so that whoever found it is known here. Returns true if it is withdrawn
 * and nobody may come any more; then place_release is to follow. False if it is, or was put back,
 * as it was.
 */
bool place_withdraw(int claim, const char *path);

/* What is announced at PATH. False if nobody holds the place, if nothing is announced, or if the
 * file is not this user's alone. */
bool place_find(const char *path, struct place *place);

/* Notes that this process, and what it becomes by exec, needs the relay at PATH. */
bool place_join(const char *path);

/* Whether a process that has joined PATH is alive. Removes the marks of others. */
bool place_is_needed(const char *path);

#endif
