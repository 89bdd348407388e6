/*
 * Threads that look a host up, by all the ways there are, and connect to what they get:
 *
 *   socket_threads THREADS MILLISECONDS HOST PORT
 *
 * Every other connection is on a socket that does not block. Exit status 0 if most came about.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64

static const char *host, *port;
static atomic_bool over;
static atomic_ulong tries, connected;

/* The first address that one of the functions gives for the host. */
static bool look_up(unsigned turn, struct sockaddr_in *address) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct hostent entry, *found = NULL;
    char buffer[1024];
    int error;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    if (turn % 3 == 0) {
        if (gethostbyname_r(host, &entry, buffer, sizeof buffer, &found, &error) != 0 || !found)
            return false;
        memcpy(&address->sin_addr, found->h_addr_list[0], sizeof address->sin_addr);
    } else {
        if (getaddrinfo(host, turn % 3 == 1 ? port : NULL, &hints, &list) != 0)
            return false;
        memcpy(address, list->ai_addr, sizeof *address);
        freeaddrinfo(list);
    }
    address->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    return true;
}

/* Waits for a connection that is under way. */
static bool await(int fd) {
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    return poll(&poller, 1, 5000) == 1 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && !error;
}

static bool connect_once(unsigned turn, const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (turn % 2 ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0)
        return false;
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    bool good = result == 0 || (errno == EINPROGRESS && await(fd));
    close(fd);
    return good;
}

static void *work(void *argument) {
    struct sockaddr_in address;
    for (unsigned turn = (unsigned)(uintptr_t)argument; !atomic_load(&over); turn++) {
        atomic_fetch_add(&tries, 1);
        if (look_up(turn, &address) && connect_once(turn, &address))
            atomic_fetch_add(&connected, 1);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS_MAX];
    unsigned count = argc == 5 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    if (count < 1 || count > THREADS_MAX) {
        fputs("usage: socket_threads THREADS MILLISECONDS HOST PORT\n", stderr);
        return 2;
    }
    long ms = strtol(argv[2], NULL, 10);
    host = argv[3];
    port = argv[4];
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0)
            return 2;
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    atomic_store(&over, true);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%lu of %lu connections of %u threads\n", atomic_load(&connected), atomic_load(&tries),
           count);
    return atomic_load(&connected) * 2 > atomic_load(&tries) ? 0 : 1;
}
