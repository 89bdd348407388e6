#include "shim/command/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static const int handed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
#define HANDED_ON (sizeof handed_on / sizeof *handed_on)

static void fill(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < HANDED_ON; i++)
        sigaddset(set, handed_on[i]);
}

void child_block(struct child_signals *before) {
    const struct sigaction usual = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_BLOCK, &set, &before->mask);
    sigaction(SIGCHLD, &usual, &before->child); /* else nobody's status is kept, perhaps */
    sigaction(SIGPIPE, &ignore, &before->pipe);
}

void child_unblock(const struct child_signals *before) {
    sigaction(SIGCHLD, &before->child, NULL);
    sigaction(SIGPIPE, &before->pipe, NULL);
    sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

/* In the child: only what is safe after a fork of one thread of several. */
static void become(const char *found, char **program, const struct child_signals *before,
                   int report) {
    child_unblock(before);
    execvp(found, program); /* for a script without "#!" it takes /bin/sh */
    int error = errno;
    ssize_t written = write(report, &error, sizeof error);
    (void)written;
    _exit(127);
}

/* Starts the program. Returns 0, or an errno. */
static int start(const char *found, char **program, const struct child_signals *before,
                 pid_t *child) {
    int ends[2], error = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    *child = fork();
    if (*child == 0)
        become(found, program, before, ends[1]);
    if (*child < 0)
        error = errno;
    close(ends[1]);
    ssize_t length = 0;
    if (!error)
        while ((length = read(ends[0], &error, sizeof error)) < 0 && errno == EINTR)
            ;
    close(ends[0]);
    if (length > 0) /* it could not become the program */
        while (waitpid(*child, NULL, 0) < 0 && errno == EINTR)
            ;
    return error;
}

int child_run(const char *found, char **program, const struct child_signals *before, int *status) {
    sigset_t set;
    pid_t child = 0;
    int error = start(found, program, before, &child);
    fill(&set);
    while (!error) {
        siginfo_t info;
        pid_t ended = waitpid(child, status, WNOHANG);
        if (ended == child)
            return 0;
        if (ended < 0)
            return errno;
        int number = sigwaitinfo(&set, &info);
        /* the terminal sends to all of its foreground processes; and the program may have meant
         * its whole group */
        if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL && info.si_pid != child)
            kill(child, number);
    }
    return error;
}
