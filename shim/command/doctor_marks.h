/*
 * What the bytes of a file say about libcurl, for programs that hide it from the loader.
 */
#ifndef SPILLWAY_SHIM_COMMAND_DOCTOR_MARKS_H
#define SPILLWAY_SHIM_COMMAND_DOCTOR_MARKS_H

#include <stdbool.h>

struct marks {
    char version[24]; /* of libcurl, as in "7.88.1"; empty if none is told */
    bool contains;    /* libcurl itself seems to be in the file */
    char loads[64];   /* a libcurl's file name that is a string of its own; empty if none is */
};

/*
 * Reads the file at PATH. That it contains libcurl is taken from sentences that libcurl's own code
 * prints: two of different parts of it, since a program that only talks about libcurl may have one.
 * Returns false if the file can't be read or memory is short. Thread-safe.
 */
bool marks_read(const char *path, struct marks *marks);

#endif
