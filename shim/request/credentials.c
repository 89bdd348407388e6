#include "shim/request/credentials.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_MAX 16384

bool credentials_header_is(const char *line, const char *name) {
    /* letters and '-' alone: for these the bit is what tells capitals */
    for (; *name; line++, name++)
        if ((*line | 0x20) != *name)
            return false;
    while (*line == ' ' || *line == '\t')
        line++;
    return *line == ':' || *line == ';'; /* libcurl's "Name;" sends the header without a value */
}

bool credentials_is_header(const char *line) {
    switch (line[0]) {
    case 'a':
    case 'A':
        return credentials_header_is(line, "authorization") ||
               credentials_header_is(line, "api-key");
    case 'x':
    case 'X':
        return credentials_header_is(line, "x-api-key");
    case 'o':
    case 'O':
        return credentials_header_is(line, "ocp-apim-subscription-key");
    default:
        return false;
    }
}

/* Fills KEY (KEY_MAX + 2 bytes) from the file at PATH. */
static bool read_key(const char *path, char *key) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    size_t used = 0;
    ssize_t got;
    while (used <= KEY_MAX && (got = read(fd, key + used, KEY_MAX + 1 - used)) > 0)
        used += (size_t)got;
    close(fd);
    key[used <= KEY_MAX ? used : KEY_MAX] = '\0';
    /* a key with a zero byte would be sent cut */
    return used <= KEY_MAX && strlen(key) == used;
}

static char *trim(char *text) {
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* A line end inside a key would let whoever sets it write headers of his own. */
static bool is_sendable(const char *key) {
    if (!*key)
        return false;
    for (; *key; key++)
        if ((unsigned char)*key < ' ' || *key == 0x7f)
            return false;
    return true;
}

static char *join(const char *prefix, const char *key) {
    size_t prefix_length = strlen(prefix), key_length = strlen(key);
    char *line = malloc(prefix_length + key_length + 1);
    if (line) {
        memcpy(line, prefix, prefix_length);
        memcpy(line + prefix_length, key, key_length + 1);
    }
    return line;
}

enum credentials_state credentials_line(const struct backend *backend, settings_lookup *lookup,
                                        char **line) {
    *line = NULL;
    if (backend->key_source == KEY_NONE)
        return CREDENTIALS_OF_PROGRAM;
    char file[KEY_MAX + 2];
    const char *key = NULL;
    if (backend->key_source == KEY_ENVIRONMENT)
        key = lookup(backend->key);
    else if (backend->key_source == KEY_INLINE)
        key = backend->key;
    else if (read_key(backend->key, file))
        key = trim(file);
    if (key && is_sendable(key))
        *line =
            join(backend->dialect == DIALECT_AZURE ? "api-key: " : "Authorization: Bearer ", key);
    if (backend->key_source == KEY_FILE)
        explicit_bzero(file, sizeof file);
    return *line ? CREDENTIALS_READY : CREDENTIALS_MISSING;
}

void credentials_free(char *line) {
    if (line)
        explicit_bzero(line, strlen(line));
    free(line);
}
