#include "shim/command/drill_line.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/value.h"

struct pair {
    char *name, *value;
};

/* Where the fields are. */
static const struct {
    const char *name;
    size_t offset;
    bool number;
} fields[] = {
#define TEXT(name)                                                                                 \
    { #name, offsetof(struct drill_line, name), false }
#define NUMBER(name)                                                                               \
    { #name, offsetof(struct drill_line, name), true }
    TEXT(event),      TEXT(endpoint),  TEXT(backend),        TEXT(transfer), TEXT(path),
    TEXT(error),      TEXT(reason),    TEXT(fault),          NUMBER(pid),    NUMBER(attempt),
    NUMBER(attempts), NUMBER(status),  NUMBER(curl),         NUMBER(result), NUMBER(ms),
    NUMBER(first_ms), NUMBER(seconds), NUMBER(fault_number),
#undef TEXT
#undef NUMBER
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

/* Behind a quote: up to the next one. The escapes of controls (\x0a) stay, so that nobody has to
 * write a control later. Returns what follows, or NULL if there is no end. */
static char *take_quoted(char *p, char **value) {
    char *to = p;
    *value = p;
    for (; *p && *p != '"'; p++) {
        if (p[0] == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        *to++ = *p;
    }
    if (!*p)
        return NULL;
    *to = '\0';
    return p + 1;
}

/* Returns what follows the pair at P, or NULL if there is none. */
static char *take_pair(char *p, struct pair *pair) {
    size_t length = strcspn(p, "= \"");
    pair->name = p;
    if (length == 0 || p[length] != '=')
        return NULL;
    p += length;
    *p++ = '\0';
    if (*p == '"') {
        p = take_quoted(p + 1, &pair->value);
        if (!p || (*p && *p != ' '))
            return NULL;
    } else {
        pair->value = p;
        p += strcspn(p, " \"=");
        if (*p && *p != ' ')
            return NULL;
    }
    if (*p)
        *p++ = '\0';
    return p;
}

static bool take_number(const char *text, double *number) {
    char *end;
    if (strspn(text, "0123456789.") != strlen(text))
        return false;
    *number = strtod(text, &end);
    return *text && !*end && isfinite(*number);
}

/* 2026-01-31T12:00:00.123Z */
static bool take_time(const char *text, double *seconds) {
    struct tm fields_of_time = {0};
    char fraction[16];
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &fields_of_time);
    size_t length = rest ? strcspn(rest, "Z") : 0;
    double part;
    if (!rest || rest[0] != '.' || length >= sizeof fraction || strcmp(rest + length, "Z") != 0)
        return false;
    memcpy(fraction, rest, length);
    fraction[length] = '\0';
    if (!take_number(fraction, &part))
        return false;
    *seconds = (double)timegm(&fields_of_time) + part;
    return *seconds > 0;
}

static bool take_field(struct drill_line *line, const struct pair *pair) {
    if (strcmp(pair->name, "time") == 0)
        return take_time(pair->value, &line->time);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        char *field = (char *)line + fields[i].offset;
        if (strcmp(pair->name, fields[i].name) != 0)
            continue;
        if (fields[i].number)
            return take_number(pair->value, (double *)(void *)field);
        *(const char **)(void *)field = pair->value;
        return true;
    }
    return true;
}

bool drill_line_read(char *text, struct drill_line *line) {
    struct pair pair;
    *line = (struct drill_line){.time = -1, .pid = -1, .event = "", .endpoint = "", .backend = ""};
    line->transfer = line->path = line->error = line->reason = line->fault = "";
    line->attempt = line->attempts = line->status = line->curl = line->result = -1;
    line->ms = line->first_ms = line->seconds = line->fault_number = -1;
    if (value_has_control(text)) /* the log writes none as it is */
        return false;
    for (char *p = text; *p;) {
        p = take_pair(p, &pair);
        if (!p || !take_field(line, &pair))
            return false;
    }
    return line->time > 0 && line->pid > 0 && *line->event;
}
