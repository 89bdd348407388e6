/*
 * From the URL that the program asked for to the URL of an attempt.
 *
 * All functions are thread-safe, allocate nothing and leave errno alone.
 */
#ifndef SPILLWAY_REQUEST_ROUTE_H
#define SPILLWAY_REQUEST_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* A URL of the program that belongs to an endpoint. */
struct route {
    const struct endpoint *endpoint;
    bool https;            /* the scheme that the program asked with */
    struct slice host;     /* as the program's URL has it */
    struct slice userinfo; /* of the program's URL; empty if none */
    struct slice query;    /* with its '?', empty if none */
    struct slice prefix;   /* the path of the endpoint's URL, as far as it matched ... */
    struct slice below;    /* ... and the path below it, right behind, without dot segments:
                              empty, or from its '/' */
};

/*
 * Finds the endpoint of SETTINGS that URL belongs to: same scheme, host without case, port (a
 * missing one is the scheme's default) and the prefix's whole path segments; the longest prefix
 * wins. Dot segments are resolved first, so that they can't lead out of a prefix. DEFAULT_HTTPS
 * is for a URL without a scheme. Returns true and fills *ROUTE, whose slices point into URL or
 * SCRATCH, which has room for the URL and its end; or false if the URL is for no endpoint, or is
 * one that only libcurl should judge.
 */
bool route_find(const struct settings *settings, const char *url, bool default_https, char *scratch,
                struct route *route);

/*
 * Writes the URL of an attempt on BACKEND to OUT: the backend's base, and TARGET, path and query
 * (dialect.h); if its text is NULL what the program asked below the logical prefix, and its
 * query. USERINFO, "user:password", goes into it, if it is not empty. Returns the length, or 0
 * if it does not fit into SIZE. Built from the route alone, never from an attempt before.
 */
size_t route_url(const struct route *route, const struct backend *backend, struct slice userinfo,
                 struct slice target, char *out, size_t size);

#endif
