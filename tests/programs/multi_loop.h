/*
 * The ways in which programs drive a multi handle, one turn at a time: wait until something may
 * have happened, let libcurl run once. For the clients of the integration tests; each includes it
 * once.
 *
 *   perform     curl_multi_perform, then curl_multi_poll
 *   wait        curl_multi_wait
 *   fdset       curl_multi_fdset, curl_multi_timeout and select
 *   epoll       socket and timer callbacks, curl_multi_socket_action, with epoll
 *   socket_all  as epoll, but curl_multi_socket_all
 *
 * It ends the program with status 3 when libcurl breaks a promise of its interface.
 */
#ifndef SPILLWAY_TESTS_MULTI_LOOP_H
#define SPILLWAY_TESTS_MULTI_LOOP_H

#define CURL_DISABLE_DEPRECATION /* curl_multi_socket_all */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

struct loop {
    CURLM *multi;
    const char *kind;
    int epoll;          /* -1: libcurl waits by itself */
    double due;         /* when the timer fires; below 0: never */
    int running;        /* as the last turn left it */
    double longest;     /* seconds in one call that must not block */
    int watched, blind; /* sockets now; calls for a known socket without its assigned data */
};

/* What is assigned to a socket. */
struct watch {
    int fd;
    unsigned magic;
};
#define WATCH_MAGIC 0x5eedu
#define SOCKETS_MAX 4096

static struct watch loop_watches[SOCKETS_MAX];
static bool loop_known[SOCKETS_MAX]; /* sockets that libcurl asked to watch */

static double loop_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((format(printf, 1, 2), noreturn)) static void loop_broken(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("BROKEN ");
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
    _exit(3);
}

static void loop_check(CURLMcode code, const char *what) {
    if (code != CURLM_OK)
        loop_broken("%s: %s", what, curl_multi_strerror(code));
}

static void loop_forget(struct loop *loop, int fd, struct watch *watch) {
    if (watch && watch->magic != WATCH_MAGIC)
        loop_broken("socket %d: not the data that was assigned", fd);
    if (loop_known[fd] && !watch)
        loop->blind++;
    if (loop_known[fd])
        loop->watched--;
    loop_known[fd] = false;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* A program keeps its own record of a socket with curl_multi_assign, and asks for it here. */
static int loop_on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned) {
    struct loop *loop = userdata;
    struct watch *watch = assigned;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (fd < 0 || fd >= SOCKETS_MAX)
        loop_broken("socket %d", fd);
    if (what == CURL_POLL_REMOVE) {
        loop_forget(loop, fd, watch);
        return 0;
    }
    if (watch && (watch->magic != WATCH_MAGIC || watch->fd != fd))
        loop_broken("socket %d: not the data that was assigned", fd);
    if (!watch) {
        if (loop_known[fd])
            loop_broken("socket %d: its assigned data is gone", fd);
        watch = &loop_watches[fd];
        *watch = (struct watch){fd, WATCH_MAGIC};
        loop_check(curl_multi_assign(loop->multi, fd, watch), "curl_multi_assign");
        loop->watched++;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(loop->epoll, loop_known[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0 &&
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        loop_broken("epoll_ctl of socket %d", fd);
    loop_known[fd] = true;
    return 0;
}

static int loop_on_timer(CURLM *multi, long timeout_ms, void *userdata) {
    struct loop *loop = userdata;
    (void)multi;
    loop->due = timeout_ms < 0 ? -1 : loop_now() + (double)timeout_ms / 1e3;
    return 0;
}

/* Prepares LOOP for a new multi handle, which loop_end cleans up. */
static void loop_begin(struct loop *loop, const char *kind) {
    *loop = (struct loop){.kind = kind, .epoll = -1, .due = -1};
    loop->multi = curl_multi_init();
    if (strcmp(kind, "epoll") == 0 || strcmp(kind, "socket_all") == 0) {
        loop->epoll = epoll_create1(EPOLL_CLOEXEC);
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, loop_on_socket);
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, loop_on_timer);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    }
}

/* curl_multi_cleanup while handles are in it: libcurl says nothing of their sockets. */
__attribute__((unused)) static void loop_abandon(struct loop *loop) {
    loop_check(curl_multi_cleanup(loop->multi), "curl_multi_cleanup");
    if (loop->epoll >= 0)
        close(loop->epoll);
    memset(loop_known, 0, sizeof loop_known);
}

/* curl_multi_cleanup, and a look at what it left behind. */
static void loop_end(struct loop *loop) {
    loop_check(curl_multi_cleanup(loop->multi), "curl_multi_cleanup");
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->watched)
        loop_broken("%d sockets are still watched", loop->watched);
    if (loop->blind)
        loop_broken("%d sockets were removed without their assigned data", loop->blind);
}

static void loop_timed(struct loop *loop, double started) {
    double took = loop_now() - started;
    if (took > loop->longest)
        loop->longest = took;
}

static void loop_act(struct loop *loop, int fd, unsigned events) {
    double started = loop_now();
    int bits = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    if (strcmp(loop->kind, "socket_all") == 0)
        loop_check(curl_multi_socket_all(loop->multi, &loop->running), "curl_multi_socket_all");
    else
        loop_check(curl_multi_socket_action(loop->multi, fd, bits, &loop->running),
                   "curl_multi_socket_action");
    loop_timed(loop, started);
}

static void loop_turn_epoll(struct loop *loop, int limit_ms) {
    struct epoll_event events[64];
    double left = loop->due < 0 ? limit_ms : (loop->due - loop_now()) * 1e3;
    int wait = left > limit_ms ? limit_ms : left < 0 ? 0 : (int)left + (left > (int)left);
    int count = epoll_wait(loop->epoll, events, 64, wait);
    for (int i = 0; i < count; i++)
        if (loop_known[events[i].data.fd]) /* an event before may have closed it */
            loop_act(loop, events[i].data.fd, events[i].events);
    if (loop->due >= 0 && loop_now() >= loop->due) {
        loop->due = -1;
        loop_act(loop, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void loop_turn_fdset(struct loop *loop, int limit_ms) {
    fd_set in, out, other;
    int highest = -1;
    long wait = -1;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&other);
    loop_check(curl_multi_fdset(loop->multi, &in, &out, &other, &highest), "curl_multi_fdset");
    loop_check(curl_multi_timeout(loop->multi, &wait), "curl_multi_timeout");
    if (highest < 0 && (wait < 0 || wait > 100))
        wait = 100; /* as its manual page says */
    if (wait < 0 || wait > limit_ms)
        wait = limit_ms;
    struct timeval timeout = {wait / 1000, wait % 1000 * 1000};
    select(highest + 1, &in, &out, &other, &timeout);
}

/* One turn: waits for LIMIT_MS at most. Returns how many transfers still run. */
static int loop_turn(struct loop *loop, int limit_ms) {
    int ready = 0;
    if (loop->epoll >= 0) {
        loop_turn_epoll(loop, limit_ms);
        return loop->running;
    }
    if (strcmp(loop->kind, "fdset") == 0)
        loop_turn_fdset(loop, limit_ms);
    else if (strcmp(loop->kind, "wait") == 0)
        loop_check(curl_multi_wait(loop->multi, NULL, 0, limit_ms, &ready), "curl_multi_wait");
    else
        loop_check(curl_multi_poll(loop->multi, NULL, 0, limit_ms, &ready), "curl_multi_poll");
    double started = loop_now();
    loop_check(curl_multi_perform(loop->multi, &loop->running), "curl_multi_perform");
    loop_timed(loop, started);
    return loop->running;
}

#endif
