/*
 * `run` sees to it that a relay is there for the program that it becomes, without one being there:
 * a socket takes the place of a relay, and a waiting process starts one at the first connection. A
 * program that uses libcurl never makes one.
 */
#ifndef SPILLWAY_SHIM_COMMAND_RELAY_WAIT_H
#define SPILLWAY_SHIM_COMMAND_RELAY_WAIT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* Whether programs may need a relay with SETTINGS. */
bool relay_is_wanted(const struct settings *settings);

/*
 * The value of SPILLWAY_SOCKETS for SETTINGS, for free(): the logical hosts that are numeric, and
 * so may be connected to before anything is looked up, as words "ADDRESS:PORT=r" with a blank
 * between. Empty if there are none; NULL without memory.
 */
char *relay_sockets(const struct settings *settings);

/*
 * Arranges it, for this process and what it becomes by exec, if SETTINGS want it: takes the place,
 * or finds out who has it, and exports SPILLWAY_RELAY_PORT and SPILLWAY_SOCKETS. The process that
 * waits ends when nobody lives any more who needs it. COMMAND, ARGC and ARGV are as in prepare.h.
 * That there can be no relay is said on stderr, in a line, unless the file PROGRAM needs a libcurl
 * itself, and so no relay. False only if the environment can't be
 * set, after a message.
 */
bool relay_arrange(const char *command, const struct settings *settings, const char *program,
                   int argc, char **argv);

#endif
