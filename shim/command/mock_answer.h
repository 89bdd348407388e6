/*
 * Plausible answers of the API. Pure functions, thread-safe.
 */
#ifndef SPILLWAY_COMMAND_MOCK_ANSWER_H
#define SPILLWAY_COMMAND_MOCK_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "shim/command/mock_route.h"

struct mock_answer {
    enum mock_operation operation;
    enum mock_dialect dialect; /* Azure adds its content filter results */
    const char *mock;          /* the name of the mock, safe in JSON */
    const char *model;         /* text of a JSON string, escaped */
    const char **models;       /* names to list, safe in JSON */
    size_t model_count;        /* 0: some that are common */
    uint64_t number;           /* of the request */
    uint64_t body_length;      /* of the request */
    unsigned inputs;           /* texts to embed; 0 counts as 1 */
    unsigned tokens;           /* words of the answer, events of a stream; at least 1 */
};

/* The body of a 200, for free(), JSON but for speech; its length goes to *LENGTH. NULL without
 * memory. */
char *mock_answer_body(const struct mock_answer *answer, size_t *length);

/* The Content-Type of that body. */
const char *mock_answer_type(enum mock_operation operation);

/* How many events ANSWER has as a stream. */
unsigned mock_answer_events(const struct mock_answer *answer);

/*
 * Event INDEX of a streamed answer as SSE, for free(): one word each from 0 to tokens - 1, the
 * last with the finish_reason, then "[DONE]". The Responses API has event: lines, what begins
 * the response in front of the words, and what ends it in place of "[DONE]", several events at
 * once each. SENT is the time now, seconds since the epoch: it goes out with each word as
 * "spillway_mock": {"name", "sent"}, so that a test can measure the way. NULL without memory.
 */
char *mock_answer_event(const struct mock_answer *answer, unsigned index, double sent,
                        size_t *length);

#endif
