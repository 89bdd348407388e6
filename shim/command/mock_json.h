/*
 * JSON as RFC 8259 has it, and nothing more lenient: a provider refuses what is not. Pure
 * functions, thread-safe.
 */
#ifndef SPILLWAY_COMMAND_MOCK_JSON_H
#define SPILLWAY_COMMAND_MOCK_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* The most objects and arrays in one another. */
#define MOCK_JSON_DEPTH 512

/* Whether the LENGTH bytes at TEXT are one JSON object, white space around it allowed. Strings
 * are not checked for valid UTF-8. */
bool mock_json_object(const char *text, size_t length);

/* Whether ESCAPED, the text of a JSON string without its quotes, stands for TEXT (UTF-8). */
bool mock_json_equals(const char *escaped, const char *text);

#endif
