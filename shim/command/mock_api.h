/*
 * The API of a mock: which operation a path names, what of a request's body matters, and
 * plausible answers. Pure functions, thread-safe.
 */
#ifndef SPILLWAY_COMMAND_MOCK_API_H
#define SPILLWAY_COMMAND_MOCK_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/command/mock_error.h"

enum mock_operation {
    MOCK_CHAT,
    MOCK_COMPLETIONS,
    MOCK_EMBEDDINGS,
    MOCK_MODELS,
    MOCK_MODEL,        /* one of them */
    MOCK_UPLOAD,       /* a POST, PUT or PATCH anywhere else: files, audio, images */
    MOCK_WRONG_METHOD, /* of an operation above */
    MOCK_UNKNOWN
};

#define MOCK_NAME_MAX 256

struct mock_route {
    enum mock_operation operation;
    enum mock_dialect dialect; /* MOCK_OPENAI or MOCK_AZURE */
    char name[MOCK_NAME_MAX];  /* the deployment or model in the path, safe in JSON; or "" */
};

/*
 * Finds the operation of METHOD and TARGET (a path, or an absolute URL as proxies get it, with
 * its query). The end of the path decides, so that any prefix may stand before it. DIALECT
 * MOCK_ANY becomes MOCK_AZURE below a segment "openai", else MOCK_OPENAI.
 */
void mock_route_parse(const char *method, const char *target, enum mock_dialect dialect,
                      struct mock_route *route);

/* Azure's word for an operation, such as "ChatCompletions_Create". */
const char *mock_operation_name(enum mock_operation operation);

struct mock_question {
    char model[MOCK_NAME_MAX]; /* text of a JSON string, still escaped; "" if there is none */
    bool stream;
    unsigned inputs; /* how many texts "input" has, for embeddings; 0 if it is not there */
};

/* Finds "model", "stream" and "input" at the top of the JSON object BODY, which may end too early;
 * what is no JSON has neither. */
void mock_question_parse(const char *body, size_t length, struct mock_question *question);

struct mock_answer {
    enum mock_operation operation;
    enum mock_dialect dialect; /* Azure adds its content filter results */
    const char *mock;          /* the name of the mock, safe in JSON */
    const char *model;         /* text of a JSON string, escaped */
    uint64_t number;           /* of the request */
    uint64_t body_length;      /* of the request */
    unsigned inputs;           /* texts to embed; 0 counts as 1 */
    unsigned tokens;           /* words of the answer, events of a stream; at least 1 */
};

/* The JSON body of a 200, for free(); its length goes to *LENGTH. NULL without memory. */
char *mock_answer_body(const struct mock_answer *answer, size_t *length);

/*
 * Event INDEX of a streamed answer as SSE, for free(): one word each from 0 to tokens - 1, the
 * last with the finish_reason, then "[DONE]". SENT is the time now, seconds since the epoch: it
 * goes out as "spillway_mock": {"name", "sent"}, so that a test can measure the way.
 * NULL without memory.
 */
char *mock_answer_event(const struct mock_answer *answer, unsigned index, double sent,
                        size_t *length);

/* Whether OPERATION can answer as a stream. */
bool mock_operation_streams(enum mock_operation operation);

#endif
