/*
 * What a key_command prints: the token in it, until when it holds, and when to fetch the next.
 */
#ifndef SPILLWAY_SHIM_COMMAND_TOKEN_H
#define SPILLWAY_SHIM_COMMAND_TOKEN_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct token {
    char *text;     /* within what was printed, terminated */
    time_t expires; /* seconds since the epoch; 0: not known */
};

/*
 * Finds the token in OUTPUT, LENGTH bytes and a terminating zero, and cuts it out there. It is the
 * whole output without the white space around it, a JSON string, or in a JSON object, as
 * `az account get-access-token` prints it, the member accessToken, access_token or token. The
 * expiry is expires_on (seconds since the epoch, a number or text) or expiresOn (local time as in
 * "2026-11-20 15:04:05.000000") of that object, else `exp` in the payload of a JSON web token (RFC
 * 7519, section 4.1.4). Returns NULL with *TOKEN filled, or what the command did instead, such as
 * "printed nothing"; OUTPUT is changed in both cases.
 */
const char *token_find(char *output, size_t length, struct token *token);

/*
 * How long to wait, in ms, before a token that was got at NOW and expires at EXPIRES is fetched
 * anew: 80 % of its life, or until 5 minutes before its end if that is later; 5 minutes if EXPIRES
 * is 0. Never less than a second.
 */
int64_t token_wait_ms(time_t expires, time_t now);

/* The same after FAILURES (1 or more) in a row: 5 s, doubled each time up to a minute. */
int64_t token_retry_ms(unsigned failures);

#endif
