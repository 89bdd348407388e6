/*
 * The model that a request's body names: where it stands, and the body with another one there.
 *
 * Two forms of body have one: a JSON object with a member "model", and multipart/form-data with a
 * field "model" (the audio and image APIs). Nothing else of a body is ever changed: white
 * space, forms of numbers, escapes and the order of members stay as the program wrote them.
 *
 * All functions are thread-safe, keep no state and leave errno alone; only model_edit allocates.
 * They take bodies of any content and length, of which nothing is trusted, in linear time.
 */
#ifndef SPILLWAY_REQUEST_MODEL_H
#define SPILLWAY_REQUEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "config/url.h"

#define MODEL_NAME_MAX   256 /* bytes of a name, decoded */
#define MODEL_PLACES_MAX 8   /* of one body */

enum model_form { MODEL_JSON, MODEL_MULTIPART };

/* A value of "model". */
struct model_place {
    size_t offset, length;         /* in the body; of a JSON string with its quotes */
    bool named;                    /* it is a name: a text of 1 to MODEL_NAME_MAX bytes, no NUL */
    char name[MODEL_NAME_MAX + 1]; /* decoded (JSON escapes to UTF-8), terminated; "" if not */
};

/* Where a body names its model. Void if the function that fills it returned false. */
struct model_places {
    enum model_form form;
    size_t insert_at;      /* where a member or field may be added */
    bool lonely;           /* JSON: the object has no member, so that no comma follows */
    struct slice boundary; /* multipart: as given to model_find_multipart */
    unsigned count;        /* 0: the body is well-formed and names none */
    struct model_place at[MODEL_PLACES_MAX]; /* in the body's order */
};

/*
 * Finds the members "model" of the JSON object that BODY (LENGTH bytes) is. Members of nested
 * objects don't count; a key may be spelled with escapes; of a member that is there more than
 * once each is found. Returns false if the body is no JSON object as of RFC 8259 (one value,
 * white space around it allowed, nesting to any depth up to 512; texts are not checked for valid
 * UTF-8, which is the backend's business), or if it has more than MODEL_PLACES_MAX such members.
 */
bool model_find_json(const char *body, size_t length, struct model_places *places);

/*
 * Finds the fields named "model" of BODY, multipart/form-data as of RFC 7578 and 2046 with
 * BOUNDARY, which must live as long as PLACES. A field with a filename or a
 * Content-Transfer-Encoding (other than 7bit, 8bit, binary) is found, but not named, also after an
 * edit; a parameter "name*" (RFC 2231) counts as none. Returns false if the body does not begin
 * with the boundary (after a preamble, if any) and end with the closing one, if lines of headers
 * and boundaries don't end with CR LF, if anything is in it that servers take in different ways
 * (a line that begins with the boundary and goes on; two names of one part), if the boundary is
 * none (RFC 2046: 1 to 70 bytes), or if it has more than MODEL_PLACES_MAX such fields.
 */
bool model_find_multipart(const char *body, size_t length, struct slice boundary,
                          struct model_places *places);

/*
 * Finds the boundary parameter (quoted or not) in the value of a Content-Type header, a terminated
 * text, if that is multipart/form-data; compares without case. Returns false if it is something
 * else. The slice points into VALUE; a quoted boundary with a backslash in it counts as none, and
 * so do two of them, one of more than 70 bytes, and parameters that can't be read.
 */
bool model_boundary(const char *value, struct slice *boundary);

/* The name that counts: of several places the last one, as JSON parsers have it; NULL if there is
 * none or the last is not named. */
const char *model_said(const struct model_places *places);

/*
 * A copy of BODY in which NAMES[i], a terminated text, stands at PLACES->at[i] (NULL: as it is).
 * If there is no place, NAMES[0] is added as a new member or field in front of all others; NULL
 * there changes nothing. JSON names are escaped, multipart ones stand as they are and must neither
 * contain a line end nor begin as a boundary's line does. Returns *OUT_LENGTH bytes for free(),
 * never a NULL for an empty result; NULL if memory ran out or a name can't stand there.
 */
char *model_edit(const char *body, size_t length, const struct model_places *places,
                 const char *const *names, size_t *out_length);

#endif
