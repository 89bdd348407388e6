/*
 * A program in a terminal of its own, operated by a script:
 *
 *   pty ROWS COLUMNS STEP... -- PROGRAM [ARGUMENT]...
 *
 *   wait=TEXT     until the program has written TEXT since the last wait
 *   keys=TEXT     types TEXT
 *   size=ROWSxCOLUMNS   resizes the terminal
 *   kill=NUMBER   sends that signal
 *   run=COMMAND   runs that by the shell, elsewhere, until it ends
 *   end           until the program has ended
 *
 * No step takes longer than 10 s. Prints what the program wrote, as it came, and on stderr
 * "status=N" (128 + the number of a signal) and "terminal=same" or "terminal=changed": whether
 * its modes are what they were. Its own exit status is 1 if a step failed, else 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 10000 /* ms */

static struct {
    int master, slave;
    pid_t pid;
    int status; /* of waitpid; -1 while it runs */
    char output[1 << 20];
    size_t length, seen;
} the;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Reads what is there, after up to 20 ms. */
static void read_some(void) {
    struct pollfd fd = {.fd = the.master, .events = POLLIN};
    if (poll(&fd, 1, 20) <= 0 || !(fd.revents & POLLIN))
        return;
    ssize_t got = read(the.master, the.output + the.length, sizeof the.output - the.length - 1);
    if (got > 0)
        the.length += (size_t)got;
}

static bool has_ended(void) {
    if (the.status < 0 && waitpid(the.pid, &the.status, WNOHANG) != the.pid)
        the.status = -1;
    return the.status >= 0;
}

static bool wait_for(const char *text) {
    for (long start = now(); now() - start < LIMIT;) {
        bool ended = has_ended();
        read_some();
        const char *found =
            memmem(the.output + the.seen, the.length - the.seen, text, strlen(text));
        if (found) {
            the.seen = (size_t)(found - the.output) + strlen(text);
            return true;
        }
        if (ended)
            return false;
    }
    return false;
}

static bool wait_for_end(void) {
    for (long start = now(); now() - start < LIMIT;) {
        bool ended = has_ended();
        read_some();
        if (ended)
            return true;
    }
    return false;
}

static bool resize(const char *text) {
    char *end;
    struct winsize size = {0};
    size.ws_row = (unsigned short)strtoul(text, &end, 10);
    size.ws_col = *end == 'x' ? (unsigned short)strtoul(end + 1, &end, 10) : 0;
    return !*end && ioctl(the.slave, TIOCSWINSZ, &size) == 0; /* the program gets SIGWINCH */
}

static bool step(const char *text) {
    const char *value = strchr(text, '=');
    value = value ? value + 1 : "";
    if (strncmp(text, "wait=", 5) == 0)
        return wait_for(value);
    if (strncmp(text, "keys=", 5) == 0)
        return write(the.master, value, strlen(value)) == (ssize_t)strlen(value);
    if (strncmp(text, "size=", 5) == 0)
        return resize(value);
    if (strncmp(text, "kill=", 5) == 0)
        return kill(the.pid, (int)strtol(value, NULL, 10)) == 0;
    if (strncmp(text, "run=", 4) == 0)
        return system(value) == 0;
    return strcmp(text, "end") == 0 && wait_for_end();
}

static bool open_terminal(const char *rows, const char *columns) {
    char size[32];
    the.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (the.master < 0 || grantpt(the.master) < 0 || unlockpt(the.master) < 0)
        return false;
    the.slave = open(ptsname(the.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    snprintf(size, sizeof size, "%sx%s", rows, columns);
    return the.slave >= 0 && resize(size);
}

static void start(char **program) {
    the.status = -1;
    the.pid = fork();
    if (the.pid != 0)
        return;
    setsid();
    ioctl(the.slave, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(the.slave, fd);
    execvp(program[0], program);
    _exit(127);
}

static bool same(const struct termios *a, const struct termios *b) {
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

int main(int argc, char **argv) {
    struct termios before, after;
    int first = 3, steps = 3;
    bool good = true;
    while (steps < argc && strcmp(argv[steps], "--") != 0)
        steps++;
    if (steps + 1 >= argc || !open_terminal(argv[1], argv[2]) ||
        tcgetattr(the.slave, &before) < 0) {
        fprintf(stderr, "pty: %s\n", steps + 1 >= argc ? "no program" : strerror(errno));
        return 1;
    }
    start(argv + steps + 1);
    for (; good && first < steps; first++) {
        good = step(argv[first]);
        if (!good)
            fprintf(stderr, "pty: failed: %s\n", argv[first]);
    }
    if (!has_ended()) {
        kill(the.pid, SIGKILL);
        waitpid(the.pid, &the.status, 0);
    }
    fwrite(the.output, 1, the.length, stdout);
    fprintf(stderr, "status=%d\n",
            WIFSIGNALED(the.status) ? 128 + WTERMSIG(the.status) : WEXITSTATUS(the.status));
    bool kept = tcgetattr(the.slave, &after) == 0 && same(&before, &after);
    fprintf(stderr, "terminal=%s\n", kept ? "same" : "changed");
    return good ? 0 : 1;
}
