/*
 * A server that sends what stands in files, byte for byte: what no well-behaved server sends.
 *
 *   canned [--early] [--dribble] [--close] [--log FILE] RESPONSE...
 *
 * Prints its URL and goes on in the background, for a minute at most. The Nth request is answered
 * by the Nth RESPONSE, later ones by the last. A RESPONSE is a file, or FILE:FILE...; before each
 * but the first of these it waits until there is a file of that name with ".go" behind it.
 *
 *   --early    answers as soon as the request's header is there, and reads the body afterwards
 *   --dribble  sends each byte on its own
 *   --close    closes the connection after each response
 *   --log      appends the header of each request, and "body: LENGTH" when all of it has come
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIFETIME 60 /* seconds, of each process */

static struct {
    bool early, dribble, close;
    const char *log;
    char **responses;
    int response_count;
    _Atomic int *served; /* shared by the processes of all connections */
} server;

struct request {
    char bytes[65536];
    size_t length; /* in `bytes`, perhaps with the beginning of the body */
    size_t head;   /* length of the header, with its blank line */
};

static void die(const char *what) {
    fprintf(stderr, "canned: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_bytes(int fd, const char *data, size_t length) {
    size_t step = server.dribble ? 1 : length;
    for (size_t at = 0; at < length;) {
        ssize_t sent = send(fd, data + at, step < length - at ? step : length - at, MSG_NOSIGNAL);
        if (sent <= 0)
            exit(0);
        at += (size_t)sent;
    }
}

static void await_file(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s.go", name);
    while (access(path, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void send_file(int fd, const char *path) {
    char data[65536];
    size_t length;
    FILE *file = fopen(path, "re");
    if (!file)
        die(path);
    while ((length = fread(data, 1, sizeof data, file)) > 0)
        send_bytes(fd, data, length);
    fclose(file);
}

static void respond(int fd) {
    int number = atomic_fetch_add(server.served, 1);
    if (number >= server.response_count)
        number = server.response_count - 1;
    char *names = strdup(server.responses[number]), *rest = NULL;
    char *name = strtok_r(names, ":", &rest);
    for (bool first = true; name; first = false, name = strtok_r(NULL, ":", &rest)) {
        if (!first)
            await_file(name);
        send_file(fd, name);
    }
    free(names);
}

/* Reads up to the blank line; false if the client is gone. */
static bool read_head(int fd, struct request *request) {
    char *end;
    while (!(end = memmem(request->bytes, request->length, "\r\n\r\n", 4))) {
        ssize_t got = recv(fd, request->bytes + request->length,
                           sizeof request->bytes - 1 - request->length, 0);
        if (got <= 0)
            return false;
        request->length += (size_t)got;
    }
    request->head = (size_t)(end - request->bytes) + 4;
    return true;
}

/* The value of a header field, or NULL. The header is terminated by now. */
static const char *field(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found && found[-1] == '\n' ? found + strlen(name) : NULL;
}

/* Reads the body, and returns its length on the wire, or -1 if the client is gone before. */
static long read_body(int fd, struct request *request, const char *head) {
    const char *coding = field(head, "transfer-encoding: "),
               *size = field(head, "content-length: ");
    size_t want = size ? strtoul(size, NULL, 10) : 0;
    size_t have = request->length - request->head;
    char tail[65536 + 5] = {0}; /* its first five bytes are those before: the end may be split */
    size_t kept = have < 5 ? have : 5;
    memcpy(tail + 5 - kept, request->bytes + request->length - kept, kept);
    request->length = 0;
    while (coding ? memcmp(tail, "0\r\n\r\n", 5) != 0 : have < want) {
        ssize_t got = recv(fd, tail + 5, sizeof tail - 5, 0);
        if (got <= 0)
            return -1;
        have += (size_t)got;
        memmove(tail, tail + got, 5);
    }
    return (long)have;
}

static void log_request(const char *head, long body) {
    if (!server.log)
        return;
    FILE *file = fopen(server.log, "ae");
    if (!file)
        die(server.log);
    fprintf(file, "%sbody: %ld\n", head, body);
    fclose(file);
}

static void serve(int fd) {
    static struct request request;
    static char head[sizeof request.bytes + 1];
    while (read_head(fd, &request)) {
        memcpy(head, request.bytes, request.head);
        head[request.head] = '\0';
        if (server.early)
            respond(fd);
        else if (field(head, "expect: 100"))
            send_bytes(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        log_request(head, read_body(fd, &request, head));
        if (!server.early)
            respond(fd);
        if (server.close)
            break;
    }
    exit(0);
}

static int listen_anywhere(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) < 0)
        die("listen");
    return fd;
}

static void accept_all(int listener) {
    alarm(LIFETIME);
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            die("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fork() == 0) {
            alarm(LIFETIME);
            close(listener);
            serve(fd);
        }
        close(fd);
    }
}

static void read_options(int argc, char **argv) {
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--early") == 0)
            server.early = true;
        else if (strcmp(argv[i], "--dribble") == 0)
            server.dribble = true;
        else if (strcmp(argv[i], "--close") == 0)
            server.close = true;
        else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
            server.log = argv[++i];
    }
    server.responses = argv + i;
    server.response_count = argc - i;
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    read_options(argc, argv);
    if (server.response_count < 1) {
        fprintf(stderr, "usage: canned [--early] [--dribble] [--close] [--log FILE] RESPONSE...\n");
        return 2;
    }
    server.served = mmap(NULL, sizeof *server.served, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (server.served == MAP_FAILED)
        die("mmap");
    signal(SIGCHLD, SIG_IGN);
    int listener = listen_anywhere(&address);
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child > 0)
        return 0;
    fclose(stdout); /* whoever reads the URL waits for the end of the file */
    accept_all(listener);
}
