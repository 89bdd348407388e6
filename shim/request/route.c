#include "shim/request/route.h"

#include <string.h>

#include "shim/request/writer.h"

/* Whether PATH is PREFIX or lies below it by whole segments. */
static bool path_below(struct slice path, struct slice prefix) {
    return path.length >= prefix.length && memcmp(path.text, prefix.text, prefix.length) == 0 &&
           (path.length == prefix.length || path.text[prefix.length] == '/');
}

static const struct url *longest_prefix(const struct settings *settings, const struct url *url,
                                        const struct endpoint **endpoint) {
    const struct url *best = NULL;
    for (size_t e = 0; e < settings->endpoint_count; e++)
        for (size_t u = 0; u < settings->endpoints[e].url_count; u++) {
            const struct url *prefix = &settings->endpoints[e].prefixes[u];
            if (url_same_origin(prefix, url) && path_below(url->path, prefix->path) &&
                (!best || prefix->path.length > best->path.length)) {
                best = prefix;
                *endpoint = &settings->endpoints[e];
            }
        }
    return best;
}

bool route_find(const struct settings *settings, const char *text, bool default_https,
                char *scratch, struct route *route) {
    struct url url;
    if (!url_parse(text, default_https, &url))
        return false;
    if (url_has_dots(url.path))
        url.path = (struct slice){scratch, url_remove_dots(url.path, scratch)};
    const struct url *prefix = longest_prefix(settings, &url, &route->endpoint);
    if (!prefix)
        return false;
    route->https = url.https;
    route->host = url.host;
    route->userinfo = url.userinfo;
    route->query = url.query;
    route->prefix = (struct slice){url.path.text, prefix->path.length};
    route->below =
        (struct slice){url.path.text + prefix->path.length, url.path.length - prefix->path.length};
    return true;
}

size_t route_url(const struct route *route, const struct backend *backend, struct slice userinfo,
                 struct slice target, char *out, size_t size) {
    struct writer writer = {out, size, 0};
    const char *rest = backend->url;
    if (backend->any_scheme) {
        writer_text(&writer, route->https ? "https://" : "http://");
    } else {
        size_t scheme = (size_t)(strstr(rest, "://") + 3 - rest);
        writer_put(&writer, rest, scheme);
        rest += scheme;
    }
    if (userinfo.length) {
        writer_slice(&writer, userinfo);
        writer_text(&writer, "@");
    }
    writer_text(&writer, rest);
    if (target.text) {
        writer_slice(&writer, target);
    } else {
        writer_slice(&writer, route->below);
        writer_slice(&writer, route->query);
    }
    return writer_end(&writer);
}
