#include "shim/request/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* A line end inside a key would let whoever sets it write headers of his own. */
bool credentials_sendable(const char *key) {
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

bool credentials_is_token(const char *key) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_";
    if (strncmp(key, "eyJ", 3) != 0)
        return false;
    for (int dots = 0; dots < 2; dots++) {
        key += strspn(key, letters);
        if (*key++ != '.')
            return false;
    }
    return key[strspn(key, letters)] == '\0';
}

char *credentials_line(const struct backend *backend, const char *key) {
    if (!credentials_sendable(key))
        return NULL;
    bool bearer = backend->dialect != DIALECT_AZURE || backend->key_source == KEY_COMMAND ||
                  credentials_is_token(key);
    return join(bearer ? "Authorization: Bearer " : "api-key: ", key);
}

/* What follows NAME (lower case) and its colon in LINE, without the blanks before it, or NULL. */
static const char *value_of(const char *line, const char *name) {
    if (!credentials_header_is(line, name))
        return NULL;
    line += strlen(name);
    line += strspn(line, " \t");
    return *line == ':' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

char *credentials_retell(const struct backend *backend, const char *line) {
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof scheme - 1;
    const char *name = backend->dialect == DIALECT_AZURE ? "authorization" : "api-key";
    const char *value = value_of(line, name);
    if (value && backend->dialect == DIALECT_AZURE)
        value = strncasecmp(value, scheme, skip) == 0 ? value + skip + strspn(value + skip, " \t")
                                                      : NULL;
    char *key = value ? strdup(value) : NULL;
    if (!key)
        return NULL;
    size_t length = strlen(key);
    while (length && (key[length - 1] == ' ' || key[length - 1] == '\t'))
        key[--length] = '\0';
    bool stays = backend->dialect == DIALECT_AZURE && credentials_is_token(key);
    char *told = stays ? NULL : credentials_line(backend, key);
    credentials_free(key);
    return told;
}

void credentials_free(char *line) {
    if (line)
        explicit_bzero(line, strlen(line));
    free(line);
}
