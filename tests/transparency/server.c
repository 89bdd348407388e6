/*
 * server: the peer of the transparency tests, which answers what answers.h says and remembers every
 * byte that it was sent.
 *
 * Prints three loopback ports on one line. The first and the second one speak HTTP, also as a proxy
 * (to themselves; CONNECT to a host that begins with "denied" gets a 407); "/v1" and "/elsewhere"
 * in front of a path of answers.h are the same. GET of /files/NAME gets that file
 * below the working directory. Whoever connects to the third one gets, once no connection is
 * open any more, a line per request since the last time, and the counters start anew:
 *
 *     CONNECTION.REQUEST METHOD TARGET VERSION | HEADER | HEADER | BODY
 *
 * Ends with its parent, and in any case after LIFE seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"

#define LIFE        180
#define HEAD_LIMIT  (256 * 1024)
#define SHOWN       300 /* bytes of a request's body */
#define HANG_LIMIT  8   /* seconds of silence */
#define IDLE_WAIT   3   /* seconds until a report is given in spite of open connections */
#define CONNECTIONS 256 /* between two reports */

static const char gzipped[] =
    "\x1f\x8b\x08\0\0\0\0\0\x02\x03\x2b\xc9\x48\x55\x28\x2c\xcd\x4c\xce\x56"
    "\x48\x2a\xca\x2f\xcf\x53\x48\xcb\xaf\x50\xc8\x2a\xcd\x2d\x28\x56\xc8\x2f"
    "\x4b\x2d\x52\x28\x01\x4a\xe7\x24\x56\x55\x2a\xa4\xe4\xa7\x73\x01\0\xbf\xde"
    "\xc3\x28\x2c\0\0\0";

/* Under `lock`: what has come since the last report, per connection. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct {
    char *text;
    size_t length;
} logs[CONNECTIONS];
static int connections, open_connections;

static int other_port;

struct connection {
    int fd, number;
    bool ended; /* by the peer */
    char head[HEAD_LIMIT];
    size_t length;
};

struct request {
    char *method, *target, *version;
    char *path; /* of the target */
    char *lines[200];
    size_t line_count;
    FILE *log;
};

static ssize_t receive(struct connection *c, char *data, size_t size) {
    ssize_t got = recv(c->fd, data, size, 0);
    c->ended = c->ended || got <= 0;
    return got;
}

static bool send_bytes(struct connection *c, const char *data, size_t length) {
    while (length > 0) {
        ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* The length of the head at the beginning of the buffer, with its blank line; 0 at the end. */
static size_t read_head(struct connection *c) {
    for (;;) {
        char *end = memmem(c->head, c->length, "\r\n\r\n", 4);
        if (end)
            return (size_t)(end + 4 - c->head);
        if (c->length == sizeof c->head)
            return 0;
        ssize_t got = receive(c, c->head + c->length, sizeof c->head - c->length);
        if (got <= 0)
            return 0;
        c->length += (size_t)got;
    }
}

/* Cuts HEAD (LENGTH bytes) into its lines. */
static bool parse(struct request *r, char *head, size_t length) {
    char *rest = head, *line;
    memset(r, 0, sizeof *r);
    head[length - 4] = '\0';
    r->method = line = strsep(&rest, "\n");
    if (!(r->target = strchr(line, ' ')) || !(r->version = strrchr(line, ' ')) ||
        r->version == r->target)
        return false;
    r->version[strcspn(r->version, "\r")] = '\0';
    *r->target++ = *r->version++ = '\0';
    while ((line = strsep(&rest, "\n")) && r->line_count < 200) {
        line[strcspn(line, "\r")] = '\0';
        r->lines[r->line_count++] = line;
    }
    r->path = r->target;
    if (strncmp(r->path, "http://", 7) == 0)
        r->path = strchr(r->path + 7, '/') ? strchr(r->path + 7, '/') : r->path + strlen(r->path);
    return true;
}

static const char *header(const struct request *r, const char *beginning) {
    size_t length = strlen(beginning);
    for (size_t i = 0; i < r->line_count; i++)
        if (strncasecmp(r->lines[i], beginning, length) == 0)
            return r->lines[i] + length;
    return NULL;
}

/* The next byte of the connection, from its buffer or from the wire; -1 at the end. */
static int next_byte(struct connection *c) {
    if (!c->length) {
        ssize_t got = receive(c, c->head, sizeof c->head);
        if (got <= 0)
            return -1;
        c->length = (size_t)got;
    }
    int byte = (unsigned char)c->head[0];
    memmove(c->head, c->head + 1, --c->length);
    return byte;
}

static void show(FILE *log, int byte) {
    if (byte >= ' ' && byte < 127)
        fputc(byte, log);
    else
        fprintf(log, "\\%02x", (unsigned)byte);
}

/* Takes COUNT bytes of the body; returns whether they came. */
static bool take(struct connection *c, FILE *log, unsigned long count, unsigned long *seen) {
    while (count > 0) {
        int byte = next_byte(c);
        if (byte < 0)
            return false;
        if ((*seen)++ < SHOWN)
            show(log, byte);
        /* the rest of what is there at once: it is counted only */
        unsigned long rest = --count < c->length ? count : c->length;
        if (*seen < SHOWN)
            continue;
        memmove(c->head, c->head + rest, c->length - rest);
        c->length -= rest;
        count -= rest;
        *seen += rest;
    }
    return true;
}

/* Reads a line that ends a chunk or says its size. */
static bool take_line(struct connection *c, char *line, size_t size) {
    size_t length = 0;
    int byte;
    while ((byte = next_byte(c)) >= 0 && byte != '\n')
        if (byte != '\r' && length + 1 < size)
            line[length++] = (char)byte;
    line[length] = '\0';
    return byte == '\n';
}

/* How the body is cut into chunks depends on timing: only its bytes count. */
static bool take_chunks(struct connection *c, FILE *log, unsigned long *seen) {
    char line[200];
    unsigned long size;
    do {
        if (!take_line(c, line, sizeof line))
            return false;
        size = strtoul(line, NULL, 16);
        if (!take(c, log, size, seen) || (size && !take_line(c, line, sizeof line)))
            return false;
    } while (size);
    while (take_line(c, line, sizeof line) && *line)
        fprintf(log, " trailer %s", line);
    return true;
}

static void read_body(struct connection *c, struct request *r) {
    const char *length = header(r, "Content-Length: ");
    bool chunked = header(r, "Transfer-Encoding: chunked") != NULL, whole = true;
    unsigned long seen = 0;
    if (!chunked && !length)
        return;
    fputs(" | ", r->log);
    whole =
        chunked ? take_chunks(c, r->log, &seen) : take(c, r->log, strtoul(length, NULL, 10), &seen);
    if (whole)
        fprintf(r->log, " (%lu%s)", seen, chunked ? ", chunked" : "");
    else
        fputs(" (cut)", r->log);
}

static bool send_padding(struct connection *c, int flags) {
    if (flags & GZIP)
        return send_bytes(c, gzipped, sizeof gzipped - 1);
    bool sent = true;
    if (flags & PADDED) {
        for (int i = 0; sent && i < 60; i++) {
            char line[1100];
            int length = snprintf(line, sizeof line, "X-Pad-%02d: %01000d\r\n", i, 7);
            sent = send_bytes(c, line, (size_t)length);
        }
        return sent;
    }
    char kilobyte[1024];
    memset(kilobyte, 'p', sizeof kilobyte);
    for (int i = 0; sent && i < (flags & BULK ? 300 : 90); i++)
        sent = send_bytes(c, kilobyte, sizeof kilobyte);
    return sent;
}

/* Sends TEXT with its marks replaced; a HEAD request gets its head alone. */
static bool send_text(struct connection *c, const struct request *r, const char *text, int flags) {
    const char *end = text + strlen(text), *blank = NULL;
    if (strcmp(r->method, "HEAD") == 0 && strncmp(text, "HTTP/1.1 1", 10) != 0)
        blank = strstr(text, "\r\n\r\n");
    end = blank ? blank + 4 : end;
    while (text < end) {
        size_t plain = strcspn(text, "@\1");
        plain = plain < (size_t)(end - text) ? plain : (size_t)(end - text);
        char port[12];
        const char *host = header(r, "Host: ");
        if (!send_bytes(c, text, plain))
            return false;
        text += plain;
        if (text >= end)
            break;
        snprintf(port, sizeof port, "%d", other_port);
        bool sent = true;
        if (*text == '\1') {
            poll(NULL, 0, 20);
            text++;
            continue;
        }
        if (strncmp(text, "@PAD@", 5) == 0)
            sent = send_padding(c, flags);
        else if (strncmp(text, "@HOST@", 6) == 0)
            sent = send_bytes(c, host ? host : "", host ? strlen(host) : 0);
        else
            sent = send_bytes(c, port, strlen(port));
        if (!sent)
            return false;
        text = strchr(text + 1, '@') + 1;
    }
    return true;
}

static void await_end(struct connection *c) {
    char rest[4096];
    struct timeval limit = {HANG_LIMIT, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (!c->ended)
        receive(c, rest, sizeof rest);
}

static bool send_file(struct connection *c, char *name) {
    char head[100], block[4096];
    size_t got;
    name[strcspn(name, "?")] = '\0';
    FILE *file = strstr(name, "..") ? NULL : fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0)
        return send_bytes(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 45);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", ftell(file));
    rewind(file);
    bool sent = send_bytes(c, head, strlen(head));
    while (sent && (got = fread(block, 1, sizeof block, file)) > 0)
        sent = send_bytes(c, block, got);
    fclose(file);
    return sent;
}

static const struct answer *find_answer(const char *path) {
    static const struct answer unknown = {"", NULL, NULL, ERROR("404 Not Found"), 0};
    if (strncmp(path, "/v1/", 4) == 0)
        path += 3;
    else if (strncmp(path, "/elsewhere/", 11) == 0)
        path += 10;
    size_t length = strcspn(path, "?#");
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (strlen(answers[i].path) == length && strncmp(answers[i].path, path, length) == 0)
            return &answers[i];
    return &unknown;
}

/* Answers; returns whether the connection goes on. */
static bool answer(struct connection *c, struct request *r) {
    static const char denial[] = "HTTP/1.1 407 Proxy Authentication Required\r\n"
                                 "Proxy-Authenticate: Basic realm=\"there\"\r\n"
                                 "Content-Length: 0\r\n\r\n";
    if (strcmp(r->method, "CONNECT") == 0) {
        bool denied = strncmp(r->target, "denied", 6) == 0;
        return send_text(c, r, denied ? denial : "HTTP/1.1 200 Connected\r\nX-Tunnel: 1\r\n\r\n",
                         0);
    }
    const struct answer *a = find_answer(r->path);
    bool early = a->flags & (EARLY | UNREAD);
    const char *text = !a->when || header(r, a->when) ? a->text : a->otherwise;
    if (header(r, "Expect: 100-continue") && !early)
        send_bytes(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (!early)
        read_body(c, r);
    if (strncmp(r->path, "/files/", 7) == 0)
        return send_file(c, r->path + 1);
    if (!send_text(c, r, text, a->flags))
        return false;
    if (a->flags & EARLY)
        read_body(c, r);
    if (a->flags & HANG)
        await_end(c);
    if (a->flags & RESET) {
        struct linger now = {1, 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    return !(a->flags & (CLOSE | HANG | RESET)) && !c->ended;
}

static void serve(struct connection *c, FILE *log) {
    static const char method_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char *head = malloc(HEAD_LIMIT);
    bool more = head != NULL;
    for (int i = 1; more; i++) {
        struct request r;
        size_t length = read_head(c);
        if (!length || strspn(c->head, method_letters) == 0)
            break;
        memcpy(head, c->head, length);
        memmove(c->head, c->head + length, c->length - length);
        c->length -= length;
        if (!parse(&r, head, length))
            break;
        fprintf(log, "%d.%d %s %s %s", c->number, i, r.method, r.target, r.version);
        for (size_t k = 0; k < r.line_count; k++)
            fprintf(log, " | %s", r.lines[k]);
        r.log = log;
        more = answer(c, &r);
        fputc('\n', log);
    }
    free(head);
}

static void *run_connection(void *connection) {
    struct connection *c = connection;
    size_t size = 0;
    char *text = NULL;
    FILE *log = open_memstream(&text, &size);
    serve(c, log);
    fclose(log);
    shutdown(c->fd, SHUT_WR);
    close(c->fd);
    pthread_mutex_lock(&lock);
    logs[c->number - 1].text = text;
    logs[c->number - 1].length = size;
    open_connections--;
    pthread_cond_broadcast(&idle);
    pthread_mutex_unlock(&lock);
    free(c);
    return NULL;
}

static void start_connection(int fd) {
    struct connection *c = calloc(1, sizeof *c);
    pthread_t thread;
    if (!c)
        exit(1);
    pthread_mutex_lock(&lock);
    if (connections == CONNECTIONS)
        exit(1);
    c->fd = fd;
    c->number = ++connections;
    open_connections++;
    pthread_mutex_unlock(&lock);
    if (pthread_create(&thread, NULL, run_connection, c) != 0)
        exit(1);
    pthread_detach(thread);
}

static void report(int fd) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_WAIT;
    pthread_mutex_lock(&lock);
    int waited = 0;
    while (open_connections > 0 && waited == 0)
        waited = pthread_cond_timedwait(&idle, &lock, &until);
    for (int i = 0; i < connections; i++) {
        if (logs[i].text)
            send(fd, logs[i].text, logs[i].length, MSG_NOSIGNAL);
        free(logs[i].text);
        logs[i].text = NULL;
    }
    if (open_connections > 0)
        send(fd, "still open\n", 11, MSG_NOSIGNAL);
    else
        connections = 0;
    pthread_mutex_unlock(&lock);
    close(fd);
}

static int listen_on(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        exit(1);
    *port = ntohs(address.sin_port);
    return fd;
}

int main(void) {
    int main_port, control_port;
    struct pollfd fds[3] = {{.events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LIFE);
    fds[0].fd = listen_on(&main_port);
    fds[1].fd = listen_on(&other_port);
    fds[2].fd = listen_on(&control_port);
    printf("%d %d %d\n", main_port, other_port, control_port);
    fflush(stdout);
    while (poll(fds, 3, -1) > 0 || errno == EINTR)
        for (int i = 0; i < 3; i++) {
            int fd = fds[i].revents ? accept(fds[i].fd, NULL, NULL) : -1;
            if (fd >= 0 && i < 2)
                start_connection(fd);
            else if (fd >= 0)
                report(fd);
        }
    return 1;
}
