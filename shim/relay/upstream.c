#include "shim/relay/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/pool/ledger.h"
#include "shim/relay/again.h"
#include "shim/relay/fault.h"
#include "shim/relay/head.h"
#include "shim/relay/relay.h"

#define MILLISECOND UINT64_C(1000000)

/* --- libcurl's sockets and timer ----------------------------------------------------------- */

static void unwatch(struct wire *wire) {
    if (wire->watched)
        loop_forget(&wire->upstream->relay->loop, wire->fd);
    wire->watched = 0;
}

static void on_ready(struct source *source, uint32_t events) {
    struct wire *wire = (struct wire *)source; /* its first member */
    int running, mask = 0;
    if (!wire->wanted) { /* left from the transfer before; the next one watches anew */
        unwatch(wire);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        mask |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(wire->upstream->multi, wire->fd, mask, &running);
}

/* The wire of FD; NULL if memory ran out. */
static struct wire *wire_of(struct upstream *upstream, int fd) {
    size_t need = (size_t)fd + 1;
    if (need > upstream->wire_count) {
        size_t count = need < 64 ? 64 : need * 2, size = sizeof(struct wire *); /* NOLINT */
        struct wire **wires = realloc(upstream->wires, count * size);
        if (!wires)
            return NULL;
        memset(wires + upstream->wire_count, 0, (count - upstream->wire_count) * size);
        upstream->wires = wires;
        upstream->wire_count = count;
    }
    struct wire *wire = upstream->wires[fd];
    if (!wire) {
        wire = upstream->wires[fd] = calloc(1, sizeof *wire);
        if (wire)
            *wire = (struct wire){.source = {on_ready}, .upstream = upstream, .fd = fd};
    }
    return wire;
}

/*
 * For CURLMOPT_SOCKETFUNCTION. Of a connection of ours libcurl tells at the end of each transfer
 * that it waits no more, and at the start of the next that it does: in between the loop goes on
 * looking, and asks the kernel for nothing.
 */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused) {
    struct upstream *upstream = context;
    struct wire *wire = wire_of(upstream, fd);
    (void)easy, (void)unused;
    if (!wire)
        return -1;
    wire->wanted = what == CURL_POLL_IN      ? EPOLLIN
                   : what == CURL_POLL_OUT   ? EPOLLOUT
                   : what == CURL_POLL_INOUT ? EPOLLIN | EPOLLOUT
                                             : 0;
    if (!wire->wanted) {
        if (!wire->own)
            unwatch(wire);
        return 0;
    }
    if (wire->wanted == wire->watched)
        return 0;
    struct loop *loop = &upstream->relay->loop;
    bool good = wire->watched ? loop_change(loop, fd, wire->wanted)
                              : loop_watch(loop, fd, wire->wanted, &wire->source);
    wire->watched = good ? wire->wanted : 0;
    return good ? 0 : -1;
}

static int set_timer(CURLM *multi, long ms, void *context) {
    struct upstream *upstream = context;
    (void)multi;
    upstream->due = ms < 0 ? UINT64_MAX : ms ? ledger_now() + (uint64_t)ms * MILLISECOND : 0;
    return 0;
}

/* Whether ADDRESS is a port of the relay itself: asking there would go round in circles. */
static bool is_own(const struct relay *relay, const struct curl_sockaddr *address) {
    for (size_t i = 0; i < relay->listener_count; i++)
        if (listener_is_at(&relay->listeners[i], &address->addr))
            return true;
    return false;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    struct upstream *upstream = context;
    (void)purpose;
    if (is_own(upstream->relay, address))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct wire *wire = fd >= 0 ? wire_of(upstream, fd) : NULL;
    if (wire) {
        wire->own = true;
        wire->watched = wire->wanted = 0;
    } else if (fd >= 0) {
        close(fd);
    }
    return wire ? fd : CURL_SOCKET_BAD;
}

static int close_socket(void *context, curl_socket_t fd) {
    struct upstream *upstream = context;
    struct wire *wire = wire_of(upstream, fd);
    if (wire) {
        wire->own = false;
        wire->watched = wire->wanted = 0;
        loop_closed(&upstream->relay->loop, fd);
    }
    return close(fd);
}

/* --- a transfer's bytes -------------------------------------------------------------------- */

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    bool was_complete = exchange->head.complete;
    if (!head_take(&exchange->head, (struct slice){data, size * count}))
        return 0;
    if (exchange->head.complete && !was_complete) {
        again_judge(exchange);
        exchange_touch(exchange);
    }
    return size * count;
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t length = size * count;
    if (exchange->again_at || exchange->fault)
        return length;
    if (exchange->download.length >= BUFFER_HIGH) {
        exchange->download_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!buffer_add(&exchange->download, data, length))
        return 0;
    exchange_touch(exchange);
    return length;
}

static size_t give_body(char *out, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t given = buffer_take(&exchange->upload, out, size * count);
    if (given) {
        if (exchange->pause == PAUSE_ROOM)
            exchange_touch(exchange);
        return given;
    }
    if (exchange->upload_ended)
        return 0;
    exchange->upload_paused = true;
    return CURL_READFUNC_PAUSE;
}

/* --- transfers ----------------------------------------------------------------------------- */

/* What all transfers have in common. */
static void set_common(struct upstream *upstream, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    /* what is paused and cancelled one by one is best off with connections of its own */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (upstream->direct) /* else it looks for one in the environment each time */
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, upstream);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, upstream);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
}

static CURL *take_handle(struct upstream *upstream) {
    if (upstream->idle_count > 0)
        return upstream->idle[--upstream->idle_count];
    CURL *easy = curl_easy_init();
    if (easy)
        set_common(upstream, easy);
    return easy;
}

static void put_handle(struct upstream *upstream, CURL *easy) {
    if (upstream->idle_count < UPSTREAM_IDLE_HANDLES)
        upstream->idle[upstream->idle_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

static void set_body(const struct exchange *exchange, CURL *easy) {
    if (exchange->upload_streams) {
        curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->upload_length);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->upload.length);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     exchange->upload.length ? exchange->upload.bytes + exchange->upload.start
                                             : "");
}

/* What the method makes of the options that set_body or a transfer before have set. */
static void set_method(const struct exchange *exchange, CURL *easy) {
    const char *method = exchange->method, *usual = "GET";
    if (exchange->head_only) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        usual = method;
    } else if (exchange_sends_body(exchange)) {
        set_body(exchange, easy);
        usual = exchange->upload_streams ? "PUT" : "POST";
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, strcmp(method, usual) == 0 ? NULL : method);
}

static void set_request(const struct exchange *exchange, CURL *easy) {
    set_method(exchange, easy);
    curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->fields);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
}

void upstream_start(struct exchange *exchange) {
    struct upstream *upstream = &exchange->relay->upstream;
    CURL *easy = take_handle(upstream);
    exchange->started = true;
    if (!easy) {
        exchange_fail(exchange, 502, "Memory ran out.");
        exchange->done = true;
        return;
    }
    set_request(exchange, easy);
    if (curl_multi_add_handle(upstream->multi, easy) == CURLM_OK) {
        exchange->easy = easy;
        return;
    }
    curl_easy_cleanup(easy);
    exchange_fail(exchange, 502, "The transfer could not be started.");
    exchange->done = true;
}

static void release(struct exchange *exchange, bool reusable) {
    struct upstream *upstream = &exchange->relay->upstream;
    CURL *easy = exchange->easy;
    exchange->easy = NULL;
    curl_multi_remove_handle(upstream->multi, easy);
    if (reusable && !exchange->upload_streams) {
        put_handle(upstream, easy);
        return;
    }
    curl_easy_cleanup(easy);
}

void upstream_cancel(struct exchange *exchange) {
    again_forget(exchange);
    if (exchange->easy)
        release(exchange, true);
}

void upstream_continue(struct exchange *exchange) {
    bool more_upload =
        exchange->upload_paused && (exchange->upload.length || exchange->upload_ended);
    bool more_room = exchange->download_paused && exchange->download.length <= BUFFER_LOW;
    if (!exchange->easy || (!more_upload && !more_room))
        return;
    if (more_upload)
        exchange->upload_paused = false;
    if (more_room)
        exchange->download_paused = false;
    int mask = (exchange->upload_paused ? CURLPAUSE_SEND : 0) |
               (exchange->download_paused ? CURLPAUSE_RECV : 0);
    curl_easy_pause(exchange->easy, mask); /* may call take_body */
}

/* --- what is due, and what has ended ------------------------------------------------------- */

static void describe_failure(struct exchange *exchange) {
    struct url url;
    char host[256] = "The host";
    if (url_parse(exchange->url, false, &url) && url.authority.length < sizeof host) {
        memcpy(host, url.authority.text, url.authority.length);
        host[url.authority.length] = '\0';
    }
    exchange->fault =
        fault_of_transfer(exchange->result, host, exchange->message, sizeof exchange->message);
}

static void finish(struct exchange *exchange, CURLcode result) {
    release(exchange, true);
    exchange->result = result;
    if (exchange->again_at && exchange->head.complete) {
        again_wait(exchange);
        return;
    }
    exchange->done = true;
    if (!exchange->head.complete)
        describe_failure(exchange);
    exchange_touch(exchange);
}

static void look_for_ends(struct upstream *upstream) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(upstream->multi, &left))) {
        char *exchange = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        if (message->msg == CURLMSG_DONE && exchange)
            finish((struct exchange *)(void *)exchange, result);
    }
}

void upstream_run(struct upstream *upstream, uint64_t now) {
    int running;
    again_start(upstream, now);
    while (upstream->due <= now) {
        upstream->due = UINT64_MAX;
        curl_multi_socket_action(upstream->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    look_for_ends(upstream);
}

uint64_t upstream_due(const struct upstream *upstream) {
    uint64_t again = again_due(upstream);
    return again < upstream->due ? again : upstream->due;
}

/* Whether VARIABLE, NAME=VALUE, names a proxy for libcurl. */
static bool names_proxy(const char *variable) {
    static const char *const names[] = {
        "http_proxy=", "https_proxy=", "HTTPS_PROXY=", "all_proxy=", "ALL_PROXY="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool is_direct(void) {
    for (char **variable = environ; *variable; variable++)
        if (names_proxy(*variable))
            return false;
    return true;
}

bool upstream_open(struct upstream *upstream, struct relay *relay, long max_idle) {
    *upstream = (struct upstream){.relay = relay, .due = UINT64_MAX, .direct = is_direct()};
    upstream->multi = curl_multi_init();
    if (!upstream->multi)
        return false;
    curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETDATA, upstream);
    curl_multi_setopt(upstream->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(upstream->multi, CURLMOPT_TIMERDATA, upstream);
    curl_multi_setopt(upstream->multi, CURLMOPT_MAXCONNECTS, max_idle);
    return true;
}

void upstream_close(struct upstream *upstream) {
    for (size_t i = 0; i < upstream->idle_count; i++)
        curl_easy_cleanup(upstream->idle[i]);
    curl_multi_cleanup(upstream->multi);
    for (size_t i = 0; i < upstream->wire_count; i++)
        free(upstream->wires[i]);
    free(upstream->wires);
}
