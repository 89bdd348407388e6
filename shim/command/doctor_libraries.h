/*
 * The shared libraries that a program needs, directly or through others, and where the loader
 * would find them. Files are read; nothing is executed and nothing loaded.
 *
 * The search is that of ld.so(8): DT_RPATH of the object that needs the library and of those that
 * brought it (unless it has a DT_RUNPATH), LD_LIBRARY_PATH, its DT_RUNPATH, the cache, the
 * system's directories. $ORIGIN, $LIB and $PLATFORM are expanded. Directories for special
 * processors (glibc-hwcaps) are left out: what lies there replaces a library by a faster build.
 */
#ifndef SPILLWAY_SHIM_COMMAND_DOCTOR_LIBRARIES_H
#define SPILLWAY_SHIM_COMMAND_DOCTOR_LIBRARIES_H

#include <stdbool.h>
#include <stddef.h>

struct library {
    char *name;    /* as the object that needs it says; of the program: its path */
    char *path;    /* NULL if it was not found */
    size_t parent; /* the index of the first object that needs it */
    char *rpath;   /* DT_RPATH and DT_RUNPATH of this object, or NULL */
    char *runpath;
};

struct libraries {
    struct library *list; /* in the loader's order; the first one is the program */
    size_t count;
};

/*
 * Fills LIBRARIES for the program in the file PATH; ENVIRONMENT is that of LD_LIBRARY_PATH, or
 * NULL. Returns false, with nothing to free, if memory is short or the file is no ELF file of our
 * word size. Not thread-safe.
 */
bool libraries_load(struct libraries *libraries, const char *path, const char *environment);

void libraries_free(struct libraries *libraries);

/*
 * Calls EACH with the path of every entry for NAME in CACHE, the SIZE bytes of a file as
 * ldconfig(8) writes it (format 1.1, also behind the one of libc5; source: dl-cache.h of glibc),
 * until EACH returns true. Returns whether it did. A damaged cache has fewer entries.
 */
bool libraries_each_cached(const void *cache, size_t size, const char *name,
                           bool (*each)(void *context, const char *path), void *context);

#endif
