#include "loop.h"

#include <poll.h>
#include <string.h>

/* For loop=socket: what libcurl wants to know, by descriptor. */
static struct pollfd watched[8];
static nfds_t watched_count;
static long timer_ms;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned) {
    nfds_t i = 0;
    (void)easy, (void)userdata, (void)assigned;
    while (i < watched_count && watched[i].fd != fd)
        i++;
    if (what == CURL_POLL_REMOVE) {
        watched[i] = watched[--watched_count];
        return 0;
    }
    watched_count += i == watched_count;
    watched[i].fd = fd;
    watched[i].events =
        (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *userdata) {
    (void)multi, (void)userdata;
    timer_ms = ms;
    return 0;
}

/* One round of an event loop. The clock of a timer starts anew with each event: close enough. */
CURLMcode loop_sockets(CURLM *multi, int *running) {
    struct pollfd ready[8];
    nfds_t count = watched_count;
    memcpy(ready, watched, sizeof ready);
    if (poll(ready, count, timer_ms < 0 ? 1000 : (int)timer_ms) == 0) {
        timer_ms = -1;
        return curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, running);
    }
    for (nfds_t i = 0; i < count; i++) {
        int events = (ready[i].revents & (POLLIN | POLLHUP | POLLERR) ? CURL_CSELECT_IN : 0) |
                     (ready[i].revents & POLLOUT ? CURL_CSELECT_OUT : 0);
        if (events)
            return curl_multi_socket_action(multi, ready[i].fd, events, running);
    }
    return CURLM_OK;
}

CURLMcode loop_perform(CURLM *multi, int *running) {
    CURLMcode code = curl_multi_perform(multi, running);
    if (code == CURLM_OK && *running)
        curl_multi_poll(multi, NULL, 0, 20, NULL);
    return code;
}

CURLM *loop_start(bool sockets) {
    CURLM *multi = curl_multi_init();
    if (sockets) {
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    }
    return multi;
}
