#include "shim/curl/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void body_start(struct body *body, const struct options *options, CURL *easy, uint64_t limit) {
    memset(body, 0, sizeof *body);
    body->options = options;
    body->easy = easy;
    body->limit = limit;
}

static void drop_copy(struct body *body) {
    if (body->copy)
        explicit_bzero(body->copy, body->length);
    free(body->copy);
    body->copy = NULL;
    body->length = body->capacity = body->cursor = 0;
}

void body_clear(struct body *body) {
    drop_copy(body);
}

/* Takes the program back to OFFSET, in the order of the means that libcurl itself knows. */
static int seek_program(const struct body *body, curl_off_t offset, int origin) {
    const struct options *o = body->options;
    bool file = !o->read_function || o->read_function == (curl_read_callback)fread;
    if (o->seek_function)
        return o->seek_function(o->seek_data, offset, origin);
    if (o->ioctl_function && offset == 0 && origin == SEEK_SET) {
        curlioerr result = o->ioctl_function(body->easy, CURLIOCMD_RESTARTREAD, o->ioctl_data);
        return result == CURLIOE_OK ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
    }
    if (file && fseek(o->read_data, (long)offset, origin) == 0)
        return CURL_SEEKFUNC_OK;
    return CURL_SEEKFUNC_CANTSEEK;
}

/* The program stands at OFFSET now, and the copy, if there is none yet, begins there. */
static void restart_at(struct body *body, curl_off_t offset) {
    body->ended = false;
    if (!body->length)
        body->base = offset;
}

bool body_rewind(struct body *body) {
    if (!body->touched)
        return true;
    if (!body->overrun) {
        body->cursor = 0;
        return true;
    }
    if (seek_program(body, 0, SEEK_SET) != CURL_SEEKFUNC_OK)
        return false;
    body->touched = false;
    restart_at(body, 0);
    return true;
}

/* Room for NEED bytes in the copy. Without memory there is no copy any more. */
static bool reserve(struct body *body, size_t need) {
    if (need <= body->capacity)
        return true;
    size_t capacity = need < 64 * 1024 ? 64 * 1024 : need * 2;
    char *copy = malloc(capacity);
    if (!copy) {
        body->overrun = true;
        drop_copy(body);
        return false;
    }
    if (body->copy) {
        memcpy(copy, body->copy, body->length);
        explicit_bzero(body->copy, body->length);
        free(body->copy);
    }
    body->copy = copy;
    body->capacity = capacity;
    return true;
}

static void keep(struct body *body, const char *data, size_t length) {
    if (body->overrun)
        return;
    size_t need = body->length + length;
    if (need > body->limit) {
        body->overrun = true;
        drop_copy(body);
        return;
    }
    if (!reserve(body, need))
        return;
    memcpy(body->copy + body->length, data, length);
    body->length = body->cursor = need;
}

static size_t ask_program(struct body *body, char *out, size_t size, size_t count) {
    const struct options *o = body->options;
    body->touched = true;
    return o->read_function ? o->read_function(out, size, count, o->read_data)
                            : fread(out, size, count, o->read_data) * size;
}

#define PIECE 16384 /* what libcurl offers a read function, too, if nobody sets another size */

/* Takes what the program gives next. False if that is not the time. */
static bool load_more(struct body *body, uint64_t limit) {
    uint64_t left = limit - body->length;
    size_t room = left < PIECE ? (size_t)left : PIECE;
    if (!room || !reserve(body, body->length + room))
        return false;
    size_t got = ask_program(body, body->copy + body->length, 1, room);
    if (got > room) { /* CURL_READFUNC_PAUSE, or _ABORT */
        body->aborted = got == CURL_READFUNC_ABORT;
        return false;
    }
    body->ended = got == 0;
    body->length += got;
    return true;
}

bool body_load(struct body *body, curl_off_t expected) {
    uint64_t limit = body->limit;
    if (body->overrun || body->base || body->aborted)
        return false;
    if (expected >= 0) {
        if ((uint64_t)expected > limit)
            return false;
        limit = (uint64_t)expected; /* libcurl, too, asks for no more */
    } else {
        limit++; /* whether that was all is seen by what comes then */
    }
    body->cursor = body->length;
    while (!body->ended && (expected < 0 || body->length < limit))
        if (!load_more(body, limit))
            break;
    bool whole = !body->overrun && body->length <= body->limit &&
                 (body->ended || (expected >= 0 && body->length == limit));
    body->cursor = 0;
    return whole;
}

void body_replace(struct body *body, const char *text, size_t length) {
    body->instead = text;
    body->instead_length = length;
    body->instead_cursor = 0;
}

static size_t give(char *out, size_t room, const char *text, size_t length, size_t *cursor) {
    size_t left = length - *cursor, given = left < room ? left : room;
    if (given)
        memcpy(out, text + *cursor, given);
    *cursor += given;
    return given;
}

size_t body_read(char *out, size_t size, size_t count, void *userdata) {
    struct body *body = userdata;
    size_t room = size * count;
    if (body->instead)
        return give(out, room, body->instead, body->instead_length, &body->instead_cursor);
    if (body->cursor < body->length)
        return give(out, room, body->copy, body->length, &body->cursor);
    if (body->aborted)
        return CURL_READFUNC_ABORT;
    if (body->ended)
        return 0;
    size_t got = ask_program(body, out, size, count);
    if (got == 0)
        body->ended = true;
    else if (got <= room) /* CURL_READFUNC_ABORT and _PAUSE are larger */
        keep(body, out, got);
    return got;
}

int body_seek(void *userdata, curl_off_t offset, int origin) {
    struct body *body = userdata;
    curl_off_t within = offset - body->base;
    if (body->instead) {
        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > body->instead_length)
            return CURL_SEEKFUNC_CANTSEEK;
        body->instead_cursor = (size_t)offset;
        return CURL_SEEKFUNC_OK;
    }
    if (!body->overrun && body->touched && origin == SEEK_SET && within >= 0 &&
        (uint64_t)within <= body->length) {
        body->cursor = (size_t)within;
        return CURL_SEEKFUNC_OK;
    }
    int result = seek_program(body, offset, origin);
    if (result == CURL_SEEKFUNC_OK) {
        if (!body->overrun && body->length) { /* away from the copy: it is of no use any more */
            drop_copy(body);
            body->overrun = true;
        }
        restart_at(body, offset);
    }
    return result;
}
