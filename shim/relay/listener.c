#include "shim/relay/listener.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shim/log.h"
#include "shim/relay/exchange.h"
#include "shim/relay/peer.h"
#include "shim/relay/relay.h"
#include "shim/relay/request.h"
#include "shim/relay/tls.h"

/* A connection that waits for its next request is closed after this time, in seconds. Clients that
 * keep one think of shorter times, so that none is closed just when it is used again. */
#define CONNECTION_IDLE 600u

/* --- connections --------------------------------------------------------------------------- */

/*
 * libmicrohttpd takes a short read for the last of what is there (0.9.75, in its edge-triggered
 * epoll), and so misses the end of a connection that came together with its last bytes: it would
 * wait for the rest of the request. What was suspended is read again. It may be called here, though
 * only from callbacks according to its manual: no other thread is in there, and libmicrohttpd is
 * not either.
 */
static void make_it_read(const struct client *client) {
    MHD_suspend_connection(client->connection);
    MHD_resume_connection(client->connection);
    client->listener->busy = true;
}

/* The client has hung up, or sends no more: nobody waits for the response. */
static void on_hang_up(struct source *source, uint32_t events) {
    struct client *client = (struct client *)source; /* its first member */
    struct exchange *exchange = client->exchange;
    (void)events;
    client->gone = true;
    if (exchange) {
        upstream_cancel(exchange);
        exchange_touch(exchange);
    }
    if (!exchange || exchange->pause == PAUSE_NONE)
        make_it_read(client);
}

/* libmicrohttpd looks at a connection only while it is not suspended, and then reads; this looks
 * at it all the time, and for its end alone. */
static void on_connection(void *context, struct MHD_Connection *connection, void **record,
                          enum MHD_ConnectionNotificationCode code) {
    struct listener *listener = context;
    struct client *client = *record;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (client)
            loop_closed(&listener->relay->loop, client->fd);
        free(client);
        *record = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    client = info ? calloc(1, sizeof *client) : NULL;
    if (!client)
        return; /* its requests are refused */
    client->source.ready = on_hang_up;
    client->listener = listener;
    client->fd = info->connect_fd;
    client->connection = connection;
    loop_watch(&listener->relay->loop, client->fd, EPOLLRDHUP | EPOLLET, &client->source);
    *record = client;
}

static void log_refused(const struct sockaddr *address) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "relay");
    log_text(&line, "refused", "a connection of another user");
    log_number(&line, "from_port",
               ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port));
    log_end(&line);
}

static enum MHD_Result may_connect(void *context, const struct sockaddr *address,
                                   socklen_t length) {
    struct listener *listener = context;
    (void)length;
    if (listener->diag < 0 ||
        peer_is_own(listener->diag, address, (const struct sockaddr *)&listener->address))
        return MHD_YES;
    log_refused(address);
    return MHD_NO;
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_ready(struct source *source, uint32_t events) {
    struct listener *listener = (struct listener *)source; /* its first member */
    (void)events;
    listener->busy = true;
}

/* The one place in which servers are made. */
static struct MHD_Daemon *start(struct listener *listener, int fd) {
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    if (listener->options.https)
        flags |= MHD_USE_TLS;
    /* clang-format off */
    return MHD_start_daemon(flags, 0, may_connect, listener, request_handle, listener,
                            MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, listener->options.connections,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTENER_MEMORY,
                            MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_IDLE,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_URI_LOG_CALLBACK, request_begin, listener,
                            MHD_OPTION_NOTIFY_COMPLETED, request_end, listener,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
                            MHD_OPTION_ARRAY, tls + !listener->options.https,
                            MHD_OPTION_END);
    /* clang-format on */
}

static bool watch(struct listener *listener) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info && loop_watch(&listener->relay->loop, info->epoll_fd, EPOLLIN, &listener->source);
}

bool listener_open(struct listener *listener, struct relay *relay, int fd,
                   const struct listener_options *options) {
    socklen_t length = sizeof listener->address;
    *listener = (struct listener){.source = {on_ready}, .relay = relay, .options = *options};
    listener->diag = -1;
    if (getsockname(fd, (struct sockaddr *)&listener->address, &length) != 0 ||
        (!options->anybody && (listener->diag = peer_open()) < 0))
        return false;
    listener->daemon = start(listener, fd);
    listener->busy = true;
    if (listener->daemon && watch(listener))
        return true;
    if (listener->diag >= 0)
        close(listener->diag);
    return false;
}

bool listener_run(struct listener *listener) {
    MHD_UNSIGNED_LONG_LONG ms;
    if (!listener->busy)
        return false;
    MHD_run(listener->daemon);
    listener->busy = MHD_get_timeout(listener->daemon, &ms) == MHD_YES && ms == 0;
    return listener->busy;
}

uint64_t listener_due(const struct listener *listener) {
    MHD_UNSIGNED_LONG_LONG ms;
    if (listener->busy)
        return 0;
    return MHD_get_timeout(listener->daemon, &ms) == MHD_YES ? ms * UINT64_C(1000000) : UINT64_MAX;
}

void listener_quiesce(struct listener *listener) {
    int fd = MHD_quiesce_daemon(listener->daemon);
    if (fd >= 0)
        close(fd);
}

void listener_close(struct listener *listener) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info)
        loop_closed(&listener->relay->loop, info->epoll_fd);
    MHD_stop_daemon(listener->daemon);
    if (listener->diag >= 0)
        close(listener->diag);
}

bool listener_is_at(const struct listener *listener, const struct sockaddr *address) {
    return peer_same_service(address, (const struct sockaddr *)&listener->address);
}

uint16_t listener_port(const struct listener *listener) {
    return peer_port((const struct sockaddr *)&listener->address);
}
