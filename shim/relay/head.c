#include "shim/relay/head.h"

#include <string.h>

#include "shim/relay/headers.h"

static void restart(struct head *head, struct slice line) {
    buffer_clear(&head->fields);
    head->count = 0;
    head->length = head->retry_ms = -1;
    head->chunked = false;
    head->status = 0;
    const char *at = memchr(line.text, ' ', line.length), *end = line.text + line.length;
    while (at && at < end && *at == ' ')
        at++;
    for (int i = 0; at && i < 3 && at < end && *at >= '0' && *at <= '9'; i++, at++)
        head->status = head->status * 10 + (unsigned)(*at - '0');
}

static bool keep(struct head *head, struct slice name, struct slice value) {
    return buffer_add(&head->fields, name.text, name.length) && buffer_add(&head->fields, "", 1) &&
           buffer_add(&head->fields, value.text, value.length) && buffer_add(&head->fields, "", 1);
}

bool head_take(struct head *head, struct slice line) {
    struct slice name, value, text = headers_trim(line);
    if (head->complete)
        return true;
    if (text.length > 5 && memcmp(text.text, "HTTP/", 5) == 0 && !head->status) {
        restart(head, text);
        return true;
    }
    if (!text.length) {
        head->complete = head->status >= 200;
        if (!head->complete)
            head->status = 0;
        return true;
    }
    if (!headers_split(line, &name, &value) || memchr(line.text, '\0', line.length))
        return true; /* what is no field can't be passed on */
    if (headers_is(name, "content-length"))
        head->length = headers_length(value);
    else if (headers_is(name, "transfer-encoding"))
        head->chunked = true;
    else if (headers_is(name, "retry-after-ms"))
        head->retry_ms = headers_length(value);
    head->count++;
    return keep(head, name, value);
}

/* The field at *AT, which is moved past it. */
static void next(const struct head *head, size_t *at, const char **name, const char **value) {
    const char *bytes = head->fields.bytes + head->fields.start;
    *name = bytes + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value + strlen(*value) + 1 - bytes);
}

/* Whether a Connection field of HEAD names NAME. */
static bool is_named(const struct head *head, struct slice name) {
    const char *field, *value;
    for (size_t at = 0; at < head->fields.length;) {
        next(head, &at, &field, &value);
        if (headers_is((struct slice){field, strlen(field)}, "connection") &&
            headers_names((struct slice){value, strlen(value)}, name))
            return true;
    }
    return false;
}

bool head_each(const struct head *head,
               bool (*field)(void *context, const char *name, const char *value), void *context) {
    const char *name, *value;
    for (size_t at = 0; at < head->fields.length;) {
        next(head, &at, &name, &value);
        struct slice word = {name, strlen(name)};
        if (!headers_stays(word) && !is_named(head, word) && !field(context, name, value))
            return false;
    }
    return true;
}
