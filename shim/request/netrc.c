#include "shim/request/netrc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 20)

/* A value as it stands in the file; without its quotes, but with its escapes. */
struct token {
    const char *at;
    const char *end;
    bool quoted;
};

struct reader {
    const char *at;
    const char *end;
    bool line_start; /* nothing but blanks before `at` in its line */
    bool broken;     /* a quote is never closed; `at` is the end */
};

enum word {
    WORD_MACHINE,
    WORD_DEFAULT,
    WORD_LOGIN,
    WORD_PASSWORD,
    WORD_ACCOUNT,
    WORD_MACDEF,
    WORD_OTHER, /* none of those */
    WORD_END    /* the file has no more */
};

static const struct slice words[WORD_OTHER] = {
    [WORD_MACHINE] = {"machine", 7}, [WORD_DEFAULT] = {"default", 7},
    [WORD_LOGIN] = {"login", 5},     [WORD_PASSWORD] = {"password", 8},
    [WORD_ACCOUNT] = {"account", 7}, [WORD_MACDEF] = {"macdef", 6},
};

struct entry {
    bool ours;       /* it is for the host that is looked for */
    bool is_default; /* and so for any other */
    bool has_login, has_password;
    struct token login, password;
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_line(struct reader *r) {
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->at = end ? end : r->end;
}

/* To the next token. VALUE: a '#' within a line belongs to it. */
static void skip_space(struct reader *r, bool value) {
    for (; r->at < r->end; r->at++) {
        if (*r->at == '#' && (r->line_start || !value))
            skip_line(r);
        if (r->at == r->end || !is_space(*r->at))
            return;
        if (*r->at == '\n')
            r->line_start = true;
    }
}

/* To the end of the first line without a character; a space would be one. */
static void skip_macro(struct reader *r) {
    while (skip_line(r), r->at < r->end) {
        const char *at = ++r->at;
        while (at < r->end && *at == '\r')
            at++;
        if (at < r->end && *at == '\n') {
            r->at = at;
            return;
        }
    }
}

/* Takes the token that begins here. Returns false at the end, or if a quote is never closed. */
static bool next_token(struct reader *r, bool value, struct token *token) {
    skip_space(r, value);
    r->line_start = false;
    if (r->at == r->end)
        return false;
    token->quoted = *r->at == '"';
    token->at = token->quoted ? ++r->at : r->at;
    if (!token->quoted) {
        while (r->at < r->end && !is_space(*r->at))
            r->at++;
        token->end = r->at;
        return true;
    }
    for (; r->at < r->end && *r->at != '"'; r->at++)
        if (*r->at == '\\' && ++r->at == r->end)
            break;
    token->end = r->at;
    r->broken = r->at == r->end;
    if (!r->broken)
        r->at++;
    return !r->broken;
}

/* Takes the next character of TOKEN, which is not at its end. */
static char next_character(struct token *token) {
    char c = *token->at++;
    if (!token->quoted || c != '\\')
        return c;
    c = *token->at++;
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool token_is(struct token token, const char *text, size_t length, bool any_case) {
    for (; token.at < token.end && length; text++, length--) {
        char c = next_character(&token);
        if (any_case ? lower(c) != lower(*text) : c != *text)
            return false;
    }
    return token.at == token.end && !length;
}

static enum word next_word(struct reader *r) {
    struct token token;
    if (!next_token(r, false, &token))
        return WORD_END;
    for (int word = 0; !token.quoted && word < WORD_OTHER; word++)
        if (token_is(token, words[word].text, words[word].length, true))
            return (enum word)word;
    return WORD_OTHER;
}

static bool counts(const struct entry *entry, const char *login) {
    if (!entry->ours)
        return false;
    if (login)
        return entry->has_login && token_is(entry->login, login, strlen(login), false);
    return entry->has_login || entry->has_password;
}

/* Reads what WORD begins, to the word that begins something else; returns that one. */
static enum word read_entry(struct reader *r, enum word word, struct slice host,
                            struct entry *entry) {
    struct token value;
    *entry = (struct entry){.ours = word == WORD_DEFAULT, .is_default = word == WORD_DEFAULT};
    if (word == WORD_MACDEF)
        skip_macro(r);
    if (word == WORD_MACHINE && next_token(r, true, &value))
        entry->ours = token_is(value, host.text, host.length, true);
    for (;;) {
        word = next_word(r);
        if (word == WORD_LOGIN)
            entry->has_login |= next_token(r, true, &entry->login);
        else if (word == WORD_PASSWORD)
            entry->has_password |= next_token(r, true, &entry->password);
        else if (word == WORD_ACCOUNT)
            (void)next_token(r, true, &value);
        else if (word != WORD_OTHER)
            return word;
    }
}

static bool find_entry(struct reader *r, struct slice host, const char *login,
                       struct entry *found) {
    bool any = false;
    enum word word = WORD_OTHER;
    while (word != WORD_END) {
        struct entry entry;
        word = read_entry(r, word, host, &entry);
        if (r->broken)
            break;
        if (!counts(&entry, login) || (any && entry.is_default))
            continue;
        *found = entry;
        any = true;
        if (!entry.is_default)
            break;
    }
    return any;
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Writes TOKEN percent-encoded to OUT + USED. Returns what is used then, or SIZE: no room. */
static size_t encode(struct token token, char *out, size_t used, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    while (token.at < token.end) {
        char c = next_character(&token);
        if (size - used <= (is_unreserved(c) ? 1 : 3))
            return size;
        if (is_unreserved(c)) {
            out[used++] = c;
            continue;
        }
        out[used++] = '%';
        out[used++] = digits[(unsigned char)c >> 4];
        out[used++] = digits[(unsigned char)c & 15];
    }
    return used;
}

static bool write_userinfo(const struct entry *entry, char *out, size_t size) {
    size_t used = 0;
    if (entry->has_login)
        used = encode(entry->login, out, used, size);
    if (used == size)
        return false;
    out[used++] = ':';
    if (entry->has_password)
        used = encode(entry->password, out, used, size);
    if (used == size)
        return false;
    out[used] = '\0';
    return true;
}

static bool is_readable(const struct stat *status) {
    return S_ISREG(status->st_mode) && status->st_size >= 0 && (size_t)status->st_size <= FILE_MAX;
}

/* Reads at most SIZE bytes, fewer only at the end of the file. Returns how many, or -1. */
static ssize_t read_all(int fd, char *to, size_t size) {
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, to + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static void wipe(char *text, size_t size) {
    if (text)
        explicit_bzero(text, size);
    free(text);
}

/* Fills TEXT with the file at PATH. A file that grows meanwhile could end within a password. */
static char *read_file(const char *path, size_t *length) {
    struct stat status;
    /* A look before: to open a fifo and close it again would break its writer. */
    if (stat(path, &status) != 0 || !is_readable(&status))
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    char *text = NULL, more;
    if (fstat(fd, &status) == 0 && is_readable(&status) && status.st_size > 0) {
        size_t size = (size_t)status.st_size;
        text = malloc(size);
        ssize_t got = text ? read_all(fd, text, size) : -1;
        *length = got > 0 ? (size_t)got : 0;
        if (got < 0 || read_all(fd, &more, 1) != 0 || memchr(text, '\0', *length)) {
            wipe(text, size);
            text = NULL;
        }
    }
    close(fd);
    return text;
}

bool netrc_find(const char *path, struct slice host, const char *login, char *out, size_t size) {
    int saved = errno;
    size_t length = 0;
    struct entry entry;
    bool found = false;
    char *text = read_file(path, &length);
    if (host.length > 1 && host.text[0] == '[' && host.text[host.length - 1] == ']')
        host = (struct slice){host.text + 1, host.length - 2};
    if (text) {
        struct reader reader = {.at = text, .end = text + length, .line_start = true};
        found = find_entry(&reader, host, login && *login ? login : NULL, &entry) &&
                write_userinfo(&entry, out, size);
        wipe(text, length);
    }
    if (!found)
        explicit_bzero(out, size);
    errno = saved;
    return found;
}

bool netrc_default_path(settings_lookup *lookup, char *out, size_t size) {
    static const char name[] = "/.netrc";
    int saved = errno;
    const char *home = lookup("HOME");
    size_t length = home ? strlen(home) : 0;
    bool fits = length && length < size && sizeof name <= size - length;
    if (fits) {
        memcpy(out, home, length);
        memcpy(out + length, name, sizeof name);
    } else if (size) {
        out[0] = '\0';
    }
    errno = saved;
    return fits;
}
