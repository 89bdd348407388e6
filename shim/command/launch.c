#include "shim/command/launch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As ld.so separates the list. */
static const char separators[] = " :";

bool launch_absolute(const char *path, char *out, size_t size) {
    char directory[PATH_MAX];
    if (path[0] == '/')
        return (size_t)snprintf(out, size, "%s", path) < size;
    if (!getcwd(directory, sizeof directory))
        return false;
    return (size_t)snprintf(out, size, "%s/%s", directory, path) < size;
}

static bool find_beside(char *path, size_t size, char *message, size_t message_size) {
    char own[PATH_MAX], candidate[PATH_MAX + sizeof "/../lib/" LIBRARY_NAME];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0) {
        snprintf(message, message_size, "cannot read /proc/self/exe: %s", strerror(errno));
        return false;
    }
    own[length] = '\0';
    const char *directory = dirname(own);
    static const char *const places[] = {"", "../lib/"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(candidate, sizeof candidate, "%s/%s" LIBRARY_NAME, directory, places[i]);
        char *real = realpath(candidate, NULL);
        if (!real)
            continue;
        bool fits = (size_t)snprintf(path, size, "%s", real) < size;
        free(real);
        return fits;
    }
    snprintf(message, message_size,
             "found no " LIBRARY_NAME " in %s nor in %s/../lib; SPILLWAY_LIBRARY may name it",
             directory, directory);
    return false;
}

bool launch_find_library(char *path, size_t size, char *message, size_t message_size) {
    const char *named = getenv("SPILLWAY_LIBRARY");
    message[0] = '\0';
    if (!named || !*named) {
        if (!find_beside(path, size, message, message_size))
            return false;
    } else if (!launch_absolute(named, path, size)) {
        snprintf(message, message_size, "SPILLWAY_LIBRARY is too long a path");
        return false;
    }
    if (strpbrk(path, separators)) {
        snprintf(message, message_size,
                 "'%s' has a space or a colon in its path, which LD_PRELOAD cannot express; put a "
                 "copy elsewhere and name it in SPILLWAY_LIBRARY",
                 path);
        return false;
    }
    if (access(path, R_OK) != 0) {
        snprintf(message, message_size, "cannot read '%s': %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* Whether ENTRY of a preload list is a shim: LIBRARY, or one of its name from anywhere. */
static bool is_shim(const char *entry, size_t length, const char *library) {
    static const char name[] = "/" LIBRARY_NAME;
    size_t tail = sizeof name - 1;
    if (library && strlen(library) == length && memcmp(entry, library, length) == 0)
        return true;
    if (length == tail - 1)
        return memcmp(entry, LIBRARY_NAME, length) == 0;
    return length >= tail && memcmp(entry + length - tail, name, tail) == 0;
}

char *launch_preload(const char *library, const char *current) {
    char *list = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&list, &size);
    if (!out)
        return NULL;
    const char *between = "";
    if (library) {
        fputs(library, out);
        between = ":";
    }
    for (const char *entry = current ? current : ""; *entry;) {
        size_t length = strcspn(entry, separators);
        if (length > 0 && !is_shim(entry, length, library)) {
            fprintf(out, "%s%.*s", between, (int)length, entry);
            between = ":";
        }
        entry += length;
        entry += strspn(entry, separators);
    }
    if (fclose(out) != 0) {
        free(list);
        return NULL;
    }
    return list;
}

static int check_program(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOTDIR ? ENOENT : errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : EACCES;
}

int launch_find_program(const char *program, const char *search, char *found, size_t size) {
    if (!*program)
        return ENOENT;
    if (strchr(program, '/')) {
        if ((size_t)snprintf(found, size, "%s", program) >= size)
            return ENAMETOOLONG;
        return check_program(found);
    }
    int error = ENOENT;
    for (const char *entry = search;; entry++) {
        size_t length = strcspn(entry, ":");
        const char *directory = length ? entry : "."; /* an empty entry is the working directory */
        int count = snprintf(found, size, "%.*s/%s", length ? (int)length : 1, directory, program);
        if (count > 0 && (size_t)count < size) {
            int state = check_program(found);
            if (state == 0)
                return 0;
            /* As in a shell, a directory that cannot be searched counts as one without it. */
            if (state == EACCES && access(found, F_OK) == 0)
                error = EACCES;
        }
        entry += length;
        if (!*entry)
            return error;
    }
}

int launch_failed(const char *program, const char *found, int error) {
    const char *reason = strerror(error);
    if (error == ENOENT && found) /* the file is there: its interpreter or loader is missing */
        reason = "cannot execute: required file not found";
    else if (error == ENOENT && !strchr(program, '/'))
        reason = "command not found";
    fprintf(stderr, "spillway: %s: %s\n", program, reason);
    return error == ENOENT ? 127 : 126;
}
