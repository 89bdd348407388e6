#include "shim/command/json.h"

#include <math.h>
#include <stdbool.h>

/* Whether C, behind the first byte FIRST, may be the second one: no overlong form, no surrogate,
 * nothing above U+10FFFF (RFC 3629, section 4). */
static bool may_follow(unsigned char first, unsigned char c) {
    unsigned char low = 0x80, high = 0xbf;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    return c >= low && c <= high;
}

unsigned json_sequence(const char *text) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80)
        return 1;
    unsigned length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || !may_follow(first, (unsigned char)text[1]))
        return 0;
    for (unsigned i = 2; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

void json_put_text(const char *text, FILE *out) {
    fputc('"', out);
    while (*text) {
        unsigned char c = (unsigned char)*text;
        unsigned length = json_sequence(text);
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ')
            fprintf(out, "\\u%04x", (unsigned)c);
        else if (length == 0)
            fputs("\\ufffd", out);
        else
            fwrite(text, 1, length, out);
        text += length ? length : 1;
    }
    fputc('"', out);
}

void json_put_number(double value, FILE *out) {
    if (value >= 0 && isfinite(value))
        fprintf(out, "%.6f", value);
    else
        fputs("null", out);
}
