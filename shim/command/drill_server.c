#include "shim/command/drill_server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/command/drill_breaker.h"
#include "shim/command/mock_serve.h"
#include "shim/fault/page.h"

#define EVENT_INTERVAL UINT64_C(50000000) /* ns, of a stream */
#define TOKENS         8

static const char *const names[] = {DRILL_MOCK, DRILL_REFUSED, DRILL_RESET, DRILL_TLS};
enum { MOCK, REFUSED, RESET, TLS };

struct drill_server {
    char directory[PATH_MAX];
    bool bound[sizeof names / sizeof *names]; /* its own, to be removed */
    struct mock_options options;
    struct mock_server *mock;
    struct breaker *breaker;
};

__attribute__((format(printf, 3, 4))) static void complain(char *error, size_t size,
                                                           const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, size, format, arguments);
    va_end(arguments);
}

/* --- sockets --------------------------------------------------------------------------------- */

/* A socket that is bound to a name, and listens if LISTENS. -1 with a message. */
static int bind_socket(struct drill_server *server, int name, bool listens, char *error,
                       size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", server->directory,
                          names[name]);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        complain(error, size, "'%s/%s' is too long a path for a socket, of at most %zu bytes",
                 server->directory, names[name], sizeof address.sun_path - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        server->bound[name] = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (server->bound[name] && (!listens || listen(fd, SOMAXCONN) == 0))
        return fd;
    complain(error, size, "%s: %s", address.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A name that leads to a socket where nobody listens: whoever connects is refused. */
static bool bind_refused(struct drill_server *server, char *error, size_t size) {
    int fd = bind_socket(server, REFUSED, false, error, size);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void remove_sockets(const struct drill_server *server) {
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", server->directory, names[i]);
        if (server->bound[i])
            unlink(path);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static bool start_mock(struct drill_server *server, char *error, size_t size) {
    int fd = bind_socket(server, MOCK, true, error, size);
    if (fd < 0)
        return false;
    server->mock = mock_server_start(&server->options, fd, -1);
    if (server->mock)
        return true;
    close(fd);
    complain(error, size, "the server of the drill did not start");
    return false;
}

static bool start_breaker(struct drill_server *server, char *error, size_t size) {
    int reset = bind_socket(server, RESET, true, error, size);
    int tls = reset < 0 ? -1 : bind_socket(server, TLS, true, error, size);
    if (tls >= 0) {
        server->breaker = breaker_start(reset, tls);
        if (server->breaker)
            return true;
        complain(error, size, "the server of the drill did not start: %s", strerror(errno));
        close(tls);
    }
    if (reset >= 0)
        close(reset);
    return false;
}

struct drill_server *drill_server_start(const char *directory, char *error, size_t size) {
    sigset_t all, before;
    struct drill_server *server = calloc(1, sizeof *server);
    if (!server || strlen(directory) >= sizeof server->directory) {
        complain(error, size, server ? "'%.100s...' is too long a path" : "out of memory",
                 directory);
        free(server);
        return NULL;
    }
    memcpy(server->directory, directory, strlen(directory) + 1);
    server->options = (struct mock_options){.name = "mock",
                                            .dialect = MOCK_ANY,
                                            .event_interval_ns = EVENT_INTERVAL,
                                            .tokens = TOKENS,
                                            .bodies = -1,
                                            .closes = true, /* nobody comes back on them */
                                            .step_header = DRILL_STEP_HEADER,
                                            .name_header = DRILL_BACKEND_HEADER};
    sigfillset(&all); /* threads inherit the mask: the signals stay the caller's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = start_mock(server, error, size) && start_breaker(server, error, size) &&
                   bind_refused(server, error, size);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        return server;
    drill_server_stop(server);
    return NULL;
}

void drill_server_stop(struct drill_server *server) {
    if (!server)
        return;
    breaker_stop(server->breaker);
    if (server->mock)
        mock_server_stop(server->mock);
    remove_sockets(server);
    free(server);
}
