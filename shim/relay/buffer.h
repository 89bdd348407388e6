/*
 * Bytes that wait: put in at the end, taken out at the beginning. Not thread-safe.
 */
#ifndef SPILLWAY_RELAY_BUFFER_H
#define SPILLWAY_RELAY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised it is empty. */
struct buffer {
    char *bytes;
    size_t start, length; /* what waits is bytes[start], and so on */
    size_t capacity;
};

/* Makes room for LENGTH more bytes. False if memory ran out. */
bool buffer_reserve(struct buffer *buffer, size_t length);

/* Puts LENGTH bytes at the end. False if memory ran out: nothing has changed then. */
bool buffer_add(struct buffer *buffer, const char *bytes, size_t length);

/* Takes up to ROOM bytes out, to OUT, and returns how many. */
size_t buffer_take(struct buffer *buffer, char *out, size_t room);

/* Forgets the bytes, but keeps a little memory. */
void buffer_clear(struct buffer *buffer);

/* Frees the memory; BUFFER is empty then. */
void buffer_free(struct buffer *buffer);

#endif
