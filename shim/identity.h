/*
 * By what a file is told from the one that it was: a stat, compared with an earlier one.
 */
#ifndef SPILLWAY_SHIM_IDENTITY_H
#define SPILLWAY_SHIM_IDENTITY_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct identity {
    int error; /* why there is none; 0: the rest is there */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* From what stat or fstat returned, with errno if that is not 0, and filled in. */
static inline struct identity identity_of(int result, const struct stat *status) {
    if (result != 0)
        return (struct identity){.error = errno};
    return (struct identity){.device = status->st_dev,
                             .inode = status->st_ino,
                             .size = status->st_size,
                             .modified = status->st_mtim,
                             .changed = status->st_ctim};
}

/* Of the file at PATH. Changes errno. */
static inline struct identity identity_at(const char *path) {
    struct stat status;
    return identity_of(stat(path, &status), &status);
}

static inline bool identity_same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static inline bool identity_same(const struct identity *a, const struct identity *b) {
    return a->error == b->error && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && identity_same_time(a->modified, b->modified) &&
           identity_same_time(a->changed, b->changed);
}

#endif
