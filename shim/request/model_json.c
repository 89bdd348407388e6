#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "shim/request/model.h"

#define DEPTH_MAX 512

/* One pass, without recursion or memory of its own: a body may have any size and shape. */
struct scanner {
    const char *at, *end;
    unsigned depth;                   /* containers that are open */
    uint64_t objects[DEPTH_MAX / 64]; /* a bit for each of them: it is an object */
    const char *value;                /* the value of a "model" that is being read, or NULL */
};

/* The next character that is no white space, or -1 at the end. */
static int next(struct scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

/* To the first byte that doesn't stand for itself in a string: a quote, a backslash or a control
 * character. Strings are nearly all of a large body, so eight bytes are looked at together: a
 * byte below N has its top bit set in (word - N) & ~word, and so may others behind it alone. */
static const char *skip_plain(const char *at, const char *end) {
    const uint64_t ones = UINT64_MAX / 255;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word = le64toh(word);
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        uint64_t hits = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                        ((word - ones * ' ') & ~word);
        hits &= ones << 7;
        if (hits)
            return at + __builtin_ctzll(hits) / 8;
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= ' ')
        at++;
    return at;
}

/* The four hexadecimal digits at AT as a number, or -1 if they are none. */
static int32_t hexadecimal(const char *at) {
    int32_t number = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static bool take_escape(struct scanner *s) {
    if (s->end - s->at < 2)
        return false;
    if (s->at[1] != 'u') {
        s->at += 2;
        return memchr("\"\\/bfnrt", s->at[-1], 8) != NULL;
    }
    if (s->end - s->at < 6 || hexadecimal(s->at + 2) < 0)
        return false;
    s->at += 6;
    return true;
}

static bool take_string(struct scanner *s) {
    s->at++;
    for (;;) {
        s->at = skip_plain(s->at, s->end);
        if (s->at == s->end || (unsigned char)*s->at < ' ')
            return false;
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (!take_escape(s))
            return false;
    }
}

static bool take_digits(struct scanner *s) {
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool take_any(struct scanner *s, char a, char b) {
    bool there = s->at < s->end && (*s->at == a || *s->at == b);
    s->at += there;
    return there;
}

static bool take_number(struct scanner *s) {
    (void)take_any(s, '-', '-');
    if (!take_any(s, '0', '0') && !take_digits(s))
        return false;
    if (take_any(s, '.', '.') && !take_digits(s))
        return false;
    if (!take_any(s, 'e', 'E'))
        return true;
    (void)take_any(s, '+', '-');
    return take_digits(s);
}

static bool take_word(struct scanner *s, const char *word, size_t length) {
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

static bool take_scalar(struct scanner *s, int first) {
    switch (first) {
    case '"':
        return take_string(s);
    case 't':
        return take_word(s, "true", 4);
    case 'f':
        return take_word(s, "false", 5);
    case 'n':
        return take_word(s, "null", 4);
    default:
        return take_number(s);
    }
}

static size_t encode_utf8(uint32_t code, char *out) {
    size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = count - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[count] | code);
    return count;
}

/* Writes the bytes that the escape at *AT stands for to OUT and moves behind it. Returns how
 * many, or 0 for NUL and for half a surrogate pair. The string is known to be well-formed. */
static size_t decode_escape(const char **at, const char *end, char out[4]) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape = *at;
    if (escape[1] != 'u') {
        out[0] = to[strchr(from, escape[1]) - from];
        *at += 2;
        return 1;
    }
    uint32_t code = (uint32_t)hexadecimal(escape + 2);
    *at += 6;
    if (code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
            return 0;
        uint32_t low = (uint32_t)hexadecimal(*at + 2);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    return encode_utf8(code, out);
}

/* Writes what stands between the quotes of a well-formed string, decoded, to OUT. Returns its
 * length; 0 if it is empty, is longer than SIZE, or can't be a text in C or in UTF-8. */
static size_t decode(const char *at, const char *end, char *out, size_t size) {
    size_t used = 0;
    while (at < end) {
        char bytes[4] = {*at};
        size_t count = 1;
        if (*at != '\\')
            at++;
        else
            count = decode_escape(&at, end, bytes);
        if (count == 0 || size - used < count)
            return 0;
        memcpy(out + used, bytes, count);
        used += count;
    }
    return used;
}

static bool is_object(const struct scanner *s) {
    unsigned top = s->depth - 1;
    return s->objects[top / 64] >> (top % 64) & 1;
}

static bool open_container(struct scanner *s, bool object) {
    if (s->depth == DEPTH_MAX)
        return false;
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    uint64_t *bits = &s->objects[s->depth / 64];
    *bits = object ? *bits | bit : *bits & ~bit;
    s->depth++;
    s->at++;
    return true;
}

/* A key and its colon. MODEL is set if that is the key. */
static bool take_key(struct scanner *s, bool *model) {
    char key[5];
    if (next(s) != '"')
        return false;
    const char *from = s->at + 1;
    if (!take_string(s))
        return false;
    *model = s->depth == 1 && decode(from, s->at - 1, key, sizeof key) == sizeof key &&
             memcmp(key, "model", sizeof key) == 0;
    return next(s) == ':' && s->at++;
}

/* A value has ended. */
static bool note_value(struct scanner *s, const char *body, struct model_places *places) {
    if (s->depth != 1 || !s->value)
        return true;
    if (places->count == MODEL_PLACES_MAX)
        return false;
    struct model_place *place = &places->at[places->count++];
    place->offset = (size_t)(s->value - body);
    place->length = (size_t)(s->at - s->value);
    size_t length = 0;
    if (*s->value == '"')
        length = decode(s->value + 1, s->at - 1, place->name, MODEL_NAME_MAX);
    place->name[length] = '\0';
    place->named = length > 0;
    s->value = NULL;
    return true;
}

/* From behind the object's brace to behind the one that closes it. */
static bool scan_object(struct scanner *s, const char *body, struct model_places *places) {
    bool fresh = true; /* the container has nothing yet */
    while (s->depth) {
        bool model = false;
        int c = next(s);
        if (c == (is_object(s) ? '}' : ']')) {
            s->at++;
            s->depth--;
            fresh = false;
            if (!note_value(s, body, places))
                return false;
            continue;
        }
        if (!fresh && (c != ',' || !s->at++))
            return false;
        if (is_object(s) && !take_key(s, &model))
            return false;
        c = next(s);
        if (model)
            s->value = s->at;
        fresh = c == '{' || c == '[';
        if (fresh ? !open_container(s, c == '{') : !take_scalar(s, c))
            return false;
        if (!fresh && !note_value(s, body, places))
            return false;
    }
    return true;
}

bool model_find_json(const char *body, size_t length, struct model_places *places) {
    *places = (struct model_places){.form = MODEL_JSON};
    if (!length)
        return false;
    struct scanner s = {.at = body, .end = body + length};
    if (next(&s) != '{' || !open_container(&s, true))
        return false;
    places->insert_at = (size_t)(s.at - body);
    places->lonely = next(&s) == '}';
    return scan_object(&s, body, places) && next(&s) < 0;
}
