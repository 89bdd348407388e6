#include "shim/curl/gate.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum stream { STREAM_HEADER, STREAM_BODY };

struct held_head {
    uint32_t length;
    uint32_t stream;
};

void gate_start(struct gate *gate, const struct options *options, const struct gate_owner *owner,
                void *context, bool keep) {
    char *held = gate->held;
    size_t capacity = gate->held_capacity;
    size_t head = offsetof(struct gate, body); /* the body's beginning needs no clearing */
    memset(gate, 0, head);
    gate->held = held;
    gate->held_capacity = capacity;
    gate->options = options;
    gate->owner = owner;
    gate->context = context;
    gate->keep = keep;
}

void gate_clear(struct gate *gate) {
    free(gate->held);
    gate->held = NULL;
    gate->held_capacity = gate->held_length = 0;
}

static bool hold(struct gate *gate, enum stream stream, const char *data, size_t length) {
    struct held_head head = {(uint32_t)length, stream};
    size_t need = gate->held_length + sizeof head + length;
    if (need > gate->held_capacity) {
        size_t capacity = need < 2048 ? 2048 : need * 2;
        char *held = realloc(gate->held, capacity);
        if (!held)
            return false;
        gate->held = held;
        gate->held_capacity = capacity;
    }
    memcpy(gate->held + gate->held_length, &head, sizeof head);
    memcpy(gate->held + gate->held_length + sizeof head, data, length);
    gate->held_length = need;
    return true;
}

/* The record at *AT, which is moved past it; false at the end. */
static bool next_record(const struct gate *gate, size_t *at, struct held_head *head, char **data) {
    if (*at >= gate->held_length)
        return false;
    memcpy(head, gate->held + *at, sizeof *head);
    *data = gate->held + *at + sizeof *head;
    *at += sizeof *head + head->length;
    return true;
}

static size_t call_write(curl_write_callback function, char *data, size_t length, void *userdata) {
    if (function)
        return function(data, 1, length, userdata);
    return fwrite(data, 1, length, userdata);
}

static size_t deliver(const struct gate *gate, enum stream stream, char *data, size_t length) {
    const struct options *o = gate->options;
    if (stream == STREAM_BODY)
        return call_write(o->write_function, data, length, o->write_data);
    if (o->header_function)
        return o->header_function(data, 1, length, o->header_data);
    /* libcurl's rule: header data without a function goes through the write function */
    return o->header_data ? call_write(o->write_function, data, length, o->header_data) : length;
}

enum replay { REPLAYED, REPLAY_PAUSED, REPLAY_REFUSED };

/* Hands over what is held, from the cursor on. */
static enum replay replay(struct gate *gate) {
    struct held_head head;
    char *data;
    size_t at = gate->cursor;
    gate->state = GATE_REPLAYING;
    while (next_record(gate, &at, &head, &data)) {
        size_t taken = deliver(gate, head.stream, data, head.length);
        if (taken == CURL_WRITEFUNC_PAUSE)
            return REPLAY_PAUSED;
        if (taken != head.length) {
            gate->state = GATE_REFUSED;
            return REPLAY_REFUSED;
        }
        gate->cursor = at;
    }
    gate->held_length = gate->cursor = 0;
    gate->state = GATE_PASSED;
    gate->owner->hand_back(gate->context);
    return REPLAYED;
}

/* What a callback of ours returns for LENGTH bytes after a replay. */
static size_t after_replay(struct gate *gate, enum replay result, size_t length) {
    if (result == REPLAY_PAUSED) {
        gate->paused = length;
        return CURL_WRITEFUNC_PAUSE;
    }
    return result == REPLAYED ? length : 0;
}

/*
 * libcurl gives a paused header line once more; it is held already, and so is given by the replay.
 * Before 7.83 more lines may come with it.
 */
static size_t resume(struct gate *gate, char *data, size_t length) {
    size_t known = gate->paused < length ? gate->paused : length;
    enum replay result = replay(gate);
    if (result != REPLAYED || known == length)
        return after_replay(gate, result, length);
    size_t taken = deliver(gate, STREAM_HEADER, data + known, length - known);
    return taken == length - known ? length : taken == CURL_WRITEFUNC_PAUSE ? taken : 0;
}

static bool is_blank(const char *data, size_t length) {
    return (length == 2 && data[0] == '\r' && data[1] == '\n') || (length == 1 && data[0] == '\n');
}

static bool is_status_line(const char *data, size_t length) {
    return length > 5 && memcmp(data, "HTTP/", 5) == 0;
}

static int status_of(const char *data, size_t length) {
    const char *p = memchr(data, ' ', length);
    int status = 0;
    if (!p)
        return 0;
    while (p < data + length && *p == ' ')
        p++;
    for (; p < data + length && *p >= '0' && *p <= '9'; p++)
        status = status < 100 ? status * 10 + (*p - '0') : 0;
    return status;
}

static void reject(struct gate *gate) {
    gate->state = GATE_SWALLOWING;
    gate->undecided = false;
    gate->owner->divert_body(gate->context);
}

/* The block is the final one and complete: accept or reject. */
static enum replay decide(struct gate *gate) {
    gate->undecided = false;
    if (gate->owner->judge(gate->context, gate->status))
        return replay(gate);
    reject(gate);
    return REPLAYED;
}

static enum replay end_block(struct gate *gate) {
    gate->in_block = false;
    if (gate->opinion == GATE_LATER || gate->opinion == GATE_ACCEPT)
        return decide(gate);
    gate->undecided = gate->answered; /* neither a 1xx nor a proxy's is ever the last */
    if (gate->opinion != GATE_AT_BODY)
        gate->owner->intermediate(gate->context, gate->status);
    if (gate->undecided)
        gate->owner->divert_body(gate->context);
    return REPLAYED;
}

/* A status line: returns whether the response is accepted at once. */
static bool begin_block(struct gate *gate, const char *data, size_t length) {
    gate->in_block = true;
    gate->undecided = false;
    gate->block = gate->held_length;
    gate->status = status_of(data, length);
    gate->opinion = gate->owner->opinion(gate->context, gate->status);
    gate->answered = gate->opinion != GATE_PROXY && (gate->status >= 200 || gate->status == 0);
    return gate->opinion == GATE_ACCEPT;
}

/* Accepted with nothing held back, as most responses are. */
static size_t pass(struct gate *gate, char *data, size_t length) {
    gate->state = GATE_PASSED;
    gate->owner->hand_back(gate->context);
    return deliver(gate, STREAM_HEADER, data, length);
}

size_t gate_header(char *data, size_t size, size_t count, void *userdata) {
    struct gate *gate = userdata;
    size_t length = size * count;
    bool accepted = false;
    if (gate->state == GATE_REPLAYING)
        return resume(gate, data, length);
    if (gate->state == GATE_SWALLOWING)
        return length; /* trailers */
    if (gate->state == GATE_REFUSED)
        return 0;
    if (gate->state == GATE_PASSED)
        return deliver(gate, STREAM_HEADER, data, length);
    if (!gate->in_block && is_status_line(data, length)) {
        accepted = begin_block(gate, data, length);
        if (accepted && !gate->held_length)
            return pass(gate, data, length);
    }
    if (!hold(gate, STREAM_HEADER, data, length)) {
        enum replay result = replay(gate); /* no memory: the program shall have it */
        return result == REPLAYED ? deliver(gate, STREAM_HEADER, data, length) : 0;
    }
    if (gate->held_length > GATE_HELD_LIMIT)
        accepted = true; /* more than is held back for anything */
    if (accepted)
        return after_replay(gate, replay(gate), length);
    if (gate->in_block && is_blank(data, length))
        return after_replay(gate, end_block(gate), length);
    return length;
}

static size_t swallow(struct gate *gate, const char *data, size_t length) {
    size_t room = sizeof gate->body - gate->body_length;
    size_t taken = length < room ? length : room;
    memcpy(gate->body + gate->body_length, data, taken);
    gate->body_length += taken;
    gate->swallowed += length;
    if (gate->keep && !gate->lost)
        gate->lost = gate->swallowed > GATE_ANSWER_LIMIT || !hold(gate, STREAM_BODY, data, length);
    gate->cut = gate->swallowed > GATE_SWALLOW_LIMIT;
    return gate->cut ? 0 : length;
}

size_t gate_write(char *data, size_t size, size_t count, void *userdata) {
    struct gate *gate = userdata;
    size_t length = size * count;
    if (gate->state == GATE_SWALLOWING)
        return swallow(gate, data, length);
    if (gate->state == GATE_REFUSED)
        return 0;
    if (gate->state == GATE_PASSED)
        return deliver(gate, STREAM_BODY, data, length);
    if (gate->state == GATE_HOLDING) {
        /* with CURLOPT_HEADER each header line comes here first */
        bool header =
            gate->options->include_headers && (gate->in_block || is_status_line(data, length));
        if (header && hold(gate, STREAM_BODY, data, length))
            return length;
        enum replay result = gate->undecided && !header ? decide(gate) : replay(gate);
        if (gate->state == GATE_SWALLOWING)
            return swallow(gate, data, length);
        if (result != REPLAYED)
            return after_replay(gate, result, length);
        return deliver(gate, STREAM_BODY, data, length);
    }
    enum replay result = replay(gate);
    if (result != REPLAYED)
        return after_replay(gate, result, length);
    return deliver(gate, STREAM_BODY, data, length);
}

bool gate_conclude(struct gate *gate) {
    if (gate->state != GATE_HOLDING)
        return true;
    enum replay result = gate->undecided ? decide(gate) : replay(gate);
    /* there is nothing left to pause: who does so all the same is asked once more */
    if (result == REPLAY_PAUSED)
        result = replay(gate);
    return result != REPLAY_REFUSED;
}

void gate_flush(struct gate *gate) {
    if (gate->state == GATE_HOLDING)
        replay(gate);
}

void gate_each_line(const struct gate *gate,
                    void (*line)(void *context, const char *text, size_t length), void *context) {
    struct held_head head;
    char *data;
    for (size_t at = gate->block; next_record(gate, &at, &head, &data);)
        if (head.stream == STREAM_HEADER)
            line(context, data, head.length);
}

bool gate_has_response(const struct gate *gate) {
    return gate->answered;
}

bool gate_awaits_body(const struct gate *gate) {
    return gate->state == GATE_HOLDING && gate->answered && gate->opinion == GATE_AT_BODY;
}

static bool starts_with(const char *data, size_t length, const char *name) {
    size_t size = strlen(name);
    return length >= size && strncasecmp(data, name, size) == 0;
}

/* Whether a header line still holds for a body that libcurl has unwrapped. */
static bool still_holds(const char *data, size_t length, bool decoded) {
    return !starts_with(data, length, "transfer-encoding:") &&
           !starts_with(data, length, "content-length:") &&
           !starts_with(data, length, "connection:") &&
           !(decoded && starts_with(data, length, "content-encoding:"));
}

/* "HTTP/2 429" becomes "HTTP/1.1 429": what follows the version is kept. */
static size_t put_status_line(char *out, const char *data, size_t length) {
    const char *rest = memchr(data, ' ', length);
    size_t rest_length = rest ? (size_t)(data + length - rest) : 0;
    memcpy(out, "HTTP/1.1", 8);
    if (rest)
        memcpy(out + 8, rest, rest_length);
    return 8 + rest_length;
}

char *gate_answer(const struct gate *gate, bool decoded, size_t *length) {
    struct held_head head;
    char *data;
    if (!gate->keep || gate->lost || gate->cut || gate->state != GATE_SWALLOWING)
        return NULL;
    char *out = malloc(gate->held_length - gate->block + 8);
    if (!out)
        return NULL;
    size_t used = 0;
    bool in_headers = true; /* with CURLOPT_HEADER the lines are held twice: once is enough */
    for (size_t at = gate->block; next_record(gate, &at, &head, &data);) {
        if (in_headers && head.stream == STREAM_BODY)
            continue;
        if (in_headers && !used)
            used = put_status_line(out, data, head.length);
        else if (!in_headers || still_holds(data, head.length, decoded)) {
            memcpy(out + used, data, head.length);
            used += head.length;
        }
        if (in_headers && is_blank(data, head.length))
            in_headers = false;
    }
    *length = used;
    return out;
}
