/*
 * A directory of this user's alone (mode 0700), for as long as something of ours needs it.
 */
#ifndef SPILLWAY_COMMAND_ROOM_H
#define SPILLWAY_COMMAND_ROOM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes a directory of a new name, which begins with PREFIX, below $XDG_RUNTIME_DIR/spillway, else
 * below /tmp/spillway-UID, and writes its path to PATH. A path of SIZE bytes or more is not taken.
 * Returns false if neither of the two is this user's alone or can be made.
 */
bool room_make(const char *prefix, char *path, size_t size);

/* Removes the directory PATH and the files in it; directories in it stay, and then it stays too. */
void room_remove(const char *path);

#endif
