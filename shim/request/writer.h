/*
 * Text put together in a buffer of fixed size: either all of it fits, or the result is void.
 */
#ifndef SPILLWAY_REQUEST_WRITER_H
#define SPILLWAY_REQUEST_WRITER_H

#include <stddef.h>
#include <string.h>

#include "config/url.h"

struct writer {
    char *out;
    size_t size, used; /* size: 0 once something did not fit */
};

static inline void writer_put(struct writer *writer, const char *text, size_t length) {
    if (length < writer->size - writer->used) {
        memcpy(writer->out + writer->used, text, length);
        writer->used += length;
    } else {
        writer->size = 0; /* nothing fits any more */
        writer->used = 0;
    }
}

static inline void writer_text(struct writer *writer, const char *text) {
    writer_put(writer, text, strlen(text));
}

static inline void writer_slice(struct writer *writer, struct slice slice) {
    if (slice.length)
        writer_put(writer, slice.text, slice.length);
}

/* Ends the text. Returns its length, 0 if it did not fit. */
static inline size_t writer_end(struct writer *writer) {
    if (!writer->size)
        return 0;
    writer->out[writer->used] = '\0';
    return writer->used;
}

#endif
