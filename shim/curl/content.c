#include "shim/curl/content.h"

#include <stdlib.h>
#include <string.h>

#include "shim/curl/form.h"
#include "shim/request/credentials.h"

/* The boundary, if the program's own header says that the body is a form. */
static bool find_boundary(const struct options *options, struct slice *boundary) {
    for (const struct curl_slist *h = options->headers; h; h = h->next)
        if (credentials_header_is(h->data, "content-type"))
            return model_boundary(h->data + strcspn(h->data, ":;") + 1, boundary);
    return false;
}

static void find_in_text(struct content *content, const struct options *options) {
    struct slice boundary;
    bool found =
        find_boundary(options, &boundary)
            ? model_find_multipart(content->text, content->length, boundary, content->places)
            : model_find_json(content->text, content->length, content->places);
    content->state = found ? CONTENT_READ : CONTENT_MALFORMED;
}

static void read_memory(struct content *content, const struct options *options) {
    content->kind = CONTENT_IN_MEMORY;
    content->text = options->post_data;
    if (!content->text)
        return;
    content->length = options_post_length(options);
    find_in_text(content, options);
}

static void read_function(struct content *content, const struct options *options,
                          struct body *body) {
    content->kind = CONTENT_FROM_FUNCTION;
    if (!body_load(body, options->method == METHOD_UPLOAD ? options->in_size : options->post_size))
        return;
    content->text = body->copy ? body->copy : "";
    content->length = body->length;
    find_in_text(content, options);
}

static void read_form(struct content *content, const struct options *options) {
    const struct form_mime *mime = form_mime_find(options->mime);
    content->kind = options->form ? CONTENT_LIST : CONTENT_MIME;
    if (options->form ? form_list_places(options->form, content->places)
                      : mime && form_mime_places(mime, content->places))
        content->state = CONTENT_READ;
}

void content_read(struct content *content, const struct options *options, struct body *body) {
    if (content->state != CONTENT_UNREAD)
        return;
    content->state = CONTENT_UNSEEN;
    content->places = malloc(sizeof *content->places);
    if (!content->places)
        return;
    switch (options->method) {
    case METHOD_GET:
        content->state = CONTENT_NONE;
        break;
    case METHOD_POST:
        if (options->post_fields)
            read_memory(content, options);
        else
            read_function(content, options, body);
        break;
    case METHOD_UPLOAD:
        read_function(content, options, body);
        break;
    case METHOD_MIME:
        read_form(content, options);
        break;
    }
}

bool content_edit(struct content *content, const struct options *options,
                  const struct libcurl *curl, CURL *easy, const char *const *names) {
    switch (content->kind) {
    case CONTENT_IN_MEMORY:
    case CONTENT_FROM_FUNCTION:
        content->edited = model_edit(content->text, content->length, content->places, names,
                                     &content->edited_length);
        return content->edited;
    case CONTENT_MIME:
        content->mime =
            form_mime_copy(form_mime_find(options->mime), curl, easy, content->places, names);
        return content->mime;
    case CONTENT_LIST:
        content->list = form_list_copy(options->form, content->places, names);
        return content->list;
    }
    return false;
}

bool content_rewind(const struct options *options) {
    struct form_mime *mime = options->method == METHOD_MIME ? form_mime_find(options->mime) : NULL;
    return !mime || !form_mime_use(mime) || form_mime_rewind(mime);
}

bool content_is_repeatable(const struct options *options) {
    if (options->method != METHOD_MIME)
        return true;
    const struct form_mime *mime = form_mime_find(options->mime);
    return mime ? form_mime_rewind(mime) : form_list_rewindable(options->form);
}

void content_drop_edit(struct content *content, const struct libcurl *curl) {
    if (content->edited)
        explicit_bzero(content->edited, content->edited_length);
    free(content->edited);
    content->edited = NULL;
    if (content->mime)
        curl->mime_free(content->mime);
    content->mime = NULL;
    free(content->list);
    content->list = NULL;
}

void content_clear(struct content *content, const struct libcurl *curl) {
    content_drop_edit(content, curl);
    free(content->places);
    *content = (struct content){.state = CONTENT_UNREAD};
}
