#include "shim/command/mock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "shim/command/mock_command.h"

#define PEM_MAX  (1u << 20)
#define NS_PER_S UINT64_C(1000000000)

/* --- files and sockets --------------------------------------------------------------------- */

/* The text of a PEM file, for free(); or NULL, with a message. */
static char *read_pem(const char *path) {
    char *text = calloc(1, PEM_MAX + 1);
    FILE *file = fopen(path, "re");
    if (text == NULL || file == NULL) {
        fprintf(stderr, "spillway mock: --tls: %s: %s\n", path, strerror(errno));
    } else {
        fread(text, 1, PEM_MAX, file);
        if (strstr(text, "-----BEGIN ") != NULL) {
            fclose(file);
            return text;
        }
        mock_refuse("--tls", path, "a file in PEM form");
    }
    if (file != NULL)
        fclose(file);
    free(text);
    return NULL;
}

/* Splits HOST:PORT or [HOST]:PORT. Returns false if TEXT is neither. */
static bool split_address(const char *text, char *host, size_t size, const char **port) {
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return false;
    }
    if (colon == NULL || length == 0 || length >= size || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtoul(colon + 1, NULL, 10) > 65535)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

static int listen_on(const struct addrinfo *address) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Accepted sockets inherit it: an event of a stream leaves when it is written. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 512) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A listening socket; or -1, with a message and the exit status in *STATUS. */
static int open_listener(const char *text, int *status) {
    char host[256];
    const char *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    *status = MOCK_EXIT_WRONG;
    if (!split_address(text, host, sizeof host, &port)) {
        mock_refuse("--listen", text,
                    "HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or 127.0.0.1:0");
        return -1;
    }
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "spillway mock: --listen: %s: %s\n", text, gai_strerror(error));
        return -1;
    }
    int fd = listen_on(found);
    freeaddrinfo(found);
    *status = EXIT_FAILURE;
    if (fd < 0)
        fprintf(stderr, "spillway mock: --listen: %s: %s\n", text, strerror(errno));
    return fd;
}

static void announce(const struct mock_options *options, int fd) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[64] = "", port[16] = "";
    getsockname(fd, (struct sockaddr *)&address, &length);
    getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    bool brackets = strchr(host, ':') != NULL;
    printf("mock %s listening on %s://%s%s%s:%s\n", options->name,
           options->certificate != NULL ? "https" : "http", brackets ? "[" : "", host,
           brackets ? "]" : "", port);
    fflush(stdout);
}

/* --- life ---------------------------------------------------------------------------------- */

/* Returns when a signal, the number of requests or the time says so. */
static void await_end(const struct mock_server *server, int signals, uint64_t for_ns) {
    struct pollfd polled[] = {{.fd = signals, .events = POLLIN},
                              {.fd = mock_server_enough(server), .events = POLLIN}};
    struct timespec left = {.tv_sec = (time_t)(for_ns / NS_PER_S),
                            .tv_nsec = (long)(for_ns % NS_PER_S)};
    int ready;
    do
        ready = ppoll(polled, 2, &left, NULL);
    while (ready < 0 && errno == EINTR);
}

static int serve(struct mock_command *command, int log_fd) {
    sigset_t ends;
    int status;
    int listener = open_listener(command->listen, &status);
    if (listener < 0)
        return status;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &ends, SFD_CLOEXEC);
    struct mock_server *server = mock_server_start(&command->options, listener, log_fd);
    if (server == NULL || signals < 0) {
        fprintf(stderr, "spillway mock: the server did not start\n");
        return EXIT_FAILURE;
    }
    announce(&command->options, listener);
    await_end(server, signals, command->for_ns);
    mock_server_stop(server);
    close(signals);
    return EXIT_SUCCESS;
}

static int cannot_open(const char *option, const char *path) {
    fprintf(stderr, "spillway mock: %s: %s: %s\n", option, path, strerror(errno));
    return MOCK_EXIT_WRONG;
}

/* Opens the log and the directory for bodies. Returns 0, or the exit status with a message. */
static int open_outputs(struct mock_command *command, int *log_fd) {
    int *bodies = &command->options.bodies;
    if (command->log != NULL) {
        *log_fd = open(command->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (*log_fd < 0)
            return cannot_open("--log", command->log);
    }
    if (command->bodies != NULL) {
        *bodies = open(command->bodies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*bodies < 0 || faccessat(*bodies, ".", W_OK, 0) != 0)
            return cannot_open("--save-bodies", command->bodies);
    }
    return 0;
}

/* Reads the PEM files, then serves. */
static int read_and_serve(struct mock_command *command, int log_fd) {
    char *certificate = NULL, *key = NULL;
    int status = MOCK_EXIT_WRONG;
    if (command->certificate == NULL || ((certificate = read_pem(command->certificate)) != NULL &&
                                         (key = read_pem(command->key)) != NULL)) {
        command->options.certificate = certificate;
        command->options.key = key;
        status = serve(command, log_fd);
    }
    free(certificate);
    free(key);
    return status;
}

/* Opens what the options name, then serves. */
static int open_and_serve(struct mock_command *command) {
    int log_fd = -1;
    if (command->certificate != NULL && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return mock_refuse("--tls", command->certificate,
                           "a libmicrohttpd that was built with TLS");
    int status = open_outputs(command, &log_fd);
    if (status == 0)
        status = read_and_serve(command, log_fd);
    if (log_fd >= 0)
        close(log_fd);
    if (command->options.bodies >= 0)
        close(command->options.bodies);
    return status;
}

int command_mock(int argc, char **argv) {
    struct mock_command command = {.options = {.name = "mock",
                                               .dialect = MOCK_ANY,
                                               .event_interval_ns = NS_PER_S / 10,
                                               .tokens = 8,
                                               .bodies = -1},
                                   .listen = "127.0.0.1:0",
                                   .for_ns = 3600 * NS_PER_S};
    int status = mock_command_parse(&command, argc, argv);
    if (command.helped)
        fputs(mock_command_help, stdout);
    else if (status == 0)
        status = open_and_serve(&command);
    mock_script_free(&command.options.script);
    mock_limit_free(&command.options.limit);
    free(command.options.rules.names);
    return status;
}
