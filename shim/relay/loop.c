#include "shim/relay/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS      256
#define MILLISECOND 1000000u

bool loop_open(struct loop *loop) {
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll >= 0;
}

void loop_close(struct loop *loop) {
    if (loop->epoll >= 0)
        close(loop->epoll);
    free(loop->sources);
    *loop = (struct loop){.epoll = -1};
}

static bool reserve(struct loop *loop, int fd) {
    size_t need = (size_t)fd + 1;
    if (need <= loop->size)
        return true;
    size_t size = need < 64 ? 64 : need * 2;
    struct source **sources =
        realloc(loop->sources, size * sizeof(struct source *)); /* NOLINT: an array of pointers */
    if (!sources)
        return false;
    memset(sources + loop->size, 0,
           (size - loop->size) * sizeof(struct source *)); /* NOLINT: likewise */
    loop->sources = sources;
    loop->size = size;
    return true;
}

bool loop_watch(struct loop *loop, int fd, uint32_t events, struct source *source) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (!reserve(loop, fd) || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return false;
    loop->sources[fd] = source;
    return true;
}

bool loop_change(struct loop *loop, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event) == 0;
}

void loop_forget(struct loop *loop, int fd) {
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    loop_closed(loop, fd);
}

void loop_closed(struct loop *loop, int fd) {
    if ((size_t)fd < loop->size)
        loop->sources[fd] = NULL;
}

static int to_ms(uint64_t ns) {
    uint64_t ms = ns / MILLISECOND + (ns % MILLISECOND != 0);
    return ns == UINT64_MAX ? -1 : ms > INT_MAX ? INT_MAX : (int)ms;
}

void loop_wait(struct loop *loop, uint64_t ns) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(loop->epoll, events, EVENTS, to_ms(ns));
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        struct source *source = (size_t)fd < loop->size ? loop->sources[fd] : NULL;
        if (source)
            source->ready(source, events[i].events);
    }
}
