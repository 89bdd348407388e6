#include "shim/relay/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char too_long[] = "The URL is too long.";

/* The characters of a host and its port, RFC 3986, section 3.2, without those that only tell
 * readers apart: nothing that could end the host, or put credentials before it. */
static bool is_authority(const char *host, size_t length) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~:[]";
    return length > 0 && strspn(host, allowed) == length;
}

static bool is_clean(const char *target) {
    for (const unsigned char *c = (const unsigned char *)target; *c; c++)
        if (*c <= ' ' || *c == 0x7f || *c == '\\' || *c == '#')
            return false;
    return true;
}

/* The URL TARGET, if it is an absolute one. */
static const char *absolute(const char *target, const char *scheme, char *out, size_t size) {
    struct url url;
    size_t length = strlen(scheme);
    if (strncasecmp(target, scheme, length) != 0 || strncmp(target + length, "://", 3) != 0)
        return "The request's target is neither a path nor a URL of this port's scheme.";
    if (!url_parse(target, false, &url) || url.userinfo.text)
        return "The request's target is no URL that could be asked for.";
    int written = snprintf(out, size, "%s", target);
    return written > 0 && (size_t)written < size ? NULL : too_long;
}

const char *target_url(const char *host, const char *target, bool https, char *out, size_t size) {
    struct url url;
    const char *scheme = https ? "https" : "http";
    if (!is_clean(target))
        return "The request's target has a character that no URL has.";
    if (target[0] != '/')
        return absolute(target, scheme, out, size);
    if (!host)
        return "The request has no Host.";
    if (!is_authority(host, strlen(host)))
        return "The request's Host is none.";
    int written = snprintf(out, size, "%s://%s%s", scheme, host, target);
    if (written < 0 || (size_t)written >= size)
        return too_long;
    return url_parse(out, false, &url) ? NULL : "The request's Host is none.";
}

/* Whether PATH lies at or below PREFIX, by whole segments. */
static bool lies_below(struct slice path, struct slice prefix) {
    return path.length >= prefix.length && memcmp(path.text, prefix.text, prefix.length) == 0 &&
           (path.length == prefix.length || path.text[prefix.length] == '/');
}

static const struct endpoint *longest(const struct settings *settings, struct slice path,
                                      size_t *length) {
    const struct endpoint *best = NULL;
    for (size_t e = 0; e < settings->endpoint_count; e++)
        for (size_t u = 0; u < settings->endpoints[e].url_count; u++) {
            struct slice prefix = settings->endpoints[e].prefixes[u].path;
            if (lies_below(path, prefix) && (!best || prefix.length > *length)) {
                best = &settings->endpoints[e];
                *length = prefix.length;
            }
        }
    return best;
}

const char *target_by_path(const struct settings *settings, const char *target, char *out,
                           size_t size) {
    size_t matched = 0;
    struct slice path = {target, strcspn(target, "?")};
    if (target[0] != '/' || !is_clean(target) || url_has_dots(path))
        return "The request's target is no path that could be asked for.";
    const struct endpoint *endpoint = longest(settings, path, &matched);
    if (!endpoint)
        return "";
    const struct url *first = &endpoint->prefixes[0];
    int written = snprintf(out, size, "%s://%.*s%.*s%s", first->https ? "https" : "http",
                           (int)first->authority.length, first->authority.text,
                           (int)first->path.length, first->path.text, target + matched);
    return written > 0 && (size_t)written < size ? NULL : too_long;
}
