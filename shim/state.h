/*
 * The state that processes share: where it lies, and the ledger of this process.
 */
#ifndef SPILLWAY_SHIM_STATE_H
#define SPILLWAY_SHIM_STATE_H

#include <stddef.h>

#include "config/settings.h"
#include "shim/pool/ledger.h"

/*
 * The directory of the ledger for SETTINGS: SPILLWAY_STATE_DIR, by LOOKUP, else state.directory,
 * else $XDG_RUNTIME_DIR/spillway, else /tmp/spillway-UID. Returns it, perhaps written to PATH (SIZE
 * bytes); NULL if the state is to be private (state.scope: process) or the path does not fit.
 * As thread-safe as LOOKUP; errno is kept.
 */
const char *state_directory(const struct settings *settings, settings_lookup *lookup, char *path,
                            size_t size);

/*
 * The first ledger of this process, by SETTINGS, for ledger_close; a line in the log tells if it is
 * private though it was to be shared (event=state). NULL without memory. To be called once. errno
 * is not preserved.
 */
struct ledger *state_open(const struct settings *settings, settings_lookup *lookup);

/*
 * The ledger to go over to from HELD, for ledger_close, if others do not, or no longer, share HELD
 * with this process at NOW (CLOCK_BOOTTIME in ns); NULL if they do, or if there is no shared one to
 * be had: then it is not tried again for ten seconds. By one thread at a time, after state_open.
 * Few system calls if all is well. errno is not preserved.
 */
struct ledger *state_renew(const struct ledger *held, uint64_t now);

#endif
