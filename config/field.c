#include <stdio.h>
#include <string.h>

#include "config/loader.h"
#include "config/value.h"

#define PATH_MAX_BYTES 1024

bool loader_list(struct loader *loader, const struct schema_key *key, const struct node *list) {
    if (list->kind != NODE_LIST) {
        loader_mismatch(loader, key, list);
        return false;
    }
    if (list->count < key->minimum || list->count > key->maximum) {
        return loader_fail(loader, list, "%s: found a list of %zu, expected %llu to %llu entries",
                           key->name, list->count, (unsigned long long)key->minimum,
                           (unsigned long long)key->maximum);
    }
    return true;
}

bool loader_text(struct loader *loader, const struct schema_key *key, const struct node *value,
                 size_t maximum, char **out) {
    char expected[100];
    if (value->kind != NODE_TEXT || node_is_null(value)) {
        loader_mismatch(loader, key, value);
        return false;
    }
    size_t length = strlen(value->text);
    if (length == 0 || length > maximum) {
        snprintf(expected, sizeof expected, "text of 1 to %zu bytes", maximum);
        loader_unexpected(loader, key, value, expected);
        return false;
    }
    if (value_has_control(value->text)) {
        loader_unexpected(loader, key, value, "text without control characters");
        return false;
    }
    *out = arena_text(loader->arena, value->text, length);
    return *out || loader_no_memory(loader);
}

/* A relative path starts where the settings file lies: programs run in any directory. */
static bool set_file(struct loader *loader, const struct schema_key *key, const struct node *value,
                     char **field) {
    char *path;
    if (!loader_text(loader, key, value, PATH_MAX_BYTES, &path))
        return false;
    const char *slash = strrchr(loader->settings->file, '/');
    *field = path;
    if (path[0] == '/' || !slash)
        return true;
    size_t directory = (size_t)(slash - loader->settings->file) + 1;
    size_t length = strlen(path);
    char *joined = arena_take(loader->arena, directory + length + 1);
    if (!joined)
        return loader_no_memory(loader);
    memcpy(joined, loader->settings->file, directory);
    memcpy(joined + directory, path, length);
    *field = joined;
    return true;
}

static bool set_names(struct loader *loader, const struct schema_key *key, const struct node *list,
                      char ***field) {
    size_t count = 0;
    if (!loader_list(loader, key, list))
        return false;
    char **names = arena_take(loader->arena, (list->count + 1) * sizeof *names);
    if (!names)
        return loader_no_memory(loader);
    for (const struct entry *entry = list->entries; entry; entry = entry->next) {
        if (!loader_count(loader, entry->value) ||
            !loader_text(loader, key, entry->value, 255, &names[count]))
            return false;
        if (strchr(names[count], '/'))
            return loader_unexpected(loader, key, entry->value, "a file name without '/'");
        count++;
    }
    *field = names;
    return true;
}

static bool set_outcomes(struct loader *loader, const struct schema_key *key,
                         const struct node *list, struct retry_on *field) {
    struct retry_on outcomes = {0};
    if (list->kind != NODE_LIST)
        return loader_mismatch(loader, key, list);
    for (const struct entry *entry = list->entries; entry; entry = entry->next) {
        const struct node *value = entry->value;
        if (!loader_count(loader, value))
            return false;
        if (value->kind != NODE_TEXT || !value_parse_outcome(value->text, &outcomes)) {
            return loader_unexpected(loader, key, value,
                                     "100 to 599, 4xx, 5xx, connect, reset or timeout");
        }
    }
    *field = outcomes;
    return true;
}

static bool set_name(struct loader *loader, const struct schema_key *key, const struct node *value,
                     char **field) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._:-";
    if (value->kind != NODE_TEXT || value->text[0] == '\0' || strlen(value->text) > 63 ||
        value->text[strspn(value->text, allowed)] != '\0')
        return loader_mismatch(loader, key, value);
    return loader_text(loader, key, value, 63, field);
}

static bool is_one_of(const char *text, const char *const *words) {
    while (*words && strcmp(*words, text) != 0)
        words++;
    return *words;
}

/* YAML 1.1 programs write off as false, and on as true. */
static const char *undo_boolean(const struct schema_key *key, const struct node *value) {
    static const char *const negative[] = {"false", "False", "FALSE", "Off", "OFF", "no", NULL};
    static const char *const positive[] = {"true", "True", "TRUE", "On", "ON", "yes", NULL};
    unsigned place;
    if (!value->plain)
        return value->text;
    if (is_one_of(value->text, negative) && value_parse_word(key->words, "off", &place))
        return "off";
    if (is_one_of(value->text, positive) && value_parse_word(key->words, "on", &place))
        return "on";
    return value->text;
}

/* Sets the field of KEY in BASE to the number, word or amount that TEXT spells. */
bool loader_set_scalar(const struct schema_key *key, const char *text, void *base) {
    unsigned char *field = (unsigned char *)base + key->offset;
    uint64_t amount = 0;
    unsigned word = 0;
    bool parsed = false;
    switch (key->type) {
    case SCHEMA_WORD:
        parsed = value_parse_word(key->words, text, &word);
        break;
    case SCHEMA_NUMBER:
        parsed = value_parse_number(text, &amount);
        word = (unsigned)amount;
        break;
    case SCHEMA_DURATION:
        parsed = settings_parse_duration(text, &amount);
        break;
    default:
        parsed = value_parse_size(text, &amount);
        break;
    }
    if (!parsed || (key->maximum > 0 && (amount < key->minimum || amount > key->maximum)))
        return false;
    if (key->type == SCHEMA_WORD || key->type == SCHEMA_NUMBER)
        memcpy(field, &word, sizeof word);
    else
        memcpy(field, &amount, sizeof amount);
    return true;
}

static bool set_map(struct loader *loader, const struct schema_key *key, const struct node *value,
                    void *base) {
    struct fields fields = {0};
    return loader_map(loader, value, key->opens, base, &fields);
}

bool loader_set(struct loader *loader, const struct schema_key *key, const struct node *value,
                void *base) {
    void *field = (unsigned char *)base + key->offset;
    switch (key->type) {
    case SCHEMA_MAP:
        return set_map(loader, key, value, base);
    case SCHEMA_WORD:
    case SCHEMA_NUMBER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE: {
        bool text = value->kind == NODE_TEXT;
        const char *spelling = text && key->words ? undo_boolean(key, value) : value->text;
        return (text && loader_set_scalar(key, spelling, base)) ||
               loader_mismatch(loader, key, value);
    }
    case SCHEMA_FILE:
        return set_file(loader, key, value, field);
    case SCHEMA_NAMES:
        return set_names(loader, key, value, field);
    case SCHEMA_OUTCOMES:
        return set_outcomes(loader, key, value, field);
    case SCHEMA_NAME:
        return set_name(loader, key, value, field);
    default:
        return true;
    }
}
