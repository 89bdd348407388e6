/*
 * Whether a preloaded object can reach a program, judged by the program's file.
 */
#ifndef SPILLWAY_SHIM_COMMAND_ELF_H
#define SPILLWAY_SHIM_COMMAND_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum reach {
    REACH_YES,     /* as far as the file tells */
    REACH_UNKNOWN, /* cannot be read, or nothing that this kernel would start */
    REACH_STATIC,  /* no program interpreter (PT_INTERP), so nobody reads LD_PRELOAD */
    REACH_FOREIGN, /* for another word size, byte order or machine than ours */
    REACH_MUSL,    /* linked with musl, which our object for glibc would break */
    REACH_SETUID,  /* these three run in secure-execution mode, see ld.so(8) */
    REACH_SETGID,
    REACH_CAPABILITIES,
};

/* Levels of "#!" that are followed; Linux itself allows 5 (BINPRM_FLAGS, fs/exec.c). */
#define SCRIPT_LEVELS 4

/*
 * Looks at the program in the file PATH. A script counts as what its "#!" line names, a text
 * without such a line as /bin/sh, as execvp(3) would start it. The file that decided is written
 * to FILE, truncated to SIZE. Keeps no file descriptor open. Thread-safe; errno is undefined.
 */
enum reach reach_of_program(const char *path, char *file, size_t size);

/*
 * Writes the interpreter that HEAD, a script's first LENGTH bytes, names to OUT, as load_script of
 * Linux does; /bin/sh if HEAD is a text without "#!". Returns where in HEAD the rest of that line
 * begins, or NULL if it names nothing or more than fits.
 */
const char *reach_read_script(const char *head, size_t length, char *out, size_t size);

/* "statically linked" and the like, to follow "is"; NULL for REACH_YES and REACH_UNKNOWN. */
const char *reach_describe(enum reach reach);

/*
 * Whether LD_PRELOAD may be set for such a program at all. Not for one whose loader would
 * complain on stderr (foreign), nor for one that could not start any more (musl).
 */
bool reach_tolerates_preload(enum reach reach);

/*
 * What a file's privileges mean for a process whose real user and group are UID and GID: the
 * kernel's rule for AT_SECURE (cap_bprm_creds_from_file in Linux' security/commoncap.c).
 * REACH_YES if they change nothing.
 */
enum reach reach_by_privilege(mode_t mode, uid_t owner, gid_t group, bool capabilities, uid_t uid,
                              gid_t gid);

#endif
