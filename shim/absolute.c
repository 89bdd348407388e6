#include "shim/absolute.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *absolute_path(const char *path) {
    char whole[PATH_MAX];
    if (*path == '/')
        return strdup(path);
    if (!getcwd(whole, sizeof whole))
        return NULL;
    size_t length = strlen(whole);
    int more = snprintf(whole + length, sizeof whole - length, "/%s", path);
    return more > 0 && (size_t)more < sizeof whole - length ? strdup(whole) : NULL;
}
