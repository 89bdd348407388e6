/*
 * What makes a program trust the authority of `spillway ca`: a file of certificates that has ours
 * besides those that the program would trust without it, named by the variables that TLS
 * libraries look at.
 */
#ifndef SPILLWAY_COMMAND_TRUST_H
#define SPILLWAY_COMMAND_TRUST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* Whether the relay takes https requests of SETTINGS at all. */
bool trust_needed(const struct settings *settings);

/* The variables: of OpenSSL, Node.js, Python's requests, and curl. Ends with NULL. */
extern const char *const trust_variables[];

/*
 * Checks that the authority in DIRECTORY is good for SETTINGS, and writes the path of the bundle
 * that the variable NAME is to have, with the value VALUE so far or NULL, to OUT: the certificates
 * of the file that VALUE names, or the system's, and ours. The bundle is kept in DIRECTORY and made
 * again when either has changed. Returns false with a sentence in MESSAGE. errno is not preserved.
 */
bool trust_check(const char *directory, const struct settings *settings, char *message,
                 size_t size);
bool trust_bundle(const char *directory, const char *value, char out[PATH_MAX], char *message,
                  size_t size);

#endif
