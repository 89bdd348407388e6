/*
 * The real libcurl behind a call, found through the caller.
 *
 * A process may hold several libcurls, and a handle must only ever meet the one that made it;
 * so there is no single "real" pointer per function, but one set of functions per libcurl. It is
 * found in the scope of the object that the call comes from: RTLD_NEXT alone does not see a
 * libcurl that came in by dlopen with RTLD_LOCAL.
 */
#ifndef SPILLWAY_CURL_LIBCURL_H
#define SPILLWAY_CURL_LIBCURL_H

#define CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_DEPRECATION /* what programs still use we have to know */
#include <curl/curl.h>
#include <stdbool.h>

/* One libcurl's functions. Those up to `easy_getinfo` are never NULL. Constant once made. */
struct libcurl {
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURL *(*easy_duphandle)(CURL *);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    unsigned version; /* as LIBCURL_VERSION_NUM: 0x075801 is 7.88.1 */
};

/*
 * The libcurl that the code at RETURN_ADDRESS would have called without us, or NULL if there is
 * none. *INNER says whether that code is that libcurl itself. Lives as long as the process.
 * Thread-safe; errno is kept.
 */
const struct libcurl *libcurl_of(const void *return_address, bool *inner);

#endif
