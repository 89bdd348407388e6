#include "config/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    struct anchor *next;
    const char *name;
    const struct node *node; /* NULL while the node is being read */
};

struct reader {
    yaml_parser_t parser;
    const char *text;
    size_t length;
    struct arena *arena;
    struct settings_error *error;
    size_t anchor_count;
    struct anchor *anchors; /* the last one first: it hides others of its name */
};

static void *fail_at(struct reader *reader, yaml_mark_t mark, const char *message) {
    reader->error->line = (unsigned)mark.line + 1;
    reader->error->column = (unsigned)mark.column + 1;
    snprintf(reader->error->message, sizeof reader->error->message, "%s", message);
    return NULL;
}

static void *fail_memory(struct reader *reader) {
    reader->error->line = reader->error->column = 0;
    snprintf(reader->error->message, sizeof reader->error->message, "out of memory");
    return NULL;
}

static bool starts_character(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

/* Moves MARK past the byte at INDEX. */
static void step(const struct reader *reader, size_t index, yaml_mark_t *mark) {
    char byte = reader->text[index];
    bool pair = byte == '\r' && index + 1 < reader->length && reader->text[index + 1] == '\n';
    if (byte == '\n' || (byte == '\r' && !pair)) {
        mark->line++;
        mark->column = 0;
    } else if (starts_character(byte)) {
        mark->column++;
    }
}

/* The line and column of the byte at OFFSET, as libyaml counts them. */
static yaml_mark_t place_of_offset(const struct reader *reader, size_t offset) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < reader->length; i++)
        step(reader, i, &mark);
    return mark;
}

static bool tab_at(const struct reader *reader, yaml_mark_t place) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < reader->length && mark.line <= place.line; i++) {
        if (mark.line == place.line && mark.column == place.column)
            return reader->text[i] == '\t';
        step(reader, i, &mark);
    }
    return false;
}

/* libyaml's texts are constants: none of them quotes the file, which may hold keys. */
static void *fail_syntax(struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "unknown error";
    char message[300];
    /* libyaml fails without an error where its memory ran out while it read a tag */
    if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR)
        return fail_memory(reader);
    if (parser->error == YAML_READER_ERROR) {
        snprintf(message, sizeof message, "%s, expected UTF-8 text without control characters",
                 problem);
        return fail_at(reader, place_of_offset(reader, parser->problem_offset), message);
    }
    if (tab_at(reader, parser->problem_mark)) {
        return fail_at(reader, parser->problem_mark,
                       "found a tab, expected spaces: YAML does not indent with tabs");
    }
    if (parser->context && parser->context_mark.line != parser->problem_mark.line) {
        snprintf(message, sizeof message, "not valid YAML: %s (%s that starts in line %zu)",
                 problem, parser->context, parser->context_mark.line + 1);
    } else {
        snprintf(message, sizeof message, "not valid YAML: %s", problem);
    }
    return fail_at(reader, parser->problem_mark, message);
}

static bool next_event(struct reader *reader, yaml_event_t *event) {
    if (!yaml_parser_parse(&reader->parser, event)) {
        fail_syntax(reader);
        return false;
    }
    return true;
}

/* The tags of what YAML itself knows say nothing new; any other would ask for a meaning. */
static bool known_tag(const yaml_char_t *tag) {
    static const char *const known[] = {"str", "int", "float", "bool", "null", "seq", "map"};
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    if (!text || strcmp(text, "!") == 0)
        return true;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text + sizeof prefix - 1, known[i]) == 0)
            return true;
    return false;
}

static struct node *new_node(struct reader *reader, enum node_kind kind, yaml_mark_t mark) {
    struct node *node = arena_take(reader->arena, sizeof *node);
    if (!node)
        return fail_memory(reader);
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    return node;
}

/* Takes note of an anchor before its node is read. *ANCHOR is NULL if there is none. */
static bool open_anchor(struct reader *reader, const yaml_event_t *event, const yaml_char_t *name,
                        struct anchor **anchor) {
    *anchor = NULL;
    if (!name)
        return true;
    if (reader->anchor_count == DOCUMENT_ANCHORS_MAX) {
        fail_at(reader, event->start_mark, "too many anchors, expected 256 at most");
        return false;
    }
    const char *text = (const char *)name;
    struct anchor *added = arena_take(reader->arena, sizeof *added);
    if (added)
        added->name = arena_text(reader->arena, text, strlen(text));
    if (!added || !added->name) {
        fail_memory(reader);
        return false;
    }
    added->next = reader->anchors;
    reader->anchors = added;
    reader->anchor_count++;
    *anchor = added;
    return true;
}

static struct node *read_alias(struct reader *reader, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    for (const struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next) {
        if (strcmp(anchor->name, name) != 0)
            continue;
        if (!anchor->node)
            return fail_at(reader, event->start_mark, "found an alias inside of its own anchor");
        struct node *node = new_node(reader, anchor->node->kind, event->start_mark);
        if (node) {
            unsigned line = node->line, column = node->column;
            *node = *anchor->node;
            node->line = line;
            node->column = column;
        }
        return node;
    }
    return fail_at(reader, event->start_mark,
                   "found an alias without an anchor, expected '&name' above '*name'");
}

static struct node *read_scalar(struct reader *reader, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length))
        return fail_at(reader, event->start_mark, "found a zero byte, expected text without it");
    struct node *node = new_node(reader, NODE_TEXT, event->start_mark);
    if (!node)
        return NULL;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_text(reader->arena, text, length);
    return node->text ? node : fail_memory(reader);
}

static const struct node *read_node(struct reader *reader, const yaml_event_t *event,
                                    unsigned depth);

/* Reads entries up to the end of the list or map that NODE is. */
static bool read_entries(struct reader *reader, struct node *node, unsigned depth) {
    struct entry **tail = &node->entries;
    for (const struct node *key = NULL;;) {
        yaml_event_t event;
        if (!next_event(reader, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        const struct node *child = end ? NULL : read_node(reader, &event, depth);
        yaml_event_delete(&event);
        if (!child)
            return end;
        if (node->kind == NODE_MAP && !key) {
            key = child;
            continue;
        }
        struct entry *entry = arena_take(reader->arena, sizeof *entry);
        if (!entry) {
            fail_memory(reader);
            return false;
        }
        entry->key = key;
        entry->value = child;
        *tail = entry;
        tail = &entry->next;
        node->count++;
        key = NULL;
    }
}

static struct node *read_collection(struct reader *reader, const yaml_event_t *event,
                                    unsigned depth) {
    bool map = event->type == YAML_MAPPING_START_EVENT;
    if (depth == DOCUMENT_DEPTH_MAX)
        return fail_at(reader, event->start_mark, "nested too deep, expected 16 levels at most");
    struct node *node = new_node(reader, map ? NODE_MAP : NODE_LIST, event->start_mark);
    return node && read_entries(reader, node, depth + 1) ? node : NULL;
}

static const struct node *read_node(struct reader *reader, const yaml_event_t *event,
                                    unsigned depth) {
    const yaml_char_t *name = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(reader, event);
    case YAML_SCALAR_EVENT:
        name = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        name = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        name = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        return fail_at(reader, event->start_mark, "not valid YAML: expected a value");
    }
    if (!known_tag(tag))
        return fail_at(reader, event->start_mark, "found a tag, expected a value without one");
    struct anchor *anchor;
    if (!open_anchor(reader, event, name, &anchor))
        return NULL;
    const struct node *node = event->type == YAML_SCALAR_EVENT
                                  ? read_scalar(reader, event)
                                  : read_collection(reader, event, depth);
    if (anchor)
        anchor->node = node;
    return node;
}

/* Gives the next event that is not the start or end of the stream or of a document. */
static bool next_content(struct reader *reader, yaml_event_t *event) {
    for (;;) {
        if (!next_event(reader, event))
            return false;
        if (event->type != YAML_STREAM_START_EVENT && event->type != YAML_DOCUMENT_START_EVENT &&
            event->type != YAML_DOCUMENT_END_EVENT)
            return true;
        yaml_event_delete(event);
    }
}

static const struct node *read_document(struct reader *reader) {
    yaml_event_t event;
    if (!next_content(reader, &event))
        return NULL;
    if (event.type == YAML_STREAM_END_EVENT) {
        yaml_event_delete(&event);
        return fail_at(reader, (yaml_mark_t){0}, "the file is empty, expected 'endpoints:'");
    }
    const struct node *root = read_node(reader, &event, 0);
    yaml_event_delete(&event);
    if (!root || !next_content(reader, &event))
        return NULL;
    if (event.type != YAML_STREAM_END_EVENT) {
        fail_at(reader, event.start_mark, "found a second document, expected one");
        root = NULL;
    }
    yaml_event_delete(&event);
    return root;
}

const struct node *document_load(const char *text, size_t length, struct arena *arena,
                                 struct settings_error *error) {
    struct reader *reader = arena_take(arena, sizeof *reader);
    if (!reader || !yaml_parser_initialize(&reader->parser))
        return fail_memory(&(struct reader){.error = error});
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        length -= 3;
    }
    reader->text = text;
    reader->length = length;
    reader->arena = arena;
    reader->error = error;
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    const struct node *root = read_document(reader);
    yaml_parser_delete(&reader->parser);
    return root;
}

bool node_is_null(const struct node *node) {
    static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != NODE_TEXT || !node->plain)
        return false;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strcmp(node->text, spellings[i]) == 0)
            return true;
    return false;
}
