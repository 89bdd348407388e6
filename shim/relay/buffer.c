#include "shim/relay/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u
#define KEPT_CAPACITY  16384u

static void compact(struct buffer *buffer) {
    if (buffer->start && buffer->length)
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
    buffer->start = 0;
}

bool buffer_reserve(struct buffer *buffer, size_t length) {
    if (length <= buffer->capacity - buffer->start - buffer->length)
        return true;
    if (length > SIZE_MAX / 2 - buffer->length)
        return false;
    size_t need = buffer->length + length;
    compact(buffer);
    if (need <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < need)
        capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool buffer_add(struct buffer *buffer, const char *bytes, size_t length) {
    if (!length)
        return true;
    if (!buffer_reserve(buffer, length))
        return false;
    memcpy(buffer->bytes + buffer->start + buffer->length, bytes, length);
    buffer->length += length;
    return true;
}

size_t buffer_take(struct buffer *buffer, char *out, size_t room) {
    size_t taken = buffer->length < room ? buffer->length : room;
    if (taken)
        memcpy(out, buffer->bytes + buffer->start, taken);
    buffer->length -= taken;
    buffer->start = buffer->length ? buffer->start + taken : 0;
    return taken;
}

void buffer_clear(struct buffer *buffer) {
    if (buffer->capacity > KEPT_CAPACITY)
        buffer_free(buffer);
    buffer->start = buffer->length = 0;
}

void buffer_free(struct buffer *buffer) {
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
