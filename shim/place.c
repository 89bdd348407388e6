#include "shim/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "shim/pool/ledger.h"
#include "shim/private.h"
#include "shim/state.h"

#define CONTENT     "spillway relay 1 port=%u tls=%u\n"
#define MARK_DIGITS 16

/* NAME is "relay-" and 16 digits; a mark has "." and 16 digits more. */
struct parts {
    char directory[PATH_MAX];
    const char *name; /* in the path that was given */
};

static bool split(const char *path, struct parts *parts) {
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || (size_t)(slash - path) >= sizeof parts->directory) {
        errno = EINVAL;
        return false;
    }
    memcpy(parts->directory, path, (size_t)(slash - path));
    parts->directory[slash - path] = '\0';
    parts->name = slash + 1;
    return true;
}

/* Where the settings come from, as a number; 0 if nowhere. */
static uint64_t identity_of_settings(settings_lookup *lookup) {
    char path[PATH_MAX], here[PATH_MAX] = "";
    const char *text = lookup("SPILLWAY_SETTINGS");
    if (text && *text)
        return ledger_key("text", text, NULL);
    if (!settings_locate(lookup, path, sizeof path) || (*path != '/' && !getcwd(here, sizeof here)))
        return 0;
    return ledger_key("file", here, path + (*path == '/'));
}

bool place_path(const struct settings *settings, settings_lookup *lookup, char path[PATH_MAX]) {
    char room[PATH_MAX];
    struct settings shared = *settings;
    shared.state_scope = STATE_HOST;
    const char *directory = state_directory(&shared, lookup, room, sizeof room);
    uint64_t identity = identity_of_settings(lookup);
    if (!directory || *directory != '/' || !identity)
        return false;
    int length =
        snprintf(path, PATH_MAX, "%s/relay-%016llx", directory, (unsigned long long)identity);
    return length > 0 && length < PATH_MAX;
}

static int open_directory(const char *path, struct parts *parts, bool make) {
    return split(path, parts) ? private_open_directory(parts->directory, make) : -1;
}

/* Opens the file; -1 with EPERM if it is not this user's alone. */
static int open_file(int directory, const char *name, int flags) {
    int fd = openat(directory, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0 && private_is(&status, S_IFREG))
        return fd;
    if (fd >= 0) {
        close(fd);
        errno = EPERM;
    }
    return -1;
}

/* Whether FD is still what NAME stands for: whoever had the place before may have removed it. */
static bool is_there(int directory, const char *name, int fd) {
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* The same for the DIRECTORY. */
static int claim_in(int directory, const char *name) {
    for (;;) {
        int fd = open_file(directory, name, O_RDWR | O_CREAT);
        if (fd < 0)
            return -1;
        bool held = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (held && is_there(directory, name, fd) && ftruncate(fd, 0) == 0)
            return fd;
        int error = errno;
        bool gone = held && !is_there(directory, name, fd);
        close(fd);
        if (gone)
            continue;
        errno = error;
        return -1;
    }
}

int place_claim(const char *path) {
    struct parts parts;
    int directory = open_directory(path, &parts, true);
    if (directory < 0)
        return -1;
    int fd = claim_in(directory, parts.name);
    int error = errno;
    close(directory);
    errno = error;
    return fd;
}

void place_release(int claim, const char *path) {
    unlink(path); /* first: who opens it from here on makes another one */
    close(claim);
}

bool place_announce(int claim, const struct place *place) {
    char text[64];
    int length = snprintf(text, sizeof text, CONTENT, place->port, place->tls_port);
    return pwrite(claim, text, (size_t)length, 0) == length && ftruncate(claim, length) == 0;
}

bool place_withdraw(int claim, const char *path) {
    char text[64];
    if (place_is_needed(path))
        return false;
    ssize_t length = pread(claim, text, sizeof text, 0);
    if (length < 0 || ftruncate(claim, 0) != 0)
        return false;
    if (!place_is_needed(path))
        return true;
    ssize_t written = pwrite(claim, text, (size_t)length, 0);
    (void)written; /* nothing more can be done: it is not found, then */
    return false;
}

static bool parse(char *text, struct place *place) {
    char check[64];
    unsigned port = 0, tls = 0;
    /* NOLINTNEXTLINE(cert-err34-c): what it can't read is not what is written again below */
    if (sscanf(text, "spillway relay 1 port=%5u tls=%5u", &port, &tls) != 2 || port > UINT16_MAX ||
        tls > UINT16_MAX)
        return false;
    snprintf(check, sizeof check, CONTENT, port, tls);
    *place = (struct place){(uint16_t)port, (uint16_t)tls};
    return strcmp(check, text) == 0;
}

bool place_find(const char *path, struct place *place) {
    struct parts parts;
    char text[64];
    int directory = open_directory(path, &parts, false);
    if (directory < 0)
        return false;
    int fd = open_file(directory, parts.name, O_RDONLY);
    close(directory);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ssize_t length = held ? read(fd, text, sizeof text - 1) : 0;
    close(fd); /* and with it the lock, if it was free */
    text[length > 0 ? length : 0] = '\0';
    return length > 0 && parse(text, place);
}

bool place_join(const char *path) {
    struct parts parts;
    char name[NAME_MAX + 1];
    int directory = open_directory(path, &parts, true);
    if (directory < 0)
        return false;
    snprintf(name, sizeof name, "%s.%0*llx", parts.name, MARK_DIGITS,
             (unsigned long long)ledger_mark(ledger_now()));
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    close(directory);
    return fd >= 0;
}

/* The mark that NAME ends with, 0 if it is none for the place PLACE. */
static uint64_t mark_of(const char *name, const char *place) {
    size_t length = strlen(place);
    char *end;
    if (strncmp(name, place, length) != 0 || name[length] != '.' ||
        strlen(name) != length + 1 + MARK_DIGITS)
        return 0;
    uint64_t mark = strtoull(name + length + 1, &end, 16);
    return *end ? 0 : mark;
}

bool place_is_needed(const char *path) {
    struct parts parts;
    bool needed = false;
    uint64_t now = ledger_now();
    int directory = open_directory(path, &parts, false);
    DIR *entries = directory >= 0 ? fdopendir(directory) : NULL;
    if (!entries) {
        if (directory >= 0)
            close(directory);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        uint64_t mark = mark_of(entry->d_name, parts.name);
        if (mark && ledger_lives(mark, now))
            needed = true;
        else if (mark)
            unlinkat(directory, entry->d_name, 0);
    }
    closedir(entries);
    return needed;
}
