/*
 * Credentials: a backend's own key as the header that carries it, and which of the program's
 * headers must stay behind when it is used.
 */
#ifndef SPILLWAY_REQUEST_CREDENTIALS_H
#define SPILLWAY_REQUEST_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

enum credentials_state {
    CREDENTIALS_OF_PROGRAM, /* the backend has no key of its own: what the program sends goes */
    CREDENTIALS_READY,      /* *LINE has the backend's own */
    CREDENTIALS_MISSING     /* it should have its own, but none can be had */
};

/*
 * Makes the header line for BACKEND's key: "api-key: KEY" if it speaks azure, "Authorization:
 * Bearer KEY" if it speaks openai. The key comes from the settings, a file (white space around
 * it is dropped, 16 KiB at most) or LOOKUP. Gives the line in *LINE, for credentials_free; NULL
 * unless CREDENTIALS_READY. A key with a control character, or none at all, is missing.
 */
enum credentials_state credentials_line(const struct backend *backend, settings_lookup *lookup,
                                        char **line);

/* Wipes and frees LINE; NULL is allowed. */
void credentials_free(char *line);

/*
 * Whether a header line of the program ("Name: value", LENGTH bytes of it or more) is a
 * credential, which a backend with its own key must not see: Authorization, api-key, x-api-key,
 * Ocp-Apim-Subscription-Key. Thread-safe.
 */
bool credentials_is_header(const char *line);

/* Whether LINE is the header NAME (lower case), with a colon or semicolon after it. */
bool credentials_header_is(const char *line, const char *name);

#endif
