#include "shim/command/mock_body.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM (64u << 10)

void mock_body_begin(struct mock_body *body, int directory, uint64_t unique) {
    memset(body, 0, sizeof *body);
    body->directory = directory;
    body->file = -1;
    mock_hash_start(&body->hash);
    if (directory < 0)
        return;
    snprintf(body->part, sizeof body->part, ".%ld-%llu.part", (long)getpid(),
             (unsigned long long)unique);
    body->file = openat(directory, body->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static void give_up_file(struct mock_body *body) {
    close(body->file);
    body->file = -1;
    unlinkat(body->directory, body->part, 0);
}

static void write_file(struct mock_body *body, const char *bytes, size_t length) {
    while (body->file >= 0 && length > 0) {
        ssize_t written = write(body->file, bytes, length);
        if (written <= 0) {
            give_up_file(body);
            return;
        }
        bytes += written;
        length -= (size_t)written;
    }
}

bool mock_body_add(struct mock_body *body, const void *bytes, size_t length) {
    mock_hash_add(&body->hash, bytes, length);
    write_file(body, bytes, length);
    body->length += length;
    if (length > MOCK_BODY_KEPT - body->kept_length)
        length = MOCK_BODY_KEPT - body->kept_length;
    if (length == 0)
        return true;
    size_t room = body->room > 0 ? body->room : FIRST_ROOM;
    while (room < body->kept_length + length)
        room *= 2;
    if (room > body->room) {
        char *more = realloc(body->kept, room);
        if (more == NULL)
            return false;
        body->kept = more;
        body->room = room;
    }
    memcpy(body->kept + body->kept_length, bytes, length);
    body->kept_length += length;
    return true;
}

bool mock_body_whole(const struct mock_body *body) {
    return body->length == body->kept_length;
}

bool mock_body_save(struct mock_body *body, const char *mock, uint64_t number) {
    char name[128];
    if (body->directory < 0)
        return true;
    if (body->file < 0)
        return false;
    snprintf(name, sizeof name, "%s-%llu.body", mock, (unsigned long long)number);
    bool closed = close(body->file) == 0;
    body->file = -1;
    if (closed && renameat(body->directory, body->part, body->directory, name) == 0)
        return true;
    unlinkat(body->directory, body->part, 0);
    return false;
}

void mock_body_end(struct mock_body *body) {
    if (body->file >= 0)
        give_up_file(body);
    free(body->kept);
    body->kept = NULL;
}
