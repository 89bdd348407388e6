#include "shim/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool private_is(const struct stat *status, mode_t type) {
    return (status->st_mode & S_IFMT) == type && status->st_uid == geteuid() &&
           (status->st_mode & 077) == 0;
}

int private_open_directory(const char *given, bool make) {
    char path[PATH_MAX];
    size_t length = strlen(given);
    if (length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, given, length + 1);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0'; /* behind a slash O_NOFOLLOW would not mean the link itself */
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0 && private_is(&status, S_IFDIR))
        return fd;
    if (fd >= 0) {
        close(fd);
        errno = EPERM;
    }
    return -1;
}

/* Whether PATH is a directory of this user: XDG_RUNTIME_DIR may be another one's who has become
 * this user (su), or be gone (a container). */
static bool is_own_directory(const char *path) {
    struct stat status;
    int saved = errno;
    bool own = stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
    errno = saved;
    return own;
}

bool private_default_directory(settings_lookup *lookup, char *path, size_t size) {
    const char *run = lookup("XDG_RUNTIME_DIR");
    bool own = run && *run == '/' && is_own_directory(run);
    int length = own ? snprintf(path, size, "%s/spillway", run)
                     : snprintf(path, size, "/tmp/spillway-%u", (unsigned)geteuid());
    return length > 0 && (size_t)length < size;
}
