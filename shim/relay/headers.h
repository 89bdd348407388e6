/*
 * Which header fields go through a relay, in either direction: all but those that are about one
 * connection. No state; thread-safe.
 */
#ifndef SPILLWAY_RELAY_HEADERS_H
#define SPILLWAY_RELAY_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/url.h"

/* Whether NAME is WORD, in small letters, whatever its case. */
bool headers_is(struct slice name, const char *word);

/* Whether the field NAME is about one connection alone (RFC 9110, section 7.6.1), or about how a
 * body is framed there: each side has its own. */
bool headers_stays(struct slice name);

/* Whether VALUE, of a Connection field, names the field NAME (same section). */
bool headers_names(struct slice value, struct slice name);

/* TEXT without blanks at both ends. */
struct slice headers_trim(struct slice text);

/* Takes a field's LINE, with or without its end, apart. False if it is none. */
bool headers_split(struct slice line, struct slice *name, struct slice *value);

/* Reads a Content-Length. Returns -1 if VALUE is none. */
long long headers_length(struct slice value);

#endif
