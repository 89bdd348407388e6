/*
 * `spillway relay`: serves programs without libcurl.
 */
#ifndef SPILLWAY_SHIM_COMMAND_RELAY_H
#define SPILLWAY_SHIM_COMMAND_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command line asks for. The strings are the arguments themselves. */
struct relay_options {
    const char *config;
    const char *log_file;
    const char *log_level;
    const char *listen;    /* HOST:PORT, or NULL */
    const char *token_env; /* the name of a variable, or NULL */
    uint64_t idle_ns;
    bool idle_set;
    bool foreground;
    bool help;
};

/* Reads the arguments of `relay`; ARGV[0] is "relay". False with a sentence in MESSAGE. Not
 * thread-safe: uses getopt. */
bool relay_parse(int argc, char **argv, struct relay_options *options, char *message, size_t size);

/*
 * The command. Returns the exit status: 0 if a relay serves (or, with --foreground, once it has
 * ended), 1 if it can't, 2 for an error of the command line or the settings, with a message on
 * stderr.
 */
int command_relay(int argc, char **argv);

#endif
