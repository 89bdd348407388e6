/*
 * The body of a request to a mock as it arrives: its length and hash, its beginning in memory,
 * and, if asked for, all of it in a file. Each object belongs to one thread.
 */
#ifndef SPILLWAY_COMMAND_MOCK_BODY_H
#define SPILLWAY_COMMAND_MOCK_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/mock_log.h"

/* The most bytes of a body that are kept in memory. More than the largest file of the audio
 * API, 25 MB, behind which a form may have its model. */
#define MOCK_BODY_KEPT (32u << 20)

struct mock_body {
    struct mock_hash hash;
    uint64_t length; /* of what has arrived */
    char *kept;      /* the beginning of it; NULL: nothing yet */
    size_t kept_length;
    size_t room;
    int directory; /* for files, the caller's; -1: none */
    int file;      /* -1: none */
    char part[64]; /* the file's name until it is complete */
};

/*
 * Begins a body for mock_body_end. DIRECTORY is open for as long as the body lives, or -1.
 * UNIQUE is a number that no other body of this process has. Of a file that can't be made
 * mock_body_save tells.
 */
void mock_body_begin(struct mock_body *body, int directory, uint64_t unique);

/* Adds LENGTH bytes. Returns false without memory. A file that can't be written is given up,
 * which mock_body_save tells. */
bool mock_body_add(struct mock_body *body, const void *bytes, size_t length);

/* Whether all of the body is in memory. */
bool mock_body_whole(const struct mock_body *body);

/* Gives the complete file its name, MOCK-NUMBER.body, in place of one that has it already.
 * Returns true, also without a directory; or false if there is no such file now. */
bool mock_body_save(struct mock_body *body, const char *mock, uint64_t number);

/* Frees what BODY has, and removes its file unless it was saved. */
void mock_body_end(struct mock_body *body);

#endif
