/*
 * Credentials: a backend's own key as the header that carries it, and which of the program's
 * headers must stay behind when it is used. Text alone: where a key comes from is in keys.h.
 */
#ifndef SPILLWAY_REQUEST_CREDENTIALS_H
#define SPILLWAY_REQUEST_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* The longest key that is sent, in bytes. */
#define CREDENTIALS_KEY_MAX 16384

enum credentials_state {
    CREDENTIALS_OF_PROGRAM, /* the backend has no key of its own: what the program sends goes */
    CREDENTIALS_READY,      /* its own is there */
    CREDENTIALS_MISSING     /* it should have its own, but none can be had */
};

/* Whether KEY can be sent: not empty, and without control characters. */
bool credentials_sendable(const char *key);

/*
 * Whether KEY is a JSON web token in its compact form (RFC 7515, section 7.1): three parts of
 * base64url between two dots, the first beginning with "eyJ", which is '{"'. So are the tokens of
 * Entra ID; no API key is.
 */
bool credentials_is_token(const char *key);

/*
 * Makes the header line for BACKEND's KEY. It is "Authorization: Bearer KEY" if the backend speaks
 * openai, if the key comes from a key_command, or if it is a token; "api-key: KEY" for all other
 * keys of a backend that speaks azure. Returns a line for credentials_free, or NULL if the key
 * can't be sent or memory ran out. Thread-safe.
 */
char *credentials_line(const struct backend *backend, const char *key);

/*
 * The same for the key in LINE, a header of the program ("api-key: KEY", "Authorization: Bearer
 * KEY"): NULL also if LINE is no such header, or is the one that BACKEND's dialect wants.
 */
char *credentials_retell(const struct backend *backend, const char *line);

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
