/*
 * A backend's key, alive: the header line that carries it as it is now.
 *
 * A key of a variable or of the settings never changes. A key file is looked at whenever the key
 * is taken, and read again if it is another one or was written to. Whoever has taken a line may
 * point to it until he gives it back, whatever becomes of the file: lines are counted, and wiped
 * and freed when nobody has them any more.
 */
#ifndef SPILLWAY_REQUEST_KEYS_H
#define SPILLWAY_REQUEST_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"
#include "shim/request/credentials.h"

/* The longest name of a file that key_file_name gives, with its end. */
#define KEY_FILE_NAME_SIZE 17

struct key_file;
struct key_line;

struct key {
    enum credentials_state state; /* of a key that never changes */
    char *line;                   /* likewise: "Name: value", or NULL */
    struct key_file *file;        /* NULL: it never changes */
};

/* The key as one attempt uses it. */
struct key_use {
    enum credentials_state state;
    const char *line;      /* "Name: value"; NULL unless CREDENTIALS_READY or from key_of_program */
    struct key_line *held; /* NULL: it lives as long as its struct key */
};

/*
 * Makes KEY for BACKEND of ENDPOINT, which must both outlive it; LOOKUP gives its variable. A file
 * (white space around its key is dropped, 16 KiB at most) is read once. The key of a command is
 * that of a file which `spillway run` keeps in the directory that LOOKUP gives as SPILLWAY_KEYS; it
 * must be a regular file of this user, closed to others. The key of which
 * key_missing then tells may still come, if it is a file's. Returns false if memory ran out. Keeps
 * no file descriptor. errno is not preserved.
 */
bool key_init(struct key *key, const struct endpoint *endpoint, const struct backend *backend,
              settings_lookup *lookup);

/* What to call that which KEY of BACKEND should have come from, for the log, if it is missing;
 * NULL if it is there, or if the backend has none. To be asked right after key_init. */
const char *key_missing(const struct key *key, const struct backend *backend);

/* Why the file at PATH gives no key now, in constant words, or NULL if it does. Reads it; errno is
 * not preserved. For a process of ours: it takes 20 KiB of stack. */
const char *key_file_fault(const char *path);

/* Writes the name of the file that holds the key of a command, for BACKEND of ENDPOINT. */
void key_file_name(const struct endpoint *endpoint, const struct backend *backend,
                   char name[KEY_FILE_NAME_SIZE]);

/* Frees what KEY has made; lines that are still taken stay until they are given back. */
void key_clear(struct key *key);

/* For key_take: the key of FILE. */
struct key_use key_take_file(struct key_file *file);

/* For key_release: gives LINE back. */
void key_release_line(struct key_line *line);

/*
 * The key as it is now, for key_release. If it comes from a file, that is a stat, and a mutex for a
 * moment; else it is nothing. A file that can no longer be read, or holds nothing that can be sent,
 * leaves the key that was good; a line in the log (event=credentials) says so once for each change
 * of the file. Thread-safe, also around a fork; errno is kept.
 */
static inline struct key_use key_take(const struct key *key) {
    return key->file ? key_take_file(key->file) : (struct key_use){key->state, key->line, NULL};
}

/*
 * A use of LINE, a key of the program's for a backend that has none (from credentials_retell; NULL
 * is allowed), which is wiped and freed when it is given back. Without LINE, or if memory ran out,
 * it is one without a line. errno is kept.
 */
struct key_use key_of_program(char *line);

/* Gives USE back and makes it one without a key. Thread-safe; errno is kept. */
static inline void key_release(struct key_use *use) {
    if (use->held)
        key_release_line(use->held);
    *use = (struct key_use){CREDENTIALS_OF_PROGRAM, NULL, NULL};
}

#endif
