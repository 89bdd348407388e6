/*
 * `spillway run`: becomes a program that has the shim preloaded.
 */
#ifndef SPILLWAY_SHIM_COMMAND_RUN_H
#define SPILLWAY_SHIM_COMMAND_RUN_H

#include <getopt.h>
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
