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
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One libcurl's functions; those of the multi interface and of forms may be NULL. Constant once
 * made. */
struct libcurl {
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURL *(*easy_duphandle)(CURL *);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    CURLMcode (*multi_add_handle)(CURLM *, CURL *);
    CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
    CURLMcode (*multi_perform)(CURLM *, int *);
    CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
    CURLMcode (*multi_socket)(CURLM *, curl_socket_t, int *);
    CURLMcode (*multi_socket_all)(CURLM *, int *);
    CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd *, unsigned, int, int *);
    CURLMsg *(*multi_info_read)(CURLM *, int *);
    CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
    CURLMcode (*multi_cleanup)(CURLM *);
    curl_mime *(*mime_init)(CURL *);
    void (*mime_free)(curl_mime *);
    curl_mimepart *(*mime_addpart)(curl_mime *);
    CURLcode (*mime_name)(curl_mimepart *, const char *);
    CURLcode (*mime_filename)(curl_mimepart *, const char *);
    CURLcode (*mime_type)(curl_mimepart *, const char *);
    CURLcode (*mime_encoder)(curl_mimepart *, const char *);
    CURLcode (*mime_data)(curl_mimepart *, const char *, size_t);
    CURLcode (*mime_filedata)(curl_mimepart *, const char *);
    CURLcode (*mime_data_cb)(curl_mimepart *, curl_off_t, curl_read_callback, curl_seek_callback,
                             curl_free_callback, void *);
    CURLcode (*mime_subparts)(curl_mimepart *, curl_mime *);
    CURLcode (*mime_headers)(curl_mimepart *, struct curl_slist *, int);
    CURLUcode (*url_get)(const CURLU *, CURLUPart, char **, unsigned);
    void (*free)(void *);
    unsigned version;      /* as LIBCURL_VERSION_NUM: 0x075801 is 7.88.1 */
    uintptr_t start, size; /* the object that they are in */
};

/*
 * The libcurl that the code at RETURN_ADDRESS would have called without us, or NULL if there is
 * none. *INNER says whether that code is that libcurl itself. Lives as long as the process, and
 * so does, from then on, that libcurl. Thread-safe; errno is kept.
 */
const struct libcurl *libcurl_of(const void *return_address, bool *inner);

/* Every libcurl met so far. Entries are added in front and never change or go away. */
struct libcurl_known {
    struct libcurl curl;
    struct libcurl_known *next;
};
extern struct libcurl_known *_Atomic libcurl_known __attribute__((visibility("hidden")));

/* The libcurl that the code at RETURN_ADDRESS is part of, or NULL: a call within a libcurl, not
 * one of the program. Thread-safe. */
static inline const struct libcurl *libcurl_inner(const void *return_address) {
    uintptr_t at = (uintptr_t)return_address;
    const struct libcurl_known *k = atomic_load_explicit(&libcurl_known, memory_order_acquire);
    for (; k; k = k->next)
        if (at - k->curl.start < k->curl.size)
            return &k->curl;
    return NULL;
}

#endif
