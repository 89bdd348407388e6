/*
 * What belongs to this process's user alone: the directory for what the processes of one user
 * share, and the files in it.
 */
#ifndef SPILLWAY_SHIM_PRIVATE_H
#define SPILLWAY_SHIM_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "config/settings.h"

/* Whether STATUS is of TYPE (S_IFREG, S_IFDIR), of the effective user, and closed to others. */
bool private_is(const struct stat *status, mode_t type);

/*
 * Opens the directory PATH, made too (mode 0700) if MAKE is set and only its last component is
 * missing. It must be private_is, and not a symbolic link. Returns a file descriptor (O_CLOEXEC),
 * or -1 with errno: ENOENT if there is none, EPERM if it is not private.
 */
int private_open_directory(const char *path, bool make);

/*
 * Writes to PATH where that directory is, unless something else is said: $XDG_RUNTIME_DIR/spillway
 * if the former is a directory of this user, else /tmp/spillway-UID. Returns false if it does not
 * fit into SIZE bytes. errno is kept.
 */
bool private_default_directory(settings_lookup *lookup, char *path, size_t size);

#endif
