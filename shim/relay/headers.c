#include "shim/relay/headers.h"

#include <string.h>
#include <strings.h>

bool headers_is(struct slice name, const char *word) {
    return strlen(word) == name.length && strncasecmp(name.text, word, name.length) == 0;
}

bool headers_stays(struct slice name) {
    static const char *const names[] = {
        "connection", "proxy-connection",  "keep-alive", "te",
        "trailer",    "transfer-encoding", "upgrade",    "content-length",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (headers_is(name, names[i]))
            return true;
    return false;
}

struct slice headers_trim(struct slice text) {
    static const char blanks[] = " \t\r\n";
    while (text.length && memchr(blanks, text.text[0], sizeof blanks - 1)) {
        text.text++;
        text.length--;
    }
    while (text.length && memchr(blanks, text.text[text.length - 1], sizeof blanks - 1))
        text.length--;
    return text;
}

bool headers_names(struct slice value, struct slice name) {
    const char *end = value.text + value.length;
    for (const char *at = value.text; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        struct slice word = headers_trim((struct slice){at, (size_t)(stop - at)});
        if (word.length == name.length && strncasecmp(word.text, name.text, name.length) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

bool headers_split(struct slice line, struct slice *name, struct slice *value) {
    const char *colon = memchr(line.text, ':', line.length);
    if (!colon || colon == line.text)
        return false;
    *name = (struct slice){line.text, (size_t)(colon - line.text)};
    *value = headers_trim((struct slice){colon + 1, line.length - (size_t)(colon + 1 - line.text)});
    return true;
}

long long headers_length(struct slice value) {
    long long length = 0;
    if (!value.length || value.length > 18)
        return -1;
    for (size_t i = 0; i < value.length; i++) {
        if (value.text[i] < '0' || value.text[i] > '9')
            return -1;
        length = length * 10 + (value.text[i] - '0');
    }
    return length;
}
