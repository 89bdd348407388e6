#include "shim/curl/attempt_body.h"

#define SET(transfer, option, value)                                                               \
    ((transfer)->handle->curl->easy_setopt((transfer)->handle->easy, option, value))

/* The length of an edited body that the program gives by a function, if it has said one itself. */
static void set_read_length(struct transfer *t) {
    const struct options *o = &t->handle->options;
    bool upload = o->method == METHOD_UPLOAD, said = (upload ? o->in_size : o->post_size) >= 0;
    for (const struct curl_slist *h = o->headers; h && !said; h = h->next)
        said = credentials_header_is(h->data, "content-length");
    if (said && upload)
        SET(t, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->content.edited_length);
    else if (said)
        SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->content.edited_length);
}

void attempt_body_set(struct transfer *t) {
    const struct content *content = &t->content;
    switch (content->kind) {
    case CONTENT_IN_MEMORY:
        SET(t, CURLOPT_POSTFIELDS, content->edited);
        SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)content->edited_length);
        break;
    case CONTENT_FROM_FUNCTION:
        body_replace(&t->body, content->edited, content->edited_length);
        set_read_length(t);
        break;
    case CONTENT_MIME:
        SET(t, CURLOPT_MIMEPOST, content->mime);
        break;
    case CONTENT_LIST:
        SET(t, CURLOPT_HTTPPOST, content->list);
        break;
    }
}

/* The program may have set another method while the transfer ran: putting a body back sets that
 * body's. */
static void put_method(const struct transfer *t, CURL *easy) {
    const struct options *o = &t->handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->handle->curl->easy_setopt;
    if (o->method == METHOD_UPLOAD)
        set(easy, CURLOPT_UPLOAD, 1L);
    else if (o->method == METHOD_GET)
        set(easy, CURLOPT_HTTPGET, 1L);
    else if (o->method == METHOD_POST)
        set(easy, CURLOPT_POST, 1L);
    if (o->no_body)
        set(easy, CURLOPT_NOBODY, 1L);
}

void attempt_body_unset(const struct transfer *t, CURL *easy) {
    const struct options *o = &t->handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->handle->curl->easy_setopt;
    switch (t->content.kind) {
    case CONTENT_IN_MEMORY:
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, o->post_size); /* first: so much is copied */
        if (o->post_copied)
            set(easy, CURLOPT_COPYPOSTFIELDS, o->post_data);
        else
            set(easy, CURLOPT_POSTFIELDS, o->post_data);
        if (o->method != METHOD_POST)
            put_method(t, easy);
        break;
    case CONTENT_FROM_FUNCTION:
        if (o->method == METHOD_UPLOAD)
            set(easy, CURLOPT_INFILESIZE_LARGE, o->in_size);
        else
            set(easy, CURLOPT_POSTFIELDSIZE_LARGE, o->post_size);
        break;
    case CONTENT_MIME:
        if (easy != t->handle->easy) /* one form, one handle: see transfer_clean_copy */
            break;
        set(easy, CURLOPT_MIMEPOST, o->mime);
        if (o->method != METHOD_MIME)
            put_method(t, easy);
        break;
    case CONTENT_LIST:
        set(easy, CURLOPT_HTTPPOST, o->form);
        if (o->method != METHOD_MIME)
            put_method(t, easy);
        break;
    }
}
