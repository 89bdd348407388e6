/*
 * The exported curl_multi_* functions. libcurl calls most of them itself, for curl_easy_perform:
 * these calls, and those for multi handles that hold nothing of ours, pass straight through.
 */
#include <stdarg.h>

#include "shim/curl/multi_transfer.h"
#include "shim/curl/transfer.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

/* libcurl 8.17: the program is told of messages in a callback (an option of the type
 * CURLOPTTYPE_FUNCTIONPOINT), in which nothing could be started again. */
#define OPTION_NOTIFYFUNCTION ((CURLMoption)20018)

/* How long curl_easy_perform may sleep while a transfer is watched: its precision. Not all builds
 * of libcurl make that call in a way that comes by here; there it stays at libcurl's second. */
#define WATCHED_POLL_MS 50

/* What can't be passed on, because no libcurl is to be found behind the caller. */
#define NO_LIBCURL CURLM_INTERNAL_ERROR

/*
 * Whose call this is, if not libcurl's own: *MULTI is the record if it is ours to look at, else
 * NULL. Returns the libcurl to pass it on to, or NULL.
 */
static const struct libcurl *sort_out(CURLM *address, const void *caller, struct multi **multi) {
    bool inner;
    *multi = multi_find(address);
    return *multi ? (*multi)->curl : libcurl_of(caller, &inner);
}

static CURLMcode hook_add(CURLM *address, CURL *easy, const void *caller) {
    bool inner;
    struct multi *multi = multi_find(address);
    const struct libcurl *curl = multi ? multi->curl : libcurl_of(caller, &inner);
    if (!curl || !curl->multi_add_handle)
        return NO_LIBCURL;
    if (!multi && !libcurl_inner(caller))
        multi = multi_watch(address, curl);
    return multi ? multi_add(multi, easy, handle_find(easy))
                 : curl->multi_add_handle(address, easy);
}

static CURLMcode hook_remove(CURLM *address, CURL *easy, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (multi)
        return multi_remove(multi, easy, handle_find(easy));
    return curl && curl->multi_remove_handle ? curl->multi_remove_handle(address, easy)
                                             : NO_LIBCURL;
}

static CURLMcode hook_perform(CURLM *address, int *running, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    CURLMcode result;
    int again;
    if (!curl || !curl->multi_perform)
        return NO_LIBCURL;
    if (!multi)
        return curl->multi_perform(address, running);
    do {
        multi_enter(multi);
        result = curl->multi_perform(address, running);
        again = multi_leave(multi);
    } while (result == CURLM_OK && again > 0);
    if (running)
        *running += again;
    return result;
}

/* After one of the socket functions: those started again run on by the timer that is set now. */
static CURLMcode leave_sockets(struct multi *multi, CURLMcode result, int *running) {
    int again = multi_leave(multi);
    if (running)
        *running += again;
    return result;
}

static CURLMcode hook_socket_action(CURLM *address, curl_socket_t fd, int events, int *running,
                                    const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (!curl || !curl->multi_socket_action)
        return NO_LIBCURL;
    if (!multi)
        return curl->multi_socket_action(address, fd, events, running);
    multi_enter(multi);
    return leave_sockets(multi, curl->multi_socket_action(address, fd, events, running), running);
}

static CURLMcode hook_socket(CURLM *address, curl_socket_t fd, int *running, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (!curl || !curl->multi_socket)
        return NO_LIBCURL;
    if (!multi)
        return curl->multi_socket(address, fd, running);
    multi_enter(multi);
    return leave_sockets(multi, curl->multi_socket(address, fd, running), running);
}

static CURLMcode hook_socket_all(CURLM *address, int *running, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (!curl || !curl->multi_socket_all)
        return NO_LIBCURL;
    if (!multi)
        return curl->multi_socket_all(address, running);
    multi_enter(multi);
    return leave_sockets(multi, curl->multi_socket_all(address, running), running);
}

static CURLMcode hook_poll(CURLM *address, struct curl_waitfd *extra, unsigned count,
                           int timeout_ms, int *ready, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    return curl && curl->multi_poll ? curl->multi_poll(address, extra, count, timeout_ms, ready)
                                    : NO_LIBCURL;
}

static CURLMsg *hook_info_read(CURLM *address, int *left, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (multi)
        return multi_read(multi, left);
    return curl && curl->multi_info_read ? curl->multi_info_read(address, left) : NULL;
}

static CURLMcode hook_setopt(CURLM *address, CURLMoption option, void *value, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (!curl || !curl->multi_setopt)
        return NO_LIBCURL;
    bool blind = option == OPTION_NOTIFYFUNCTION || option == CURLMOPT_PUSHFUNCTION;
    if (blind && value && !libcurl_inner(caller) && (multi || (multi = multi_watch(address, curl))))
        multi->untouched = true;
    return curl->multi_setopt(address, option, value);
}

static CURLMcode hook_cleanup(CURLM *address, const void *caller) {
    struct multi *multi;
    const struct libcurl *curl = sort_out(address, caller, &multi);
    if (multi)
        return multi_close(multi);
    return curl && curl->multi_cleanup ? curl->multi_cleanup(address) : NO_LIBCURL;
}

EXPORT CURLMcode curl_multi_add_handle(CURLM *address, CURL *easy) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_add_handle(address, easy) : hook_add(address, easy, CALLER);
}

EXPORT CURLMcode curl_multi_remove_handle(CURLM *address, CURL *easy) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_remove_handle(address, easy) : hook_remove(address, easy, CALLER);
}

EXPORT CURLMcode curl_multi_perform(CURLM *address, int *running) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_perform(address, running) : hook_perform(address, running, CALLER);
}

EXPORT CURLMcode curl_multi_socket_action(CURLM *address, curl_socket_t fd, int events,
                                          int *running) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_socket_action(address, fd, events, running)
                 : hook_socket_action(address, fd, events, running, CALLER);
}

#undef curl_multi_socket /* curl.h makes a macro of it */
EXPORT CURLMcode curl_multi_socket(CURLM *address, curl_socket_t fd, int *running) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_socket(address, fd, running)
                 : hook_socket(address, fd, running, CALLER);
}

EXPORT CURLMcode curl_multi_socket_all(CURLM *address, int *running) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_socket_all(address, running)
                 : hook_socket_all(address, running, CALLER);
}

EXPORT CURLMcode curl_multi_poll(CURLM *address, struct curl_waitfd *extra, unsigned count,
                                 int timeout_ms, int *ready) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    if (inner && transfer_watched && timeout_ms > WATCHED_POLL_MS)
        timeout_ms = WATCHED_POLL_MS;
    return inner ? inner->multi_poll(address, extra, count, timeout_ms, ready)
                 : hook_poll(address, extra, count, timeout_ms, ready, CALLER);
}

EXPORT CURLMsg *curl_multi_info_read(CURLM *address, int *left) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_info_read(address, left) : hook_info_read(address, left, CALLER);
}

EXPORT CURLMcode curl_multi_setopt(CURLM *address, CURLMoption option, ...) {
    va_list arguments;
    va_start(arguments, option);
    void *value = va_arg(arguments, void *);
    va_end(arguments);
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_setopt(address, option, value)
                 : hook_setopt(address, option, value, CALLER);
}

EXPORT CURLMcode curl_multi_cleanup(CURLM *address) {
    const struct libcurl *inner = libcurl_inner(CALLER);
    return inner ? inner->multi_cleanup(address) : hook_cleanup(address, CALLER);
}
