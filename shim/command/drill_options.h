/*
 * The command line of `spillway drill`.
 */
#ifndef SPILLWAY_COMMAND_DRILL_OPTIONS_H
#define SPILLWAY_COMMAND_DRILL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/run.h"

#define DRILL_SEED 1 /* so that the same drill does the same without --seed */

/* The strings are the arguments themselves. */
struct drill_options {
    struct run_options run; /* settings and program */
    const char **faults;
    size_t fault_count;
    const char *html, *json, *expect; /* or NULL */
    uint64_t seed;
    bool against_mocks, quiet, help;
};

/*
 * Reads the arguments of `drill`; ARGV[0] is "drill", and options end at the first argument that is
 * none. Returns true with OPTIONS for drill_options_free, or false with a sentence in MESSAGE (and
 * nothing to free). Not thread-safe: uses getopt.
 */
bool drill_options_parse(int argc, char **argv, struct drill_options *options, char *message,
                         size_t size);
void drill_options_free(struct drill_options *options);

extern const char drill_usage[];

#endif
