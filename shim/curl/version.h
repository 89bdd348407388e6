/*
 * Symbol versions: which libcurl an object was linked to.
 *
 * Debian's libcurls have a version each for all their symbols (CURL_OPENSSL_4, CURL_GNUTLS_3), and
 * both can be in one process. An object says in its own tables which one it wants.
 */
#ifndef SPILLWAY_CURL_VERSION_H
#define SPILLWAY_CURL_VERSION_H

#include <link.h>
#include <stdbool.h>

/*
 * The version that the loaded object MAP asks for with its first reference to a function of
 * libcurl that has one; NULL if there is none. Lives as long as the object. Reads the tables that
 * the dynamic linker itself goes by. Thread-safe.
 */
const char *version_wanted(const struct link_map *map);

/* Whether the loaded object MAP gives its own symbols versions. Thread-safe. */
bool version_is_given(const struct link_map *map);

#endif
