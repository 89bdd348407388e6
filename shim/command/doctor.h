/*
 * `spillway doctor`: what the shim can reach in a program, and how. The program is never run.
 */
#ifndef SPILLWAY_SHIM_COMMAND_DOCTOR_H
#define SPILLWAY_SHIM_COMMAND_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "shim/command/doctor_languages.h"
#include "shim/command/doctor_libraries.h"
#include "shim/command/doctor_marks.h"
#include "shim/command/elf.h"

/* Programs that run a program: script, env, script ... A bound for those that run themselves. */
#define DOCTOR_RUNNERS_MAX 8

struct diagnosis {
    char program[PATH_MAX];     /* the file that was asked for */
    char file[PATH_MAX];        /* the ELF file that decides; for a script, what runs it */
    char runners[2 * PATH_MAX]; /* the files from PROGRAM, exclusive, to FILE; empty if equal */
    char machine[40];           /* what FILE is for, as in "64-bit x86-64" */
    enum reach reach;           /* of FILE, for the user who asks */
    bool privileged;            /* reached, but not for every user: setuid or setgid */
    const struct language *language; /* or NULL */
    struct libraries libraries;      /* empty if the loader does not decide or can't be told */
    struct marks marks;              /* of FILE */
    const char *container;           /* a library that seems to contain libcurl, or NULL */
};

/*
 * Examines PROGRAM, which is looked for in SEARCH (as in PATH) unless it has a slash; LIBRARY_PATH
 * is the value of LD_LIBRARY_PATH or NULL. Returns true, or false with why it is no program in
 * MESSAGE. Nothing needs to be freed after false. Not thread-safe.
 */
bool doctor_examine(const char *program, const char *search, const char *library_path,
                    struct diagnosis *diagnosis, char *message, size_t size);

void doctor_free(struct diagnosis *diagnosis);

/* Prints DIAGNOSIS to OUT, in lines; control characters of names become '?'. */
void doctor_print(const struct diagnosis *diagnosis, FILE *out);

/* The command. Returns its exit status. */
int command_doctor(int argc, char **argv);

#endif
