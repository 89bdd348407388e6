#include "shim/command/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/command/launch.h"
#include "shim/pool/ledger.h"

#define MILLISECOND 1000000u

/* A command that runs. */
struct run {
    pid_t pid;
    int pipe; /* its standard output */
    int stop;
    uint64_t deadline; /* ledger_now() */
};

enum outcome { OUTCOME_END, OUTCOME_TIME, OUTCOME_SIZE, OUTCOME_STOP };

/* In the child. */
static void become_shell(const char *command, const char *preload, int out, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (dup2(out, STDOUT_FILENO) < 0 || fcntl(STDOUT_FILENO, F_SETFD, 0) != 0)
        _exit(127);
    int null = open("/dev/null", O_RDONLY | O_NOCTTY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(127);
    if (null != STDIN_FILENO)
        close(null);
    if (*preload ? setenv("LD_PRELOAD", preload, 1) : unsetenv("LD_PRELOAD"))
        _exit(127);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static bool start(struct run *run, const char *command) {
    int ends[2];
    char *preload = launch_preload(NULL, getenv("LD_PRELOAD"));
    pid_t parent = getpid();
    if (!preload)
        return false;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(preload);
        return false;
    }
    run->pid = fork();
    if (run->pid == 0)
        become_shell(command, preload, ends[1], parent);
    free(preload);
    close(ends[1]);
    if (run->pid < 0) {
        close(ends[0]);
        return false;
    }
    setpgid(run->pid, run->pid); /* the child does the same: whoever comes first */
    run->pipe = ends[0];
    return true;
}

static int left_ms(const struct run *run) {
    uint64_t now = ledger_now();
    return now >= run->deadline ? 0 : (int)((run->deadline - now) / MILLISECOND) + 1;
}

/* Reads to the end of what the command prints. */
static enum outcome read_output(const struct run *run, char *output, size_t *length) {
    struct pollfd fds[2] = {{.fd = run->pipe, .events = POLLIN},
                            {.fd = run->stop, .events = POLLIN}};
    for (;;) {
        int left = left_ms(run);
        if (left == 0)
            return OUTCOME_TIME;
        if (poll(fds, 2, left) <= 0)
            continue;
        if (fds[1].revents)
            return OUTCOME_STOP;
        if (!fds[0].revents)
            continue;
        ssize_t got = read(run->pipe, output + *length, FETCH_OUTPUT_MAX + 1 - *length);
        if (got == 0)
            return OUTCOME_END;
        if (got > 0)
            *length += (size_t)got;
        if (*length > FETCH_OUTPUT_MAX)
            return OUTCOME_SIZE;
    }
}

/* It has closed its output: mostly it ends at once. */
static enum outcome wait_for_end(const struct run *run, int *status) {
    struct pollfd stop = {.fd = run->stop, .events = POLLIN};
    for (int pause = 1;; pause = pause < 50 ? pause * 2 : pause) {
        pid_t ended = waitpid(run->pid, status, WNOHANG);
        if (ended == run->pid)
            return OUTCOME_END;
        if (left_ms(run) == 0)
            return OUTCOME_TIME;
        if (poll(&stop, 1, pause) > 0)
            return OUTCOME_STOP;
    }
}

static void kill_group(const struct run *run, int *status) {
    kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, status, 0) < 0 && errno == EINTR)
        ;
}

static bool describe(enum outcome outcome, int status, int64_t limit_ms, char *fault, size_t size) {
    if (outcome == OUTCOME_TIME)
        snprintf(fault, size, "timed out after %lld s", (long long)(limit_ms / 1000));
    else if (outcome == OUTCOME_SIZE)
        snprintf(fault, size, "printed more than 64 KiB");
    else if (outcome == OUTCOME_STOP)
        snprintf(fault, size, "was stopped");
    else if (WIFSIGNALED(status))
        snprintf(fault, size, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(fault, size, "exit status %d", WEXITSTATUS(status));
    else
        return true;
    return false;
}

static bool run_to_end(const char *command, int64_t limit_ms, int stop, char *output,
                       size_t *length, char *fault, size_t size) {
    struct run run = {.stop = stop, .deadline = ledger_now() + (uint64_t)limit_ms * MILLISECOND};
    int status = 0;
    *length = 0;
    if (!start(&run, command)) {
        snprintf(fault, size, "it cannot be run: %s", strerror(errno));
        return false;
    }
    enum outcome outcome = read_output(&run, output, length);
    close(run.pipe);
    if (outcome == OUTCOME_END)
        outcome = wait_for_end(&run, &status);
    if (outcome != OUTCOME_END)
        kill_group(&run, &status);
    if (*length > FETCH_OUTPUT_MAX)
        *length = FETCH_OUTPUT_MAX;
    output[*length] = '\0';
    return describe(outcome, status, limit_ms, fault, size);
}

bool fetch_run(const char *command, int64_t limit_ms, int stop, char *output, size_t *length,
               char *fault, size_t size) {
    struct sigaction usual = {.sa_handler = SIG_DFL}, before;
    /* whoever started us may ignore it, and then nobody's status is kept */
    sigaction(SIGCHLD, &usual, &before);
    bool good = run_to_end(command, limit_ms, stop, output, length, fault, size);
    sigaction(SIGCHLD, &before, NULL);
    return good;
}
