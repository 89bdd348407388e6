#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/loader.h"
#include "config/value.h"

#define SHOWN_MAX 60 /* bytes of a value in a message */

bool loader_fail(struct loader *loader, const struct node *at, const char *format, ...) {
    struct settings_error *error = loader->error;
    va_list arguments;
    va_start(arguments, format);
    error->line = at->line;
    error->column = at->column;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return false;
}

bool loader_no_memory(struct loader *loader) {
    *loader->error = (struct settings_error){.message = "out of memory"};
    return false;
}

static bool names_secret(const struct node *key) {
    return key && key->kind == NODE_TEXT &&
           (strcmp(key->text, "key") == 0 || strcmp(key->text, "api_key") == 0);
}

/* Whether TEXT is the value of some key or api_key below NODE, or whether that takes too long
 * to find out. */
static bool is_secret(const struct node *node, const char *text, size_t *steps) {
    for (const struct entry *entry = node->entries; entry; entry = entry->next) {
        const struct node *value = entry->value;
        if (*steps == 0)
            return true;
        --*steps;
        if (value->kind != NODE_TEXT) {
            if (is_secret(value, text, steps))
                return true;
        } else if (names_secret(entry->key) && strcmp(value->text, text) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * How many bytes of TEXT to show: up to the first blank, because a line that is indented too far
 * becomes part of the value above, and not past "key:" or "key=", which may be one of them.
 */
static size_t harmless(const char *text) {
    size_t length = 0;
    while (length < SHOWN_MAX && (unsigned char)text[length] > ' ' && text[length] != 0x7F) {
        bool assigned = text[length] == ':' || text[length] == '=';
        if (assigned && length >= 3 && strncasecmp(text + length - 3, "key", 3) == 0)
            break;
        length++;
    }
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return length;
}

void loader_quote(const struct loader *loader, const struct node *node, char *out, size_t size) {
    size_t steps = LOADER_VALUES_MAX;
    if (node->kind != NODE_TEXT || node_is_null(node)) {
        snprintf(out, size, "%s",
                 node->kind == NODE_MAP    ? "a map"
                 : node->kind == NODE_LIST ? "a list"
                                           : "nothing");
        return;
    }
    if (is_secret(loader->root, node->text, &steps)) {
        snprintf(out, size, "(hidden)");
        return;
    }
    size_t length = harmless(node->text);
    snprintf(out, size, "'%.*s%s'", (int)length, node->text, node->text[length] ? "..." : "");
}

static bool may_hold_secret(const struct schema_key *key, const char *text) {
    switch (key->type) {
    case SCHEMA_SECRET:
    case SCHEMA_VARIABLE:
        return true;
    case SCHEMA_URL:
    case SCHEMA_URLS:
    case SCHEMA_TEXT:
        return strpbrk(text, "@?") != NULL;
    default:
        return false;
    }
}

bool loader_unexpected(struct loader *loader, const struct schema_key *key,
                       const struct node *value, const char *expected) {
    char found[100] = "(hidden)";
    bool empty = value->kind != NODE_TEXT || value->text[0] == '\0';
    if (!empty && key->type == SCHEMA_MAPS)
        snprintf(found, sizeof found, "text");
    else if (empty || !may_hold_secret(key, value->text))
        loader_quote(loader, value, found, sizeof found);
    return loader_fail(loader, value, "%s: found %s, expected %s", key->name, found, expected);
}

/* Writes what KEY takes. */
static void expectation(const struct schema_key *key, char *out, size_t size) {
    char low[32], high[32], words[100];
    switch (key->type) {
    case SCHEMA_WORD:
        value_write_words(key->words, words, sizeof words);
        snprintf(out, size, "%s", words);
        break;
    case SCHEMA_NUMBER:
        snprintf(out, size, "a whole number from %llu to %llu", (unsigned long long)key->minimum,
                 (unsigned long long)key->maximum);
        break;
    case SCHEMA_DURATION:
        value_write_duration(key->maximum, high, sizeof high);
        snprintf(out, size, "a duration such as 250ms, 10s, 5m or 1h, from 0 to %s%s", high,
                 key->nullable ? ", or null" : "");
        break;
    case SCHEMA_SIZE:
        value_write_size(key->minimum, low, sizeof low);
        value_write_size(key->maximum, high, sizeof high);
        snprintf(out, size, "a size such as 512KiB or 8MiB, from %s to %s", low, high);
        break;
    case SCHEMA_MAP:
    case SCHEMA_MODELS:
        snprintf(out, size, "a map such as %s", key->example);
        break;
    case SCHEMA_MAPS:
        snprintf(out, size, "a list of maps, each after a '-'");
        break;
    case SCHEMA_NAMES:
    case SCHEMA_OUTCOMES:
    case SCHEMA_URLS:
    case SCHEMA_FAULTS:
        snprintf(out, size, "a list such as %s", key->example);
        break;
    case SCHEMA_NAME:
        snprintf(out, size, "1 to 63 characters of A-Z a-z 0-9 . _ : -");
        break;
    default:
        snprintf(out, size, "text such as %s", key->example);
        break;
    }
}

bool loader_mismatch(struct loader *loader, const struct schema_key *key,
                     const struct node *value) {
    char expected[300];
    expectation(key, expected, sizeof expected);
    return loader_unexpected(loader, key, value, expected);
}

bool loader_fail_pair(struct loader *loader, const struct fields *fields,
                      const struct schema_key *a, const struct schema_key *b) {
    const struct node *first = fields->key[a - schema_keys], *second = fields->key[b - schema_keys];
    if (second->line < first->line ||
        (second->line == first->line && second->column < first->column)) {
        const struct schema_key *other = a;
        a = b;
        b = other;
        second = first;
    }
    return loader_fail(loader, second, "found '%s' beside '%s', expected one of them", b->name,
                       a->name);
}
