/*
 * Running a program as a child, and the private directory for what it needs.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/command/child.h"
#include "shim/command/room.h"

static char shell[] = "/bin/sh", option[] = "-c";

/* What the shell's end is, as a shell would have it; -1 with errno if it did not start. */
static int run(char *script) {
    char *program[] = {shell, option, script, NULL};
    struct child_signals before;
    int status;
    child_block(&before);
    errno = child_run(shell, program, &before, &status);
    int error = errno;
    child_unblock(&before);
    errno = error;
    return error ? -1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Test(child, ends) {
    char ok[] = "true", three[] = "exit 3", killed[] = "kill -9 $$", stopped[] = "kill -TERM $$";
    cr_expect_eq(run(ok), 0);
    cr_expect_eq(run(three), 3);
    cr_expect_eq(run(killed), 137);
    cr_expect_eq(run(stopped), 143);
}

Test(child, what_does_not_start) {
    char absent[] = "/no/such/program", *program[] = {absent, NULL}, directory[] = "/";
    struct child_signals before;
    int status;
    child_block(&before);
    cr_expect_eq(child_run(absent, program, &before, &status), ENOENT);
    program[0] = directory;
    cr_expect_eq(child_run(directory, program, &before, &status), EACCES);
    cr_expect_eq(waitpid(-1, &status, WNOHANG), -1, "a child is left");
    child_unblock(&before);
}

/* The program has the mask and the dispositions that we were started with. */
Test(child, signals_are_those_of_before) {
    /* bits: 0x200 is SIGUSR1, 0x1 SIGHUP, 0x7007 are HUP, INT, QUIT, PIPE, ALRM and TERM */
    char script[] = "set -- $(sed -nE 's/^Sig(Blk|Ign):[[:space:]]*/0x/p' /proc/self/status); "
                    "test $(($1)) = $((0x200)) && test $(($2 & 0x7007)) = 1";
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    cr_expect_eq(run(script), 0);
    sigset_t after;
    sigprocmask(SIG_BLOCK, NULL, &after);
    cr_expect(sigismember(&after, SIGUSR1) && !sigismember(&after, SIGTERM));
}

/* Somebody else ends the drill; and the shell tells when it is ready. */
Test(child, a_signal_is_handed_on) {
    char script[200];
    snprintf(script, sizeof script,
             "trap 'exit 9' TERM; (kill -TERM %d) & while :; do sleep 0.05; done", (int)getpid());
    cr_expect_eq(run(script), 9);
}

Test(child, nobody_s_children_are_waited_for) {
    char script[] = "exit 4";
    signal(SIGCHLD, SIG_IGN);
    cr_expect_eq(run(script), 4);
    struct sigaction action;
    sigaction(SIGCHLD, NULL, &action);
    cr_expect(action.sa_handler == SIG_IGN);
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static void touch(const char *directory, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

Test(room, a_directory_of_ones_own) {
    char base[] = "/tmp/spillway-room.XXXXXX", path[200];
    struct stat status;
    cr_assert(mkdtemp(base));
    setenv("XDG_RUNTIME_DIR", base, 1);
    umask(0777);
    cr_assert(room_make("x-", path, sizeof path));
    umask(022);
    cr_expect_eq(strncmp(path, base, strlen(base)), 0);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    touch(path, "one");
    touch(path, ".two");
    room_remove(path);
    cr_expect_not(exists(path));
    /* a path that is too long for its purpose leads to the other place */
    cr_assert(room_make("x-", path, strlen(base) + 5));
    cr_expect_eq(strncmp(path, "/tmp/spillway-", 14), 0);
    cr_expect_neq(strncmp(path, base, strlen(base)), 0);
    room_remove(path);
    snprintf(path, sizeof path, "%s/spillway", base);
    rmdir(path);
    rmdir(base);
}
