#include "shim/command/relay_start.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/command/launch.h"
#include "shim/place.h"

#define BACKLOG 4096 /* the kernel's own limit is lower, mostly */

static void keep_open(int fd, bool open) {
    if (fd >= 0)
        fcntl(fd, F_SETFD, open ? 0 : FD_CLOEXEC);
}

void relay_files_format(const struct relay_files *files, char *text, size_t size) {
    keep_open(files->listen, true);
    keep_open(files->tls, true);
    keep_open(files->claim, true);
    keep_open(files->open, true);
    keep_open(files->ready, true);
    snprintf(text, size, "listen=%d tls=%d claim=%d open=%d ready=%d", files->listen, files->tls,
             files->claim, files->open, files->ready);
}

static bool is_open(int fd) {
    return fd == -1 || (fd > 2 && fcntl(fd, F_GETFD) >= 0);
}

bool relay_files_parse(const char *text, struct relay_files *files) {
    char check[100];
    /* NOLINTNEXTLINE(cert-err34-c): what it can't read is not what is written again below */
    if (sscanf(text, "listen=%9d tls=%9d claim=%9d open=%9d ready=%9d", &files->listen, &files->tls,
               &files->claim, &files->open, &files->ready) != 5)
        return false;
    snprintf(check, sizeof check, "listen=%d tls=%d claim=%d open=%d ready=%d", files->listen,
             files->tls, files->claim, files->open, files->ready);
    if (strcmp(check, text) != 0 || !is_open(files->listen) || !is_open(files->tls) ||
        !is_open(files->claim) || !is_open(files->open) || !is_open(files->ready))
        return false;
    keep_open(files->listen, false);
    keep_open(files->tls, false);
    keep_open(files->claim, false);
    keep_open(files->open, false);
    keep_open(files->ready, false);
    return true;
}

static const char *environment(const char *name) {
    return getenv(name);
}

bool relay_place(const struct settings *settings, char path[PATH_MAX]) {
    return place_path(settings, environment, path);
}

static int listen_at(const struct sockaddr *address, socklen_t length) {
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    if (fd >= 0)
        getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

/* Gives the place at PATH back. */
static void close_all(const char *path, struct relay_files *files) {
    int error = errno;
    if (files->tls >= 0)
        close(files->tls);
    if (files->listen >= 0)
        close(files->listen);
    place_release(files->claim, path);
    files->claim = files->listen = files->tls = -1;
    errno = error;
}

bool relay_take(const char *path, bool tls, struct relay_files *files) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    files->claim = place_claim(path);
    if (files->claim < 0)
        return false;
    files->listen = listen_at((struct sockaddr *)&address, sizeof address);
    files->tls = tls ? listen_at((struct sockaddr *)&address, sizeof address) : -1;
    struct place place = {.port = port_of(files->listen), .tls_port = port_of(files->tls)};
    if (place.port && (place.tls_port || !tls) && place_announce(files->claim, &place))
        return true;
    close_all(path, files);
    return false;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool split(const char *text, char *host, size_t size, const char **port) {
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length)) {
        return false;
    }
    if (!colon || !length || length >= size || !colon[1] || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtoul(colon + 1, NULL, 10) > UINT16_MAX)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

static bool is_loopback(const struct sockaddr *address) {
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    if (address->sa_family == AF_INET) {
        memcpy(&four, address, sizeof four);
        return ntohl(four.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&six, address, sizeof six);
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

int relay_listen(const char *text, bool anybody, char *message, size_t size, int *status) {
    char host[256];
    const char *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found;
    *status = 2;
    if (!split(text, host, sizeof host, &port)) {
        snprintf(message, size,
                 "--listen: found '%s', expected HOST:PORT such as 127.0.0.1:4000 or [::1]:4000",
                 text);
        return -1;
    }
    int error = getaddrinfo(host, port, &hints, &found);
    if (error) {
        snprintf(message, size, "--listen: %s: %s", text, gai_strerror(error));
        return -1;
    }
    int fd = -1;
    if (!anybody && !is_loopback(found->ai_addr)) {
        snprintf(message, size,
                 "--listen: found '%s', expected an address of this host alone (127.0.0.1, ::1) "
                 "unless there is --token-env",
                 text);
    } else {
        *status = 1;
        fd = listen_at(found->ai_addr, found->ai_addrlen);
        if (fd < 0)
            snprintf(message, size, "--listen: %s: %s", text, strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

void relay_address(int fd, char *out, size_t size) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[64] = "", port[16] = "";
    getsockname(fd, (struct sockaddr *)&address, &length);
    getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

void relay_become(const char *library, const struct relay_files *files, char **argv) {
    char text[100];
    char *list = launch_preload(library, getenv("LD_PRELOAD"));
    relay_files_format(files, text, sizeof text);
    if (list && setenv("LD_PRELOAD", list, 1) == 0 && setenv("SPILLWAY_RELAY", text, 1) == 0)
        execv("/proc/self/exe", argv);
    free(list);
}
