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

static void keep(struct body *body, const char *data, size_t length) {
    if (body->overrun)
        return;
    size_t need = body->length + length;
    if (need > body->limit) {
        body->overrun = true;
        drop_copy(body);
        return;
    }
    if (need > body->capacity) {
        size_t capacity = need < 64 * 1024 ? 64 * 1024 : need * 2;
        char *copy = malloc(capacity);
        if (!copy) {
            body->overrun = true;
            drop_copy(body);
            return;
        }
        if (body->copy) {
            memcpy(copy, body->copy, body->length);
            explicit_bzero(body->copy, body->length);
            free(body->copy);
        }
        body->copy = copy;
        body->capacity = capacity;
    }
    memcpy(body->copy + body->length, data, length);
    body->length = body->cursor = need;
}

size_t body_read(char *out, size_t size, size_t count, void *userdata) {
    struct body *body = userdata;
    const struct options *o = body->options;
    size_t room = size * count;
    if (body->cursor < body->length) {
        size_t left = body->length - body->cursor, given = left < room ? left : room;
        memcpy(out, body->copy + body->cursor, given);
        body->cursor += given;
        return given;
    }
    if (body->ended)
        return 0;
    body->touched = true;
    size_t got = o->read_function ? o->read_function(out, size, count, o->read_data)
                                  : fread(out, size, count, o->read_data) * size;
    if (got == 0)
        body->ended = true;
    else if (got <= room) /* CURL_READFUNC_ABORT and _PAUSE are larger */
        keep(body, out, got);
    return got;
}

int body_seek(void *userdata, curl_off_t offset, int origin) {
    struct body *body = userdata;
    curl_off_t within = offset - body->base;
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
