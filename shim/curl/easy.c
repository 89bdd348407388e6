/*
 * The exported curl_easy_* functions. What is not ours goes to the libcurl that the caller would
 * have reached without us.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "shim/curl/handle.h"
#include "shim/curl/multi_transfer.h"
#include "shim/curl/transfer.h"
#include "shim/runtime.h"

#define EXPORT   __attribute__((visibility("default")))
#define CALLER   __builtin_return_address(0)
#define NOINLINE __attribute__((noinline))

static CURL *hook_init(const void *caller) {
    bool inner;
    const struct libcurl *curl = libcurl_of(caller, &inner);
    CURL *easy = curl ? curl->easy_init() : NULL;
    /* libcurl's own handles are none of the program's, and it frees them behind our back */
    struct handle *handle = easy && !inner && runtime_exists() ? handle_add(easy, curl) : NULL;
    if (handle)
        handle->options.copies_posts = runtime_translates();
    return easy;
}

/* Sets an option that is simply a value, with nothing of ours on the handle. */
static NOINLINE CURLcode setopt_value(struct handle *handle, CURLoption option, unsigned where,
                                      void *value) {
    CURLcode result = handle->curl->easy_setopt(handle->easy, option, value);
    if (result == CURLE_OK)
        memcpy((char *)&handle->options + where, &value, sizeof value);
    return result;
}

/* The same while options of ours are, or may be, on the handle. */
static NOINLINE CURLcode setopt_among_ours(struct handle *handle, CURLoption option,
                                           const struct note *note, void *value) {
    CURLcode result = CURLE_OK;
    if (option == CURLOPT_CURLU || handle->options.curlu)
        transfer_release(handle); /* two options for one URL: both have to be the program's */
    if (!handle->aimed || !transfer_owns(handle->transfer, option)) {
        result = handle->curl->easy_setopt(handle->easy, option, value);
        if (result == CURLE_OK && !handle->aimed)
            transfer_overridden(handle, option);
    }
    if (result != CURLE_OK)
        return result;
    options_record(&handle->options, option, note, value);
    /* the other of the two; from 8.12 on libcurl itself has none then */
    if (option == CURLOPT_CURLU && handle->transfer && !handle->aimed &&
        handle->curl->version < 0x080c00)
        handle->curl->easy_setopt(handle->easy, CURLOPT_URL, handle->options.url.text);
    if (handle->aimed)
        transfer_changed(handle->transfer, option);
    return CURLE_OK;
}

/* Sets any noted option. */
static NOINLINE CURLcode setopt_noted(struct handle *handle, CURLoption option,
                                      const struct note *note, void *value) {
    if (handle->ours)
        return setopt_among_ours(handle, option, note, value);
    CURLcode result = handle->curl->easy_setopt(handle->easy, option, value);
    if (result == CURLE_OK)
        options_record(&handle->options, option, note, value);
    return result;
}

/* Sets an option of a handle that this thread does not remember. */
static NOINLINE CURLcode setopt_any(CURL *easy, CURLoption option, const struct note *note,
                                    void *value, const void *caller) {
    struct handle *handle = handle_find(easy);
    bool inner;
    if (handle)
        return note->kind == NOTE_NONE ? handle->curl->easy_setopt(easy, option, value)
                                       : setopt_noted(handle, option, note, value);
    const struct libcurl *curl = libcurl_of(caller, &inner);
    return curl ? curl->easy_setopt(easy, option, value) : CURLE_FAILED_INIT;
}

/* The common cases in a few instructions, without a stack frame. */
static inline CURLcode setopt(CURL *easy, CURLoption option, void *value, const void *caller) {
    struct handle *handle = (struct handle *)registry_recall(easy, RECORD_EASY);
    const struct note *note = options_note(option);
    if (!handle)
        return setopt_any(easy, option, note, value, caller);
    if (note->kind == NOTE_NONE)
        return handle->curl->easy_setopt(easy, option, value);
    if (note->kind == NOTE_VALUE && !handle->ours)
        return setopt_value(handle, option, note->where, value);
    return setopt_noted(handle, option, note, value);
}

/* Sleeps for t->wait_ns; false if the program's progress function ends the transfer. */
static bool wait_for_backend(const struct transfer *t) {
    const struct options *o = &t->handle->options;
    uint64_t end = ledger_now() + t->wait_ns, now;
    while ((now = ledger_now()) < end) {
        int stop = 0;
        if (!o->no_progress && o->xferinfo_function)
            stop = o->xferinfo_function(o->progress_data, 0, 0, 0, 0);
        else if (!o->no_progress && o->progress_function)
            stop = o->progress_function(o->progress_data, 0, 0, 0, 0);
        if (stop && stop != CURL_PROGRESSFUNC_CONTINUE)
            return false;
        /* libcurl, too, calls it about once a second */
        uint64_t left = end - now, slice = left < 1000000000u ? left : 1000000000u;
        struct timespec pause = {(time_t)(slice / 1000000000u), (long)(slice % 1000000000u)};
        nanosleep(&pause, NULL);
    }
    return true;
}

static CURLcode perform_routed(struct handle *handle) {
    struct transfer *t = handle->transfer;
    CURLcode result = CURLE_OK;
    int saved = errno;
    do {
        while (transfer_aim(t) == TRANSFER_WAIT)
            if (!wait_for_backend(t)) {
                t->result = result = CURLE_ABORTED_BY_CALLBACK;
                goto end;
            }
        errno = saved;
        result = handle->curl->easy_perform(handle->easy);
        saved = errno;
    } while (transfer_continue(t, &result) == TRANSFER_RUN);
end:
    transfer_end(t);
    errno = saved;
    return result;
}

static CURL *duplicate_known(struct handle *handle) {
    transfer_release(handle);
    CURL *copy = handle->curl->easy_duphandle(handle->easy);
    if (!copy)
        return NULL;
    curl_mime *form = handle->aimed ? transfer_clean_copy(handle->transfer, copy) : NULL;
    struct handle *record = handle_add(copy, handle->curl);
    if (record) {
        options_copy(&record->options, &handle->options);
        record->form = form;
    }
    return copy;
}

static void reset_known(struct handle *handle) {
    transfer_release(handle);
    handle->curl->easy_reset(handle->easy);
    uint64_t changes = handle->options.url_changes;
    bool copies = handle->options.copies_posts;
    options_clear(&handle->options);
    options_init(&handle->options);
    handle->options.copies_posts = copies;
    handle->options.url_changes = changes + 1;
}

static void cleanup_known(struct handle *handle) {
    CURL *easy = handle->easy;
    const struct libcurl *curl = handle->curl;
    curl_mime *form = handle->form;
    if (handle->multi) /* libcurl does the same, but with our callbacks still in place */
        multi_remove(handle->multi, easy, handle);
    handle_remove(handle); /* first: the address may be another thread's next handle */
    curl->easy_cleanup(easy);
    if (form)
        curl->mime_free(form);
}

EXPORT CURL *curl_easy_init(void) {
    return hook_init(CALLER);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* In these calling conventions the first variadic argument lies where a third parameter does, so
 * that the argument list, which costs more than all the rest, need not be built. */
EXPORT CURLcode spillway_easy_setopt(CURL *easy, CURLoption option,
                                     void *value) __asm__("curl_easy_setopt");

CURLcode spillway_easy_setopt(CURL *easy, CURLoption option, void *value) {
    return setopt(easy, option, value, CALLER);
}
#else
EXPORT CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
    va_list arguments;
    va_start(arguments, option);
    void *value = va_arg(arguments, void *);
    va_end(arguments);
    return setopt(easy, option, value, CALLER);
}
#endif

EXPORT CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...) {
    va_list arguments;
    va_start(arguments, info);
    void *value = va_arg(arguments, void *);
    va_end(arguments);
    struct handle *handle = handle_find(easy);
    if (handle && info == CURLINFO_EFFECTIVE_URL)
        transfer_release(handle);
    if (handle)
        return handle->curl->easy_getinfo(easy, info, value);
    bool inner;
    const struct libcurl *curl = libcurl_of(CALLER, &inner);
    return curl ? curl->easy_getinfo(easy, info, value) : CURLE_FAILED_INIT;
}

EXPORT CURLcode curl_easy_perform(CURL *easy) {
    struct handle *handle = handle_find(easy);
    if (handle && handle->multi)
        return handle->curl->easy_perform(easy); /* libcurl says what is wrong with that */
    if (handle)
        return transfer_begin(handle) ? perform_routed(handle) : handle->curl->easy_perform(easy);
    bool inner;
    const struct libcurl *curl = libcurl_of(CALLER, &inner);
    return curl ? curl->easy_perform(easy) : CURLE_FAILED_INIT;
}

EXPORT CURL *curl_easy_duphandle(CURL *easy) {
    bool inner;
    const struct libcurl *curl = libcurl_of(CALLER, &inner);
    struct handle *handle = handle_find(easy);
    if (handle && !(inner && curl == handle->curl))
        return duplicate_known(handle);
    return curl ? curl->easy_duphandle(easy) : NULL;
}

EXPORT void curl_easy_reset(CURL *easy) {
    struct handle *handle = handle_find(easy);
    bool inner;
    const struct libcurl *curl = handle ? NULL : libcurl_of(CALLER, &inner);
    if (handle)
        reset_known(handle);
    else if (curl)
        curl->easy_reset(easy);
}

EXPORT void curl_easy_cleanup(CURL *easy) {
    struct handle *handle = handle_find(easy);
    bool inner;
    const struct libcurl *curl = handle ? NULL : libcurl_of(CALLER, &inner);
    if (handle)
        cleanup_known(handle);
    else if (curl)
        curl->easy_cleanup(easy);
}
