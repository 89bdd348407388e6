#include "shim/command/room.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/private.h"

static const char *environment(const char *name) {
    return getenv(name);
}

static const char *no_environment(const char *name) {
    (void)name;
    return NULL;
}

static bool make_in(settings_lookup *lookup, const char *prefix, char *path, size_t size) {
    char base[PATH_MAX];
    if (!private_default_directory(lookup, base, sizeof base))
        return false;
    int length = snprintf(path, size, "%s/%sXXXXXX", base, prefix);
    if (length < 0 || (size_t)length >= size)
        return false;
    int fd = private_open_directory(base, true);
    if (fd < 0)
        return false;
    close(fd);
    /* whatever the umask */
    return mkdtemp(path) && chmod(path, 0700) == 0;
}

bool room_make(const char *prefix, char *path, size_t size) {
    /* XDG_RUNTIME_DIR may still be that of another user, who has become this one */
    return make_in(environment, prefix, path, size) || make_in(no_environment, prefix, path, size);
}

void room_remove(const char *path) {
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
    rmdir(path);
}
