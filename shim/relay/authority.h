/*
 * The certificate authority of one user, by which programs that speak https without libcurl trust
 * the relay: made by `spillway ca`, good for the logical hosts of the settings alone.
 *
 * Whoever has its key can pose as these hosts to every program that trusts it. So it is constrained
 * (RFC 5280, section 4.2.1.10) to them, its key is this user's alone, and only programs that
 * `spillway run` starts are told to trust it. The certificates that the relay shows are made from
 * it in memory, and last a day.
 *
 * Not thread-safe. errno is not preserved.
 */
#ifndef SPILLWAY_RELAY_AUTHORITY_H
#define SPILLWAY_RELAY_AUTHORITY_H

#include <gnutls/abstract.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "config/settings.h"

#define AUTHORITY_CERTIFICATE "ca.pem"
#define AUTHORITY_KEY         "ca.key"

/* An authority lasts a year and counts as over a day before; a leaf a day, and is made again at
 * half of it. In seconds. */
#define AUTHORITY_LIFE (365 * 86400)
#define LEAF_LIFE      86400

struct authority;

/* Writes the directory of the user's authority to PATH: spillway/ca below $XDG_CONFIG_HOME or
 * ~/.config. False if neither is known or it does not fit. */
bool authority_directory(settings_lookup *lookup, char path[PATH_MAX]);

/*
 * The hosts of SETTINGS whose https requests the relay takes, those of https URLs of endpoints with
 * `sockets: relay`, as the Nth from 0: returns false if there are not so many. HOST is a slice of
 * the settings, an IPv6 literal with its brackets.
 */
bool authority_host(const struct settings *settings, size_t n, struct slice *host);

/*
 * Makes a new authority for SETTINGS in DIRECTORY, which is made too (mode 0700, like all that is
 * missing above it), in place of one that may be there: a certificate, and its key (mode 0600), at
 * NOW. Returns true, or false with a sentence in MESSAGE.
 */
bool authority_create(const char *directory, const struct settings *settings, time_t now,
                      char *message, size_t size);

/*
 * The authority in DIRECTORY, for authority_free, if it is good at NOW and for all hosts of
 * SETTINGS, and its key is this user's alone. Else NULL with a sentence in MESSAGE.
 */
struct authority *authority_open(const char *directory, const struct settings *settings, time_t now,
                                 char *message, size_t size);
void authority_free(struct authority *authority);

/*
 * The certificate for HOST, a name or a numeric address without brackets, of LENGTH bytes, and its
 * key, at NOW. Both belong to AUTHORITY and live as long as it does. Returns false if the host is
 * none of the settings', or if it can't be made.
 */
bool authority_leaf(struct authority *authority, const char *host, size_t length, time_t now,
                    gnutls_pcert_st **certificate, gnutls_privkey_t *key);

#endif
