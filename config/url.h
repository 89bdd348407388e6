/*
 * Absolute http and https URLs, taken apart without copying.
 *
 * Deliberately stricter than a browser or libcurl: what this parser does not understand is
 * left to libcurl, untouched. Control characters, spaces and backslashes are refused, so that
 * the parts found here are the parts that libcurl will find.
 */
#ifndef SPILLWAY_CONFIG_URL_H
#define SPILLWAY_CONFIG_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *text; /* not terminated; points into the string that was parsed */
    size_t length;
};

struct url {
    bool https;
    struct slice userinfo;  /* without the '@'; text is NULL if there is none */
    struct slice host;      /* as written, an IPv6 literal with its brackets */
    uint16_t port;          /* the scheme's default if the text names none */
    struct slice authority; /* host and port as written, without userinfo */
    struct slice path;      /* from its first '/'; empty if there is none */
    struct slice query;     /* with its '?'; empty if there is none */
};

/*
 * Takes TEXT apart. A missing scheme counts as https if DEFAULT_HTTPS is set, else as http;
 * a fragment is dropped. The slices are valid as long as TEXT is.
 * Returns true, or false if TEXT is no http(s) URL with a host and a port of 1 to 65535.
 * Thread-safe and async-signal-safe; errno is not changed.
 */
bool url_parse(const char *text, bool default_https, struct url *url);

/*
 * Writes PATH without its dot segments (RFC 3986, section 5.2.4; "%2e" counts as a dot, as in
 * the WHATWG URL standard) to OUT, which has room for path.length + 1 bytes. A path that would
 * climb above its root stays there. Returns the length, which is never more than path.length;
 * OUT is terminated. Thread-safe and async-signal-safe.
 */
size_t url_remove_dots(struct slice path, char *out);

/* Whether PATH has a dot segment, also one that is written with "%2e". */
bool url_has_dots(struct slice path);

/* Whether A and B are the same host, by ASCII letters without case (RFC 3986, section 3.2.2). */
bool url_same_host(struct slice a, struct slice b);

/* Whether scheme, host and port of A and B are the same (RFC 6454, section 5). */
bool url_same_origin(const struct url *a, const struct url *b);

#endif
