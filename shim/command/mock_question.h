/*
 * What a mock reads in the body of a request, JSON or multipart/form-data. Not the shim's own
 * reader of bodies, which is among the things that a mock is there to test. Pure functions,
 * thread-safe; they take bytes of any kind.
 */
#ifndef SPILLWAY_COMMAND_MOCK_QUESTION_H
#define SPILLWAY_COMMAND_MOCK_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/command/mock_route.h"

struct mock_question {
    char model[MOCK_NAME_MAX]; /* text of a JSON string, still escaped; "" if there is none */
    bool form;                 /* the body is multipart/form-data, by its Content-Type */
    bool stream;
    unsigned inputs; /* how many texts "input" has, for embeddings; 0 if it is not there */
};

/*
 * Finds "model", "stream" and "input" at the top of the JSON object BODY, which may end too early;
 * what is no JSON has neither. If CONTENT_TYPE (the header's value, or NULL) is
 * multipart/form-data, finds the field "model" of that form, the last one if there are several.
 */
void mock_question_parse(const char *body, size_t length, const char *content_type,
                         struct mock_question *question);

#endif
