/*
 * What `run`, `drill` and `relay` have in common: the settings, the log and the keys of the program
 * that this process is about to become or to start, which finds them by its environment.
 *
 * COMMAND is the subcommand's name, for messages on stderr. Not thread-safe.
 */
#ifndef SPILLWAY_SHIM_COMMAND_PREPARE_H
#define SPILLWAY_SHIM_COMMAND_PREPARE_H

#include <stdbool.h>

#include "config/settings.h"
#include "shim/command/flags.h"

struct keeper;

/* Sets an environment variable, or unsets it for a VALUE of NULL. False after a message. */
bool prepare_variable(const char *command, const char *name, const char *value);

/*
 * The settings from the file CONFIG, or of FLAGS, or from the environment (SPILLWAY_SETTINGS), or
 * from where settings_locate finds them: the first that is there. Exports where they are. Returns
 * NULL after a message.
 */
struct settings *prepare_settings(const char *command, const char *config,
                                  const struct flags *flags);

/* Exports the log's FILE and LEVEL, each if it is not NULL. False after a message, also if the file
 * can't be written: the shim itself would not say so. */
bool prepare_log(const char *command, const char *file, const char *level);

/*
 * Fetches the keys of key_commands and starts the process that keeps them fresh as long as this one
 * lives (keeper.h); exports where they are. *KEEPER is NULL if there are none. False after a
 * message; does not return if a signal came meanwhile.
 */
bool prepare_keys(const char *command, const struct settings *settings, int argc, char **argv,
                  struct keeper **keeper);

/* Makes the program trust the relay's certificates, besides those that it would trust anyway, if
 * SETTINGS have it take https requests. False after a message: the authority has to be there. */
bool prepare_trust(const char *command, const struct settings *settings);

/*
 * Sets LD_PRELOAD so that PROGRAM, whose file is FOUND, has LIBRARY loaded. If it can't be reached
 * that is said on stderr, and it is to run as it is. False after a message.
 */
bool prepare_library(const char *command, const char *library, const char *program,
                     const char *found);

#endif
