/*
 * The event loop: one epoll, and for each file descriptor who is to be told.
 *
 * An event finds its source by its descriptor: one that was forgotten, or closed, while events
 * wait to be told is not told of them any more. One thread.
 */
#ifndef SPILLWAY_RELAY_LOOP_H
#define SPILLWAY_RELAY_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who is told of the events (EPOLL...) of a descriptor. Part of a larger structure, mostly. */
struct source {
    void (*ready)(struct source *source, uint32_t events);
};

struct loop {
    int epoll;
    struct source **sources; /* by descriptor */
    size_t size;
};

/* False with errno. */
bool loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Tells SOURCE of EVENTS of FD, or changes what it is told of. False with errno. */
bool loop_watch(struct loop *loop, int fd, uint32_t events, struct source *source);
bool loop_change(struct loop *loop, int fd, uint32_t events);

/* Ends it. FD is still open. */
void loop_forget(struct loop *loop, int fd);

/* The same for an FD that is about to be closed, which ends it in the kernel. */
void loop_closed(struct loop *loop, int fd);

/* Waits for events, up to NS (UINT64_MAX: for ever), and tells the sources. May return early. */
void loop_wait(struct loop *loop, uint64_t ns);

#endif
