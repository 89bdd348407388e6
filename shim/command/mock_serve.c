#include "shim/command/mock_serve.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "shim/command/mock_log.h"
#include "shim/command/mock_reply.h"

#define BODY_MAX (64u << 20)

static const struct mock_step ordinary = {.action = MOCK_REPLY, .status = 200};
static const struct mock_step misunderstood = {.action = MOCK_REPLY, .status = 500};

/* --- deciding ------------------------------------------------------------------------------ */

static void limit_decision(struct mock_options *options, struct mock_decision *decision) {
    uint64_t wait_ns = 0;
    bool answers = decision->status >= 200 && decision->status < 300;
    if (answers && !mock_limit_take(&options->limit, mock_now_ns(), &wait_ns)) {
        decision->overruled = true;
        decision->action = MOCK_REPLY;
        decision->status = 429;
        decision->wait_ns = wait_ns;
    }
}

/* What --retry-after or the step says about the time to wait. */
static void set_wait(const struct mock_options *options, struct mock_decision *decision) {
    const char *own = decision->overruled ? NULL : mock_step_header(decision->step, "retry-after");
    char *end;
    if (own != NULL) {
        double seconds = strtod(own, &end);
        if (end != own && *end == '\0' && seconds >= 0 && seconds < 1e9)
            decision->wait_ns = (uint64_t)(seconds * 1e9);
    } else if (options->retry_after != NULL && decision->cause == MOCK_USUAL &&
               (decision->overruled || !mock_step_has_wait(decision->step))) {
        decision->retry_after = options->retry_after;
        decision->wait_ns = options->retry_after_ns;
    }
}

/* What the API itself would not answer by success. */
static void refuse_senseless(struct mock_exchange *exchange) {
    struct mock_decision *decision = &exchange->decision;
    if (exchange->body.length > BODY_MAX) {
        decision->status = 413;
    } else if (exchange->route.operation == MOCK_UNKNOWN) {
        decision->status = 404;
        decision->cause = MOCK_NO_RESOURCE;
    } else if (exchange->route.operation == MOCK_WRONG_METHOD) {
        decision->status = 405;
    }
}

static void refuse(struct mock_decision *decision, struct mock_refusal refusal) {
    decision->overruled = true;
    decision->action = MOCK_REPLY;
    decision->status = refusal.status;
    decision->cause = refusal.cause;
}

/* The step that the request itself names, if it may; NULL for none. */
static const struct mock_step *own_step(struct MHD_Connection *connection,
                                        struct mock_exchange *exchange) {
    const char *header = exchange->server->options->step_header;
    const char *text =
        header != NULL ? MHD_lookup_connection_value(connection, MHD_HEADER_KIND, header) : NULL;
    char error[200];
    if (text == NULL)
        return NULL;
    if (mock_script_parse(text, &exchange->own, error, sizeof error))
        return exchange->own.steps;
    fprintf(stderr, "spillway mock: %s: %s\n", header, error);
    return &misunderstood;
}

/* OWN is the request's own step, or NULL: the next of the script. */
static void decide(struct mock_server *server, struct mock_exchange *exchange,
                   const struct mock_claim *claim, const struct mock_step *own) {
    struct mock_options *options = server->options;
    struct mock_decision *decision = &exchange->decision;
    struct mock_refusal refusal = mock_check(&options->rules, claim);
    pthread_mutex_lock(&server->lock);
    exchange->number = ++server->number;
    decision->step = own != NULL ? own : mock_script_next(&options->script);
    if (decision->step == NULL)
        decision->step = &ordinary;
    decision->action = decision->step->action;
    decision->status = decision->step->status;
    decision->cause = decision->step->cause;
    decision->wait_ns = MOCK_NO_WAIT;
    if (refusal.status != 0 && decision->status >= 200 && decision->status < 300)
        refuse(decision, refusal);
    else
        limit_decision(options, decision);
    pthread_mutex_unlock(&server->lock);

    if (decision->status == 429)
        set_wait(options, decision);
    if (decision->status >= 200 && decision->status < 300)
        refuse_senseless(exchange);
}

/* --- logging ------------------------------------------------------------------------------- */

static const char *outcome_name(enum mock_action action) {
    static const char *const names[] = {
        [MOCK_REPLY] = "reply", [MOCK_CUT] = "cut",         [MOCK_STALL] = "stall",
        [MOCK_SLOW] = "slow",   [MOCK_TRICKLE] = "trickle", [MOCK_RESET] = "reset",
        [MOCK_CLOSE] = "close", [MOCK_HANG] = "hang"};
    return names[action];
}

static enum MHD_Result keep_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    struct mock_exchange *exchange = context;
    (void)kind;
    (void)value;
    if (exchange->header_count < MOCK_HEADERS_MAX)
        exchange->headers[exchange->header_count++] = name;
    return MHD_YES;
}

static void write_log(struct MHD_Connection *connection, struct mock_exchange *exchange) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct mock_route *route = &exchange->route;
    char key_hash[MOCK_HASH_SIZE], body_hash[MOCK_HASH_SIZE];
    const char *name = "api-key";
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    if (key == NULL)
        key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name = "authorization");
    if (key != NULL)
        mock_hash_key(key, key_hash);
    mock_hash_finish(&exchange->body.hash, body_hash);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, keep_header, exchange);
    struct mock_entry entry = {
        .time = exchange->time,
        .mock = exchange->name,
        .connection = info != NULL ? (uint64_t)(uintptr_t)info->socket_context : 0,
        .request = exchange->number,
        .method = exchange->method,
        .path = exchange->target,
        .host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "host"),
        .key_header = key != NULL ? name : NULL,
        .key_hash = key != NULL ? key_hash : NULL,
        .body_length = exchange->body.length,
        .body_hash = body_hash,
        .model = exchange->question.model[0] != '\0' ? exchange->question.model : NULL,
        .stream = exchange->question.stream,
        .deployment = route->deployment[0] != '\0' ? route->deployment : NULL,
        .api_version = route->api_versions > 0 ? route->api_version : NULL,
        .operation = mock_route_below(route),
        .content_type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "content-type"),
        .headers = exchange->headers,
        .header_count = exchange->header_count,
        .outcome = outcome_name(exchange->decision.action),
        .status = exchange->decision.status,
    };
    if (!mock_log_write(exchange->server->log_fd, &entry))
        fprintf(stderr, "spillway mock: --log: a line could not be written\n");
}

/* --- the way of a request ------------------------------------------------------------------ */

static int connection_fd(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

/* Closing with SO_LINGER 0 sends RST. libmicrohttpd would shut the socket down before that,
 * which sends FIN first, so it gets a fresh socket in its place. */
static void reset_connection(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (fresh >= 0) {
        dup3(fresh, fd, O_CLOEXEC);
        close(fresh);
    }
}

static void send_interim(int fd, int status) {
    char head[128];
    const char *reason = MHD_get_reason_phrase_for((unsigned)status);
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\n%s\r\n", status,
                          reason != NULL ? reason : "Informational",
                          status == 103 ? "link: </mock>; rel=preload\r\n" : "");
    if (send(fd, head, (size_t)length, MSG_NOSIGNAL) < length)
        perror("spillway mock: interim response");
}

struct noted_keys {
    struct mock_keys keys;
    const char *right;
};

static enum MHD_Result note_key(void *context, enum MHD_ValueKind kind, const char *name,
                                const char *value) {
    struct noted_keys *noted = context;
    (void)kind;
    if (value != NULL)
        mock_keys_add(&noted->keys, noted->right, name, value);
    return MHD_YES;
}

/* Reads what the request is about, and decides on it. */
static void judge(struct MHD_Connection *connection, struct mock_exchange *exchange) {
    const struct mock_body *body = &exchange->body;
    struct noted_keys noted = {.right = exchange->server->options->rules.key};
    struct mock_claim claim = {.route = &exchange->route,
                               .question = &exchange->question,
                               .body = body->kept != NULL ? body->kept : "",
                               .length = body->kept_length,
                               .whole = mock_body_whole(body)};
    mock_question_parse(claim.body, claim.length,
                        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "content-type"),
                        &exchange->question);
    mock_route_parse(exchange->method, exchange->target, exchange->server->options->dialect,
                     &exchange->route);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, note_key, &noted);
    claim.keys = noted.keys;
    decide(exchange->server, exchange, &claim, own_step(connection, exchange));
}

/* Whether NAME can stand in JSON, in a header and in the name of a file. */
static bool is_safe(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t length = strlen(name);
    return length > 0 && length <= 64 && strspn(name, allowed) == length;
}

static void choose_name(struct MHD_Connection *connection, struct mock_exchange *exchange) {
    const struct mock_options *options = exchange->server->options;
    const char *name =
        options->name_header != NULL
            ? MHD_lookup_connection_value(connection, MHD_HEADER_KIND, options->name_header)
            : NULL;
    exchange->name = name != NULL && is_safe(name) ? name : options->name;
}

static enum MHD_Result answer_request(struct MHD_Connection *connection,
                                      struct mock_exchange *exchange) {
    struct mock_server *server = exchange->server;
    const struct mock_decision *decision = &exchange->decision;
    int fd = exchange->fd = connection_fd(connection);
    uint64_t start = mock_now_ns();
    choose_name(connection, exchange);
    judge(connection, exchange);
    if (!mock_body_save(&exchange->body, exchange->name, exchange->number))
        fprintf(stderr, "spillway mock: --save-bodies: a body could not be written\n");
    write_log(connection, exchange);
    exchange->counted = true;

    uint64_t latency =
        decision->step->has_latency ? decision->step->latency_ns : server->options->latency_ns;
    if (latency > 0 && !mock_wait_until(server, fd, start + latency))
        return MHD_NO;
    if (decision->action == MOCK_HANG)
        mock_wait_until(server, fd, MOCK_FOREVER);
    if (decision->action == MOCK_RESET)
        reset_connection(fd);
    if (decision->status == 0)
        return MHD_NO;
    if (decision->step->interim != 0)
        send_interim(fd, decision->step->interim);
    struct MHD_Response *response = mock_make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)decision->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *length, void **request) {
    struct mock_exchange *exchange = *request;
    (void)context;
    (void)url;
    (void)version;
    if (exchange == NULL || exchange->target == NULL)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        exchange->method = method;
        clock_gettime(CLOCK_REALTIME, &exchange->time);
        mock_body_begin(&exchange->body, exchange->server->options->bodies,
                        atomic_fetch_add(&exchange->server->bodies, 1));
        return MHD_YES;
    }
    if (*length > 0) {
        bool taken = mock_body_add(&exchange->body, data, *length);
        *length = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    return answer_request(connection, exchange);
}

/* libmicrohttpd asks for this with the URI as it came; the result is the request's context. */
static void *begin(void *context, const char *uri, struct MHD_Connection *connection) {
    struct mock_exchange *exchange = calloc(1, sizeof *exchange);
    (void)connection;
    if (exchange == NULL)
        return NULL;
    exchange->server = context;
    exchange->target = strdup(uri);
    return exchange;
}

static void completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode code) {
    struct mock_server *server = context;
    struct mock_exchange *exchange = *request;
    (void)connection;
    (void)code;
    if (exchange == NULL)
        return;
    if (exchange->counted &&
        atomic_fetch_add(&server->answered, 1) + 1 == server->options->requests)
        eventfd_write(server->enough_fd, 1);
    free(exchange->target);
    if (exchange->begun)
        mock_body_end(&exchange->body);
    mock_script_free(&exchange->own);
    free(exchange);
    *request = NULL;
}

static void connected(void *context, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code) {
    struct mock_server *server = context;
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = (void *)(uintptr_t)(atomic_fetch_add(&server->connections, 1) + 1);
}

/* --- life ---------------------------------------------------------------------------------- */

/* libmicrohttpd's messages: why it does not start. Afterwards they would tell of each reset. */
__attribute__((format(printf, 2, 0))) static void report(void *context, const char *format,
                                                         va_list arguments) {
    const struct mock_server *server = context;
    if (atomic_load(&server->started))
        return;
    fputs("spillway mock: ", stderr);
    vfprintf(stderr, format, arguments);
}

static struct MHD_Daemon *start_daemon(struct mock_server *server, int listen_fd) {
    const struct mock_options *options = server->options;
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC |
                     MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem secure[] = {
        {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    if (options->certificate != NULL) {
        flags |= MHD_USE_TLS;
        secure[0].option = MHD_OPTION_HTTPS_MEM_CERT;
        memcpy(&secure[0].ptr_value, &options->certificate, sizeof options->certificate);
        secure[1].option = MHD_OPTION_HTTPS_MEM_KEY;
        memcpy(&secure[1].ptr_value, &options->key, sizeof options->key);
    }
    /* clang-format off */
    return MHD_start_daemon(flags, 0, NULL, NULL, handle, server,
                            MHD_OPTION_EXTERNAL_LOGGER, report, server,
                            MHD_OPTION_LISTEN_SOCKET, listen_fd,
                            MHD_OPTION_URI_LOG_CALLBACK, begin, server,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, server,
                            MHD_OPTION_NOTIFY_CONNECTION, connected, server,
                            MHD_OPTION_ARRAY, secure,
                            MHD_OPTION_END);
    /* clang-format on */
}

static void free_server(struct mock_server *server) {
    if (server->enough_fd >= 0)
        close(server->enough_fd);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

struct mock_server *mock_server_start(struct mock_options *options, int listen_fd, int log_fd) {
    struct mock_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->options = options;
    server->log_fd = log_fd;
    server->enough_fd = eventfd(0, EFD_CLOEXEC);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&server->lock, NULL);
    if (server->enough_fd >= 0 && server->stop_fd >= 0)
        server->daemon = start_daemon(server, listen_fd);
    if (server->daemon != NULL) {
        atomic_store(&server->started, true);
        return server;
    }
    free_server(server);
    return NULL;
}

int mock_server_enough(const struct mock_server *server) {
    return server->enough_fd;
}

void mock_server_stop(struct mock_server *server) {
    eventfd_write(server->stop_fd, 1);
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
