/* The command `relay` and what `run` does for it: options, files, hosts; whose connection it is. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/command/relay.h"
#include "shim/command/relay_start.h"
#include "shim/command/relay_wait.h"
#include "shim/relay/peer.h"

/* --- options ------------------------------------------------------------------------------- */

static bool parse(struct relay_options *options, char *message, size_t size,
                  const char *const *words) {
    char *argv[8] = {NULL}, copy[8][64];
    int argc = 0;
    for (; words[argc]; argc++) {
        snprintf(copy[argc], sizeof copy[argc], "%s", words[argc]);
        argv[argc] = copy[argc];
    }
    return relay_parse(argc, argv, options, message, size);
}

Test(relay, options_and_their_defaults) {
    struct relay_options options;
    char message[200];
    cr_expect(parse(&options, message, sizeof message, (const char *[]){"relay", NULL}));
    cr_expect_eq(options.idle_ns, 60000000000u);
    cr_expect_not(options.foreground);
    cr_expect(
        parse(&options, message, sizeof message, (const char *[]){"relay", "--foreground", NULL}));
    cr_expect_eq(options.idle_ns, UINT64_MAX);
    cr_expect(parse(&options, message, sizeof message,
                    (const char *[]){"relay", "--listen", "127.0.0.1:1", NULL}));
    cr_expect_eq(options.idle_ns, UINT64_MAX);
    cr_expect(parse(&options, message, sizeof message,
                    (const char *[]){"relay", "--foreground", "--idle=5m", NULL}));
    cr_expect_eq(options.idle_ns, 300000000000u);
}

Test(relay, options_that_are_wrong) {
    static const char *const cases[][5] = {
        {"relay", "--idle", "0s", NULL},
        {"relay", "--idle", "soon", NULL},
        {"relay", "--token-env", "X", NULL},
        {"relay", "--log-level", "loud", NULL},
        {"relay", "extra", NULL},
        {"relay", "--listen", NULL},
        {"relay", "--foreground=yes", NULL},
        {"relay", "-x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct relay_options options;
        char message[200] = "";
        cr_expect_not(parse(&options, message, sizeof message, cases[i]), "case %zu", i);
        cr_expect(*message, "case %zu", i);
    }
}

/* --- files --------------------------------------------------------------------------------- */

Test(relay, files_go_from_stage_to_stage) {
    char text[100];
    struct relay_files files = RELAY_NO_FILES, found;
    files.listen = open("/dev/null", O_RDONLY | O_CLOEXEC);
    files.claim = open("/dev/null", O_RDONLY | O_CLOEXEC);
    relay_files_format(&files, text, sizeof text);
    cr_expect_eq(fcntl(files.listen, F_GETFD), 0);
    cr_expect(relay_files_parse(text, &found));
    cr_expect_eq(memcmp(&found, &files, sizeof files), 0);
    cr_expect_eq(fcntl(files.listen, F_GETFD), FD_CLOEXEC);
    close(files.listen);
    cr_expect_not(relay_files_parse(text, &found)); /* one is closed */
    static const char *const wrong[] = {"",
                                        "1",
                                        "listen=0 claim=-1 open=-1 ready=-1",
                                        "listen=-2 claim=-1 open=-1 ready=-1",
                                        "listen=-1 claim=-1 open=-1 ready=-1 ",
                                        "listen=-1 claim=-1 open=-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(relay_files_parse(wrong[i], &found), "'%s'", wrong[i]);
    close(files.claim);
}

Test(relay, listens_where_it_may) {
    static const struct {
        const char *text;
        bool anybody;
        int status; /* 0: it listens */
    } cases[] = {
        {"127.0.0.1:0", false, 0},   {"127.9.9.9:0", false, 0}, {"0.0.0.0:0", false, 2},
        {"0.0.0.0:0", true, 0},      {"127.0.0.1", false, 2},   {"127.0.0.1:", false, 2},
        {":80", false, 2},           {"127.0.0.1:x", false, 2}, {"127.0.0.1:65536", false, 2},
        {"::1:80", false, 2},        {"[::1]", false, 2},       {"127.0.0.1:-1", false, 2},
        {"no such host:1", true, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[300] = "";
        int status = 0;
        int fd = relay_listen(cases[i].text, cases[i].anybody, message, sizeof message, &status);
        cr_expect_eq(fd >= 0, cases[i].status == 0, "%s: %s", cases[i].text, message);
        if (fd < 0)
            cr_expect_eq(status, cases[i].status, "%s", cases[i].text);
        else
            close(fd);
    }
}

/* --- what run exports ---------------------------------------------------------------------- */

static struct settings *settings_of(const char *text) {
    struct settings_error error;
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%s", error.message);
    return settings;
}

Test(relay, hosts_that_are_numeric) {
    struct settings *settings = settings_of(
        "endpoints:\n"
        "  - urls: [http://10.0.0.5/v1, \"http://[2001:db8::1]:8080/v1\", http://llm.test/v1,"
        " https://10.0.0.6/v1, http://1.2.3/v1]\n"
        "    backends: [{url: \"https://a.example\"}]\n"
        "  - url: http://10.0.0.7:81/v1\n"
        "    sockets: off\n"
        "    backends: [{url: \"https://a.example\"}]\n");
    char *text = relay_sockets(settings);
    cr_expect_str_eq(text, "10.0.0.5:80=r [2001:db8::1]:8080=r");
    cr_expect(relay_is_wanted(settings));
    free(text);
    settings_free(settings);
}

Test(relay, is_wanted_for_http_alone) {
    struct settings *settings = settings_of("endpoints:\n"
                                            "  - url: https://llm.test/v1\n"
                                            "    backends: [{url: \"https://a.example\"}]\n"
                                            "  - url: http://llm.test/v1\n"
                                            "    sockets: address\n"
                                            "    backends: [{url: \"https://a.example\"}]\n");
    char *text = relay_sockets(settings);
    cr_expect_str_eq(text, "");
    cr_expect_not(relay_is_wanted(settings));
    free(text);
    settings_free(settings);
}

/* --- whose connection it is ---------------------------------------------------------------- */

struct pair {
    int listener, client, server;
    struct sockaddr_storage own, peer;
};

/* A connection to 127.0.0.1, from an IPv6 socket if MAPPED is set, as user UID. */
static void connect_as(struct pair *pair, bool mapped, uid_t uid) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof pair->own;
    pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(pair->listener, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(listen(pair->listener, 1), 0);
    cr_assert_eq(getsockname(pair->listener, (struct sockaddr *)&pair->own, &length), 0);
    memcpy(&here, &pair->own, sizeof here);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = here.sin_port};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &six.sin6_addr);
    uid_t before = geteuid();
    cr_assert_eq(seteuid(uid), 0);
    pair->client = socket(mapped ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(seteuid(before), 0);
    cr_assert_eq(mapped ? connect(pair->client, (struct sockaddr *)&six, sizeof six)
                        : connect(pair->client, (struct sockaddr *)&here, sizeof here),
                 0);
    length = sizeof pair->peer;
    pair->server = accept4(pair->listener, (struct sockaddr *)&pair->peer, &length, SOCK_CLOEXEC);
    cr_assert_geq(pair->server, 0);
}

static void end_pair(struct pair *pair) {
    close(pair->client);
    close(pair->server);
    close(pair->listener);
}

static bool is_own(const struct pair *pair) {
    int diag = peer_open();
    cr_assert_geq(diag, 0);
    bool own = peer_is_own(diag, (const struct sockaddr *)&pair->peer,
                           (const struct sockaddr *)&pair->own);
    close(diag);
    return own;
}

Test(peer, of_this_user) {
    struct pair pair;
    connect_as(&pair, false, geteuid());
    cr_expect(is_own(&pair));
    end_pair(&pair);
    connect_as(&pair, true, geteuid());
    cr_expect(is_own(&pair));
    end_pair(&pair);
}

Test(peer, of_another_user) {
    struct pair pair;
    if (geteuid() != 0)
        cr_skip_test("needs root");
    connect_as(&pair, false, 65534);
    cr_expect_not(is_own(&pair));
    end_pair(&pair);
    connect_as(&pair, true, 65534);
    cr_expect_not(is_own(&pair));
    end_pair(&pair);
}

/* A socket that was closed has no user; the kernel says 0 then, which is root. */
Test(peer, that_has_gone) {
    struct pair pair;
    connect_as(&pair, false, geteuid());
    close(pair.client);
    pair.client = -1;
    cr_expect_not(is_own(&pair));
    close(pair.server);
    pair.server = -1;
    cr_expect_not(is_own(&pair));
    end_pair(&pair);
}

Test(peer, whose_address_says_nothing) {
    struct pair pair;
    connect_as(&pair, false, geteuid());
    pair.peer.ss_family = AF_UNIX;
    cr_expect_not(is_own(&pair));
    end_pair(&pair);
}

static bool same(const char *a, const char *b) {
    struct sockaddr_in6 six[2];
    const char *texts[] = {a, b};
    for (int i = 0; i < 2; i++) {
        six[i] = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(80)};
        if (inet_pton(AF_INET6, texts[i], &six[i].sin6_addr) == 1)
            continue;
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(80)};
        cr_assert_eq(inet_pton(AF_INET, texts[i], &four.sin_addr), 1);
        memcpy(&six[i], &four, sizeof four);
    }
    return peer_same_service((const struct sockaddr *)&six[0], (const struct sockaddr *)&six[1]);
}

Test(peer, at_the_same_service) {
    cr_expect(same("127.0.0.1", "127.0.0.1"));
    cr_expect(same("127.0.0.2", "127.0.0.1"));
    cr_expect(same("::ffff:127.0.0.1", "127.0.0.1"));
    cr_expect(same("::1", "127.0.0.1"));
    cr_expect(same("0.0.0.0", "127.0.0.1"));
    cr_expect(same("10.0.0.1", "0.0.0.0"));
    cr_expect_not(same("10.0.0.1", "127.0.0.1"));
    cr_expect_not(same("10.0.0.1", "10.0.0.2"));
}
