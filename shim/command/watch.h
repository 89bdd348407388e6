/*
 * Waiting for the end of a process that is nobody's child.
 */
#ifndef SPILLWAY_SHIM_COMMAND_WATCH_H
#define SPILLWAY_SHIM_COMMAND_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watch {
    int fd;
    bool pidfd; /* else the process's directory below /proc, for kernels before 5.3 */
};

/*
 * Opens a watch on process PID, which must not have ended yet; it stays the same through an exec.
 * Returns false with errno if that can't be done. The file descriptor is closed on exec.
 */
bool watch_open(struct watch *watch, pid_t pid);

/* The same without a pidfd. */
bool watch_open_proc(struct watch *watch, pid_t pid);

/*
 * Waits until the process has ended, or MS have passed; a negative MS counts as 0. Returns whether
 * it has ended: a zombie has. May return false early, after a signal.
 */
bool watch_ended(const struct watch *watch, int64_t ms);

#endif
