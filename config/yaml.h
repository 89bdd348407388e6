/*
 * One YAML document as a tree of nodes that know their place in the text.
 *
 * libyaml does the reading. Its own document loader is not used: it needs quadratic time for
 * deeply nested brackets, and it forgets where an alias stands. Nesting and the number of
 * anchors are bounded here, and an alias can't contain itself, so that every walk ends.
 */
#ifndef SPILLWAY_CONFIG_YAML_H
#define SPILLWAY_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/settings.h"

#define DOCUMENT_DEPTH_MAX   16
#define DOCUMENT_ANCHORS_MAX 256

enum node_kind { NODE_TEXT, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    unsigned line, column; /* from 1, in characters; of an alias: where the alias stands */
    bool plain;            /* text without quotes */
    const char *text;      /* of NODE_TEXT: terminated, and without a zero byte in between */
    struct entry *entries; /* of NODE_LIST and NODE_MAP: the first, in the order of the text */
    size_t count;
};

struct entry {
    const struct node *key; /* NULL in a list */
    const struct node *value;
    struct entry *next;
};

/*
 * Reads the LENGTH bytes of TEXT, UTF-8 with or without a byte order mark. Returns the root,
 * which lives in ARENA and may share nodes through aliases, or NULL with *ERROR filled. A text
 * without a document is an error, and so is a second document.
 */
const struct node *document_load(const char *text, size_t length, struct arena *arena,
                                 struct settings_error *error);

/* Whether NODE is null in YAML: `null`, `~` or nothing. */
bool node_is_null(const struct node *node);

#endif
