/*
 * server COUNT: the peer of the measurements, an HTTP/1.1 server that does next to nothing.
 *
 * Listens on COUNT loopback ports and prints them on one line. Answers each request with 1 KB of
 * JSON and keeps the connection. Ends when its parent does, and in any case after LIFE seconds.
 *
 *   GET /control/throttle/INDEX/MS  the next request at that port gets a 429, retry-after-ms: MS
 *   GET /control/reset              counters to zero
 *   GET /control/report             per port: requests, 429s among them, connections accepted
 *
 * Requests to /control are not counted.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIFE      900
#define MAX_PORTS 8
#define MAX_FDS   1024
#define REQUEST   (64 * 1024)
#define BODY      1024

static struct {
    unsigned long requests, throttled, connections;
    unsigned throttle_ms; /* for the next request; 0: none */
} ports[MAX_PORTS];
static size_t port_count;

/* By descriptor; the listeners are the first ones. */
static struct connection {
    size_t port;
    bool listener;
    size_t length;
    char *buffer; /* REQUEST bytes and a zero */
} connections[MAX_FDS];

static char answer[BODY + 512];
static size_t answer_length;

static void make_answer(void) {
    char body[BODY + 1];
    int length = snprintf(body, sizeof body,
                          "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"choices\":[{"
                          "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    memset(body + length, 'x', (size_t)(BODY - length));
    memcpy(body + BODY - 5, "\"}}]}", 5);
    length = snprintf(answer, sizeof answer,
                      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "Content-Length: %d\r\nx-ratelimit-remaining-requests: 100\r\n"
                      "x-ratelimit-remaining-tokens: 10000\r\n\r\n",
                      BODY);
    memcpy(answer + length, body, BODY);
    answer_length = (size_t)length + BODY;
}

static bool send_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool send_text(int fd, const char *head, const char *body) {
    char text[1024];
    int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head,
                          strlen(body), body);
    return send_all(fd, text, (size_t)length);
}

static bool control(int fd, const char *path) {
    char body[512] = "";
    if (strncmp(path, "throttle/", 9) == 0) {
        char *end;
        size_t index = strtoul(path + 9, &end, 10);
        if (*end != '/' || index >= port_count)
            return send_text(fd, "404 Not Found", "");
        ports[index].throttle_ms = (unsigned)strtoul(end + 1, NULL, 10);
    } else if (strncmp(path, "reset", 5) == 0) {
        for (size_t i = 0; i < port_count; i++)
            ports[i].requests = ports[i].throttled = ports[i].connections = 0;
    } else if (strncmp(path, "report", 6) == 0) {
        for (size_t i = 0; i < port_count; i++) {
            size_t used = strlen(body);
            snprintf(body + used, sizeof body - used, "%lu %lu %lu\n", ports[i].requests,
                     ports[i].throttled, ports[i].connections);
        }
    } else {
        return send_text(fd, "404 Not Found", "");
    }
    return send_text(fd, "200 OK", body);
}

static bool respond(int fd, size_t port, const char *request) {
    const char *path = strchr(request, ' ');
    if (path && strncmp(path, " /control/", 10) == 0)
        return control(fd, path + 10);
    ports[port].requests++;
    if (!ports[port].throttle_ms)
        return send_all(fd, answer, answer_length);
    char head[128];
    snprintf(head, sizeof head, "429 Too Many Requests\r\nretry-after-ms: %u",
             ports[port].throttle_ms);
    ports[port].throttled++;
    ports[port].throttle_ms = 0;
    return send_text(fd, head, "{\"error\":{\"code\":\"429\",\"message\":\"Rate limit\"}}");
}

/* The length of the request at the beginning of TEXT, 0 if it is not complete. */
static size_t request_length(const char *text, size_t length) {
    const char *end = strstr(text, "\r\n\r\n");
    if (!end)
        return 0;
    size_t need = (size_t)(end - text) + 4;
    const char *field = strcasestr(text, "\r\ncontent-length:");
    if (field && field < end)
        need += strtoul(field + 17, NULL, 10);
    return need <= length ? need : 0;
}

/* Takes what has come; false when the connection is over. */
static bool serve(int fd, struct connection *c) {
    ssize_t got = recv(fd, c->buffer + c->length, REQUEST - c->length, 0);
    if (got <= 0)
        return false;
    c->length += (size_t)got;
    c->buffer[c->length] = '\0';
    size_t used;
    while ((used = request_length(c->buffer, c->length)) > 0) {
        if (!respond(fd, c->port, c->buffer))
            return false;
        c->length -= used;
        memmove(c->buffer, c->buffer + used, c->length + 1);
    }
    return c->length < REQUEST;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void welcome(int epoll, const struct connection *listener, int listen_fd) {
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    if (fd >= MAX_FDS) {
        close(fd);
        return;
    }
    struct connection *c = &connections[fd];
    if (!c->buffer && !(c->buffer = malloc(REQUEST + 1)))
        die("malloc");
    c->port = listener->port;
    c->length = 0;
    ports[c->port].connections++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(epoll, fd);
}

static unsigned listen_at_any_port(int epoll, size_t index) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd >= MAX_FDS || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        listen(fd, 64) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    connections[fd].listener = true;
    connections[fd].port = index;
    watch(epoll, fd);
    return ntohs(address.sin_port);
}

static void loop(int epoll) {
    struct epoll_event events[64];
    for (;;) {
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            struct connection *c = &connections[fd];
            if (c->listener)
                welcome(epoll, c, fd);
            else if (!serve(fd, c))
                close(fd);
        }
    }
}

int main(int argc, char **argv) {
    port_count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (port_count < 1 || port_count > MAX_PORTS) {
        fprintf(stderr, "usage: server COUNT, which is 1 to %d\n", MAX_PORTS);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm(LIFE);
    make_answer();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    for (size_t i = 0; i < port_count; i++)
        printf("%s%u", i ? " " : "", listen_at_any_port(epoll, i));
    printf("\n");
    fflush(stdout);
    loop(epoll);
}
