#include <string.h>

#include "shim/request/model.h"

#define BOUNDARY_MAX 70 /* RFC 2046, section 5.1.1 */

/* Text that is taken from its front. */
struct cursor {
    const char *at, *end;
};

struct parameter {
    struct slice name, value; /* a quoted value without its quotes, but with its escapes */
    bool quoted;
};

/* What a part's headers say. */
struct field {
    bool disposed; /* it has a Content-Disposition */
    bool is_model;
    bool is_file, is_encoded;
};

enum step { STEP_TAKEN, STEP_END, STEP_BROKEN };

/* Line ends are in a header's value only where it is folded. */
static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct cursor *c) {
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
}

static bool take(struct cursor *c, const char *text, size_t length) {
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* Takes what stands before a blank, a quote, a control character or one of STOPS. */
static struct slice take_token(struct cursor *c, const char *stops) {
    const char *from = c->at;
    while (c->at < c->end && (unsigned char)*c->at > ' ' && *c->at != '"' && *c->at != 0x7f &&
           !strchr(stops, *c->at))
        c->at++;
    return (struct slice){from, (size_t)(c->at - from)};
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* TEXT is in lower case. Without the program's locale, in which an I may be no capital of i. */
static bool slice_is(struct slice slice, const char *text) {
    if (slice.length != strlen(text))
        return false;
    for (size_t i = 0; i < slice.length; i++)
        if (lower(slice.text[i]) != text[i])
            return false;
    return true;
}

/* The inside of the quoted string at C. */
static bool take_quoted(struct cursor *c, struct slice *value) {
    const char *from = ++c->at;
    for (; c->at < c->end && *c->at != '"'; c->at++)
        if (*c->at == '\\' && ++c->at == c->end)
            break;
    *value = (struct slice){from, (size_t)(c->at - from)};
    return take(c, "\"", 1);
}

/* Takes what follows a value's first word: "; NAME=VALUE" (RFC 2045, section 5.1). */
static enum step next_parameter(struct cursor *c, struct parameter *parameter) {
    bool separated = false;
    skip_blanks(c);
    while (take(c, ";", 1)) {
        separated = true;
        skip_blanks(c);
    }
    if (c->at == c->end)
        return STEP_END;
    parameter->name = take_token(c, ";=");
    skip_blanks(c);
    if (!separated || !parameter->name.length || !take(c, "=", 1))
        return STEP_BROKEN;
    skip_blanks(c);
    parameter->quoted = c->at < c->end && *c->at == '"';
    if (parameter->quoted)
        return take_quoted(c, &parameter->value) ? STEP_TAKEN : STEP_BROKEN;
    parameter->value = take_token(c, ";");
    return parameter->value.length ? STEP_TAKEN : STEP_BROKEN;
}

static bool value_is(const struct parameter *parameter, const char *text) {
    const char *at = parameter->value.text, *end = at + parameter->value.length;
    for (; at < end && *text; at++, text++) {
        if (parameter->quoted && *at == '\\')
            at++;
        if (*at != *text)
            return false;
    }
    return at == end && !*text;
}

/* What parsers disagree about (two headers, or two names) counts as broken. */
static bool read_disposition(struct slice value, struct field *field) {
    struct cursor c = {value.text, value.text + value.length};
    struct parameter parameter;
    bool named = false;
    enum step step;
    skip_blanks(&c);
    bool is_form = slice_is(take_token(&c, ";"), "form-data");
    while ((step = next_parameter(&c, &parameter)) == STEP_TAKEN) {
        if (slice_is(parameter.name, "filename") || slice_is(parameter.name, "filename*"))
            field->is_file = true;
        if (!slice_is(parameter.name, "name"))
            continue;
        if (named)
            return false;
        named = true;
        field->is_model = is_form && value_is(&parameter, "model");
    }
    bool first = !field->disposed;
    field->disposed = true;
    return step == STEP_END && first;
}

static void read_encoding(struct slice value, struct field *field) {
    struct cursor c = {value.text, value.text + value.length};
    skip_blanks(&c);
    struct slice word = take_token(&c, "");
    skip_blanks(&c);
    bool plain = slice_is(word, "7bit") || slice_is(word, "8bit") || slice_is(word, "binary");
    field->is_encoded |= !plain || c.at < c.end;
}

/* Takes a header's line and those that it is folded to. */
static bool take_header(struct cursor *c, struct slice *name, struct slice *value) {
    *name = take_token(c, ":");
    if (!name->length || !take(c, ":", 1))
        return false;
    value->text = c->at;
    do {
        const char *cr = memchr(c->at, '\r', (size_t)(c->end - c->at));
        if (!cr || memchr(c->at, '\n', (size_t)(cr - c->at)))
            return false;
        c->at = cr;
        if (!take(c, "\r\n", 2))
            return false;
    } while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'));
    value->length = (size_t)(c->at - 2 - value->text);
    return true;
}

/* Takes the headers and the blank line behind them. */
static bool take_headers(struct cursor *c, struct field *field) {
    struct slice name, value;
    while (!take(c, "\r\n", 2)) {
        if (!take_header(c, &name, &value))
            return false;
        if (slice_is(name, "content-disposition") && !read_disposition(value, field))
            return false;
        if (slice_is(name, "content-transfer-encoding"))
            read_encoding(value, field);
    }
    return true;
}

static bool read_part(struct cursor part, const char *body, struct model_places *places) {
    struct field field = {.disposed = false};
    if (!take_headers(&part, &field))
        return false;
    if (!field.is_model)
        return true;
    if (places->count == MODEL_PLACES_MAX)
        return false;
    struct model_place *place = &places->at[places->count++];
    place->offset = (size_t)(part.at - body);
    place->length = (size_t)(part.end - part.at);
    place->named = !field.is_file && !field.is_encoded && place->length > 0 &&
                   place->length <= MODEL_NAME_MAX && !memchr(part.at, '\0', place->length);
    if (place->named)
        memcpy(place->name, part.at, place->length);
    return true;
}

/* Takes what stands behind the boundary in its line. A line that goes on in another way is one to
 * some parsers (RFC 2046 has them look at its beginning alone) and content to others. */
static enum step end_delimiter(struct cursor *c) {
    enum step step = take(c, "--", 2) ? STEP_END : STEP_TAKEN;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
    if (step == STEP_END && c->at == c->end)
        return step;
    return take(c, "\r\n", 2) ? step : STEP_BROKEN;
}

static bool is_boundary(struct slice boundary) {
    if (!boundary.length || boundary.length > BOUNDARY_MAX)
        return false;
    for (size_t i = 0; i < boundary.length; i++)
        if ((unsigned char)boundary.text[i] < ' ' || boundary.text[i] == 0x7f)
            return false;
    return boundary.text[boundary.length - 1] != ' ';
}

bool model_find_multipart(const char *body, size_t length, struct slice boundary,
                          struct model_places *places) {
    char delimiter[4 + BOUNDARY_MAX] = "\r\n--";
    *places = (struct model_places){.form = MODEL_MULTIPART, .boundary = boundary};
    if (!length || !is_boundary(boundary))
        return false;
    memcpy(delimiter + 4, boundary.text, boundary.length);
    size_t size = 4 + boundary.length;
    struct cursor c = {body, body + length};
    if (!take(&c, delimiter + 2, size - 2)) {
        const char *first = memmem(body, length, delimiter, size);
        if (!first)
            return false;
        c.at = first + size;
    }
    places->insert_at = (size_t)(c.at - body) - (size - 2);
    for (;;) {
        enum step step = end_delimiter(&c);
        if (step != STEP_TAKEN)
            return step == STEP_END;
        /* From the line end on that was just taken: a line in place of the headers is found too. */
        const char *following = memmem(c.at - 2, (size_t)(c.end - c.at) + 2, delimiter, size);
        if (!following || following < c.at ||
            !read_part((struct cursor){c.at, following}, body, places))
            return false;
        c.at = following + size;
    }
}

bool model_boundary(const char *value, struct slice *boundary) {
    struct cursor c = {value, value + strlen(value)};
    struct parameter parameter;
    bool found = false;
    enum step step;
    skip_blanks(&c);
    if (!slice_is(take_token(&c, ";"), "multipart/form-data"))
        return false;
    while ((step = next_parameter(&c, &parameter)) == STEP_TAKEN) {
        struct slice text = parameter.value;
        if (!slice_is(parameter.name, "boundary"))
            continue;
        if (found || (parameter.quoted && memchr(text.text, '\\', text.length)))
            return false;
        found = true;
        *boundary = text;
    }
    return step == STEP_END && found && is_boundary(*boundary);
}
