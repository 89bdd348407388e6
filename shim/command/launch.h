/*
 * Starting a program with the shim preloaded: finding both, and the value of LD_PRELOAD.
 */
#ifndef SPILLWAY_SHIM_COMMAND_LAUNCH_H
#define SPILLWAY_SHIM_COMMAND_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>

#define LIBRARY_NAME "libspillway.so"

/*
 * Writes the absolute path of the shim to PATH: the value of SPILLWAY_LIBRARY if that is set,
 * else LIBRARY_NAME beside the running program's own file or in ../lib from there. Returns true, or
 * false with a sentence in MESSAGE if it is not there, or has a space or a colon in its path,
 * which LD_PRELOAD cannot express (ld.so(8)).
 */
bool launch_find_library(char *path, size_t size, char *message, size_t message_size);

/* Writes PATH to OUT with the working directory in front if it is relative. The file need not
 * exist; links stay. Returns false if it does not fit or the directory is unknown. */
bool launch_absolute(const char *path, char *out, size_t size);

/*
 * The value of LD_PRELOAD that loads LIBRARY once and before everything of CURRENT, the value so
 * far or NULL. A shim that CURRENT names already, wherever it lies, is dropped. With LIBRARY NULL
 * the shim is only taken out. Returns memory for free(), empty if nothing is left; NULL without
 * memory.
 */
char *launch_preload(const char *library, const char *current);

/*
 * Finds PROGRAM as a shell does, by SEARCH, a list as in PATH, unless it has a slash. Returns 0
 * with the file in FOUND, or an errno: ENOENT, EACCES, EISDIR, ENAMETOOLONG.
 */
int launch_find_program(const char *program, const char *search, char *found, size_t size);

/*
 * Says on stderr why PROGRAM could not be started, in a shell's words, and returns a shell's exit
 * status: 127 if there is no such program, 126 if it cannot be executed. FOUND is its file, or
 * NULL if the search ended with ERROR.
 */
int launch_failed(const char *program, const char *found, int error);

#endif
