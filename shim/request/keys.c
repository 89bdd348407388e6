#include "shim/request/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/identity.h"
#include "shim/log.h"
#include "shim/pool/ledger.h"
#include "shim/private.h"

/* Two writes within one tick of the kernel's clock leave the same time on a file. */
#define TICK_NS INT64_C(100000000)

struct key_line {
    _Atomic unsigned holders; /* the file is one of them */
    char *text;
};

/* Read and written under the lock, but for the pointers, which are constant. */
struct key_file {
    const struct endpoint *endpoint;
    const struct backend *backend;
    char *path;
    bool handed;           /* from `spillway run`: nobody else may have written it */
    struct identity seen;  /* what was read last */
    bool doubtful;         /* it may have changed since, though it looks the same */
    struct key_line *line; /* the last that was good, or NULL */
};

/* What became of looking at a file, for the log. */
struct finding {
    bool changed;        /* it is not what was read last */
    const char *problem; /* why it gives no key; NULL: it does */
    bool kept;           /* then: there is an older one */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    pthread_mutex_lock(&lock);
}

static void after_fork(void) {
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

static struct identity look(const struct key_file *file) {
    struct stat status;
    int flags = file->handed ? AT_SYMLINK_NOFOLLOW : 0;
    return identity_of(fstatat(AT_FDCWD, file->path, &status, flags), &status);
}

/* strerror() would load the program's message catalogues. */
static const char *describe(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "it does not exist";
    case EACCES:
    case EPERM:
        return "permission denied";
    default:
        return "it can't be read";
    }
}

/* Whether a file that was changed at TIME may change again without showing it. */
static bool is_fresh(struct timespec time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t seconds = (int64_t)now.tv_sec - time.tv_sec;
    int64_t age = seconds * 1000000000 + (now.tv_nsec - time.tv_nsec);
    return seconds >= -1 && seconds <= 1 && age < TICK_NS && age > -TICK_NS;
}

/* Fills KEY (CREDENTIALS_KEY_MAX + 1 bytes and one) from FD. Returns NULL, or why not. */
static const char *read_all(int fd, char *key) {
    size_t used = 0;
    ssize_t got = 1;
    while (used <= CREDENTIALS_KEY_MAX && got > 0) {
        got = read(fd, key + used, CREDENTIALS_KEY_MAX + 1 - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    key[used] = '\0';
    if (got < 0)
        return describe(errno);
    if (used > CREDENTIALS_KEY_MAX)
        return "it is longer than 16 KiB";
    return strlen(key) == used ? NULL : "it has a zero byte"; /* the key would be sent cut */
}

/* The same from FILE, and notes in it what was read. */
static const char *read_file(struct key_file *file, char *key) {
    struct stat before, after;
    int fd = open(file->path,
                  O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (file->handed ? O_NOFOLLOW : 0));
    if (fd < 0)
        return describe(errno);
    const char *problem = "it can't be read";
    if (fstat(fd, &before) == 0) {
        problem = file->handed && !private_is(&before, S_IFREG) ? "it is not this user's alone"
                                                                : read_all(fd, key);
        struct identity now = identity_of(fstat(fd, &after), &after);
        file->seen = identity_of(0, &before);
        /* what is read twice without being written to, such as a pipe, may be empty then */
        file->doubtful = S_ISREG(before.st_mode) &&
                         (!identity_same(&now, &file->seen) || is_fresh(before.st_ctim));
    }
    close(fd);
    return problem;
}

static char *trim(char *text) {
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* Makes TEXT, for credentials_free, the line of FILE. */
static bool replace_line(struct key_file *file, char *text) {
    struct key_line *line = malloc(sizeof *line);
    if (!line)
        return false;
    line->holders = 1;
    line->text = text;
    if (file->line)
        key_release_line(file->line);
    file->line = line;
    return true;
}

/* KEY is what a file holds, trimmed. Returns NULL if that can be sent, or why not. */
static const char *fault_of(const char *key) {
    if (!*key)
        return "it is empty";
    return credentials_sendable(key)
               ? NULL
               : "it has a line break or another control character in its key";
}

/* KEY was read from FILE. Returns NULL if it is the file's key now, or why not. */
static const char *take_key(struct key_file *file, char *key) {
    key = trim(key);
    const char *fault = fault_of(key);
    if (fault)
        return fault;
    char *text = credentials_line(file->backend, key);
    if (text && file->line && strcmp(file->line->text, text) == 0) {
        credentials_free(text);
        return NULL;
    }
    if (text && replace_line(file, text))
        return NULL;
    credentials_free(text);
    file->doubtful = true;
    return "memory ran out";
}

/* FILE looks like NOW, which is not what was read last, or may not be: reads it. */
static struct finding read_again(struct key_file *file, const struct identity *now) {
    struct identity last = file->seen;
    const char *problem = "memory ran out";
    char *key = malloc(CREDENTIALS_KEY_MAX + 2);
    file->seen = *now;
    file->doubtful = true; /* unless it can be opened */
    if (key) {
        problem = read_file(file, key);
        if (!problem)
            problem = take_key(file, key);
        explicit_bzero(key, CREDENTIALS_KEY_MAX + 2);
    }
    free(key);
    return (struct finding){!identity_same(&last, &file->seen), problem, file->line != NULL};
}

const char *key_file_fault(const char *path) {
    char key[CREDENTIALS_KEY_MAX + 2], copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return "its path is too long";
    memcpy(copy, path, strlen(path) + 1);
    struct key_file file = {.path = copy};
    const char *fault = read_file(&file, key);
    if (!fault)
        fault = fault_of(trim(key));
    explicit_bzero(key, sizeof key);
    return fault;
}

static void tell(const struct key_file *file, struct finding finding) {
    struct log_line line;
    if (!finding.changed)
        return;
    log_begin(&line,
              !finding.problem ? LOG_INFO
              : finding.kept   ? LOG_WARN
                               : LOG_ERROR,
              "credentials");
    log_text(&line, "endpoint", file->endpoint->name);
    log_text(&line, "backend", file->backend->name);
    log_text(&line, "file", file->path);
    if (finding.problem)
        log_text(&line, "problem", finding.problem);
    log_text(&line, "key", !finding.problem ? "read" : finding.kept ? "kept" : "missing");
    log_end(&line);
}

struct key_use key_take_file(struct key_file *file) {
    int saved = errno;
    struct finding finding = {0};
    struct identity now = look(file);
    pthread_mutex_lock(&lock);
    if (file->doubtful || !identity_same(&now, &file->seen))
        finding = read_again(file, &now);
    struct key_line *line = file->line;
    if (line)
        atomic_fetch_add_explicit(&line->holders, 1, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    tell(file, finding);
    errno = saved;
    return line ? (struct key_use){CREDENTIALS_READY, line->text, line}
                : (struct key_use){CREDENTIALS_MISSING, NULL, NULL};
}

struct key_use key_of_program(char *text) {
    int saved = errno;
    struct key_line *line = text ? malloc(sizeof *line) : NULL;
    if (line) {
        line->holders = 1;
        line->text = text;
    } else {
        credentials_free(text);
        text = NULL;
    }
    errno = saved;
    return (struct key_use){CREDENTIALS_OF_PROGRAM, text, line};
}

void key_release_line(struct key_line *line) {
    int saved = errno;
    if (atomic_fetch_sub_explicit(&line->holders, 1, memory_order_acq_rel) == 1) {
        credentials_free(line->text);
        free(line);
    }
    errno = saved;
}

void key_file_name(const struct endpoint *endpoint, const struct backend *backend,
                   char name[KEY_FILE_NAME_SIZE]) {
    snprintf(name, KEY_FILE_NAME_SIZE, "%016llx",
             (unsigned long long)ledger_key(endpoint->name, backend->name, "key"));
}

/* The path of BACKEND's key file, for free(), or NULL. */
static char *make_path(const struct endpoint *endpoint, const struct backend *backend,
                       const char *directory) {
    char name[KEY_FILE_NAME_SIZE];
    if (!directory)
        return strdup(backend->key);
    key_file_name(endpoint, backend, name);
    size_t size = strlen(directory) + 1 + sizeof name;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", directory, name);
    return path;
}

/* DIRECTORY is where `spillway run` keeps the file; NULL for one of the settings. */
static bool init_file(struct key *key, const struct endpoint *endpoint,
                      const struct backend *backend, const char *directory) {
    struct key_file *file = calloc(1, sizeof *file);
    char *path = file ? make_path(endpoint, backend, directory) : NULL;
    if (!path) {
        free(file);
        return false;
    }
    *file = (struct key_file){
        .endpoint = endpoint, .backend = backend, .path = path, .handed = directory != NULL};
    struct identity now = look(file);
    read_again(file, &now);
    key->file = file;
    pthread_once(&fork_once, watch_forks);
    return true;
}

bool key_init(struct key *key, const struct endpoint *endpoint, const struct backend *backend,
              settings_lookup *lookup) {
    *key = (struct key){0};
    if (backend->key_source == KEY_NONE)
        return true;
    const char *text = backend->key;
    if (backend->key_source == KEY_FILE)
        return init_file(key, endpoint, backend, NULL);
    if (backend->key_source == KEY_COMMAND) {
        const char *directory = lookup("SPILLWAY_KEYS");
        if (directory && *directory)
            return init_file(key, endpoint, backend, directory);
        text = NULL;
    } else if (backend->key_source == KEY_ENVIRONMENT) {
        text = lookup(backend->key);
    }
    key->line = text ? credentials_line(backend, text) : NULL;
    key->state = key->line ? CREDENTIALS_READY : CREDENTIALS_MISSING;
    return true;
}

const char *key_missing(const struct key *key, const struct backend *backend) {
    bool missing = key->file ? !key->file->line : key->state == CREDENTIALS_MISSING;
    if (!missing)
        return NULL;
    if (backend->key_source == KEY_COMMAND)
        return key->file ? "a key of its key_command" : "SPILLWAY_KEYS, which spillway run sets";
    return backend->key_source == KEY_INLINE ? "a key that can be sent" : backend->key;
}

void key_clear(struct key *key) {
    credentials_free(key->line);
    if (key->file && key->file->line)
        key_release_line(key->file->line);
    if (key->file)
        free(key->file->path);
    free(key->file);
    *key = (struct key){0};
}
