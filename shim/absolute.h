/*
 * Paths that still mean the same when the program has gone to another directory.
 */
#ifndef SPILLWAY_SHIM_ABSOLUTE_H
#define SPILLWAY_SHIM_ABSOLUTE_H

/* PATH as it is, or behind the working directory, for free. NULL if that can't be told or memory
 * ran out. errno is not preserved. */
char *absolute_path(const char *path);

#endif
