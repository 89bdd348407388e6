#include "shim/socket/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

#include "shim/log.h"
#include "shim/pool/ledger.h"
#include "shim/runtime.h"
#include "shim/socket/lookup.h"
#include "shim/socket/real.h"

#define LOOKUP_INTERVAL 60000000000u /* ns */
#define NAME_SIZE       256

/* --- the pool ------------------------------------------------------------------------------ */

static const struct runtime_endpoint *live_of(const struct service *service) {
    const struct runtime *runtime = service->table->runtime;
    return runtime ? &runtime->endpoints[service->endpoint] : NULL;
}

static void log_cooldown(const struct pool *pool, int backend, uint64_t left) {
    struct log_line line;
    if (!left || !log_wanted(LOG_WARN))
        return;
    log_begin(&line, LOG_WARN, "cooldown");
    log_text(&line, "endpoint", pool_endpoint(pool)->name);
    log_text(&line, "backend", pool_endpoint(pool)->backends[backend].name);
    log_text(&line, "reason", "connect");
    log_seconds(&line, "seconds", left);
    log_end(&line);
}

static void report_failure(struct pool *pool, struct pool_turn *turn, int backend) {
    uint64_t cooldown = pool_endpoint(pool)->cooldown_ns;
    log_cooldown(pool, backend,
                 pool_failed(pool, turn, backend, REASON_CONNECT, 0, cooldown, ledger_now()));
}

/* --- lookups ------------------------------------------------------------------------------- */

static bool name_of_backend(const struct backend *backend, bool https, char name[NAME_SIZE]) {
    struct url url;
    if (!url_parse(backend->url, https, &url))
        return false;
    bool brackets = url.host.length > 2 && url.host.text[0] == '[';
    size_t length = url.host.length - 2 * brackets;
    if (length >= NAME_SIZE)
        return false;
    memcpy(name, url.host.text + brackets, length);
    name[length] = '\0';
    return true;
}

static void look_up(struct pool *pool, int backend, bool https, struct backend_place *place) {
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    struct pool_turn turn = {0};
    char name[NAME_SIZE];
    if (ledger_now() < atomic_load_explicit(&place->until, memory_order_acquire) ||
        !name_of_backend(&pool_endpoint(pool)->backends[backend], https, name))
        return;
    if (real_resolver()->getaddrinfo(name, NULL, &hints, &list) == 0) {
        lookup_note(&place->spot, list);
        freeaddrinfo(list);
    } else {
        report_failure(pool, &turn, backend);
    }
    atomic_store_explicit(&place->until, ledger_now() + LOOKUP_INTERVAL, memory_order_release);
}

bool address_prepare(struct service *service) {
    const struct runtime_endpoint *live = live_of(service);
    struct spot_addresses found;
    bool any = false;
    if (!live)
        return false;
    ledger_mark(ledger_now()); /* its first call takes a lock */
    for (size_t i = 0; i < service->place_count; i++) {
        look_up(live->pool, (int)i, service->https, &service->places[i]);
        any |= spot_read(&service->places[i].spot, &found);
    }
    return any;
}

/* --- connections under way ----------------------------------------------------------------- */

/* A connection of a non-blocking socket. */
struct pending {
    _Atomic uint64_t cookie; /* of the socket, SO_COOKIE; 0: free, BUSY: somebody is at it */
    int fd;
    int backend;
    bool probes;
    struct pool *_Atomic pool; /* looked at before it is taken, too */
    uint64_t started;
};

#define PENDING_MAX 64
#define BUSY        UINT64_MAX

static struct pending pendings[PENDING_MAX];
atomic_uint address_pending;

static uint64_t cookie_of(int fd) {
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    int saved = errno;
    if (real_sockets()->getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
        cookie = 0;
    errno = saved;
    return cookie;
}

/* Takes PENDING if it is still that of COOKIE; free_pending is to follow. */
static bool take_pending(struct pending *pending, uint64_t cookie) {
    return atomic_compare_exchange_strong(&pending->cookie, &cookie, BUSY);
}

static void free_pending(struct pending *pending) {
    atomic_store_explicit(&pending->cookie, 0, memory_order_release);
    atomic_fetch_sub_explicit(&address_pending, 1, memory_order_relaxed);
}

/* Forgotten if there are too many: what becomes of it is never known then. */
static void remember(int fd, struct pool *pool, const struct pool_turn *turn, int backend,
                     uint64_t started) {
    uint64_t cookie = cookie_of(fd);
    for (size_t i = 0; cookie && i < PENDING_MAX; i++) {
        struct pending *pending = &pendings[i];
        if (!take_pending(pending, 0))
            continue;
        pending->fd = fd;
        pending->backend = backend;
        pending->probes = turn->probes >> backend & 1;
        atomic_store_explicit(&pending->pool, pool, memory_order_relaxed);
        pending->started = started;
        atomic_fetch_add_explicit(&address_pending, 1, memory_order_relaxed);
        atomic_store_explicit(&pending->cookie, cookie, memory_order_release);
        return;
    }
}

enum outcome { UNKNOWN, CONNECTED, FAILED };

static void report(const struct pending *pending, enum outcome outcome) {
    struct pool_turn turn = {.probes = (uint64_t)pending->probes << pending->backend};
    struct pool *pool = atomic_load_explicit(&pending->pool, memory_order_relaxed);
    if (outcome == CONNECTED)
        pool_succeeded(pool, &turn, pending->backend, 0, pending->started);
    else if (outcome == FAILED)
        report_failure(pool, &turn, pending->backend);
    else
        pool_give_up(pool, &turn, pending->backend);
}

/* What the kernel says of a socket; its SO_ERROR is the program's to read. */
static enum outcome outcome_of(int fd, uint64_t age, uint64_t limit) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (real_sockets()->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return UNKNOWN;
    if (info.tcpi_state == TCP_SYN_SENT)
        return limit && age > limit ? FAILED : UNKNOWN;
    return info.tcpi_state == TCP_CLOSE ? FAILED : CONNECTED;
}

/* Looks at those of POOL: one that was closed unread is forgotten. */
static void look_at_pending(const struct pool *pool) {
    uint64_t now = ledger_now(), limit = pool_endpoint(pool)->connect_timeout_ns;
    for (size_t i = 0; address_is_pending() && i < PENDING_MAX; i++) {
        struct pending *pending = &pendings[i];
        uint64_t cookie = atomic_load_explicit(&pending->cookie, memory_order_acquire);
        if (!cookie || cookie == BUSY ||
            atomic_load_explicit(&pending->pool, memory_order_relaxed) != pool ||
            !take_pending(pending, cookie))
            continue;
        bool there = cookie_of(pending->fd) == cookie;
        enum outcome outcome =
            there ? outcome_of(pending->fd, now - pending->started, limit) : UNKNOWN;
        if (there && outcome == UNKNOWN) {
            atomic_store_explicit(&pending->cookie, cookie, memory_order_release);
            continue;
        }
        report(pending, outcome);
        free_pending(pending);
    }
}

/* The connection of FD that is under way, taken; or NULL. */
static struct pending *find_pending(int fd) {
    uint64_t cookie = address_is_pending() ? cookie_of(fd) : 0;
    for (size_t i = 0; cookie && i < PENDING_MAX; i++)
        if (take_pending(&pendings[i], cookie))
            return &pendings[i];
    return NULL;
}

void address_settle(int fd, const void *value, socklen_t length) {
    int saved = errno, error = 0;
    struct pending *pending = length >= sizeof error ? find_pending(fd) : NULL;
    if (!pending)
        return;
    memcpy(&error, value, sizeof error);
    enum outcome outcome = error ? FAILED : outcome_of(fd, 0, 0);
    if (outcome == UNKNOWN) { /* it is still under way */
        atomic_store_explicit(&pending->cookie, cookie_of(fd), memory_order_release);
    } else {
        report(pending, outcome);
        free_pending(pending);
    }
    errno = saved;
}

/* --- connecting ---------------------------------------------------------------------------- */

/* Writes where BACKEND is, in the family of OUT. False if that family can't reach it. */
static bool put_place(const struct backend_place *place, union goal_address *out) {
    struct spot_addresses found;
    if (!place->port || !spot_read(&place->spot, &found))
        return false;
    if (out->any.sa_family == AF_INET) {
        out->v4.sin_addr = found.v4;
        out->v4.sin_port = htons(place->port);
        return found.has_v4;
    }
    out->v6.sin6_port = htons(place->port);
    out->v6.sin6_scope_id = 0;
    if (found.has_v4) {
        out->v6.sin6_addr = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(&out->v6.sin6_addr.s6_addr[12], &found.v4, sizeof found.v4);
    } else {
        out->v6.sin6_addr = found.v6;
    }
    return true;
}

/* The next backend that the socket can reach, its address in OUT; -1 if none is left. */
static int choose(struct pool *pool, struct pool_turn *turn, const struct service *service,
                  union goal_address *out) {
    for (;;) {
        uint64_t now = ledger_now();
        int backend = pool_choose(pool, turn, now, runtime_random(now));
        if (backend < 0 || put_place(&service->places[backend], out))
            return backend;
        pool_give_up(pool, turn, backend);
        pool_bar(turn, backend);
    }
}

bool address_choose(const struct service *service, union goal_address *out) {
    const struct runtime_endpoint *live = service ? live_of(service) : NULL;
    struct pool_turn turn = {0};
    int backend = live ? choose(live->pool, &turn, service, out) : -1;
    if (backend >= 0)
        pool_give_up(live->pool, &turn, backend);
    return backend >= 0;
}

static bool is_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}

/* A blocking connect within LIMIT ns, by the time limit that the socket has for sending: nothing
 * else of it changes. Past it: ETIMEDOUT, and the socket is as before. */
static int connect_within(int fd, const union goal_address *to, socklen_t length, uint64_t limit) {
    struct timeval own = {0}, ours = {(time_t)(limit / 1000000000u),
                                      (suseconds_t)(limit % 1000000000u / 1000)};
    socklen_t size = sizeof own;
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    bool known = real_sockets()->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &own, &size) == 0;
    bool shorter = own.tv_sec || own.tv_usec ? timercmp(&ours, &own, <) : true;
    if (!limit || !known || !shorter)
        return real_sockets()->connect(fd, &to->any, length);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &ours, sizeof ours);
    int result = real_sockets()->connect(fd, &to->any, length), error = errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &own, sizeof own);
    if (result != 0 && (error == EINPROGRESS || error == EAGAIN)) {
        real_sockets()->connect(fd, &nowhere, sizeof nowhere);
        error = ETIMEDOUT;
    }
    errno = error;
    return result;
}

/* Whether ERROR of connect is the backend's failure, not the program's. */
static bool is_failure(int error) {
    return error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH ||
           error == ENETUNREACH || error == ECONNRESET || error == ECONNABORTED ||
           error == EHOSTDOWN || error == ENETDOWN;
}

/* A call for a connection that is under way. Returns true if it is the answer, in *RESULT. */
static bool ask_again(int fd, const union goal_address *own, socklen_t length, int *result) {
    struct pending *pending = find_pending(fd);
    if (!pending)
        return false;
    *result = real_sockets()->connect(fd, &own->any, length);
    int error = errno;
    bool over = *result == 0 || error == EISCONN || is_failure(error);
    if (over) {
        report(pending, *result == 0 || error == EISCONN ? CONNECTED : FAILED);
        free_pending(pending);
    } else {
        atomic_store_explicit(&pending->cookie, cookie_of(fd), memory_order_release);
    }
    errno = error;
    return *result == 0 || !is_failure(error);
}

int address_connect(int fd, const union goal_address *own, socklen_t length,
                    const struct service *service) {
    const struct runtime_endpoint *live = service ? live_of(service) : NULL;
    union goal_address to = *own;
    struct pool_turn turn = {0};
    int result = -1, saved = errno, error = EHOSTUNREACH, backend;
    if (!live)
        return real_sockets()->connect(fd, &own->any, length);
    if (ask_again(fd, own, length, &result))
        return result;
    look_at_pending(live->pool);
    const struct endpoint *endpoint = pool_endpoint(live->pool);
    uint64_t limit = is_blocking(fd) ? endpoint->connect_timeout_ns : 0;
    while ((backend = choose(live->pool, &turn, service, &to)) >= 0) {
        uint64_t started = ledger_now();
        result = connect_within(fd, &to, length, limit);
        error = errno;
        if (result == 0)
            pool_succeeded(live->pool, &turn, backend, 0, started);
        else if (error == EINPROGRESS)
            remember(fd, live->pool, &turn, backend, started);
        else if (is_failure(error) && endpoint->retry_on.connect)
            report_failure(live->pool, &turn, backend);
        else
            pool_give_up(live->pool, &turn, backend);
        if (result == 0 || !is_failure(error) || !endpoint->retry_on.connect)
            break;
    }
    errno = result == 0 ? saved : error;
    return result;
}
