/*
 * The command line of `spillway mock`. For one thread; the texts belong to ARGV.
 */
#ifndef SPILLWAY_COMMAND_MOCK_COMMAND_H
#define SPILLWAY_COMMAND_MOCK_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/command/mock_serve.h"

/* The exit status for options that are wrong. */
#define MOCK_EXIT_WRONG 2

/* What --help prints. */
extern const char mock_command_help[];

struct mock_command {
    struct mock_options options; /* certificate, key and bodies are not set yet */
    const char *listen;
    const char *log;
    const char *bodies;      /* directory */
    const char *certificate; /* paths */
    const char *key;
    uint64_t for_ns;
    bool has_status;
    bool has_script;
    bool helped;
};

/*
 * Reads ARGV, whose first word is the command's name, into COMMAND, which has the defaults. Returns
 * 0, or MOCK_EXIT_WRONG with one line on standard error. In both cases script, limit
 * and rules.names of COMMAND's options are to be freed.
 */
int mock_command_parse(struct mock_command *command, int argc, char **argv);

/* Says on standard error that OPTION got FOUND (NULL: nothing) where EXPECTED was. Returns
 * MOCK_EXIT_WRONG. */
int mock_refuse(const char *option, const char *found, const char *expected);

#endif
