/*
 * Running a program as a child that is to notice nothing of its parent: it has the terminal, the
 * process group, the signal mask and the dispositions that this process was started with.
 */
#ifndef SPILLWAY_COMMAND_CHILD_H
#define SPILLWAY_COMMAND_CHILD_H

#include <signal.h>

/* What child_block has changed. */
struct child_signals {
    sigset_t mask;
    struct sigaction child, pipe;
};

/*
 * Blocks the signals that end a process and those that child_run waits for, and ignores SIGPIPE.
 * Threads that are started from here on have them blocked as well. Not thread-safe.
 */
void child_block(struct child_signals *before);

/* Takes that back. What came meanwhile takes effect. */
void child_unblock(const struct child_signals *before);

/*
 * Runs the file FOUND, which has a slash, with the arguments PROGRAM, and waits for its end;
 * between child_block and child_unblock. SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1 and SIGUSR2 are
 * handed on, but not those of the terminal, which the program gets itself. Returns 0 with its end
 * as of waitpid(2) in *STATUS, or an errno if it could not be started.
 */
int child_run(const char *found, char **program, const struct child_signals *before, int *status);

#endif
