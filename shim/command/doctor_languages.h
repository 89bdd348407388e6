/*
 * Interpreters: their libcurl, if any, comes with a module that is loaded late, so that their
 * files tell nothing of it. What is known of the modules is told instead.
 */
#ifndef SPILLWAY_SHIM_COMMAND_DOCTOR_LANGUAGES_H
#define SPILLWAY_SHIM_COMMAND_DOCTOR_LANGUAGES_H

enum modules {
    MODULES_REACHED, /* the usual way to libcurl is reached */
    MODULES_MISSED,  /* none of the usual modules is */
    MODULES_STARTED, /* a shell: what matters are the programs that it starts */
};

#define LANGUAGE_LINES 4

struct language {
    const char *names[4]; /* of the program, without version */
    enum modules modules;
    const char *lines[LANGUAGE_LINES]; /* one per module, NULL after the last */
};

/* The language whose interpreter has the file name of PATH, php8.2 say; NULL if none has. */
const struct language *language_of(const char *path);

#endif
