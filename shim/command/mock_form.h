/*
 * A field of a multipart/form-data body (RFC 7578, RFC 2046 section 5.1). Pure functions,
 * thread-safe.
 */
#ifndef SPILLWAY_COMMAND_MOCK_FORM_H
#define SPILLWAY_COMMAND_MOCK_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* The most characters of a boundary, as of RFC 2046. */
#define MOCK_BOUNDARY_MAX 70

/* Writes the boundary in CONTENT_TYPE (a header's value) to OUT. Returns false if that is no
 * multipart/form-data, or has no boundary of 1 to MOCK_BOUNDARY_MAX characters. */
bool mock_form_boundary(const char *content_type, char out[MOCK_BOUNDARY_MAX + 1]);

/*
 * Finds the value of the field NAME in BODY, the last one if there are several; a file is no
 * field. Only a part that ends within BODY counts. Returns its first byte in BODY, with its
 * length in *VALUE_LENGTH; or NULL. Takes time linear in LENGTH.
 */
const char *mock_form_field(const char *body, size_t length, const char *boundary, const char *name,
                            size_t *value_length);

#endif
