/*
 * `spillway run`: becomes a program that has the shim preloaded.
 */
#ifndef SPILLWAY_SHIM_COMMAND_RUN_H
#define SPILLWAY_SHIM_COMMAND_RUN_H

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/settings.h"
#include "shim/command/flags.h"

/* What the command line of `run` asks for. The strings are the arguments themselves. */
struct run_options {
    const char *config;
    const char *log_file;
    const char *log_level;
    struct flags flags;
    char **program; /* its arguments, NULL-terminated; the first is its name */
    bool help;
};

/*
 * Reads the arguments of `run`; ARGV[0] is "run", and options end at the first argument that is
 * none. Returns true with OPTIONS for run_options_free, or false with a sentence in MESSAGE (and
 * nothing to free). Not thread-safe: uses getopt.
 */
bool run_parse(int argc, char **argv, struct run_options *options, char *message, size_t size);
void run_options_free(struct run_options *options);

/*
 * Writes one line to OUT for each backend that has no key: its key_env variable is unset or empty,
 * as LOOKUP sees it, or its key_file can't be read or is empty. Returns their number.
 */
unsigned run_warn_keys(const struct settings *settings, settings_lookup *lookup, FILE *out);

/*
 * The settings for a program, as OPTIONS ask for them: our environment, which it inherits, says
 * where they are (SPILLWAY_CONFIG, SPILLWAY_SETTINGS). Returns them for settings_free, or NULL
 * after a complaint of COMMAND on stderr; COMMAND speaks from then on.
 */
struct settings *run_use_settings(const char *command, const struct run_options *options);

struct run_ready {
    char found[PATH_MAX];  /* the program's file, with a slash */
    struct keeper *keeper; /* for keeper_end if the program does not start; perhaps NULL */
};

/*
 * All that PROGRAM needs beside settings: its file, trust in the relay, with KEYS those of
 * key_commands, and LIBRARY in LD_PRELOAD. ARGV, of ARGC words, is what ps shows of us.
 * Returns 0, or an exit status after a complaint on stderr. A signal that comes while a key_command
 * runs ends this process.
 */
int run_make_ready(struct run_ready *ready, const char *program, const char *library,
                   const struct settings *settings, bool keys, int argc, char **argv);

/* Writes a sentence about the option FOUND that getopt_long stopped at to MESSAGE: KNOWN if it
 * lacks its value, else the nearest of ALL is named. What is behind a '=' may be a key and is not
 * told. */
void run_describe_bad_option(const struct option *all, bool known, const char *found, char *message,
                             size_t size);

/*
 * The command. Returns only if the program could not be started: 2 for an error of the command
 * line, the settings or the shim, 127 for a program that is not found and 126 for one that cannot
 * be executed, each with a message on stderr.
 */
int command_run(int argc, char **argv);

#endif
