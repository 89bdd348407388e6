/*
 * The one table of all settings keys: what each means, what it may be, and where it goes.
 *
 * The loader is driven by it, and the manual page spillway.yaml(5) has one entry for each of
 * its rows. All of it is constant.
 */
#ifndef SPILLWAY_CONFIG_SCHEMA_H
#define SPILLWAY_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps with keys of their own. */
enum schema_section {
    SECTION_ROOT,     /* struct settings */
    SECTION_LOG,      /* struct settings */
    SECTION_PROGRAMS, /* struct settings */
    SECTION_STATE,    /* struct settings */
    SECTION_RELAY,    /* struct settings */
    SECTION_ENDPOINT, /* struct endpoint */
    SECTION_BACKEND,  /* struct backend */
    SECTION_COUNT
};

enum schema_type {
    SCHEMA_MAP,      /* a section of its own; .opens says which */
    SCHEMA_MAPS,     /* a list of such sections */
    SCHEMA_WORD,     /* one of .words; goes to an enum, by its place in .words */
    SCHEMA_NUMBER,   /* to an int or unsigned */
    SCHEMA_DURATION, /* to a uint64_t of nanoseconds */
    SCHEMA_SIZE,     /* to a uint64_t of bytes */
    SCHEMA_FILE,     /* a path, from the settings' directory if it is relative; to a char * */
    SCHEMA_NAMES,    /* a list of file names; to a NULL-terminated char ** */
    SCHEMA_OUTCOMES, /* a list of outcomes; to a struct retry_on */
    SCHEMA_NAME,     /* what tables and logs call something; to a char * */
    SCHEMA_TEXT,     /* the rest goes where the loader of its section puts it together: */
    SCHEMA_URL,
    SCHEMA_URLS,
    SCHEMA_SECRET, /* a key */
    SCHEMA_VARIABLE,
    SCHEMA_MODELS,
    SCHEMA_FAULTS
};

/* The most keys that the table may have; the loader's tables are that large. */
#define SCHEMA_KEYS_MAX 64

struct schema_key {
    enum schema_section section;
    const char *name;
    enum schema_type type;
    enum schema_section opens;
    size_t offset;             /* of its field in the section's struct */
    uint64_t minimum, maximum; /* in the field's unit; 0 and 0: no limits of its own */
    const char *const *words;  /* NULL-terminated, in the order of the enum */
    const char *preset;        /* the default, spelled as in the settings; NULL: see .absent */
    const char *absent;        /* what holds without the key; NULL if .preset says it */
    bool nullable;             /* null may be written: no limit, for a duration; else the default */
    const char *meaning;
    const char *example; /* one line of YAML */
};

extern const struct schema_key schema_keys[];
extern const size_t schema_key_count;

/* The key called NAME in SECTION, or NULL. */
const struct schema_key *schema_find(enum schema_section section, const char *name);

/* Writes the whole path of KEY, such as "endpoints[].backends[].url", to OUT. */
void schema_path(const struct schema_key *key, char *out, size_t size);

/* What a table or a message calls a SECTION's map: "endpoints[].backends[]", "" for the root. */
const char *schema_section_path(enum schema_section section);

extern const char *const schema_dialects[];
extern const char *const schema_strategies[];
extern const char *const schema_exhausted[];
extern const char *const schema_sockets[];
extern const char *const schema_scopes[];
extern const char *const schema_levels[];
extern const char *const schema_switches[];

#endif
