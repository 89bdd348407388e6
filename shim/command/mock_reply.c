#include "shim/command/mock_reply.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/command/mock_answer.h"

#define SLOW_PIECES  10
#define WRITE_BUFFER (32u << 10)
#define NS_PER_S     UINT64_C(1000000000)

/* A response that goes out in pieces. */
struct stream {
    struct mock_server *server;
    struct mock_answer answer; /* its model and mock are the arrays below */
    char model[MOCK_NAME_MAX];
    char mock[MOCK_NAME_MAX];
    bool events;
    enum mock_action action;
    int fd;            /* of the client */
    uint64_t left;     /* bytes until a cut or a stall; UINT64_MAX: not counted */
    uint64_t interval; /* ns between two pieces */
    unsigned next;     /* event to come; ten pieces */
    uint64_t waits;    /* pieces waited for */
    uint64_t start_ns;
    char *text; /* the event, or the whole body */
    size_t length;
    size_t at;
};

uint64_t mock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

bool mock_wait_until(const struct mock_server *server, int fd, uint64_t deadline_ns) {
    struct pollfd polled[] = {{.fd = server->stop_fd, .events = POLLIN},
                              {.fd = fd, .events = POLLRDHUP}};
    for (;;) {
        uint64_t now = mock_now_ns();
        if (now >= deadline_ns)
            return true;
        struct timespec left = {.tv_sec = (time_t)((deadline_ns - now) / NS_PER_S),
                                .tv_nsec = (long)((deadline_ns - now) % NS_PER_S)};
        int ready = ppoll(polled, 2, deadline_ns == MOCK_FOREVER ? NULL : &left, NULL);
        if (ready > 0)
            return false;
    }
}

/* What a cut or a stall does where it does it. */
static ssize_t end_early(const struct stream *stream) {
    if (stream->action == MOCK_STALL)
        mock_wait_until(stream->server, stream->fd, MOCK_FOREVER);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static bool ends_early(const struct stream *stream) {
    return stream->action == MOCK_CUT || stream->action == MOCK_STALL;
}

/* Waits until the next piece is due: the first at once, each other an interval later. */
static bool wait_for_piece(struct stream *stream) {
    if (stream->waits == 0)
        stream->start_ns = mock_now_ns();
    return mock_wait_until(stream->server, stream->fd,
                           stream->start_ns + stream->waits++ * stream->interval);
}

/* Gives libmicrohttpd some bytes of the text up to LIMIT, of which there is one at least. */
static ssize_t copy_out(struct stream *stream, size_t limit, char *buffer, size_t room) {
    size_t length = limit - stream->at;
    if (stream->action == MOCK_TRICKLE) {
        if (!wait_for_piece(stream))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        room = room < MOCK_PIECE ? room : MOCK_PIECE;
    }
    if (length > room)
        length = room;
    if (length > stream->left)
        length = (size_t)stream->left;
    if (length == 0)
        return end_early(stream);
    if (stream->left != UINT64_MAX)
        stream->left -= length;
    memcpy(buffer, stream->text + stream->at, length);
    stream->at += length;
    return (ssize_t)length;
}

/* Makes the next event, when it is due. False if the stream ends instead. */
static bool make_event(struct stream *stream) {
    struct timespec now;
    if (stream->action != MOCK_TRICKLE && !wait_for_piece(stream))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    free(stream->text);
    stream->at = 0;
    stream->length = 0;
    stream->text =
        mock_answer_event(&stream->answer, stream->next++,
                          (double)now.tv_sec + (double)now.tv_nsec / 1e9, &stream->length);
    return stream->text != NULL;
}

static ssize_t read_events(void *context, uint64_t position, char *buffer, size_t room) {
    struct stream *stream = context;
    (void)position;
    if (stream->left == 0)
        return end_early(stream);
    if (stream->at == stream->length) {
        bool half = stream->left == UINT64_MAX && stream->next > stream->answer.tokens / 2;
        bool all = stream->next >= mock_answer_events(&stream->answer);
        if (ends_early(stream) && (half || all))
            return end_early(stream);
        if (all)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!make_event(stream))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return copy_out(stream, stream->length, buffer, room);
}

static ssize_t read_pieces(void *context, uint64_t position, char *buffer, size_t room) {
    struct stream *stream = context;
    size_t end = stream->length;
    (void)position;
    if (ends_early(stream) || stream->action == MOCK_TRICKLE)
        return stream->at == end ? MHD_CONTENT_READER_END_OF_STREAM
                                 : copy_out(stream, end, buffer, room);
    while (stream->at >= (end = stream->length * stream->next / SLOW_PIECES)) {
        if (stream->next == SLOW_PIECES)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!wait_for_piece(stream))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        stream->next++;
    }
    return copy_out(stream, end, buffer, room);
}

static void free_stream(void *context) {
    struct stream *stream = context;
    free(stream->text);
    free(stream);
}

/* How many bytes of a body of LENGTH go out before a cut or a stall: never all, for nobody could
 * tell then. UINT64_MAX if they are not counted. */
static uint64_t bytes_to_send(const struct mock_step *step, enum mock_action action, bool events,
                              size_t length) {
    if (action != MOCK_CUT && action != MOCK_STALL)
        return UINT64_MAX;
    if (events)
        return step->has_after ? step->after : UINT64_MAX;
    if (!step->has_after)
        return length / 2;
    return step->after < length || length == 0 ? step->after : length - 1;
}

/* Takes TEXT over; NULL: events. */
static struct MHD_Response *stream_response(struct mock_exchange *exchange,
                                            const struct mock_answer *answer, char *text,
                                            size_t length) {
    const struct mock_decision *decision = &exchange->decision;
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        free(text);
        return NULL;
    }
    stream->server = exchange->server;
    stream->answer = *answer;
    snprintf(stream->model, sizeof stream->model, "%s", answer->model);
    snprintf(stream->mock, sizeof stream->mock, "%s", answer->mock);
    stream->answer.model = stream->model;
    stream->answer.mock = stream->mock;
    stream->events = text == NULL;
    stream->action = decision->action;
    stream->fd = exchange->fd;
    stream->left = bytes_to_send(decision->step, decision->action, stream->events, length);
    stream->interval = decision->step->interval_ns > 0
                           ? decision->step->interval_ns
                           : exchange->server->options->event_interval_ns;
    stream->text = text;
    stream->length = length;
    struct MHD_Response *response = MHD_create_response_from_callback(
        stream->events ? MHD_SIZE_UNKNOWN : length, WRITE_BUFFER,
        stream->events ? read_events : read_pieces, stream, free_stream);
    if (response == NULL)
        free_stream(stream);
    return response;
}

/* Adds a header of ours, unless the step has its own of that name. */
static void add_header(struct MHD_Response *response, const struct mock_decision *decision,
                       const char *name, const char *value) {
    if (decision->overruled || mock_step_header(decision->step, name) == NULL)
        MHD_add_response_header(response, name, value);
}

static void add_limit_headers(struct MHD_Response *response, const struct mock_exchange *exchange) {
    const struct mock_options *options = exchange->server->options;
    const struct mock_decision *decision = &exchange->decision;
    struct mock_hint hints[MOCK_HINTS_MAX];
    bool own = !decision->overruled && mock_step_has_wait(decision->step);
    size_t count =
        mock_error_hints(exchange->route.dialect, options->limit.count,
                         own ? MOCK_NO_WAIT : decision->wait_ns, decision->retry_after, hints);
    for (size_t i = 0; i < count; i++)
        add_header(response, decision, hints[i].name, hints[i].value);
}

static void add_headers(struct MHD_Response *response, const struct mock_exchange *exchange,
                        const char *type) {
    const struct mock_decision *decision = &exchange->decision;
    char id[64], date[64];
    struct tm parts;
    time_t now = time(NULL);
    /* Not left to libmicrohttpd, which would add its own beside a step's. */
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    add_header(response, decision, "date", date);
    add_header(response, decision, "x-spillway-mock", exchange->name);
    if (type != NULL)
        add_header(response, decision, "content-type", type);
    if (exchange->server->options->closes)
        MHD_add_response_header(response, "connection", "close");
    if (exchange->route.dialect == MOCK_AZURE) {
        snprintf(id, sizeof id, "00000000-0000-4000-8000-%012llx",
                 (unsigned long long)exchange->number);
        add_header(response, decision, "apim-request-id", id);
        add_header(response, decision, "x-ms-region", "East US");
    } else {
        snprintf(id, sizeof id, "req_%032llx", (unsigned long long)exchange->number);
        add_header(response, decision, "x-request-id", id);
        add_header(response, decision, "openai-version", "2020-10-01");
    }
    if (decision->status == 429)
        add_limit_headers(response, exchange);
    for (size_t i = 0; !decision->overruled && i < decision->step->header_count; i++)
        MHD_add_response_header(response, decision->step->headers[i].name,
                                decision->step->headers[i].value);
}

static void fill_answer(const struct mock_exchange *exchange, struct mock_answer *answer) {
    const char *model = exchange->question.model;
    enum mock_operation operation = exchange->route.operation;
    if (model[0] == '\0')
        model = exchange->route.name;
    if (model[0] == '\0')
        model = operation == MOCK_EMBEDDINGS ? "text-embedding-3-small" : "gpt-4o-mini";
    *answer = (struct mock_answer){.operation = operation,
                                   .dialect = exchange->route.dialect,
                                   .mock = exchange->name,
                                   .model = model,
                                   .number = exchange->number,
                                   .body_length = exchange->body.length,
                                   .inputs = exchange->question.inputs,
                                   .tokens = exchange->server->options->tokens};
    /* Azure lists models, which are no deployments. */
    if (answer->dialect == MOCK_OPENAI) {
        answer->models = exchange->server->options->rules.names;
        answer->model_count = exchange->server->options->rules.name_count;
    }
}

/* The body of the decision, for free(), with its content type in *TYPE. */
static char *make_body(const struct mock_exchange *exchange, const struct mock_answer *answer,
                       const char **type, size_t *length) {
    const struct mock_options *options = exchange->server->options;
    const struct mock_decision *decision = &exchange->decision;
    *type = "application/json";
    if (decision->step->body != NULL && !decision->overruled) {
        if (decision->step->body[0] != '{')
            *type = "text/plain";
        *length = strlen(decision->step->body);
        return strdup(decision->step->body);
    }
    if (decision->status < 300) {
        *type = mock_answer_type(answer->operation);
        return mock_answer_body(answer, length);
    }
    if (decision->status < 400) {
        *type = NULL;
        return calloc(1, 1);
    }
    struct mock_error error = {.dialect = exchange->route.dialect,
                               .status = decision->status,
                               .cause = decision->cause,
                               .model = answer->model,
                               .operation = mock_operation_name(exchange->route.operation),
                               .method = options->rules.strict ? exchange->method : NULL,
                               .path = exchange->route.path,
                               .wait_ns = decision->wait_ns,
                               .limit = options->limit.count};
    return mock_error_body(&error, length);
}

struct MHD_Response *mock_make_response(struct mock_exchange *exchange) {
    const struct mock_decision *decision = &exchange->decision;
    struct MHD_Response *response;
    struct mock_answer answer;
    const char *type = "text/event-stream";
    size_t length = 0;
    fill_answer(exchange, &answer);
    if (decision->status < 300 && exchange->question.stream && decision->step->body == NULL &&
        mock_operation_streams(exchange->route.operation)) {
        response = stream_response(exchange, &answer, NULL, 0);
    } else {
        char *body = make_body(exchange, &answer, &type, &length);
        if (body == NULL)
            return NULL;
        response = decision->action == MOCK_REPLY
                       ? MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE)
                       : stream_response(exchange, &answer, body, length);
    }
    if (response != NULL)
        add_headers(response, exchange, type);
    return response;
}
