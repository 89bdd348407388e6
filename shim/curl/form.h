/*
 * The forms that programs build for libcurl: curl_mime trees and curl_httppost lists.
 *
 * libcurl lets nobody look into a curl_mime, so what the program does to one is noted, and a
 * copy is made by doing the same again. Nothing is noted unless a backend's dialect needs it.
 *
 * The form_note functions are called after libcurl did the same and returned OK; they and
 * form_mime_find are thread-safe as far as libcurl's own are: not two at once on one tree.
 */
#ifndef SPILLWAY_CURL_FORM_H
#define SPILLWAY_CURL_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/curl/libcurl.h"
#include "shim/request/model.h"

struct form_mime;

enum form_text { FORM_NAME, FORM_FILENAME, FORM_TYPE, FORM_ENCODER, FORM_TEXTS };

/* What a part takes its content from by a function. */
struct form_source {
    curl_off_t size;
    curl_read_callback read;
    curl_seek_callback seek;
    void *userdata;
};

void form_note_mime(curl_mime *mime);
void form_note_part(curl_mime *mime, curl_mimepart *part);
void form_note_text(curl_mimepart *part, enum form_text which, const char *text);
void form_note_data(curl_mimepart *part, const char *data, size_t size);
void form_note_file(curl_mimepart *part, const char *path);
void form_note_source(curl_mimepart *part, const struct form_source *source);
void form_note_subparts(curl_mimepart *part, curl_mime *subparts);
void form_note_headers(curl_mimepart *part, struct curl_slist *headers);

/* Before libcurl does it: the part's content (unless it is NEXT, its subparts set once more), or
 * the whole tree, is about to be freed. */
void form_forget_content(curl_mimepart *part, const curl_mime *next);
void form_forget_mime(curl_mime *mime);

/* What is known of MIME, or NULL. */
struct form_mime *form_mime_find(curl_mime *mime);

/* Finds the fields "model"; reads the file of one that is a file's text. Returns false if there are
 * more than fit, or memory had run out when the form was built. Offsets and lengths of the places
 * mean nothing. */
bool form_mime_places(const struct form_mime *mime, struct model_places *places);
bool form_list_places(const struct curl_httppost *list, struct model_places *places);

/*
 * A copy for EASY with other models, as model_edit says it, or with the same if NAMES is NULL; its
 * content functions are the program's own. Freed by curl->mime_free. NULL if memory ran out.
 */
curl_mime *form_mime_copy(const struct form_mime *mime, const struct libcurl *curl, CURL *easy,
                          const struct model_places *places, const char *const *names);

/* The same of a list; one block for free(). Its texts are LIST's own and those of NAMES, which
 * have to stay until it is no longer used. */
struct curl_httppost *form_list_copy(const struct curl_httppost *list,
                                     const struct model_places *places, const char *const *names);

/* The program's content functions are about to be read, by libcurl or through a copy. Returns
 * whether they were before: then form_mime_rewind has to come first. */
bool form_mime_use(struct form_mime *mime);

/* Takes the program's content functions back to the beginning. Returns false if one can't. */
bool form_mime_rewind(const struct form_mime *mime);

/* Whether nothing in LIST is read by CURLOPT_READFUNCTION, which nobody can take back. */
bool form_list_rewindable(const struct curl_httppost *list);

#endif
