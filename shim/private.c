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

bool private_default_directory(settings_lookup *lookup, char *path, size_t size) {
    const char *run = lookup("XDG_RUNTIME_DIR");
    int length = run && *run == '/' ? snprintf(path, size, "%s/spillway", run)
                                    : snprintf(path, size, "/tmp/spillway-%u", (unsigned)geteuid());
    return length > 0 && (size_t)length < size;
}
