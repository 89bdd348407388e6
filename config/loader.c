#include "config/loader.h"

#include <stdio.h>
#include <string.h>

#include "config/nearest.h"
#include "config/value.h"

bool loader_count(struct loader *loader, const struct node *at) {
    if (loader->values_left == 0) {
        return loader_fail(loader, at, "found too many values, expected %d at most",
                           LOADER_VALUES_MAX);
    }
    loader->values_left--;
    return true;
}

/* What an unknown key may be made of to be shown. */
static const char word_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_<";
static const char odd_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789-.";
#define KEY_SHOWN_MAX 32

/* Lists the keys of SECTION, for a message about one that is none of them. */
static void list_keys(enum schema_section section, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < schema_key_count && used < size; i++) {
        if (schema_keys[i].section == section) {
            int wrote =
                snprintf(out + used, size - used, "%s%s", used ? ", " : "", schema_keys[i].name);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static const struct schema_key *key_of_another_section(const char *name) {
    for (size_t i = 0; i < schema_key_count; i++)
        if (strcmp(schema_keys[i].name, name) == 0)
            return &schema_keys[i];
    return NULL;
}

static bool fail_unknown(struct loader *loader, const struct node *key,
                         enum schema_section section) {
    char quoted[100], listed[250], path[80];
    size_t words = strspn(key->text, word_characters);
    size_t length = words + strspn(key->text + words, odd_characters);
    if (key->text[length] != '\0' || length > KEY_SHOWN_MAX) {
        /* "key:value" or "key=value": what follows may be a secret */
        return loader_fail(loader, key,
                           "found what is no key, expected a key, a ':' and a space or a line end");
    }
    loader_quote(loader, key, quoted, sizeof quoted);
    const struct schema_key *other = key_of_another_section(key->text);
    if (other) {
        schema_path(other, path, sizeof path);
        return loader_fail(loader, key, "unknown key %s here, expected it as %s", quoted, path);
    }
    struct nearest nearest = {.word = key->text};
    for (size_t i = 0; i < schema_key_count; i++)
        if (schema_keys[i].section == section)
            nearest_offer(&nearest, schema_keys[i].name);
    if (nearest.best)
        return loader_fail(loader, key, "unknown key %s, did you mean '%s'?", quoted, nearest.best);
    list_keys(section, listed, sizeof listed);
    /* with digits or dashes, and like no key of ours: it may be a secret itself */
    bool shown = key->text[words] == '\0';
    return loader_fail(loader, key, "unknown key %s, expected one of %s",
                       shown ? quoted : "(hidden)", listed);
}

static bool load_entry(struct loader *loader, const struct entry *entry,
                       enum schema_section section, void *base, struct fields *fields) {
    if (!loader_count(loader, entry->key))
        return false;
    if (entry->key->kind != NODE_TEXT) {
        return loader_fail(loader, entry->key, "found a %s as a key, expected a word",
                           entry->key->kind == NODE_MAP ? "map" : "list");
    }
    const struct schema_key *key = schema_find(section, entry->key->text);
    if (!key)
        return fail_unknown(loader, entry->key, section);
    size_t place = (size_t)(key - schema_keys);
    if (fields->key[place]) {
        return loader_fail(loader, entry->key,
                           "found the key '%s' again, expected it once "
                           "(first in line %u)",
                           key->name, fields->key[place]->line);
    }
    fields->key[place] = entry->key;
    if (key->nullable && node_is_null(entry->value))
        return key->type != SCHEMA_DURATION || loader_set_scalar(key, "0", base);
    fields->value[place] = entry->value;
    return loader_set(loader, key, entry->value, base);
}

bool loader_map(struct loader *loader, const struct node *map, enum schema_section section,
                void *base, struct fields *fields) {
    if (map->kind != NODE_MAP) {
        /* the text may be "key:secret" */
        const char *path = schema_section_path(section);
        return loader_fail(loader, map, "%s%sfound %s, expected a map (key: value)", path,
                           *path ? ": " : "",
                           map->kind == NODE_LIST ? "a list"
                           : node_is_null(map)    ? "nothing"
                                                  : "text");
    }
    for (const struct entry *entry = map->entries; entry; entry = entry->next)
        if (!load_entry(loader, entry, section, base, fields))
            return false;
    return true;
}

static bool preset_outcomes(const char *preset, struct retry_on *outcomes) {
    char word[16];
    for (const char *p = preset; *p;) {
        p += strspn(p, "[], ");
        size_t length = strcspn(p, "[], ");
        if (length >= sizeof word)
            return false;
        memcpy(word, p, length);
        word[length] = '\0';
        if (length > 0 && !value_parse_outcome(word, outcomes))
            return false;
        p += length;
    }
    return true;
}

static bool preset_field(struct loader *loader, const struct schema_key *key, void *base) {
    void *field = (unsigned char *)base + key->offset;
    if (key->type == SCHEMA_OUTCOMES)
        return preset_outcomes(key->preset, field);
    if (key->type == SCHEMA_NAMES) {
        char **empty = arena_take(loader->arena, sizeof *empty);
        memcpy(field, &empty, sizeof empty);
        return empty || loader_no_memory(loader);
    }
    return loader_set_scalar(key, key->preset, base);
}

bool loader_presets(struct loader *loader, enum schema_section section, void *base) {
    for (size_t i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if (key->section == section && key->preset && !preset_field(loader, key, base))
            return false;
    }
    return true;
}

const struct node *fields_key(const struct fields *fields, enum schema_section section,
                              const char *name) {
    return fields->key[schema_find(section, name) - schema_keys];
}

const struct node *fields_value(const struct fields *fields, enum schema_section section,
                                const char *name) {
    return fields->value[schema_find(section, name) - schema_keys];
}
