#include "config/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/loader.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)

/* What settings_free finds again: the settings and all that they point to. */
struct owned {
    struct settings settings;
    struct arena arena;
};

static bool load_root(struct loader *loader) {
    static const enum schema_section plain[] = {SECTION_ROOT, SECTION_LOG, SECTION_PROGRAMS,
                                                SECTION_STATE, SECTION_RELAY};
    struct fields fields = {0};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!loader_presets(loader, plain[i], loader->settings))
            return false;
    if (node_is_null(loader->root))
        return loader_fail(loader, loader->root, "the file is empty, expected 'endpoints:'");
    if (!loader_map(loader, loader->root, SECTION_ROOT, loader->settings, &fields))
        return false;
    const struct node *endpoints = fields_value(&fields, SECTION_ROOT, "endpoints");
    if (!endpoints) {
        return loader_fail(loader, loader->root,
                           "found no endpoints, expected 'endpoints:' with a list");
    }
    const struct node *faults = fields_value(&fields, SECTION_ROOT, "faults");
    return loader_endpoints(loader, endpoints) && (!faults || loader_faults(loader, faults));
}

static bool load(struct owned *owned, const char *name, const char *text, size_t length,
                 struct settings_error *error) {
    struct arena nodes = {0};
    struct loader loader = {.arena = &owned->arena,
                            .settings = &owned->settings,
                            .error = error,
                            .values_left = LOADER_VALUES_MAX};
    owned->settings.file = arena_text(&owned->arena, name, strlen(name));
    if (!owned->settings.file)
        return loader_no_memory(&loader);
    loader.root = document_load(text, length, &nodes, error);
    bool loaded = loader.root && load_root(&loader);
    arena_release(&nodes);
    return loaded;
}

struct settings *settings_load_text(const char *name, const char *text, size_t length,
                                    struct settings_error *error) {
    *error = (struct settings_error){0};
    if (length > FILE_SIZE_MAX) {
        snprintf(error->message, sizeof error->message,
                 "found a file over 1 MiB, expected a smaller one");
        return NULL;
    }
    struct owned *owned = calloc(1, sizeof *owned);
    if (!owned) {
        snprintf(error->message, sizeof error->message, "out of memory");
        return NULL;
    }
    if (!load(owned, name, text, length, error)) {
        settings_free(&owned->settings);
        return NULL;
    }
    return &owned->settings;
}

void settings_free(struct settings *settings) {
    struct owned *owned = (struct owned *)settings; /* the settings are its first member */
    if (owned) {
        arena_release(&owned->arena);
        free(owned);
    }
}

/* Reads at most SIZE bytes. Returns how many, or -1 with errno. */
static ssize_t read_all(int fd, char *out, size_t size) {
    size_t used = 0;
    while (used < size) {
        ssize_t count = read(fd, out + used, size - used);
        if (count == 0)
            break;
        if (count < 0 && errno != EINTR)
            return -1;
        used += count > 0 ? (size_t)count : 0;
    }
    return (ssize_t)used;
}

/* The text of PATH, for free(), or NULL with *ERROR filled. A pipe could block for ever, so only
 * regular files are read. */
static char *read_file(const char *path, size_t *length, struct settings_error *error) {
    struct stat status;
    char *text = NULL;
    ssize_t count = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(error->message, sizeof error->message, "can't be opened: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        snprintf(error->message, sizeof error->message, "is no regular file, expected one");
    } else if (status.st_size > (off_t)FILE_SIZE_MAX) {
        snprintf(error->message, sizeof error->message,
                 "found a file over 1 MiB, expected a smaller one");
    } else if (!(text = malloc((size_t)status.st_size + 1))) {
        snprintf(error->message, sizeof error->message, "out of memory");
    } else if ((count = read_all(fd, text, (size_t)status.st_size)) < 0) {
        snprintf(error->message, sizeof error->message, "can't be read: %s", strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    if (count < 0) {
        free(text);
        return NULL;
    }
    *length = (size_t)count;
    return text;
}

struct settings *settings_load_file(const char *path, struct settings_error *error) {
    size_t length;
    *error = (struct settings_error){0};
    char *text = read_file(path, &length, error);
    if (!text)
        return NULL;
    struct settings *settings = settings_load_text(path, text, length, error);
    free(text);
    return settings;
}

__attribute__((format(printf, 3, 4))) static bool write_path(char *path, size_t size,
                                                             const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, size, format, arguments);
    va_end(arguments);
    return length >= 0 && (size_t)length < size;
}

bool settings_locate(settings_lookup *lookup, char *path, size_t size) {
    const char *chosen = lookup("SPILLWAY_CONFIG");
    const char *home = lookup("HOME");
    const char *base = lookup("XDG_CONFIG_HOME");
    if (chosen && *chosen)
        return write_path(path, size, "%s", chosen);
    /* a relative path in XDG_CONFIG_HOME counts as none (XDG base directories, "Basics") */
    if (base && base[0] == '/') {
        if (write_path(path, size, "%s/spillway/spillway.yaml", base) && access(path, F_OK) == 0)
            return true;
    } else if (home && home[0] == '/') {
        if (write_path(path, size, "%s/.config/spillway/spillway.yaml", home) &&
            access(path, F_OK) == 0)
            return true;
    }
    return write_path(path, size, "/etc/spillway/spillway.yaml") && access(path, F_OK) == 0;
}

void settings_describe_error(const char *file, const struct settings_error *error, char *out,
                             size_t size) {
    if (error->line > 0)
        snprintf(out, size, "%s:%u:%u: %s", file, error->line, error->column, error->message);
    else
        snprintf(out, size, "%s: %s", file, error->message);
}
