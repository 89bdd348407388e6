/*
 * Starting a relay: its place, its sockets and its process.
 *
 * A relay is this program, run anew with the shim preloaded. It finds its open files by the value
 * of SPILLWAY_RELAY, which tells the shim as well that this is the relay.
 */
#ifndef SPILLWAY_SHIM_COMMAND_RELAY_START_H
#define SPILLWAY_SHIM_COMMAND_RELAY_START_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* The files that one stage of a relay leaves to the next; -1: none. */
struct relay_files {
    int listen; /* on 127.0.0.1, for programs that are led there ... */
    int tls;    /* ... and for their https requests */
    int claim;  /* of place_claim */
    int open;   /* of --listen */
    int ready;  /* see serve.h */
};

#define RELAY_NO_FILES ((struct relay_files){-1, -1, -1, -1, -1})

/* Writes FILES as text, for relay_files_parse. They stay open when this process runs another
 * program, from now on. */
void relay_files_format(const struct relay_files *files, char *text, size_t size);

/* Reads TEXT; false if it is none, or if one of the files is not open. They are closed on exec from
 * now on. */
bool relay_files_parse(const char *text, struct relay_files *files);

/* The path of the place for SETTINGS, as place_path finds it in this process's environment. */
bool relay_place(const struct settings *settings, char path[PATH_MAX]);

/*
 * Takes the place at PATH with a socket on a free port of 127.0.0.1, and another one if there is
 * to be TLS, and announces them: from now on connections wait there. False with errno;
 * EWOULDBLOCK: somebody has it.
 */
bool relay_take(const char *path, bool tls, struct relay_files *files);

/*
 * A socket that listens at TEXT, HOST:PORT or [HOST]:PORT. Returns it, or -1 with a sentence in
 * MESSAGE and in *STATUS the exit status for it. ANYBODY: addresses that are not of the loopback
 * interface are allowed.
 */
int relay_listen(const char *text, bool anybody, char *message, size_t size, int *status);

/* Writes the address of the socket FD to OUT, as HOST:PORT. */
void relay_address(int fd, char *out, size_t size);

/* Runs this program as the relay with FILES and ARGV. Returns only if that failed, with errno. */
void relay_become(const char *library, const struct relay_files *files, char **argv);

#endif
