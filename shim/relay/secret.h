/*
 * Comparing what must not be guessed.
 */
#ifndef SPILLWAY_RELAY_SECRET_H
#define SPILLWAY_RELAY_SECRET_H

#include <stdbool.h>

/* Whether GIVEN (or NULL) is SECRET. How long that takes tells nothing of SECRET but its length. */
bool secret_same(const char *secret, const char *given);

#endif
