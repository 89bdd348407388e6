#include "shim/command/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
#define COUNT (sizeof numbers / sizeof *numbers)

/* Written by interrupt_catch, and `came` by the handler. */
static struct sigaction before[COUNT];
static int ends[2] = {-1, -1};
static volatile sig_atomic_t came;

static void note(int number) {
    int saved = errno;
    came = number;
    ssize_t written = write(ends[1], "", 1);
    (void)written; /* if the pipe is full it is readable */
    errno = saved;
}

int interrupt_catch(void) {
    struct sigaction action = {.sa_handler = note};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    came = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sigaction(numbers[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return ends[0];
}

int interrupt_release(void) {
    if (ends[0] < 0)
        return 0;
    for (size_t i = 0; i < COUNT; i++)
        sigaction(numbers[i], &before[i], NULL);
    close(ends[0]);
    close(ends[1]);
    ends[0] = ends[1] = -1;
    return came;
}
