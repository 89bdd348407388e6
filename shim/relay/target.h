/*
 * From a request to the URL that it is about. Allocates nothing; thread-safe.
 */
#ifndef SPILLWAY_RELAY_TARGET_H
#define SPILLWAY_RELAY_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/*
 * Writes the URL that a request for TARGET, as its first line has it, with the field Host: HOST (or
 * NULL) is about to OUT, of SIZE bytes: with the scheme "https" if HTTPS is set, else "http". A
 * TARGET that is an absolute URL of that scheme is taken as it is (RFC 9112, section 3.2.2).
 * Returns NULL, or what is wrong with it, as a sentence.
 */
const char *target_url(const char *host, const char *target, bool https, char *out, size_t size);

/*
 * The same where the path alone chooses the endpoint: the one of SETTINGS with the URL whose path
 * is the longest prefix of the target's by whole segments, the first of the file among equals; it
 * is asked by its first URL. Returns NULL, or what is wrong; "" if there is no such endpoint.
 */
const char *target_by_path(const struct settings *settings, const char *target, char *out,
                           size_t size);

#endif
