/*
 * The netrc file: the login and password that libcurl would take from it for a host.
 *
 * The format is that of netrc(5) and of CURLOPT_NETRC(3), read as libcurl does it: tokens between
 * spaces, tabs and line ends; "machine NAME" or "default", then "login", "password" and "account"
 * with a value each; a key word in any case; a macro from "macdef" to the first line without a
 * character; unknown words are skipped. A value may stand in double quotes, with \n, \r, \t and
 * a backslash before any other character that stands for itself. Where the releases of libcurl
 * differ, this is what is read:
 *
 * - '#' begins a comment in place of a key word and at the start of a line (in a line, 7.88 to
 *   8.10 alone); a value may begin with it (8.11 and later).
 * - A quoted value may hold line ends. One that never ends makes its entry, and the rest, void.
 * - "macdef" ends an entry. Of two logins or passwords in an entry the last one counts.
 */
#ifndef SPILLWAY_REQUEST_NETRC_H
#define SPILLWAY_REQUEST_NETRC_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"
#include "config/url.h"

/*
 * Finds the login and password of HOST in the netrc file at PATH. Names of hosts are compared
 * without case; an IPv6 literal may have its brackets, which the file never has. The first entry
 * with a login or a password counts; if LOGIN is neither NULL nor empty, the first with exactly
 * that login. `default` counts only if no machine does, wherever it stands. That is not
 * so in libcurl, to which an entry with a password and no login counts for every login, and a
 * `default` that stands before a machine (netrc(5) has it behind them all) goes before it.
 *
 * Writes them to OUT, which has SIZE bytes, as they have to stand in a URL's userinfo:
 * "login:password", where all but RFC 3986's unreserved characters is percent-encoded, either
 * may be empty, and the end is terminated.
 *
 * Returns true, or false if there is no such entry, if OUT is too small, or if there is no file
 * that can be read: a regular one (nothing else is opened), of at most 1 MiB, without NUL bytes.
 * After false every byte of OUT is 0.
 *
 * What was read is wiped from memory. At most 1 MiB is allocated and freed again, and one file
 * descriptor opened and closed. errno is not changed. Thread-safe.
 */
bool netrc_find(const char *path, struct slice host, const char *login, char *out, size_t size);

/*
 * Writes the default path, "$HOME/.netrc", to OUT. LOOKUP gives the value of HOME; NETRC, which
 * libcurl asks first from 8.16 on, is not looked at. Returns true, or false with an empty OUT if
 * HOME is unset or empty, or if the path does not fit into SIZE bytes. The user database is not
 * asked: that may load modules into the program. errno is not changed. As thread-safe as LOOKUP.
 */
bool netrc_default_path(settings_lookup *lookup, char *out, size_t size);

#endif
