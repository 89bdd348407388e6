/*
 * The exported curl_mime_* functions: libcurl does what is asked, and if a backend's dialect may
 * need to see the form it is noted (form.h). What libcurl itself builds is none of the program's.
 */
#include "shim/curl/form.h"
#include "shim/runtime.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

/* The libcurl behind the call, NULL if there is none; *NOTED says whether the call is noted.
 * Whoever builds a form has a handle by then, so the settings are loaded. */
static const struct libcurl *find(const void *caller, bool *noted) {
    bool inner;
    const struct libcurl *curl = libcurl_of(caller, &inner);
    *noted = !inner && runtime_translates();
    return curl;
}

EXPORT curl_mime *curl_mime_init(CURL *easy) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    curl_mime *mime = curl && curl->mime_init ? curl->mime_init(easy) : NULL;
    if (mime && noted)
        form_note_mime(mime);
    return mime;
}

EXPORT void curl_mime_free(curl_mime *mime) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (noted)
        form_forget_mime(mime);
    if (curl && curl->mime_free)
        curl->mime_free(mime);
}

EXPORT curl_mimepart *curl_mime_addpart(curl_mime *mime) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    curl_mimepart *part = curl && curl->mime_addpart ? curl->mime_addpart(mime) : NULL;
    if (part && noted)
        form_note_part(mime, part);
    return part;
}

static CURLcode set_text(const void *caller, curl_mimepart *part, enum form_text which,
                         const char *text) {
    bool noted;
    const struct libcurl *curl = find(caller, &noted);
    if (!curl)
        return CURLE_FAILED_INIT;
    CURLcode (*const set[FORM_TEXTS])(curl_mimepart *,
                                      const char *) = {[FORM_NAME] = curl->mime_name,
                                                       [FORM_FILENAME] = curl->mime_filename,
                                                       [FORM_TYPE] = curl->mime_type,
                                                       [FORM_ENCODER] = curl->mime_encoder};
    CURLcode result = set[which] ? set[which](part, text) : CURLE_NOT_BUILT_IN;
    if (noted && result == CURLE_OK)
        form_note_text(part, which, text);
    return result;
}

EXPORT CURLcode curl_mime_name(curl_mimepart *part, const char *name) {
    return set_text(CALLER, part, FORM_NAME, name);
}

EXPORT CURLcode curl_mime_filename(curl_mimepart *part, const char *filename) {
    return set_text(CALLER, part, FORM_FILENAME, filename);
}

EXPORT CURLcode curl_mime_type(curl_mimepart *part, const char *type) {
    return set_text(CALLER, part, FORM_TYPE, type);
}

EXPORT CURLcode curl_mime_encoder(curl_mimepart *part, const char *encoder) {
    return set_text(CALLER, part, FORM_ENCODER, encoder);
}

EXPORT CURLcode curl_mime_data(curl_mimepart *part, const char *data, size_t size) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (!curl || !curl->mime_data)
        return CURLE_FAILED_INIT;
    if (noted)
        form_forget_content(part, NULL);
    CURLcode result = curl->mime_data(part, data, size);
    if (noted && result == CURLE_OK)
        form_note_data(part, data, size);
    return result;
}

EXPORT CURLcode curl_mime_filedata(curl_mimepart *part, const char *path) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (!curl || !curl->mime_filedata)
        return CURLE_FAILED_INIT;
    if (noted)
        form_forget_content(part, NULL);
    CURLcode result = curl->mime_filedata(part, path);
    /* a file that can't be read is set all the same */
    if (noted && (result == CURLE_OK || result == CURLE_READ_ERROR))
        form_note_file(part, path);
    return result;
}

EXPORT CURLcode curl_mime_data_cb(curl_mimepart *part, curl_off_t size, curl_read_callback read,
                                  curl_seek_callback seek, curl_free_callback discard,
                                  void *userdata) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (!curl || !curl->mime_data_cb)
        return CURLE_FAILED_INIT;
    if (noted)
        form_forget_content(part, NULL);
    CURLcode result = curl->mime_data_cb(part, size, read, seek, discard, userdata);
    if (noted && result == CURLE_OK)
        form_note_source(part, &(struct form_source){size, read, seek, userdata});
    return result;
}

EXPORT CURLcode curl_mime_subparts(curl_mimepart *part, curl_mime *subparts) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (!curl || !curl->mime_subparts)
        return CURLE_FAILED_INIT;
    if (noted)
        form_forget_content(part, subparts);
    CURLcode result = curl->mime_subparts(part, subparts);
    if (noted && result == CURLE_OK)
        form_note_subparts(part, subparts);
    return result;
}

EXPORT CURLcode curl_mime_headers(curl_mimepart *part, struct curl_slist *headers, int owned) {
    bool noted;
    const struct libcurl *curl = find(CALLER, &noted);
    if (!curl || !curl->mime_headers)
        return CURLE_FAILED_INIT;
    CURLcode result = curl->mime_headers(part, headers, owned);
    if (noted && result == CURLE_OK)
        form_note_headers(part, headers);
    return result;
}
