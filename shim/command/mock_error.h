/*
 * The errors of both providers as they really look: bodies, and the headers that say how long
 * to wait. Pure functions, thread-safe.
 *
 * Sources: Azure OpenAI's quota and troubleshooting pages, OpenAI's rate limits and error codes
 * guides, and responses quoted in the issue trackers of openai-python, openai-node and
 * openai-dotnet. Azure writes x-ratelimit-reset-* as bare seconds and error codes as strings;
 * OpenAI writes durations ("6m0s", "20ms") there.
 */
#ifndef SPILLWAY_COMMAND_MOCK_ERROR_H
#define SPILLWAY_COMMAND_MOCK_ERROR_H

#include <stddef.h>
#include <stdint.h>

/* MOCK_ANY: by the path that was asked. */
enum mock_dialect { MOCK_ANY, MOCK_OPENAI, MOCK_AZURE };

enum mock_cause {
    MOCK_USUAL,       /* what the status means at most times */
    MOCK_QUOTA,       /* 429: nothing is left to spend */
    MOCK_TOO_LARGE,   /* 429: this request can never fit into the limit */
    MOCK_NO_RESOURCE, /* 404: no such path, rather than no such model */
    MOCK_NO_KEY,      /* 401: none, rather than a wrong one */
    MOCK_NOT_JSON,    /* 400: the body */
    MOCK_NO_MODEL,    /* 400: none in the body */
};

/* No time is known. */
#define MOCK_NO_WAIT UINT64_MAX

struct mock_error {
    enum mock_dialect dialect; /* MOCK_OPENAI or MOCK_AZURE */
    int status;                /* 400 to 599 */
    enum mock_cause cause;
    const char *model;     /* text of a JSON string, escaped */
    const char *operation; /* Azure's word, "ChatCompletions_Create" */
    const char *method;    /* of a 404 without resource, NULL: its message does not tell */
    const char *path;      /* and the path; what JSON does not allow in a text becomes '_' */
    uint64_t wait_ns;      /* of a 429, for its message; or MOCK_NO_WAIT */
    unsigned limit;        /* of a 429, requests per window; 0: not known */
};

/* The JSON body of ERROR, for free(); its length goes to *LENGTH. NULL without memory. */
char *mock_error_body(const struct mock_error *error, size_t *length);

struct mock_hint {
    const char *name;
    char value[48];
};
#define MOCK_HINTS_MAX 8

/*
 * Writes the rate limit headers of a 429 to HINTS: what remains, and, unless WAIT_NS is
 * MOCK_NO_WAIT, every form of the time until then that DIALECT sends. RETRY_AFTER is the text
 * of the Retry-After header; NULL: WAIT_NS in seconds, rounded up. Returns how many there are.
 */
size_t mock_error_hints(enum mock_dialect dialect, unsigned limit, uint64_t wait_ns,
                        const char *retry_after, struct mock_hint hints[MOCK_HINTS_MAX]);

/* Writes NS as OpenAI does in x-ratelimit-reset-*: "20ms", "4s", "4.5s", "1m4s", "1h0m0s". */
void mock_error_duration(uint64_t ns, char *out, size_t size);

#endif
