#include "shim/command/watch.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_MS 500

bool watch_open_proc(struct watch *watch, pid_t pid) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    *watch = (struct watch){open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), false};
    return watch->fd >= 0;
}

bool watch_open(struct watch *watch, pid_t pid) {
#ifdef SYS_pidfd_open
    *watch = (struct watch){(int)syscall(SYS_pidfd_open, pid, 0), true};
    if (watch->fd >= 0)
        return true;
#endif
    return watch_open_proc(watch, pid);
}

/* The directory stands for this process alone: once it is gone nothing in it can be opened, even
 * if another process has its number. */
static bool is_gone(int directory) {
    char text[512];
    int fd = openat(directory, "stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return true;
    text[length] = '\0';
    const char *name_end = strrchr(text, ')'); /* proc(5): "PID (NAME) STATE ..." */
    return name_end && (name_end[1] == ' ') && strchr("ZX", name_end[2]);
}

static int clamp(int64_t ms) {
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

bool watch_ended(const struct watch *watch, int64_t ms) {
    struct pollfd fd = {.fd = watch->fd, .events = POLLIN};
    if (watch->pidfd)
        return poll(&fd, 1, clamp(ms)) > 0;
    for (; !is_gone(watch->fd); ms -= LOOK_MS) {
        if (ms <= 0 || poll(NULL, 0, clamp(ms < LOOK_MS ? ms : LOOK_MS)) != 0)
            return false;
    }
    return true;
}
