/*
 * The keys of key_commands: fetched before a program starts, handed to it in files of a private
 * directory, and kept fresh by a process of ours as long as it runs.
 *
 *     keeper = keeper_new(settings, ...)    NULL: no directory
 *     keeper_fetch(keeper, stderr)
 *     keeper_start(keeper, ...)             from here on a helper does the rest
 *     exec of the program; if that fails:
 *     keeper_end(keeper)
 */
#ifndef SPILLWAY_SHIM_COMMAND_KEEPER_H
#define SPILLWAY_SHIM_COMMAND_KEEPER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config/settings.h"

struct keeper;

/* Whether some backend of SETTINGS has a key_command. */
bool keeper_needed(const struct settings *settings);

/* Why a key_command from a settings file with this STATUS is not to be run: others than the user
 * and root could have written it. NULL if it may be. */
const char *keeper_distrusts(const struct stat *status);

/*
 * Makes a keeper for the key_commands of SETTINGS, which must outlive it, and its directory (mode
 * 0700) below $XDG_RUNTIME_DIR/spillway or /tmp/spillway-UID. Returns NULL with a sentence in
 * MESSAGE if that can't be done.
 */
struct keeper *keeper_new(const struct settings *settings, char *message, size_t size);

/* The directory's path, for SPILLWAY_KEYS; it is the keeper's. */
const char *keeper_directory(const struct keeper *keeper);

/*
 * Runs each command once, one after the other, and writes the files of the backends that have it
 * (mode 0600). Writes one line to OUT for each backend whose command failed; its file is missing.
 * Returns 0, or the number of the signal (SIGHUP, SIGINT, SIGQUIT, SIGTERM) that came meanwhile:
 * the command was killed then, and the caller is to end by that signal after keeper_end.
 */
int keeper_fetch(struct keeper *keeper, FILE *out);

/*
 * Starts the helper: a process in a session of its own, nobody's child and without any of our open
 * files, that fetches each token again in time, tells the log of SETTINGS (or of SPILLWAY_LOG_FILE
 * and SPILLWAY_LOG) what fails, and ends, removing the directory, when this process ends, whatever
 * it has become. ARGV, of ARGC words, is what ps shows of this process; the helper shows something
 * else. Returns false with errno if there is no helper.
 */
bool keeper_start(struct keeper *keeper, int argc, char **argv);

/* Removes the directory and its files, and frees KEEPER; NULL is allowed. */
void keeper_end(struct keeper *keeper);

#endif
