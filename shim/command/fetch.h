/*
 * Running a key_command: a shell's command of the user, bounded in time and output.
 */
#ifndef SPILLWAY_SHIM_COMMAND_FETCH_H
#define SPILLWAY_SHIM_COMMAND_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_OUTPUT_MAX ((size_t)65536)
#define FETCH_LIMIT_MS   30000

/*
 * Runs COMMAND with /bin/sh -c in a process group of its own: without the shim in LD_PRELOAD, with
 * /dev/null as standard input and the caller's standard error. Fills OUTPUT (FETCH_OUTPUT_MAX + 1
 * bytes; a zero is put at the end) and *LENGTH with what it prints. Returns true if it ended with
 * status 0, else false with the reason in FAULT: "exit status 3", "signal 9", "timed out after 30
 * s", "printed more than 64 KiB", or why it could not be run.
 *
 * After LIMIT_MS, after more than FETCH_OUTPUT_MAX bytes, and when the file descriptor STOP (-1:
 * none) becomes readable, the whole process group is killed. If the caller dies, so does the shell.
 * Not thread-safe: changes the disposition of SIGCHLD for a while.
 */
bool fetch_run(const char *command, int64_t limit_ms, int stop, char *output, size_t *length,
               char *fault, size_t size);

#endif
