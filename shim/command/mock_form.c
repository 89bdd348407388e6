#include "shim/command/mock_form.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* More than any delimiter: CRLF, two hyphens, the boundary, NUL. */
#define DELIMITER_SIZE (MOCK_BOUNDARY_MAX + 5)

/*
 * Finds the parameter NAME in the LENGTH bytes of a header's value, ";name=text" or
 * ";name=\"text\"". Returns false if there is none that fits OUT. A backslash in quotes stands
 * for itself, as browsers and curl write file names.
 */
static bool parameter(const char *value, size_t length, const char *name, char *out, size_t size) {
    size_t name_length = strlen(name);
    const char *end = value + length;
    for (const char *at = memchr(value, ';', length); at != NULL && at < end;) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        bool named = (size_t)(end - at) > name_length && at[name_length] == '=' &&
                     strncasecmp(at, name, name_length) == 0;
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (equals == NULL)
            return false;
        bool quoted = equals + 1 < end && equals[1] == '"';
        const char *text = equals + 1 + quoted;
        const char *stop = text;
        while (stop < end && (quoted ? *stop != '"' : strchr("; \t", *stop) == NULL))
            stop++;
        if (named) {
            if ((size_t)(stop - text) >= size)
                return false;
            memcpy(out, text, (size_t)(stop - text));
            out[stop - text] = '\0';
            return true;
        }
        at = stop < end ? memchr(stop, ';', (size_t)(end - stop)) : NULL;
    }
    return false;
}

bool mock_form_boundary(const char *content_type, char out[MOCK_BOUNDARY_MAX + 1]) {
    static const char type[] = "multipart/form-data";
    size_t length = sizeof type - 1;
    if (strncasecmp(content_type, type, length) != 0 ||
        strchr("; \t", content_type[length]) == NULL)
        return false;
    return parameter(content_type, strlen(content_type), "boundary", out, MOCK_BOUNDARY_MAX + 1) &&
           out[0] != '\0';
}

/* Whether the LENGTH bytes of a part's HEAD are those of the field NAME. */
static bool is_field(const char *head, size_t length, const char *name) {
    static const char disposition[] = "content-disposition:";
    const char *end = head + length;
    while (head < end) {
        const char *stop = memmem(head, (size_t)(end - head), "\r\n", 2);
        char found[64];
        if (stop == NULL)
            stop = end;
        size_t line = (size_t)(stop - head);
        if (line > sizeof disposition - 1 &&
            strncasecmp(head, disposition, sizeof disposition - 1) == 0)
            return parameter(head, line, "name", found, sizeof found) && strcmp(found, name) == 0 &&
                   memmem(head, line, "filename", 8) == NULL;
        head = stop < end ? stop + 2 : end;
    }
    return false;
}

const char *mock_form_field(const char *body, size_t length, const char *boundary, const char *name,
                            size_t *value_length) {
    char delimiter[DELIMITER_SIZE];
    size_t size = (size_t)snprintf(delimiter, sizeof delimiter, "\r\n--%s", boundary);
    const char *end = body + length, *found = NULL;
    /* The first delimiter needs no line end before it. */
    const char *part = length >= size - 2 && memcmp(body, delimiter + 2, size - 2) == 0
                           ? body + size - 2
                           : memmem(body, length, delimiter, size);
    if (part != NULL && part != body + size - 2)
        part += size;
    while (part != NULL && part < end) {
        const char *stop = memmem(part, (size_t)(end - part), delimiter, size);
        if (stop == NULL)
            break;
        const char *head = memmem(part, (size_t)(stop - part), "\r\n", 2);
        const char *blank =
            head != NULL ? memmem(head, (size_t)(stop - head), "\r\n\r\n", 4) : NULL;
        if (blank != NULL && is_field(head + 2, (size_t)(blank - head), name)) {
            found = blank + 4;
            *value_length = (size_t)(stop - found);
        }
        part = stop + size;
    }
    return found;
}
