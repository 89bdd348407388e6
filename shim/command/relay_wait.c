#include "shim/command/relay_wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/command/helper.h"
#include "shim/command/prepare.h"
#include "shim/command/relay_start.h"
#include "shim/command/trust.h"
#include "shim/object.h"
#include "shim/place.h"

/* How often it is seen who lives; while the one that started it does, only to tidy up. */
#define LOOK_MS 1000
#define TIDY_MS 60000

/* Somebody who takes the place, or leaves it, has done so after this many milliseconds. */
#define PATIENCE 1000

/* --- what is wanted ------------------------------------------------------------------------ */

static bool is_led(const struct endpoint *endpoint, size_t url) {
    return endpoint->sockets == SOCKETS_RELAY && !endpoint->prefixes[url].https;
}

bool relay_is_wanted(const struct settings *settings) {
    for (size_t i = 0; i < settings->endpoint_count; i++)
        for (size_t j = 0; j < settings->endpoints[i].url_count; j++)
            if (is_led(&settings->endpoints[i], j))
                return true;
    return trust_needed(settings);
}

static bool is_numeric(struct slice host) {
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char address[16];
    bool brackets = host.length > 2 && host.text[0] == '[';
    size_t length = brackets ? host.length - 2 : host.length;
    if (length >= sizeof text)
        return false;
    memcpy(text, host.text + brackets, length);
    text[length] = '\0';
    return inet_pton(brackets ? AF_INET6 : AF_INET, text, address) == 1;
}

char *relay_sockets(const struct settings *settings) {
    char *text = NULL;
    size_t size = 0;
    const char *between = "";
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; out && i < settings->endpoint_count; i++)
        for (size_t j = 0; j < settings->endpoints[i].url_count; j++) {
            const struct url *url = &settings->endpoints[i].prefixes[j];
            if (!is_led(&settings->endpoints[i], j) || !is_numeric(url->host))
                continue;
            fprintf(out, "%s%.*s:%u=r", between, (int)url->host.length, url->host.text, url->port);
            between = " ";
        }
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* --- the process that waits ---------------------------------------------------------------- */

struct waiting {
    char path[PATH_MAX]; /* of the place */
    bool tls;            /* it takes https requests */
    int kept[3];         /* its socket, its claim, and its other socket */
};

static void become_relay(const struct waiting *waiting) {
    static char program[] = "spillway", command[] = "relay", idle[] = "--idle", soon[] = "1s";
    /* the relay of a drill is for nobody else, who might come in the next minute */
    bool drill = getenv("SPILLWAY_DRILL");
    char *words[] = {program, command, drill ? idle : NULL, soon, NULL}, text[100];
    struct relay_files files = RELAY_NO_FILES;
    files.listen = waiting->kept[0];
    files.claim = waiting->kept[1];
    files.tls = waiting->tls ? waiting->kept[2] : -1;
    relay_files_format(&files, text, sizeof text);
    if (setenv("SPILLWAY_RELAY_FILES", text, 1) == 0)
        execv("/proc/self/exe", words);
}

/* Until somebody connects, or nobody needs it any more. */
static void wait_for_first(void *argument, const struct watch *watch) {
    const struct waiting *waiting = argument;
    bool starter = true; /* lives */
    for (;;) {
        struct pollfd fds[] = {{.fd = waiting->kept[0], .events = POLLIN},
                               {.fd = waiting->tls ? waiting->kept[2] : -1, .events = POLLIN},
                               {.fd = starter && watch->pidfd ? watch->fd : -1, .events = POLLIN}};
        int ready = poll(fds, 3, starter && watch->pidfd ? TIDY_MS : LOOK_MS);
        if (ready > 0 && (fds[0].revents || fds[1].revents)) {
            become_relay(waiting);
            break; /* it can't be */
        }
        starter = starter && !watch_ended(watch, 0);
        if (starter && !ready)
            place_is_needed(waiting->path);
        else if (!starter && place_withdraw(waiting->kept[1], waiting->path))
            break;
    }
    place_release(waiting->kept[1], waiting->path);
}

static bool start_waiting(const struct relay_files *files, struct waiting *waiting, int argc,
                          char **argv) {
    const int keep[] = {files->listen, files->claim, files->tls};
    const struct helper_options options = {
        .name = "wait", .keep = keep, .kept = waiting->kept, .keep_count = waiting->tls ? 3 : 2};
    return helper_start(wait_for_first, waiting, &options, argc, argv);
}

/* --- run ----------------------------------------------------------------------------------- */

static bool pause_a_little(void) {
    const struct timespec ms = {.tv_nsec = 1000000};
    return nanosleep(&ms, NULL) == 0 || errno == EINTR;
}

/* The port, whoever has the place; 0 with errno. */
static unsigned find_or_take(struct waiting *waiting, int argc, char **argv) {
    struct relay_files files = RELAY_NO_FILES;
    struct place place = {0};
    for (int i = 0; i < PATIENCE && !place.port; i++) {
        if (place_find(waiting->path, &place))
            return place.port;
        if (relay_take(waiting->path, waiting->tls, &files)) {
            bool waits = start_waiting(&files, waiting, argc, argv);
            int error = errno;
            if (waits)
                place_find(waiting->path, &place);
            close(files.listen);
            close(files.claim);
            if (files.tls >= 0)
                close(files.tls);
            errno = error;
            return waits ? place.port : 0;
        }
        if (errno != EWOULDBLOCK || !pause_a_little())
            return 0;
    }
    errno = EBUSY;
    return place.port;
}

static void say_none(const char *path) {
    fprintf(stderr, "spillway: there is no relay for programs without libcurl: %s%s%s\n", path,
            *path ? ": " : "", strerror(errno));
}

static unsigned arrange(const struct settings *settings, const char *program, int argc,
                        char **argv) {
    struct waiting *waiting = calloc(1, sizeof *waiting);
    unsigned port = 0;
    if (waiting)
        waiting->tls = trust_needed(settings);
    /* first: who would leave the place now sees that it is needed */
    if (waiting && relay_place(settings, waiting->path) && place_join(waiting->path))
        port = find_or_take(waiting, argc, argv);
    if (!port && !object_needs_libcurl(program))
        say_none(waiting ? waiting->path : "");
    free(waiting);
    return port;
}

static bool export_port(const char *command, unsigned port) {
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    return prepare_variable(command, "SPILLWAY_RELAY_PORT", port ? text : NULL);
}

bool relay_arrange(const char *command, const struct settings *settings, const char *program,
                   int argc, char **argv) {
    if (!relay_is_wanted(settings))
        return export_port(command, 0) && prepare_variable(command, "SPILLWAY_SOCKETS", NULL);
    unsigned port = arrange(settings, program, argc, argv);
    char *sockets = relay_sockets(settings);
    bool good = export_port(command, port) &&
                prepare_variable(command, "SPILLWAY_SOCKETS", sockets && *sockets ? sockets : NULL);
    free(sockets);
    return good;
}
