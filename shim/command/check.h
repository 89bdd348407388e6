/*
 * `spillway check`: whether the settings are right, and what they mean.
 */
#ifndef SPILLWAY_COMMAND_CHECK_H
#define SPILLWAY_COMMAND_CHECK_H

#include <stdio.h>

#include "config/settings.h"

/*
 * `check [-c FILE]`, with ARGV[0] being "check": prints the routing table to standard output and
 * what is doubtful (a key that isn't there, a file of keys that others can read) to standard
 * error. Returns the exit status: 0 if the settings are valid, 1 if they are not or there are
 * none, 2 for wrong options.
 */
int command_check(int argc, char **argv);

/* Prints the routing table of SETTINGS to OUT: endpoints, tiers, backends, where each key comes
 * from, never a key. LOOKUP gives environment variables. */
void check_print(const struct settings *settings, settings_lookup *lookup, FILE *out);

/* Why the file at PATH gives no key, or NULL if it does. The text is constant, or strerror's. */
const char *check_key_file(const char *path);

/* Why VALUE, a variable's or NULL, is no key, in constant words that follow the variable's name, or
 * NULL if it is one. */
const char *check_key_variable(const char *value);

/* Whether SETTINGS hold keys themselves and come from a file that others than its owner can read.
 */
bool check_exposes_keys(const struct settings *settings);

/* Prints to OUT that SETTINGS have faults, which only a drill takes, if they do. Returns 1 then,
 * else 0. */
unsigned check_warn_faults(const struct settings *settings, FILE *out);

/* Prints one line per doubt about SETTINGS to OUT. Returns how many. */
unsigned check_warn(const struct settings *settings, settings_lookup *lookup, FILE *out);

#endif
