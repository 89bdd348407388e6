/*
 * Any bytes as a request's body: what is found lies in it, an edit puts the names there and changes
 * nothing else, and of JSON jansson says the same.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/request/model.h"

#define DEPTH_LIMIT 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* Memory of its own, so that the sanitizer sees each byte that is read beyond it. */
static char *copy(const char *text, size_t length) {
    char *bytes = malloc(length > 0 ? length : 1);
    if (length > 0)
        memcpy(bytes, text, length);
    return bytes;
}

static bool find(const char *body, size_t length, enum model_form form, struct slice boundary,
                 struct model_places *places) {
    if (form == MODEL_JSON)
        return model_find_json(body, length, places);
    return model_find_multipart(body, length, boundary, places);
}

static void check_places(size_t length, const struct model_places *places) {
    size_t end = 0;
    require(places->count <= MODEL_PLACES_MAX && places->insert_at <= length);
    require(!places->lonely || (places->form == MODEL_JSON && !places->count));
    for (unsigned i = 0; i < places->count; i++) {
        const struct model_place *place = &places->at[i];
        require(place->offset >= end && place->offset <= length);
        require(place->length <= length - place->offset);
        end = place->offset + place->length;
        require(strnlen(place->name, sizeof place->name) <= MODEL_NAME_MAX);
        require(place->named == (place->name[0] != '\0'));
    }
}

/* What stands before, between and behind the places is the same in both. */
static void compare_rest(const char *a, size_t a_length, const struct model_places *before,
                         const char *b, size_t b_length, const struct model_places *after) {
    size_t a_done = 0, b_done = 0;
    for (unsigned i = 0; i < before->count; i++) {
        require(before->at[i].offset - a_done == after->at[i].offset - b_done);
        require(memcmp(a + a_done, b + b_done, before->at[i].offset - a_done) == 0);
        a_done = before->at[i].offset + before->at[i].length;
        b_done = after->at[i].offset + after->at[i].length;
    }
    require(a_length - a_done == b_length - b_done);
    require(memcmp(a + a_done, b + b_done, a_length - a_done) == 0);
}

static void check_added(const char *a, size_t a_length, size_t at, const char *b, size_t b_length) {
    size_t added = b_length - a_length;
    require(b_length > a_length && memcmp(a, b, at) == 0);
    require(memcmp(a + at, b + at + added, a_length - at) == 0);
}

/* CHOICE has a bit for each place that gets a name. */
static void check_edit(const char *body, size_t length, const struct model_places *places,
                       unsigned choice) {
    static const char *const all[] = {"gpt-4", "n\"\\",    "\xc3\xa9\xff", "-",
                                      "--",    "\x7f\x01", ";name=",       " x "};
    const char *names[MODEL_PLACES_MAX];
    struct model_places after;
    size_t edited_length = 0;
    for (unsigned i = 0; i < MODEL_PLACES_MAX; i++)
        names[i] = choice >> i & 1 ? all[i] : NULL;
    bool changes = places->count > 0 || names[0];
    char *result = model_edit(body, length, places, names, &edited_length);
    require(result != NULL);
    char *edited = copy(result, edited_length);
    free(result);
    require(find(edited, edited_length, places->form, places->boundary, &after));
    check_places(edited_length, &after);
    require(after.count == (places->count ? places->count : changes));
    if (places->count || !changes)
        compare_rest(body, length, places, edited, edited_length, &after);
    else
        check_added(body, length, places->insert_at, edited, edited_length);
    for (unsigned i = 0; i < after.count; i++) {
        const struct model_place *now = &after.at[i], *then = &places->at[i];
        bool may_be_a_file = places->form == MODEL_MULTIPART && places->count && !then->named;
        if (names[i])
            require(now->named ? strcmp(now->name, names[i]) == 0 : may_be_a_file);
        else
            require(now->length == then->length && now->named == then->named &&
                    memcmp(edited + now->offset, body + then->offset, now->length) == 0);
    }
    free(edited);
}

static unsigned count_of(const char *body, size_t length, const char *text) {
    unsigned count = 0;
    const char *end = body + length, *at = body;
    while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* Whether jansson takes all that RFC 8259 does: it refuses numbers and texts that it can't hold. */
static bool suits_jansson(const char *body, size_t length) {
    unsigned digits = 0;
    for (size_t i = 0; i < length; i++) {
        digits = body[i] >= '0' && body[i] <= '9' ? digits + 1 : 0;
        if (digits > 2 || (unsigned char)body[i] > 0x7f)
            return false;
    }
    return count_of(body, length, "\\u") == 0;
}

static bool is_within_bounds(const char *body, size_t length) {
    return count_of(body, length, "{") + count_of(body, length, "[") <= DEPTH_LIMIT &&
           count_of(body, length, "model") + count_of(body, length, "\\u") <= MODEL_PLACES_MAX;
}

static void ask_jansson(const char *body, size_t length, bool found,
                        const struct model_places *places) {
    /* Behind a number jansson skips it. */
    if (memchr(body, '\0', length)) {
        require(!found);
        return;
    }
    json_t *root = json_loadb(body, length, JSON_ALLOW_NUL, NULL);
    if (json_is_object(root)) {
        const json_t *model = json_object_get(root, "model");
        const char *text = json_string_value(model);
        size_t text_length = json_string_length(model);
        bool named = text && text_length >= 1 && text_length <= MODEL_NAME_MAX &&
                     !memchr(text, '\0', text_length);
        require(found || !is_within_bounds(body, length));
        const char *said = found ? model_said(places) : NULL;
        require(!found || (places->count > 0) == (model != NULL));
        require(!found || (said ? named && strcmp(said, text) == 0 : !named));
        require(!found || places->lonely == (json_object_size(root) == 0));
    } else {
        require(!found || !suits_jansson(body, length));
    }
    json_decref(root);
}

static void check_refused_name(const char *body, size_t length, const struct model_places *places) {
    char name[80] = "--";
    const char *names[MODEL_PLACES_MAX] = {name};
    size_t edited_length;
    memcpy(name + 2, places->boundary.text, places->boundary.length);
    require(!model_edit(body, length, places, names, &edited_length));
}

static void check_body(const char *text, size_t length, enum model_form form, struct slice boundary,
                       unsigned choice) {
    struct model_places places;
    char *body = copy(text, length);
    bool found = find(body, length, form, boundary, &places);
    if (form == MODEL_JSON)
        ask_jansson(body, length, found, &places);
    if (found) {
        check_places(length, &places);
        check_edit(body, length, &places, 0);
        check_edit(body, length, &places, choice);
        check_edit(body, length, &places, 0xff);
        if (form == MODEL_MULTIPART)
            check_refused_name(body, length, &places);
    }
    free(body);
}

/* The first byte says what the rest is: JSON, or a line with the boundary, or one with the value of
 * a Content-Type, and then multipart/form-data. The second one says which places get a name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 2;
    size_t length = size - 2;
    if (data[0] % 4 < 2) {
        check_body(text, length, MODEL_JSON, (struct slice){NULL, 0}, data[1]);
        return 0;
    }
    const char *newline = memchr(text, '\n', length);
    size_t line = newline ? (size_t)(newline - text) : length;
    size_t rest = newline ? length - line - 1 : 0;
    char *value = strndup(text, line);
    struct slice boundary = {value, strlen(value)};
    if (data[0] % 4 == 3 && model_boundary(value, &boundary)) {
        require(boundary.length >= 1 && boundary.length <= 70);
        require(boundary.text >= value && boundary.text + boundary.length <= value + strlen(value));
    }
    check_body(text + length - rest, rest, MODEL_MULTIPART, boundary, data[1]);
    free(value);
    return 0;
}
