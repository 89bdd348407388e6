#include <stdio.h>
#include <string.h>

#include "config/loader.h"

/* Where a text of NODE may be found: its words, and the place of each byte. */
struct spelling {
    char text[FAULT_TEXT_MAX + 1];
    const struct node *where; /* of the part before `split` */
    const struct node *rest;  /* of the part behind it; NULL: there is no other part */
    size_t split;
};

/* Without quotes "ptu: 429" is a map in YAML; there is no doubt what is meant. */
static bool join(const struct node *map, struct spelling *spelling) {
    const struct entry *entry = map->entries;
    if (map->kind != NODE_MAP || map->count != 1 || entry->key->kind != NODE_TEXT ||
        entry->value->kind != NODE_TEXT || node_is_null(entry->value))
        return false;
    int length = snprintf(spelling->text, sizeof spelling->text, "%s: %s", entry->key->text,
                          entry->value->text);
    spelling->where = entry->key;
    spelling->rest = entry->value;
    spelling->split = strlen(entry->key->text) + 2;
    return length > 0 && (size_t)length < sizeof spelling->text;
}

static bool spell(struct loader *loader, const struct node *value, struct spelling *spelling) {
    const struct schema_key *key = schema_find(SECTION_ROOT, "faults");
    if (value->kind == NODE_TEXT && !node_is_null(value)) {
        int length = snprintf(spelling->text, sizeof spelling->text, "%s", value->text);
        spelling->where = value;
        if (length >= 0 && (size_t)length < sizeof spelling->text)
            return true;
        return loader_unexpected(loader, key, value, "a fault of at most 500 bytes");
    }
    return join(value, spelling) ||
           loader_unexpected(loader, key, value, "a fault in quotes, such as 'ptu: 429 for 60s'");
}

/* Fails at the place in the file where the fault's column is. */
static bool fail_at(struct loader *loader, const struct spelling *spelling,
                    const struct fault_error *error) {
    size_t column = error->column - 1;
    struct node place = *spelling->where;
    if (spelling->rest && column >= spelling->split) {
        place = *spelling->rest;
        column -= spelling->split;
    }
    place.column += (unsigned)column + (place.plain ? 0 : 1);
    return loader_fail(loader, &place, "faults: %s", error->message);
}

bool loader_faults(struct loader *loader, const struct node *node) {
    struct settings *settings = loader->settings;
    struct fault_error error;
    if (!loader_list(loader, schema_find(SECTION_ROOT, "faults"), node))
        return false;
    settings->faults = arena_take(loader->arena, (node->count + 1) * sizeof *settings->faults);
    if (!settings->faults)
        return loader_no_memory(loader);
    for (const struct entry *entry = node->entries; entry; entry = entry->next) {
        struct spelling spelling = {.where = entry->value};
        struct fault *fault = &settings->faults[settings->fault_count];
        if (!loader_count(loader, entry->value) || !spell(loader, entry->value, &spelling))
            return false;
        if (!fault_parse(spelling.text, fault, &error) || !fault_check(fault, settings, &error))
            return fail_at(loader, &spelling, &error);
        settings->fault_count++;
    }
    return true;
}
