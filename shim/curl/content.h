/*
 * The body that the program set, as far as a backend's dialect has to see or change it.
 *
 * It may be in memory (CURLOPT_POSTFIELDS), come from a function, or be a form that libcurl
 * writes (CURLOPT_MIMEPOST, CURLOPT_HTTPPOST). The program's own is never touched: what
 * differs is a copy. Not thread-safe, like the handle itself.
 */
#ifndef SPILLWAY_CURL_CONTENT_H
#define SPILLWAY_CURL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/curl/body.h"
#include "shim/curl/options.h"
#include "shim/request/model.h"

enum content_state {
    CONTENT_UNREAD,
    CONTENT_READ,      /* `places` says where the model is */
    CONTENT_NONE,      /* the request has no body */
    CONTENT_MALFORMED, /* it is neither JSON nor a form */
    CONTENT_UNSEEN     /* it can't be seen whole: too large, not there yet, made out of our sight */
};

enum content_kind {
    CONTENT_IN_MEMORY,
    CONTENT_FROM_FUNCTION,
    CONTENT_MIME, /* curl_mime */
    CONTENT_LIST  /* struct curl_httppost */
};

struct content {
    enum content_state state;
    enum content_kind kind;
    const char *text; /* of the first two kinds; the program's, or the body's copy */
    size_t length;
    struct model_places *places; /* while READ */

    /* What goes out instead, of one attempt */
    char *edited;
    size_t edited_length;
    curl_mime *mime;
    struct curl_httppost *list;
};

/* Looks at the body of the request that OPTIONS make, once: again after content_clear. BODY, which
 * stands at its beginning, is where it comes from if the program gives it by a function. */
void content_read(struct content *content, const struct options *options, struct body *body);

/*
 * Makes the content of an attempt: the model of place i is NAMES[i], or one is added, see
 * model_edit. For EASY, made by CURL. Returns false if that can't be done.
 */
bool content_edit(struct content *content, const struct options *options,
                  const struct libcurl *curl, CURL *easy, const char *const *names);

/*
 * The program's form, if the request of OPTIONS has one, is about to be sent, its own or edited.
 * Takes what earlier attempts have read of it back to the beginning. Returns false if a part of it
 * can't be; true also if nothing is known of it, when libcurl will see.
 */
bool content_rewind(const struct options *options);

/* Whether content_rewind could do so after this attempt. */
bool content_is_repeatable(const struct options *options);

/* Frees what content_edit made; no handle may use it any more. */
void content_drop_edit(struct content *content, const struct libcurl *curl);

/* Frees all of it. */
void content_clear(struct content *content, const struct libcurl *curl);

#endif
