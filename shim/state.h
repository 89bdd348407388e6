/*
 * Where the state that processes share lies.
 */
#ifndef SPILLWAY_SHIM_STATE_H
#define SPILLWAY_SHIM_STATE_H

#include <stddef.h>

#include "config/settings.h"

/*
 * The directory of the ledger for SETTINGS: SPILLWAY_STATE_DIR, by LOOKUP, else state.directory,
 * else $XDG_RUNTIME_DIR/spillway, else /tmp/spillway-UID. Returns it, perhaps written to PATH (SIZE
 * bytes); NULL if the state is to be private (state.scope: process) or the path does not fit.
 * As thread-safe as LOOKUP; errno is kept.
 */
const char *state_directory(const struct settings *settings, settings_lookup *lookup, char *path,
                            size_t size);

#endif
