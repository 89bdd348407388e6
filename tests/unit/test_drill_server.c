/* The fault server: what a client of its sockets meets. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/command/drill_server.h"
#include "shim/fault/page.h"

#define PATIENCE 20000 /* ms */

static char directory[] = "/tmp/spillway-server-XXXXXX";
static struct drill_server *server;

static void start(void) {
    char error[200];
    cr_assert(mkdtemp(directory));
    server = drill_server_start(directory, error, sizeof error);
    cr_assert(server, "%s", error);
}

static void stop(void) {
    drill_server_stop(server);
    cr_expect_eq(rmdir(directory), 0, "something is left");
}

/* Returns a descriptor, or -1 with errno. */
static int connect_to(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Sends all of TEXT; false if the other end is gone. */
static bool put(int fd, const char *text, size_t length) {
    return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* What came up to the end, terminated; -1 with errno if that was no orderly end. */
static ssize_t get(int fd, char *out, size_t size) {
    size_t used = 0;
    for (;;) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&polled, 1, PATIENCE), 1, "nothing comes");
        ssize_t length = recv(fd, out + used, size - 1 - used, 0);
        if (length < 0)
            return -1;
        if (length == 0)
            break;
        used += (size_t)length;
    }
    out[used] = '\0';
    return (ssize_t)used;
}

/* Sends TEXT to NAME, and expects a reset. */
static void expect_reset(const char *text) {
    char answer[100];
    int fd = connect_to(DRILL_RESET);
    cr_assert(fd >= 0);
    cr_assert(put(fd, text, strlen(text)));
    cr_expect_eq(get(fd, answer, sizeof answer), -1, "%s", text);
    cr_expect_eq(errno, ECONNRESET, "%s: %s", text, strerror(errno));
    close(fd);
}

/* Nothing is to come for a moment: the request is not complete yet. */
static void expect_patience(int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    cr_expect_eq(poll(&polled, 1, 50), 0, "an answer before the request's end");
}

TestSuite(drill_server, .init = start, .fini = stop, .timeout = 60);

Test(drill_server, nobody_listens_where_connections_are_refused) {
    cr_expect_eq(connect_to(DRILL_REFUSED), -1);
    cr_expect_eq(errno, ECONNREFUSED);
}

Test(drill_server, requests_are_reset) {
    expect_reset("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_reset("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
    expect_reset("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    expect_reset("POST / HTTP/1.1\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n");
    expect_reset("no request at all\r\n\r\n");
}

Test(drill_server, a_reset_comes_after_the_whole_request) {
    static const char head[] = "POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n";
    static char body[200000], answer[10];
    memset(body, 'x', sizeof body);
    int fd = connect_to(DRILL_RESET);
    cr_assert(put(fd, head, 10));
    expect_patience(fd);
    cr_assert(put(fd, head + 10, sizeof head - 11));
    expect_patience(fd);
    cr_assert(put(fd, body, sizeof body - 1));
    expect_patience(fd);
    cr_assert(put(fd, body, 1));
    cr_expect_eq(get(fd, answer, sizeof answer), -1);
    cr_expect_eq(errno, ECONNRESET);
    close(fd);
}

Test(drill_server, chunks_are_awaited_to_their_end) {
    char answer[10];
    int fd = connect_to(DRILL_RESET);
    cr_assert(put(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 48));
    expect_patience(fd);
    cr_assert(put(fd, "2\r\n{}\r\n0\r", 9));
    expect_patience(fd);
    cr_assert(put(fd, "\n\r\n", 3));
    cr_expect_eq(get(fd, answer, sizeof answer), -1);
    cr_expect_eq(errno, ECONNRESET);
    close(fd);
}

Test(drill_server, a_head_without_end_is_reset) {
    static char head[100000];
    char answer[10];
    memset(head, 'x', sizeof head);
    int fd = connect_to(DRILL_RESET);
    put(fd, head, sizeof head); /* may be cut short */
    cr_expect_eq(get(fd, answer, sizeof answer), -1);
    cr_expect_eq(errno, ECONNRESET);
    close(fd);
}

Test(drill_server, handshakes_are_refused) {
    char answer[100];
    int fd = connect_to(DRILL_TLS);
    cr_assert(put(fd, "\x16\x03\x01", 3));
    cr_expect_eq(get(fd, answer, sizeof answer), 7);
    cr_expect_arr_eq(answer, "\x15\x03\x03\x00\x02\x02\x28", 7);
    close(fd);
}

/* The answer to a GET with LINES in its head. */
static void ask(const char *lines, char *answer, size_t size) {
    char request[400];
    int fd = connect_to(DRILL_MOCK);
    snprintf(request, sizeof request, "GET /v1/models HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    cr_assert(put(fd, request, strlen(request)));
    cr_assert(get(fd, answer, size) >= 0, "%s: %s", lines, strerror(errno));
    close(fd);
}

Test(drill_server, a_request_names_its_step_and_its_mock) {
    static const struct {
        const char *lines, *begin, *holds;
    } table[] = {
        {"", "HTTP/1.1 200 ", "x-spillway-mock: mock\r\n"},
        {DRILL_BACKEND_HEADER ": ptu\r\n", "HTTP/1.1 200 ", "x-spillway-mock: ptu\r\n"},
        {DRILL_BACKEND_HEADER ": 127.0.0.1:80\r\n", "HTTP/1.1 200 ",
         "x-spillway-mock: 127.0.0.1:80"},
        {DRILL_BACKEND_HEADER ": a\"b\r\n", "HTTP/1.1 200 ", "x-spillway-mock: mock\r\n"},
        {DRILL_STEP_HEADER ": 429:retry-after=\"5\"\r\n", "HTTP/1.1 429 ", "retry-after: 5\r\n"},
        {DRILL_STEP_HEADER ": 503\r\n" DRILL_BACKEND_HEADER ": b\r\n", "HTTP/1.1 503 ", ": b\r\n"},
        {DRILL_STEP_HEADER ": what?\r\n", "HTTP/1.1 500 ", ""},
        {DRILL_STEP_HEADER ": close\r\n", "", ""},
    };
    static char answer[5000];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ask(table[i].lines, answer, sizeof answer);
        cr_expect(strncmp(answer, table[i].begin, strlen(table[i].begin)) == 0, "%s: %s",
                  table[i].lines, answer);
        cr_expect(strstr(answer, table[i].holds), "%s: %s", table[i].lines, answer);
    }
}

Test(drill_server, who_waits_is_let_go_at_the_end) {
    char answer[100];
    int fd = connect_to(DRILL_MOCK), half = connect_to(DRILL_RESET);
    static const char request[] =
        "GET /v1/models HTTP/1.1\r\nHost: a\r\n" DRILL_STEP_HEADER ": hang\r\n\r\n";
    cr_assert(put(fd, request, sizeof request - 1) && put(half, "GET", 3));
    expect_patience(fd);
    drill_server_stop(server);
    server = NULL;
    cr_expect_eq(get(fd, answer, sizeof answer), 0);
    get(half, answer, sizeof answer);
    close(fd);
    close(half);
}

Test(drill_server, what_is_wrong_is_said) {
    char error[200], deep[300], again[200];
    snprintf(deep, sizeof deep, "/tmp/%0120d", 0);
    cr_expect_null(drill_server_start(deep, error, sizeof error));
    cr_expect(strstr(error, "is too long a path for a socket"), "%s", error);
    cr_expect_null(drill_server_start("/no/such/directory", error, sizeof error));
    cr_expect(strstr(error, "No such file"), "%s", error);
    /* another one in the same directory would take the names away */
    cr_expect_null(drill_server_start(directory, again, sizeof again));
    cr_expect(strstr(again, "in use"), "%s", again);
    int fd = connect_to(DRILL_MOCK);
    cr_expect(fd >= 0, "%s", strerror(errno));
    close(fd);
}

Test(drill_server, signals_stay_the_caller_s) {
    sigset_t mask;
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    cr_expect_not(sigismember(&mask, SIGUSR1), "the mask is as it was");
}
