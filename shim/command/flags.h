/*
 * Settings without a file: --endpoint and --backend of `spillway run`, turned into the text of
 * settings that the shim reads from SPILLWAY_SETTINGS.
 */
#ifndef SPILLWAY_SHIM_COMMAND_FLAGS_H
#define SPILLWAY_SHIM_COMMAND_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* One --endpoint or --backend, in the order of the command line. */
struct flag {
    bool endpoint;     /* else a backend, of the last endpoint before it */
    const char *value; /* the argument; not owned */
};

struct flags {
    struct flag *list;
    size_t count;
    const char *strategy;     /* for every endpoint; NULL: the default */
    const char *on_exhausted; /* the same */
};

/*
 * Returns the text of the settings that FLAGS stand for, for free(), or NULL with a sentence in
 * MESSAGE about the flag that is wrong: what was found and what was expected. Line 1 opens the
 * text, and each flag has exactly one line from there on. A path of a key file is made absolute.
 */
char *flags_text(const struct flags *flags, char *message, size_t size);

/*
 * Loads TEXT, which flags_text made of FLAGS. Returns settings for settings_free, or NULL with a
 * sentence in MESSAGE that names the flag in place of a line of the text.
 */
struct settings *flags_load(const struct flags *flags, const char *text, char *message,
                            size_t size);

#endif
