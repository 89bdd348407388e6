/*
 * What programs do with names and connections that no libcurl makes. Its first argument says what:
 *
 *   addresses HOST SERVICE FAMILY FLAG...   getaddrinfo: each result, or the error. "-" is NULL,
 * FAMILY is any, 4 or 6, FLAG canon, numeric, config, passive, datagram name FUNCTION HOST
 * gethostbyname and its kin: h_name and the address many HOST... getaddrinfo_a, with GAI_WAIT get
 * HOW HOST PORT FAMILY                looks HOST up and asks it for /v1/models: the status line,
 * and errno's value. HOW is main, thread, child, handler (connects in a signal handler),
 * nonblocking, fastopen, only6 or twice
 *
 * With SOCKETS_EARLY=HOST:PORT set, its constructor asks, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char request[] =
    "GET /v1/models HTTP/1.1\r\nHost: llm.test\r\nConnection: close\r\n\r\n";

static const char *text_or_null(const char *text) {
    return strcmp(text, "-") == 0 ? NULL : text;
}

static int family_of(const char *word) {
    return strcmp(word, "4") == 0 ? AF_INET : strcmp(word, "6") == 0 ? AF_INET6 : AF_UNSPEC;
}

static void print_address(const struct sockaddr *address, socklen_t length) {
    char host[INET6_ADDRSTRLEN], port[8];
    getnameinfo(address, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    printf("%s %s %s", address->sa_family == AF_INET6 ? "6" : "4", host, port);
}

static void print_list(int error, const struct addrinfo *list) {
    if (error)
        printf("error %s\n", gai_strerror(error));
    for (; !error && list; list = list->ai_next) {
        print_address(list->ai_addr, list->ai_addrlen);
        printf(" type %d%s%s\n", list->ai_socktype, list->ai_canonname ? " canon " : "",
               list->ai_canonname ? list->ai_canonname : "");
    }
}

static int addresses(char **words, int count) {
    struct addrinfo hints = {.ai_family = family_of(words[2]), .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    for (int i = 3; i < count; i++) {
        hints.ai_flags |= strcmp(words[i], "canon") == 0     ? AI_CANONNAME
                          : strcmp(words[i], "numeric") == 0 ? AI_NUMERICHOST
                          : strcmp(words[i], "config") == 0  ? AI_ADDRCONFIG
                          : strcmp(words[i], "passive") == 0 ? AI_PASSIVE
                                                             : 0;
        if (strcmp(words[i], "datagram") == 0)
            hints.ai_socktype = SOCK_DGRAM;
    }
    errno = 4711;
    int error = getaddrinfo(text_or_null(words[0]), text_or_null(words[1]), &hints, &list);
    print_list(error, list);
    if (!error)
        freeaddrinfo(list);
    return 0;
}

static void print_host(const struct hostent *host) {
    char text[INET6_ADDRSTRLEN];
    if (!host) {
        printf("error %d\n", h_errno);
        return;
    }
    inet_ntop(host->h_addrtype, host->h_addr_list[0], text, sizeof text);
    printf("%s %d %s\n", host->h_name, host->h_length, text);
}

static int name(const char *function, const char *host) {
    struct hostent entry, *found = NULL;
    char buffer[1024];
    int error = 0;
    if (strcmp(function, "gethostbyname") == 0)
        found = gethostbyname(host);
    else if (strcmp(function, "gethostbyname2") == 0)
        found = gethostbyname2(host, AF_INET6);
    else if (strcmp(function, "gethostbyname_r") == 0)
        gethostbyname_r(host, &entry, buffer, sizeof buffer, &found, &error);
    else if (strcmp(function, "gethostbyname2_r") == 0)
        gethostbyname2_r(host, AF_INET6, &entry, buffer, sizeof buffer, &found, &error);
    else if (gethostbyname_r(host, &entry, buffer, 20, &found, &error) == ERANGE)
        puts("too small");
    print_host(found);
    return 0;
}

static int many(char **hosts, int count) {
    static struct gaicb requests[8], *list[8];
    for (int i = 0; i < count; i++) {
        requests[i] = (struct gaicb){.ar_name = hosts[i], .ar_service = "80"};
        list[i] = &requests[i];
    }
    int error = getaddrinfo_a(GAI_WAIT, list, count, NULL);
    printf("result %d\n", error);
    for (int i = 0; i < count; i++) {
        printf("%s: ", requests[i].ar_name);
        print_list(gai_error(&requests[i]), requests[i].ar_result);
    }
    return 0;
}

/* --- asking -------------------------------------------------------------------------------- */

static struct {
    struct sockaddr_storage address;
    socklen_t length;
    int fd, result, error;
    bool fastopen;
} to;

static bool find(const char *host, const char *port, int family) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error) {
        printf("error %s\n", gai_strerror(error));
        return false;
    }
    memcpy(&to.address, list->ai_addr, list->ai_addrlen);
    to.length = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

static void connect_now(int number) {
    (void)number;
    errno = 4711;
    if (to.fastopen)
        to.result = sendto(to.fd, request, sizeof request - 1, MSG_FASTOPEN,
                           (struct sockaddr *)&to.address, to.length) < 0;
    else
        to.result = connect(to.fd, (struct sockaddr *)&to.address, to.length);
    to.error = errno;
}

static void await_connection(void) {
    struct pollfd ready = {.fd = to.fd, .events = POLLOUT};
    socklen_t size = sizeof to.error;
    poll(&ready, 1, 5000);
    getsockopt(to.fd, SOL_SOCKET, SO_ERROR, &to.error, &size);
    to.result = to.error ? -1 : 0;
}

static void read_answer(void) {
    char text[4096];
    size_t used = 0;
    ssize_t got;
    while ((got = read(to.fd, text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    const char *mock = strstr(text, "x-spillway-mock: ");
    printf("%.*s by %.*s\n", (int)strcspn(text, "\r\n"), text,
           mock ? (int)strcspn(mock + 17, "\r\n") : 1, mock ? mock + 17 : "-");
}

static void ask(const char *how) {
    int flags = strcmp(how, "nonblocking") == 0 ? SOCK_NONBLOCK : 0, only6 = 1;
    to.fd = socket(to.address.ss_family, SOCK_STREAM | flags, 0);
    to.fastopen = strcmp(how, "fastopen") == 0;
    if (strcmp(how, "only6") == 0)
        setsockopt(to.fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof only6);
    if (strcmp(how, "handler") == 0) {
        signal(SIGUSR1, connect_now);
        raise(SIGUSR1);
    } else {
        connect_now(0);
    }
    if (flags && to.result != 0 && to.error == EINPROGRESS)
        await_connection();
    if (flags)
        fcntl(to.fd, F_SETFL, fcntl(to.fd, F_GETFL) & ~O_NONBLOCK);
    if (to.result != 0) {
        printf("connect: %s\n", strerror(to.error));
    } else {
        if (!to.fastopen && write(to.fd, request, sizeof request - 1) < 0)
            perror("write");
        if (to.error && to.error != 4711)
            printf("errno is %d\n", to.error);
        read_answer();
    }
    close(to.fd);
}

static void *ask_in_thread(void *how) {
    ask(how);
    return NULL;
}

static int get(char **words) {
    char *how = words[0];
    pthread_t thread;
    if (!find(words[1], words[2], family_of(words[3])))
        return 1;
    if (strcmp(how, "thread") == 0) {
        pthread_create(&thread, NULL, ask_in_thread, how);
        pthread_join(thread, NULL);
    } else if (strcmp(how, "child") == 0) {
        pid_t child = fork();
        if (child == 0) {
            ask(how);
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    } else {
        ask(how);
        if (strcmp(how, "twice") == 0)
            ask(how);
    }
    return 0;
}

__attribute__((constructor)) static void early(void) {
    char *place = getenv("SOCKETS_EARLY"), *colon = place ? strchr(place, ':') : NULL;
    if (!colon)
        return;
    *colon = '\0';
    if (find(place, colon + 1, AF_UNSPEC))
        ask("main");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc > 4 && strcmp(argv[1], "addresses") == 0)
        return addresses(argv + 2, argc - 2);
    if (argc == 4 && strcmp(argv[1], "name") == 0)
        return name(argv[2], argv[3]);
    if (argc > 2 && argc < 11 && strcmp(argv[1], "many") == 0)
        return many(argv + 2, argc - 2);
    if (argc == 6 && strcmp(argv[1], "get") == 0)
        return get(argv + 2);
    return argc == 1 && getenv("SOCKETS_EARLY") ? 0 : 2;
}
