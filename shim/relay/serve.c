#include "shim/relay/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "shim/log.h"
#include "shim/place.h"
#include "shim/pool/ledger.h"
#include "shim/relay/relay.h"
#include "shim/relay/tls.h"
#include "shim/runtime.h"

#define SECOND          UINT64_C(1000000000)
#define DRAIN_TIME      (30 * SECOND)
#define CONNECTIONS_MAX 4096u
#define SPARE_FILES     64u

/* So often the marks of programs that have ended are removed, at least. */
#define TIDY_TIME (60 * SECOND)

struct service {
    const struct serve_options *options;
    struct relay relay;
    struct source signal_source;
    int signals;
    int claim;
    uint64_t drain_end; /* 0: not stopping */
    uint64_t looked;    /* ledger_now(): when it was last asked whether somebody needs it */
    uint64_t tidied;    /* the same, though it was busy */
    bool ended;
};

static struct service *service_of(struct source *source) {
    return (struct service *)((char *)source - offsetof(struct service, signal_source));
}

static void log_event(const char *name, const char *value, const char *number, int64_t count) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "relay");
    log_text(&line, name, value);
    if (number)
        log_number(&line, number, count);
    log_end(&line);
}

static int fail(const char *what) {
    struct log_line line;
    log_begin(&line, LOG_ERROR, "relay");
    log_text(&line, "error", what);
    log_text(&line, "reason", strerror(errno));
    log_end(&line);
    return 1;
}

/* --- the end ------------------------------------------------------------------------------- */

/* Another relay may take the place from here on. */
static void leave_place(struct service *service) {
    if (service->claim >= 0 && service->options->place)
        place_release(service->claim, service->options->place);
    service->claim = -1;
}

static void begin_to_stop(struct service *service) {
    struct relay *relay = &service->relay;
    leave_place(service);
    relay->stopping = true;
    service->drain_end = ledger_now() + DRAIN_TIME;
    for (size_t i = 0; i < relay->listener_count; i++)
        listener_quiesce(&relay->listeners[i]);
    log_event("state", "stopping", NULL, 0);
}

static void on_signal(struct source *source, uint32_t events) {
    struct service *service = service_of(source);
    struct signalfd_siginfo info;
    (void)events;
    if (read(service->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (service->drain_end)
        service->ended = true;
    else
        begin_to_stop(service);
}

static bool announce(const struct service *service) {
    struct place place = {0};
    if (service->claim < 0)
        return true;
    for (size_t i = 0; i < service->relay.listener_count; i++) {
        const struct listener *listener = &service->relay.listeners[i];
        if (listener->options.https)
            place.tls_port = listener_port(listener);
        else if (!listener->options.by_path)
            place.port = listener_port(listener);
    }
    return place_announce(service->claim, &place);
}

static bool is_over(const struct service *service) {
    const char *place = service->options->place;
    return !place || service->claim < 0 || place_withdraw(service->claim, place);
}

static void tidy(struct service *service, uint64_t now) {
    if (now - service->tidied < TIDY_TIME || service->claim < 0 || !service->options->place)
        return;
    service->tidied = now;
    place_is_needed(service->options->place);
}

/* How long nothing need be looked at, in ns; ends the service if it is time. */
static uint64_t look(struct service *service) {
    const struct relay *relay = &service->relay;
    uint64_t now = ledger_now(), idle = service->options->idle_ns;
    if (service->drain_end) {
        service->ended |= !relay->first || now >= service->drain_end;
        return service->drain_end > now ? service->drain_end - now : 0;
    }
    tidy(service, now);
    if (idle == UINT64_MAX || relay->first)
        return TIDY_TIME;
    uint64_t since = relay->last_request > service->looked ? relay->last_request : service->looked;
    uint64_t end = since + (since == service->looked && idle > SECOND ? SECOND : idle);
    if (now < end)
        return end - now < TIDY_TIME ? end - now : TIDY_TIME;
    service->looked = now;
    service->ended = is_over(service);
    return 0;
}

/* --- the beginning ------------------------------------------------------------------------- */

/* As many files as are allowed: two connections for each request. Returns how many clients. */
static unsigned raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return CONNECTIONS_MAX / 8;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= 2 * CONNECTIONS_MAX + SPARE_FILES)
        return CONNECTIONS_MAX;
    return limit.rlim_cur > 2 * SPARE_FILES ? (unsigned)(limit.rlim_cur - SPARE_FILES) / 2 : 16;
}

static bool add_listener(struct service *service, int fd, const struct listener_options *options) {
    struct relay *relay = &service->relay;
    if (fd < 0)
        return true;
    if (!listener_open(&relay->listeners[relay->listener_count], relay, fd, options))
        return false;
    relay->listener_count++;
    return true;
}

static const char *environment(const char *name) {
    return getenv(name);
}

/* Without an authority https is as it was. */
static bool open_tls(struct service *service, struct listener_options options) {
    char message[500];
    options.https = true;
    if (service->options->tls < 0)
        return true;
    if (tls_open(service->options->settings, environment, message, sizeof message))
        return add_listener(service, service->options->tls, &options);
    struct log_line line;
    log_begin(&line, LOG_ERROR, "relay");
    log_text(&line, "error", "no https");
    log_text(&line, "reason", message);
    log_end(&line);
    close(service->options->tls);
    return true;
}

static bool open_listeners(struct service *service) {
    const struct serve_options *options = service->options;
    struct listener_options led = {.connections = raise_limits()}, open = led;
    open.by_path = true;
    open.anybody = options->token != NULL;
    open.token = options->token;
    return add_listener(service, options->listen, &led) && open_tls(service, led) &&
           add_listener(service, options->open, &open);
}

static bool catch_signals(struct service *service) {
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &caught, NULL) != 0)
        return false;
    service->signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    service->signal_source.ready = on_signal;
    return service->signals >= 0 &&
           loop_watch(&service->relay.loop, service->signals, EPOLLIN, &service->signal_source);
}

static void tell_ready(int fd) {
    if (fd < 0)
        return;
    ssize_t written = write(fd, "", 1);
    (void)written; /* who started it has gone, then */
    close(fd);
}

static int run(struct service *service) {
    if (!relay_open(&service->relay))
        return fail("cannot start");
    if (!catch_signals(service) || !open_listeners(service) || !announce(service)) {
        int status = fail("cannot listen");
        relay_close(&service->relay);
        return status;
    }
    const struct relay *relay = &service->relay;
    log_event("state", "started", "port",
              relay->listener_count ? listener_port(&relay->listeners[0]) : 0);
    tell_ready(service->options->ready);
    for (;;) {
        uint64_t wait = look(service);
        if (service->ended)
            break;
        relay_turn(&service->relay, wait);
    }
    relay_close(&service->relay);
    tls_close();
    leave_place(service);
    close(service->signals);
    log_event("state", "stopped", NULL, 0);
    return 0;
}

int serve(const struct serve_options *options) {
    if (!runtime_load())
        return fail("no settings");
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return fail("cannot start");
    service->options = options;
    service->claim = options->claim;
    service->signals = -1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int status = run(service);
    curl_global_cleanup();
    free(service);
    return status;
}
