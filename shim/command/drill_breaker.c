#include "shim/command/drill_breaker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX (64u << 10) /* of a request; a longer one is reset within it */
#define EVENTS   64

/* What an event is about. */
enum role { ROLE_STOP, ROLE_RESET_LISTENER, ROLE_TLS_LISTENER, ROLE_REQUEST, ROLE_HANDSHAKE };

struct watched {
    enum role role;
    int fd;
    bool head;     /* the head of the request was seen */
    bool chunked;  /* its body ends with "0\r\n\r\n"; else: */
    uint64_t left; /* bytes of the request that were not read yet */
    struct watched *previous, *next;
};

struct breaker {
    pthread_t thread;
    int epoll;
    struct watched stop, reset, tls; /* descriptors that stay */
    struct watched *connections;
    char bytes[HEAD_MAX + 1]; /* scratch */
};

/* --- connections ----------------------------------------------------------------------------- */

static bool watch(struct breaker *breaker, struct watched *watched, uint32_t events) {
    struct epoll_event event = {.events = events, .data = {.ptr = watched}};
    return epoll_ctl(breaker->epoll, EPOLL_CTL_ADD, watched->fd, &event) == 0;
}

/* Closing takes the descriptor out of the epoll instance as well. */
static void drop(struct breaker *breaker, struct watched *connection) {
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        breaker->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    close(connection->fd);
    free(connection);
}

static void take_connections(struct breaker *breaker, const struct watched *listener) {
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct watched *connection = calloc(1, sizeof *connection);
        if (!connection) {
            close(fd);
            continue;
        }
        connection->fd = fd;
        connection->role = listener->role == ROLE_TLS_LISTENER ? ROLE_HANDSHAKE : ROLE_REQUEST;
        connection->next = breaker->connections;
        if (connection->next)
            connection->next->previous = connection;
        breaker->connections = connection;
        /* edges: what is peeked at stays there */
        if (!watch(breaker, connection, EPOLLIN | EPOLLRDHUP | EPOLLET))
            drop(breaker, connection);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

/* The value of the header NAME (with its colon) in the terminated HEAD; NULL if it has none. */
static const char *find_header(const char *head, const char *name) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, strlen(name)) == 0)
            return line + 2 + strlen(name) + strspn(line + 2 + strlen(name), " \t");
    return NULL;
}

/* Looks at the head of a request, if all of it is there: how much there is to come. */
static void look_at_head(struct watched *connection, char *bytes, size_t length) {
    bytes[length] = '\0';
    char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end && length < HEAD_MAX)
        return;
    connection->head = true;
    connection->left = 1; /* enough is there */
    if (!end)
        return;
    end[2] = '\0';
    const char *size = find_header(bytes, "content-length:");
    connection->chunked = find_header(bytes, "transfer-encoding:") != NULL;
    connection->left = (uint64_t)(end + 4 - bytes);
    if (find_header(bytes, "expect:"))
        connection->chunked = false; /* nobody will ask for the body */
    else if (size && !connection->chunked)
        connection->left += strtoull(size, NULL, 10);
}

/* Whether the LENGTH bytes that are there are the rest of the request. */
static bool is_rest(const struct watched *connection, const char *bytes, size_t length) {
    if (!connection->chunked)
        return length >= connection->left;
    return length >= 5 && memcmp(bytes + length - 5, "0\r\n\r\n", 5) == 0;
}

/* Reads on, but for the last piece. False if the connection is to be closed now. */
static bool read_request(struct breaker *breaker, struct watched *connection) {
    for (;;) {
        char *bytes = breaker->bytes;
        ssize_t length = recv(connection->fd, bytes, HEAD_MAX, MSG_PEEK);
        if (length < 0)
            return errno == EAGAIN || errno == EINTR;
        if (length == 0)
            return false;
        size_t there = (size_t)length;
        if (!connection->head)
            look_at_head(connection, bytes, there);
        if (!connection->head)
            return true; /* the rest of the head is another edge */
        if (is_rest(connection, bytes, there))
            return false;
        /* of chunks the last bytes stay, to be seen together with what follows */
        size_t keep = connection->chunked ? 4 : 0;
        if (there <= keep)
            return true;
        length = recv(connection->fd, bytes, there - keep, 0);
        if (length > 0 && !connection->chunked)
            connection->left -= (uint64_t)length;
    }
}

/* A fatal alert, handshake_failure (RFC 8446, section 6.2), once the client has spoken. */
static bool refuse_handshake(struct breaker *breaker, const struct watched *connection) {
    static const unsigned char alert[] = {0x15, 3, 3, 0, 2, 2, 0x28};
    ssize_t length = recv(connection->fd, breaker->bytes, HEAD_MAX, 0);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    if (length > 0)
        send(connection->fd, alert, sizeof alert, MSG_NOSIGNAL);
    return false;
}

/* --- life ------------------------------------------------------------------------------------ */

/* False when it is time to stop. */
static bool handle(struct breaker *breaker, struct watched *watched) {
    switch (watched->role) {
    case ROLE_STOP:
        return false;
    case ROLE_RESET_LISTENER:
    case ROLE_TLS_LISTENER:
        take_connections(breaker, watched);
        return true;
    case ROLE_REQUEST:
        if (!read_request(breaker, watched))
            drop(breaker, watched);
        return true;
    case ROLE_HANDSHAKE:
        if (!refuse_handshake(breaker, watched))
            drop(breaker, watched);
        return true;
    }
    return true;
}

static void *serve(void *context) {
    struct breaker *breaker = context;
    struct epoll_event events[EVENTS];
    for (bool running = true; running;) {
        int count = epoll_wait(breaker->epoll, events, EVENTS, -1);
        for (int i = 0; i < count && running; i++)
            running = handle(breaker, events[i].data.ptr);
    }
    return NULL;
}

static void free_breaker(struct breaker *breaker) {
    if (breaker->epoll >= 0)
        close(breaker->epoll);
    if (breaker->stop.fd >= 0)
        close(breaker->stop.fd);
    free(breaker);
}

struct breaker *breaker_start(int reset, int tls) {
    struct breaker *breaker = calloc(1, sizeof *breaker);
    if (!breaker)
        return NULL;
    breaker->epoll = epoll_create1(EPOLL_CLOEXEC);
    breaker->stop = (struct watched){.role = ROLE_STOP, .fd = eventfd(0, EFD_CLOEXEC)};
    breaker->reset = (struct watched){.role = ROLE_RESET_LISTENER, .fd = reset};
    breaker->tls = (struct watched){.role = ROLE_TLS_LISTENER, .fd = tls};
    bool ready = breaker->epoll >= 0 && breaker->stop.fd >= 0 &&
                 watch(breaker, &breaker->stop, EPOLLIN) &&
                 watch(breaker, &breaker->reset, EPOLLIN) && watch(breaker, &breaker->tls, EPOLLIN);
    int error = ready ? pthread_create(&breaker->thread, NULL, serve, breaker) : errno;
    if (ready && error == 0)
        return breaker;
    free_breaker(breaker);
    errno = error;
    return NULL;
}

void breaker_stop(struct breaker *breaker) {
    if (!breaker)
        return;
    eventfd_write(breaker->stop.fd, 1);
    pthread_join(breaker->thread, NULL);
    for (struct watched *each = breaker->connections, *next; each; each = next) {
        next = each->next;
        drop(breaker, each);
    }
    close(breaker->reset.fd);
    close(breaker->tls.fd);
    free_breaker(breaker);
}
