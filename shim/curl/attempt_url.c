#include "shim/curl/attempt_url.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/translate.h"
#include "shim/request/netrc.h"

/* With the program's credentials, perhaps. */
static void forget_url(char **url) {
    if (*url)
        explicit_bzero(*url, strlen(*url));
    free(*url);
    *url = NULL;
}

void attempt_url_free(struct transfer *t) {
    for (size_t i = 0; i < BACKENDS_MAX; i++)
        forget_url(&t->urls[i]);
    t->url = NULL;
}

#define USERINFO_MAX 1024

/*
 * What the program's netrc file says about the host that it asked for: libcurl itself would look
 * for the backend's. False if it is not to look, or has been told better.
 */
static bool find_netrc(const struct transfer *t, char *userinfo) {
    const struct options *o = &t->handle->options;
    char path[PATH_MAX];
    if (!o->netrc || (o->auth & (AUTH_USERPWD | AUTH_USERNAME | AUTH_PASSWORD | AUTH_BEARER)) ||
        (t->route.userinfo.length && o->netrc == CURL_NETRC_OPTIONAL))
        return false;
    if (!o->netrc_file && !netrc_default_path(runtime_environment, path, sizeof path))
        return false;
    return netrc_find(o->netrc_file ? o->netrc_file : path, t->route.host, NULL, userinfo,
                      USERINFO_MAX);
}

/* The model of this request may be in it; mostly it is the one of the last request. */
static void refresh_url(struct transfer *t, const struct backend *backend, struct slice userinfo,
                        char **url) {
    char *fresh = translate_url(t, backend, userinfo);
    if (fresh && *url && strcmp(fresh, *url) == 0) {
        forget_url(&fresh);
        return;
    }
    if (*url && t->url == *url)
        t->url = NULL;
    forget_url(url);
    *url = fresh;
}

const char *attempt_url(struct transfer *t, const struct backend *backend, bool theirs,
                        bool *from_netrc) {
    char netrc[USERINFO_MAX], **url = &t->urls[t->backend];
    struct slice userinfo = theirs ? t->route.userinfo : (struct slice){NULL, 0};
    *from_netrc = theirs && find_netrc(t, netrc);
    if (t->urls_changes != t->handle->routed_changes) {
        attempt_url_free(t);
        t->urls_changes = t->handle->routed_changes;
    }
    if (*from_netrc) {
        userinfo = (struct slice){netrc, strlen(netrc)};
        forget_url(url);
        t->url = NULL;
    }
    if (!*url || !t->plan.same_target)
        refresh_url(t, backend, userinfo, url);
    if (*from_netrc) {
        explicit_bzero(netrc, sizeof netrc);
        t->urls_changes = 0; /* not for the next attempt: the program may have netrc off by then */
    }
    return *url;
}
