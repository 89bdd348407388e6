/*
 * From the nodes of a document to the fields of the settings, as the schema's table says.
 *
 * Private to config/. A loader belongs to one thread. Every function that returns false has
 * filled *loader->error; what it allocates belongs to loader->arena.
 */
#ifndef SPILLWAY_CONFIG_LOADER_H
#define SPILLWAY_CONFIG_LOADER_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/schema.h"
#include "config/settings.h"
#include "config/yaml.h"

/* Aliases make a small text large: this many values are looked at, and no more. */
#define LOADER_VALUES_MAX 100000

struct loader {
    struct arena *arena;
    struct settings *settings;
    const struct node *root;
    struct settings_error *error;
    size_t values_left;
};

/* What one map holds, by the place of the key in schema_keys. NULL: not there. */
struct fields {
    const struct node *key[SCHEMA_KEYS_MAX];
    const struct node *value[SCHEMA_KEYS_MAX]; /* NULL also where null was written */
};

/* Sets *loader->error to a message about AT. Returns false. */
__attribute__((format(printf, 3, 4))) bool loader_fail(struct loader *loader, const struct node *at,
                                                       const char *format, ...);

/* Fails with "KEY: found X, expected EXPECTED", without X if it is or may be a secret. */
bool loader_unexpected(struct loader *loader, const struct schema_key *key,
                       const struct node *value, const char *expected);

/* The same with what the schema says about KEY. */
bool loader_mismatch(struct loader *loader, const struct schema_key *key, const struct node *value);

/* Fails because FIELDS has both of two keys that exclude each other, at the later one. */
bool loader_fail_pair(struct loader *loader, const struct fields *fields,
                      const struct schema_key *a, const struct schema_key *b);

bool loader_no_memory(struct loader *loader);

/* Writes what NODE holds to OUT, for messages: quoted, cut, "(hidden)" if it is a secret. */
void loader_quote(const struct loader *loader, const struct node *node, char *out, size_t size);

/* Counts one value. False if there were too many. */
bool loader_count(struct loader *loader, const struct node *at);

/* Writes the defaults of SECTION's keys to their fields in BASE. */
bool loader_presets(struct loader *loader, enum schema_section section, void *base);

/*
 * Checks the keys of MAP against SECTION, notes them in *FIELDS and sets those fields in BASE
 * that are made of one value. Sections below are loaded as well; lists of sections are not.
 */
bool loader_map(struct loader *loader, const struct node *map, enum schema_section section,
                void *base, struct fields *fields);

/* Sets the field of KEY in BASE to what VALUE says; nothing if KEY is not made of one value. */
bool loader_set(struct loader *loader, const struct schema_key *key, const struct node *value,
                void *base);

/* Sets the field of KEY, a word, number, duration or size, to what TEXT spells. False, and
 * nothing else, if TEXT is not that or out of range. */
bool loader_set_scalar(const struct schema_key *key, const char *text, void *base);

/* Checks that LIST is a list with as many entries as KEY allows. */
bool loader_list(struct loader *loader, const struct schema_key *key, const struct node *list);

/* The node of SECTION's key NAME, and of its value, in FIELDS; NULL if it is not there. */
const struct node *fields_key(const struct fields *fields, enum schema_section section,
                              const char *name);
const struct node *fields_value(const struct fields *fields, enum schema_section section,
                                const char *name);

/* A copy of the text of VALUE in *OUT. Fails if it is no text, empty, longer than MAXIMUM bytes
 * or has control characters. */
bool loader_text(struct loader *loader, const struct schema_key *key, const struct node *value,
                 size_t maximum, char **out);

/* Loads what the list NODE says into loader->settings->endpoints. */
bool loader_endpoints(struct loader *loader, const struct node *node);

/* Loads the backends of ENDPOINT, whose own fields are complete, from the list NODE. */
bool loader_backends(struct loader *loader, struct endpoint *endpoint, const struct node *node);

/* Loads the faults of the list NODE; the endpoints are complete. */
bool loader_faults(struct loader *loader, const struct node *node);

/*
 * Checks and copies the URL that VALUE holds, without trailing slashes, to *OUT, and its parts
 * to *URL. A query, a fragment, a user name and dot segments are refused.
 */
bool loader_url(struct loader *loader, const struct schema_key *key, const struct node *value,
                char **out, struct url *url);

#endif
