#include "config/url.h"

#include <string.h>

static unsigned char lower(char c) {
    unsigned char u = (unsigned char)c;
    return (unsigned char)(u >= 'A' && u <= 'Z' ? u + ('a' - 'A') : u);
}

static bool same_letters(const char *a, const char *b, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/*
 * Whether libcurl sees another scheme than http in a URL that begins with LENGTH bytes of a name
 * and then NEXT: one that forgot a slash of its scheme, or a host that is called after one.
 */
static bool is_guessed_otherwise(const char *text, size_t length, char next) {
    static const char *const hosts[] = {"ftp.", "dict.", "ldap.", "imap.", "smtp.", "pop3."};
    if (next == ':' && ((length == 4 && same_letters(text, "http", 4)) ||
                        (length == 5 && same_letters(text, "https", 5))))
        return true;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (length >= strlen(hosts[i]) && same_letters(text, hosts[i], strlen(hosts[i])))
            return true;
    return false;
}

/* Moves *TEXT past "http://" or "https://". False for another scheme; absent leaves *HTTPS. */
static bool take_scheme(const char **text, bool *https) {
    const char *colon = *text + strcspn(*text, ":/?#@[");
    if (colon[0] != ':' || colon[1] != '/' || colon[2] != '/')
        return !is_guessed_otherwise(*text, (size_t)(colon - *text), *colon);
    size_t length = (size_t)(colon - *text);
    if (length == 4 && same_letters(*text, "http", 4))
        *https = false;
    else if (length == 5 && same_letters(*text, "https", 5))
        *https = true;
    else
        return false;
    *text = colon + 3;
    return true;
}

/* Port digits up to END; an empty port is the default one, as RFC 3986 section 3.2.3 has it. */
static bool take_port(const char *digits, const char *end, bool https, uint16_t *port) {
    unsigned value = 0;
    if (digits == end) {
        *port = https ? 443 : 80;
        return true;
    }
    for (; digits < end; digits++) {
        if (*digits < '0' || *digits > '9')
            return false;
        value = value * 10 + (unsigned)(*digits - '0');
        if (value > UINT16_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return value > 0;
}

static bool take_authority(const char *start, const char *end, struct url *url) {
    const char *at = memchr(start, '@', (size_t)(end - start));
    if (at) {
        url->userinfo = (struct slice){start, (size_t)(at - start)};
        start = at + 1;
        /* readers disagree about which '@' of several ends the userinfo */
        if (memchr(start, '@', (size_t)(end - start)))
            return false;
    }
    url->authority = (struct slice){start, (size_t)(end - start)};
    const char *host_end;
    if (start < end && *start == '[') {
        const char *bracket = memchr(start, ']', (size_t)(end - start));
        if (!bracket)
            return false;
        host_end = bracket + 1;
        if (host_end < end && *host_end != ':')
            return false;
    } else {
        const char *colon = memchr(start, ':', (size_t)(end - start));
        host_end = colon ? colon : end;
    }
    url->host = (struct slice){start, (size_t)(host_end - start)};
    /* a percent sign would be decoded by some readers and not by others */
    if (!url->host.length || memchr(start, '%', url->host.length))
        return false;
    return take_port(host_end < end ? host_end + 1 : end, end, url->https, &url->port);
}

bool url_parse(const char *text, bool default_https, struct url *url) {
    *url = (struct url){.https = default_https};
    const char *end = text;
    for (; *end && *end != '#'; end++)
        if ((unsigned char)*end <= ' ' || *end == 0x7f || *end == '\\')
            return false;
    if (!take_scheme(&text, &url->https))
        return false;
    const char *path = text;
    while (path < end && *path != '/' && *path != '?')
        path++;
    if (!take_authority(text, path, url))
        return false;
    const char *query = memchr(path, '?', (size_t)(end - path));
    if (!query)
        query = end;
    url->path = (struct slice){path, (size_t)(query - path)};
    url->query = (struct slice){query, (size_t)(end - query)};
    return true;
}

/* The number of dots that SEGMENT stands for: 1, 2, or 0 if it is no dot segment. */
static int dots(const char *segment, size_t length) {
    int count = 0;
    while (length > 0) {
        if (segment[0] == '.') {
            segment++;
            length--;
        } else if (length >= 3 && segment[0] == '%' && segment[1] == '2' &&
                   lower(segment[2]) == 'e') {
            segment += 3;
            length -= 3;
        } else {
            return 0;
        }
        if (++count > 2)
            return 0;
    }
    return count;
}

static size_t segment_length(const char *start, const char *end) {
    const char *slash = memchr(start, '/', (size_t)(end - start));
    return (size_t)((slash ? slash : end) - start);
}

bool url_has_dots(struct slice path) {
    const char *end = path.text + path.length;
    if (!memchr(path.text, '.', path.length) && !memchr(path.text, '%', path.length))
        return false;
    for (const char *p = path.text; p < end;) {
        if (*p == '/')
            p++;
        size_t length = segment_length(p, end);
        if (dots(p, length))
            return true;
        p += length;
    }
    return false;
}

size_t url_remove_dots(struct slice path, char *out) {
    const char *end = path.text + path.length;
    size_t used = 0;
    for (const char *p = path.text; p < end;) {
        p++; /* the '/' before each segment */
        size_t length = segment_length(p, end);
        int count = dots(p, length);
        bool last = p + length == end;
        if (count == 2)
            while (used > 0 && out[--used] != '/')
                ;
        if (count == 0) {
            out[used++] = '/';
            memcpy(out + used, p, length);
            used += length;
        } else if (last) {
            out[used++] = '/';
        }
        p += length;
    }
    out[used] = '\0';
    return used;
}

bool url_same_host(struct slice a, struct slice b) {
    return a.length == b.length && same_letters(a.text, b.text, a.length);
}

bool url_same_origin(const struct url *a, const struct url *b) {
    return a->https == b->https && a->port == b->port && url_same_host(a->host, b->host);
}
