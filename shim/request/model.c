#include "shim/request/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"

struct writer {
    char *to; /* NULL: only measures */
    size_t used;
    bool overflow;
};

static void put(struct writer *w, const char *text, size_t length) {
    if (w->to && length)
        memcpy(w->to + w->used, text, length);
    w->overflow |= __builtin_add_overflow(w->used, length, &w->used);
}

static void put_text(struct writer *w, const char *text) {
    put(w, text, strlen(text));
}

static void put_string(struct writer *w, const char *name) {
    static const char digits[] = "0123456789abcdef";
    put_text(w, "\"");
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        if (c < ' ')
            put(w, escape, sizeof escape);
        else if (c == '"' || c == '\\')
            put(w, (char[]){'\\', *name}, 2);
        else
            put(w, name, 1);
    }
    put_text(w, "\"");
}

static void put_name(struct writer *w, const struct model_places *places, const char *name) {
    if (places->form == MODEL_JSON)
        put_string(w, name);
    else
        put_text(w, name);
}

static void put_new(struct writer *w, const struct model_places *places, const char *name) {
    if (places->form == MODEL_JSON) {
        put_text(w, "\"model\":");
        put_string(w, name);
        put_text(w, places->lonely ? "" : ",");
        return;
    }
    put_text(w, "--");
    put(w, places->boundary.text, places->boundary.length);
    put_text(w, FIELD);
    put_text(w, name);
    put_text(w, "\r\n");
}

static void put_body(struct writer *w, const char *body, size_t length,
                     const struct model_places *places, const char *const *names) {
    size_t done = 0;
    if (!places->count && names[0]) {
        done = places->insert_at;
        put(w, body, done);
        put_new(w, places, names[0]);
    }
    for (unsigned i = 0; i < places->count; i++) {
        const struct model_place *place = &places->at[i];
        if (!names[i])
            continue;
        put(w, body + done, place->offset - done);
        put_name(w, places, names[i]);
        done = place->offset + place->length;
    }
    if (length > done)
        put(w, body + done, length - done);
}

/* A field's content is lines of its own: none of them may begin as the boundary's do. */
static bool can_stand(const struct model_places *places, const char *name) {
    struct slice boundary = places->boundary;
    if (!name || places->form == MODEL_JSON)
        return true;
    bool delimits =
        strncmp(name, "--", 2) == 0 && strncmp(name + 2, boundary.text, boundary.length) == 0;
    return !delimits && !strpbrk(name, "\r\n");
}

char *model_edit(const char *body, size_t length, const struct model_places *places,
                 const char *const *names, size_t *out_length) {
    int saved = errno;
    struct writer w = {.to = NULL};
    for (unsigned i = 0; i < (places->count ? places->count : 1); i++)
        if (!can_stand(places, names[i]))
            return NULL;
    put_body(&w, body, length, places, names);
    if (w.overflow)
        return NULL;
    w.to = malloc(w.used ? w.used : 1);
    if (w.to) {
        w.used = 0;
        put_body(&w, body, length, places, names);
        *out_length = w.used;
    }
    errno = saved;
    return w.to;
}

const char *model_said(const struct model_places *places) {
    const struct model_place *last = places->count ? &places->at[places->count - 1] : NULL;
    return last && last->named ? last->name : NULL;
}
