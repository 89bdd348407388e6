#include "shim/command/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_FD 3
#define KEEP_MAX 8

/* What a helper is made of. */
struct making {
    helper_work *work;
    void *argument;
    const struct helper_options *options;
    struct watch watch;
    int argc;
    char **argv;
};

static void ignore(int number) {
    (void)number;
}

/* By a function, not by SIG_IGN: what the helper starts has the usual dispositions. */
static void ignore_signals(void) {
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    struct sigaction action = {.sa_handler = ignore};
    sigset_t none;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves FDS, COUNT of them, out of the way of the numbers that they get. */
static bool move_up(const int *fds, int *high, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if ((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, WATCH_FD + 1 + KEEP_MAX)) < 0)
            return false;
    return true;
}

/* Nobody who reads from a pipe of the program is to wait for us. */
static bool leave_files(struct watch *watch, const struct helper_options *options) {
    int high[KEEP_MAX], watched, count = (int)options->keep_count;
    if (!move_up(&watch->fd, &watched, 1) || !move_up(options->keep, high, options->keep_count))
        return false;
    int null = open("/dev/null", O_RDWR | O_NOCTTY);
    for (int fd = 0; fd < 3; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            close(fd);
    watch->fd = dup3(watched, WATCH_FD, O_CLOEXEC);
    for (int i = 0; i < count; i++)
        options->kept[i] = dup3(high[i], WATCH_FD + 1 + i, O_CLOEXEC);
    closefrom(WATCH_FD + 1 + count);
    return watch->fd == WATCH_FD;
}

/* main's words lie one behind the other. */
static void rename_process(const char *name, int argc, char **argv) {
    char *end = argc > 0 ? argv[0] : NULL, thread[16];
    for (int i = 0; i < argc; i++) {
        if (argv[i] != end)
            return;
        end += strlen(end) + 1;
    }
    if (!end)
        return;
    size_t size = (size_t)(end - argv[0]);
    memset(argv[0], 0, size);
    snprintf(argv[0], size, "%s", name);
    snprintf(thread, sizeof thread, "spillway-%s", name);
    prctl(PR_SET_NAME, thread);
}

static void be_helper(const struct making *making) {
    struct watch watch = making->watch;
    rename_process(making->options->name, making->argc, making->argv);
    ignore_signals();
    if (leave_files(&watch, making->options))
        making->work(making->argument, &watch);
    _exit(0);
}

/* The child ends at once; its child is then adopted by whoever adopts orphans. */
static bool start_orphan(const struct making *making) {
    int adopts = 0, status = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &adopts);
    if (adopts) /* that would be us */
        prctl(PR_SET_CHILD_SUBREAPER, 0);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t helper = fork();
        if (helper == 0)
            be_helper(making);
        _exit(helper < 0 ? errno : 0);
    }
    int error = errno;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (adopts)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (child > 0)
        error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
    errno = error;
    return child > 0 && error == 0;
}

/* The first process of a container adopts all orphans. A child that ends without a signal is none
 * for wait(), unless it asks for such (clone(2), __WCLONE). */
static bool start_silent(const struct making *making) {
    long child = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0) {
        setsid();
        be_helper(making);
    }
    return child > 0;
}

bool helper_start(helper_work *work, void *argument, const struct helper_options *options, int argc,
                  char **argv) {
    struct sigaction usual = {.sa_handler = SIG_DFL}, before;
    struct making making = {
        .work = work, .argument = argument, .options = options, .argc = argc, .argv = argv};
    if (!watch_open(&making.watch, getpid()))
        return false;
    sigaction(SIGCHLD, &usual, &before); /* else nobody's status is kept, perhaps */
    bool started = getpid() == 1 ? start_silent(&making) : start_orphan(&making);
    int error = errno;
    sigaction(SIGCHLD, &before, NULL);
    close(making.watch.fd);
    errno = error;
    return started;
}
