#include "shim/command/mock_json.h"

#include <stdint.h>
#include <string.h>

struct reader {
    const char *at;
    const char *end;
    unsigned depth;
};

static bool read_value(struct reader *reader);

static void skip_space(struct reader *reader) {
    while (reader->at < reader->end && *reader->at != '\0' && strchr(" \t\r\n", *reader->at))
        reader->at++;
}

/* Steps over C if it comes next. */
static bool take(struct reader *reader, char c) {
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool take_word(struct reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return false;
    reader->at += length;
    return true;
}

/* At least one digit. */
static bool take_digits(struct reader *reader) {
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > start;
}

/* The value of a hexadecimal digit, or -1. */
static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of the four hexadecimal digits at TEXT, which may end before; or -1. */
static int32_t hex4(const char *text, const char *end) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = text + i < end ? hex_digit(text[i]) : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool read_escape(struct reader *reader) {
    if (take(reader, 'u')) {
        bool valid = hex4(reader->at, reader->end) >= 0;
        reader->at += valid ? 4 : 0;
        return valid;
    }
    if (reader->at == reader->end || *reader->at == '\0' || !strchr("\"\\/bfnrt", *reader->at))
        return false;
    reader->at++;
    return true;
}

static bool read_string(struct reader *reader) {
    if (!take(reader, '"'))
        return false;
    while (reader->at < reader->end) {
        unsigned char c = (unsigned char)*reader->at++;
        if (c == '"')
            return true;
        if (c < ' ' || (c == '\\' && !read_escape(reader)))
            return false;
    }
    return false;
}

static bool read_number(struct reader *reader) {
    take(reader, '-');
    if (!take(reader, '0') && !take_digits(reader))
        return false;
    if (take(reader, '.') && !take_digits(reader))
        return false;
    if (!take(reader, 'e') && !take(reader, 'E'))
        return true;
    if (!take(reader, '+'))
        take(reader, '-');
    return take_digits(reader);
}

/* What follows the '{' or '[' up to CLOSE. */
static bool read_list(struct reader *reader, char close) {
    skip_space(reader);
    if (take(reader, close))
        return true;
    do {
        skip_space(reader);
        if (close == '}') {
            if (!read_string(reader))
                return false;
            skip_space(reader);
            if (!take(reader, ':'))
                return false;
        }
        if (!read_value(reader))
            return false;
        skip_space(reader);
    } while (take(reader, ','));
    return take(reader, close);
}

static bool read_value(struct reader *reader) {
    bool read;
    skip_space(reader);
    if (reader->at == reader->end || reader->depth == MOCK_JSON_DEPTH)
        return false;
    switch (*reader->at) {
    case '{':
    case '[':
        reader->depth++;
        read = read_list(reader, *reader->at++ == '{' ? '}' : ']');
        reader->depth--;
        return read;
    case '"':
        return read_string(reader);
    case 't':
        return take_word(reader, "true");
    case 'f':
        return take_word(reader, "false");
    case 'n':
        return take_word(reader, "null");
    default:
        return read_number(reader);
    }
}

bool mock_json_object(const char *text, size_t length) {
    struct reader reader = {.at = text, .end = text + length};
    skip_space(&reader);
    if (reader.at == reader.end || *reader.at != '{' || !read_value(&reader))
        return false;
    skip_space(&reader);
    return reader.at == reader.end;
}

/* Writes CODE as UTF-8. Returns the number of bytes. */
static size_t encode(uint32_t code, char out[4]) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[length] | code);
    return length;
}

/* Decodes the escape after the backslash before *TEXT, and steps over it. */
static size_t unescape(const char **text, char out[4]) {
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *at = *text, *end = at + strlen(at);
    if (*at != 'u') {
        const char *letter = *at != '\0' ? strchr(letters, *at) : NULL;
        out[0] = letter != NULL ? meant[letter - letters] : *at;
        *text += *at != '\0';
        return 1;
    }
    int32_t code = hex4(at + 1, end);
    if (code < 0)
        return 0;
    *text += 5;
    if (code >= 0xd800 && code < 0xdc00 && end - at > 6 && at[5] == '\\' && at[6] == 'u') {
        int32_t low = hex4(at + 7, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *text += 6;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return encode((uint32_t)code, out);
}

bool mock_json_equals(const char *escaped, const char *text) {
    while (*escaped != '\0') {
        char bytes[4] = {*escaped++};
        size_t length = bytes[0] == '\\' ? unescape(&escaped, bytes) : 1;
        if (length == 0 || strncmp(text, bytes, length) != 0 || bytes[0] == '\0')
            return false;
        text += length;
    }
    return *text == '\0';
}
