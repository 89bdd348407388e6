/*
 * Shared objects as files: what they need.
 */
#ifndef SPILLWAY_SHIM_OBJECT_H
#define SPILLWAY_SHIM_OBJECT_H

#include <stdbool.h>

#define OBJECT_STRING_MAX 4096

/*
 * Calls EACH with every DT_NEEDED name of the ELF file at PATH, in their order. The name is valid
 * during the call. Returns false if the file can't be read or is none of this machine's kind;
 * a damaged one gives as many names as can be found. Allocates nothing, keeps no file
 * descriptor. Thread-safe; errno is kept.
 */
bool object_each_needed(const char *path, void (*each)(void *context, const char *name),
                        void *context);

/*
 * As object_each_needed(), for every entry of the dynamic section that is a string: TAG is
 * DT_NEEDED, DT_SONAME, DT_RPATH or DT_RUNPATH (elf.h). Strings of OBJECT_STRING_MAX bytes or more
 * are left out.
 */
bool object_each_string(const char *path, void (*each)(void *context, long tag, const char *value),
                        void *context);

/* Whether NAME is a libcurl's file name: libcurl.so.4, libcurl-gnutls.so.4, libcurl-1a2b.so.4 ...
 */
bool object_is_libcurl(const char *name);

/* Whether the object at PATH needs a libcurl, directly. */
bool object_needs_libcurl(const char *path);

#endif
