#include "shim/curl/reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/curl/detour.h"

void reply_init(struct reply *reply) {
    *reply = (struct reply){NULL, 0, 0, -1, -1};
}

/* Text that grows; `failed` once memory ran out. */
struct text {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0 && !text->failed && text->length + (size_t)length + 1 > text->capacity) {
        size_t capacity = (text->length + (size_t)length + 1) * 2;
        char *bytes = realloc(text->bytes, capacity);
        if (bytes) {
            text->bytes = bytes;
            text->capacity = capacity;
        }
        text->failed = !bytes;
    }
    if (length >= 0 && !text->failed)
        text->length += (size_t)vsnprintf(text->bytes + text->length, text->capacity - text->length,
                                          format, again);
    va_end(again);
    va_end(arguments);
}

static void add_json_slice(struct text *text, struct slice value) {
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.text[i];
        if (c == '"' || c == '\\')
            add(text, "\\%c", c);
        else if (c < ' ')
            add(text, "\\u%04x", (unsigned)c);
        else
            add(text, "%c", c);
    }
}

static void add_json(struct text *text, const char *value) {
    add_json_slice(text, (struct slice){value, strlen(value)});
}

/* A URL's path: its bytes need not be UTF-8, which JSON is. */
static void add_path(struct text *text, struct slice path) {
    for (size_t i = 0; i < path.length; i++) {
        unsigned char c = (unsigned char)path.text[i];
        if (c < 0x80)
            add_json_slice(text, (struct slice){path.text + i, 1});
        else
            add(text, "%%%02X", (unsigned)c);
    }
}

/* Seconds to one decimal, rounded up, without printf's locale. */
static void add_seconds(struct text *text, uint64_t ns) {
    uint64_t tenths = ns / 100000000 + (ns % 100000000 != 0);
    add(text, "%llu.%llu s", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10));
}

static void add_backends(struct text *text, const struct pool *pool, uint64_t unfit, uint64_t now) {
    const struct endpoint *endpoint = pool_endpoint(pool);
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        uint32_t reason;
        char name[12];
        uint64_t left = pool_cooling(pool, (int)i, now, &reason);
        add(text, "%s", i ? ", " : "");
        add_json(text, endpoint->backends[i].name);
        if (pool_drained(pool, (int)i)) {
            add(text, " (drained)");
        } else if (unfit >> i & 1) {
            add(text, " (can't serve this request)");
        } else if (left) {
            add(text, " (%s, ", pool_reason_name(reason, name));
            add_seconds(text, left);
            add(text, ")");
        } else {
            add(text, " (tried)");
        }
    }
}

/* STATUS and HEADERS, lines with their ends, before BODY, which is freed. */
static char *respond(const char *status, const char *headers, struct text *body, size_t *length) {
    struct text response = {0};
    if (!body->failed)
        add(&response,
            "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s"
            "Server: spillway\r\nConnection: close\r\n\r\n%s",
            status, body->length, headers, body->bytes);
    free(body->bytes);
    if (body->failed || response.failed) {
        free(response.bytes);
        return NULL;
    }
    *length = response.length;
    return response.bytes;
}

char *reply_exhausted(const struct pool *pool, uint64_t unfit, uint64_t now, size_t *length) {
    uint64_t soonest = pool_soonest(pool, unfit, now);
    if (!soonest || soonest == UINT64_MAX)
        soonest =
            1000000000; /* tried in vain just now: a client that comes at once gains nothing */
    unsigned long long seconds = soonest / 1000000000 + (soonest % 1000000000 != 0);
    unsigned long long ms = soonest / 1000000 + (soonest % 1000000 != 0);
    struct text body = {0};
    char headers[96];
    add(&body, "{\"error\": {\"message\": \"All backends of endpoint '");
    add_json(&body, pool_endpoint(pool)->name);
    add(&body, "' are exhausted: ");
    add_backends(&body, pool, unfit, now);
    add(&body,
        ". Please retry after %llu second%s.\", \"type\": \"rate_limit_error\", "
        "\"param\": null, \"code\": \"429\"}}\n",
        seconds, seconds == 1 ? "" : "s");
    snprintf(headers, sizeof headers, "Retry-After: %llu\r\nretry-after-ms: %llu\r\n", seconds, ms);
    return respond("429 Too Many Requests", headers, &body, length);
}

char *reply_refused(const struct endpoint *endpoint, const char *const *reasons, struct slice path,
                    size_t *length) {
    struct text body = {0};
    add(&body, "{\"error\": {\"message\": \"No backend of endpoint '");
    add_json(&body, endpoint->name);
    add(&body, "' can serve this request for '");
    add_path(&body, path);
    add(&body, "': ");
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        add(&body, "%s", i ? ", " : "");
        add_json(&body, endpoint->backends[i].name);
        add(&body, " (%s)", reasons[i]);
    }
    add(&body, ".\", \"type\": \"invalid_request_error\", \"param\": null, \"code\": "
               "\"400\"}}\n");
    return respond("400 Bad Request", "", &body, length);
}

/* A listener on a name that the kernel chooses, and its address. */
static int listen_anywhere(struct sockaddr_un *address, socklen_t *length) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    *length = sizeof *address;
    memset(address, 0, sizeof *address);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) < 0 ||
                    listen(fd, 4) < 0 || getsockname(fd, (struct sockaddr *)address, length) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Sends what fits. A SIGPIPE would be the program's death. */
static void send_more(struct reply *reply) {
    while (reply->peer >= 0 && reply->sent < reply->length) {
        ssize_t sent = send(reply->peer, reply->response + reply->sent, reply->length - reply->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            return;
        reply->sent += (size_t)sent;
    }
    if (reply->peer >= 0)
        shutdown(reply->peer, SHUT_WR); /* stay open for reading: the request is still to come */
}

/* libcurl has connected. Others could have, too: only this process is served. */
static void accept_own(struct reply *reply) {
    for (int i = 0; i < 4 && reply->peer < 0; i++) {
        int fd = accept4(reply->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ucred peer;
        socklen_t length = sizeof peer;
        if (fd < 0)
            return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == getpid())
            reply->peer = fd;
        else
            close(fd);
    }
}

static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    struct reply *reply = userdata;
    struct sockaddr_un own;
    socklen_t length;
    (void)purpose;
    close_fd(&reply->listener);
    reply->listener = listen_anywhere(&own, &length);
    if (reply->listener < 0)
        return CURL_SOCKET_BAD;
    return detour_socket(address, &own, length);
}

/*
 * Before 7.80 there is no callback between connecting and sending, so libcurl is given one end of
 * a pair and told that it is connected (not since then: 7.88 connects all the same).
 */
static curl_socket_t open_pair(void *userdata, curlsocktype purpose,
                               struct curl_sockaddr *address) {
    struct reply *reply = userdata;
    int pair[2];
    (void)purpose;
    address->family = AF_UNIX; /* not to be bound to an interface or port of the program's */
    if (reply->peer >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return CURL_SOCKET_BAD;
    reply->peer = pair[1];
    send_more(reply);
    return pair[0];
}

static int already_connected(void *userdata, curl_socket_t fd, curlsocktype purpose) {
    (void)userdata, (void)fd, (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* Connected, and nothing is sent yet: the response may well lie there before the request. */
static int answer(void *userdata, char *remote, char *local, int remote_port, int local_port) {
    struct reply *reply = userdata;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    accept_own(reply);
    send_more(reply);
    return reply->peer >= 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

void reply_aim(struct reply *reply, const struct handle *handle, char *response, size_t length) {
    const struct libcurl *curl = handle->curl;
    const struct options *o = &handle->options;
    CURL *easy = handle->easy;
    reply_init(reply);
    bool listens = curl->easy_setopt(easy, CURLOPT_PREREQFUNCTION, answer) == CURLE_OK;
    reply->response = response;
    reply->length = length;
    if (listens)
        curl->easy_setopt(easy, CURLOPT_PREREQDATA, reply);
    detour_set(handle, listens ? open_socket : open_pair, reply);
    if (!listens)
        curl->easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, already_connected);
    if (o->keep_sending_on_error)
        curl->easy_setopt(easy, CURLOPT_KEEP_SENDING_ON_ERROR, 0L);
    if (o->port)
        curl->easy_setopt(easy, CURLOPT_PORT, 0L);
    if (o->curlu)
        curl->easy_setopt(easy, CURLOPT_CURLU, NULL);
    curl->easy_setopt(easy, CURLOPT_URL, DETOUR_HTTP "/");
}

void reply_unset(const struct handle *handle, CURL *easy) {
    const struct options *o = &handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = handle->curl->easy_setopt;
    if (o->curlu)
        set(easy, CURLOPT_CURLU, o->curlu);
    set(easy, CURLOPT_URL, o->curlu ? o->curlu_url.text : o->url.text);
    set(easy, CURLOPT_PREREQFUNCTION, o->prereq_function);
    set(easy, CURLOPT_PREREQDATA, o->prereq_data);
    detour_unset(handle, easy);
    if (o->keep_sending_on_error)
        set(easy, CURLOPT_KEEP_SENDING_ON_ERROR, o->keep_sending_on_error);
    if (o->port)
        set(easy, CURLOPT_PORT, o->port);
}

void reply_end(struct reply *reply, const struct handle *handle) {
    close_fd(&reply->peer);
    close_fd(&reply->listener);
    free(reply->response);
    reply_init(reply);
    reply_unset(handle, handle->easy);
}

bool reply_owns(CURLoption option) {
    switch ((int)option) {
    case CURLOPT_URL:
    case CURLOPT_CURLU:
    case CURLOPT_PREREQFUNCTION:
    case CURLOPT_PREREQDATA:
        return true;
    default:
        return detour_owns(option);
    }
}
