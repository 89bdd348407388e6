#include "shim/socket/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/exempt.h"
#include "shim/log.h"
#include "shim/pool/ledger.h"
#include "shim/socket/address.h"
#include "shim/socket/directory.h"
#include "shim/socket/real.h"

#define ANY_PORT 0 /* the program does not say which */

/* For how long the real addresses of a host are taken for true; longer if that there are none was
 * slow to find out. */
#define REAL_INTERVAL  60000000000u
#define SLOW           1000000000u
#define SLOW_INTERVAL  600000000000u
#define HOST_NAME_SIZE 256 /* of a name and its end (RFC 1035, section 2.3.4) */

struct host *lookup_host(const char *name, const void *caller) {
    if (!name || exempt_has(caller))
        return NULL;
    struct table *table = directory_renew();
    return table ? table_find(table, name) : NULL;
}

/* --- the port ------------------------------------------------------------------------------ */

/* The port that SERVICE is, as the resolver reads it; false if it is none. */
static bool read_service(const char *service, uint16_t *port) {
    struct servent entry, *found = NULL;
    char buffer[1024], *end;
    *port = ANY_PORT;
    if (!service)
        return true;
    unsigned long number = strtoul(service, &end, 10);
    if (!*end) {
        *port = (uint16_t)number;
        return true;
    }
    if (getservbyname_r(service, "tcp", &entry, buffer, sizeof buffer, &found) != 0 || !found)
        return false;
    *port = ntohs((uint16_t)found->s_port);
    return true;
}

/* Whether a lookup with HINTS can lead to a connection that is served. */
static bool is_for_streams(const struct addrinfo *hints) {
    if (!hints)
        return true;
    return !(hints->ai_flags & AI_NUMERICHOST) &&
           (!hints->ai_socktype || hints->ai_socktype == SOCK_STREAM) &&
           (hints->ai_family == AF_UNSPEC || hints->ai_family == AF_INET ||
            hints->ai_family == AF_INET6);
}

/* --- the real addresses -------------------------------------------------------------------- */

void lookup_note(struct spot *spot, const struct addrinfo *list) {
    struct spot_addresses found = {0};
    for (; list; list = list->ai_next) {
        if (list->ai_family == AF_INET && !found.has_v4) {
            struct sockaddr_in v4;
            memcpy(&v4, list->ai_addr, sizeof v4);
            found.v4 = v4.sin_addr;
            found.has_v4 = true;
        } else if (list->ai_family == AF_INET6 && !found.has_v6) {
            struct sockaddr_in6 v6;
            memcpy(&v6, list->ai_addr, sizeof v6);
            found.v6 = v6.sin6_addr;
            found.has_v6 = true;
        }
    }
    spot_write(spot, &found);
}

/* Asks where the host leads without us, for connections to its other ports. */
static void ask_real(struct host *host) {
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    uint64_t now = ledger_now(), interval = REAL_INTERVAL;
    struct addrinfo *list = NULL;
    if (host->unreal || now < atomic_load_explicit(&host->real_until, memory_order_acquire))
        return;
    if (real_resolver()->getaddrinfo(host->name, NULL, &hints, &list) == 0) {
        lookup_note(&host->real, list);
        freeaddrinfo(list);
    } else if (ledger_now() - now > SLOW) {
        interval = SLOW_INTERVAL;
    }
    atomic_store_explicit(&host->real_until, ledger_now() + interval, memory_order_release);
}

/* --- whether, and by which literal --------------------------------------------------------- */

static void log_lookup(enum log_level level, const struct host *host, const struct service *service,
                       const char *outcome) {
    struct log_line line;
    if (!log_wanted(level))
        return;
    log_begin(&line, level, "lookup");
    log_text(&line, "host", host->name);
    if (service)
        log_number(&line, "port", service->port);
    log_text(&line, "outcome", outcome);
    log_end(&line);
}

/* That https is left alone is said once. */
static void log_alone(const struct host *host, const struct service *service) {
    static atomic_bool said;
    if (log_wanted(LOG_WARN) && !atomic_exchange(&said, true))
        log_lookup(LOG_WARN, host, service, "https without libcurl goes to the real host");
}

static bool can_serve(const struct host *host, struct service *service) {
    switch (service->way) {
    case WAY_RELAY:
    case WAY_RELAY_TLS:
        return directory_find_relay(service->way == WAY_RELAY_TLS) != 0;
    case WAY_ADDRESS:
        return address_prepare(service);
    case WAY_ALONE:
        log_alone(host, service);
        return false;
    }
    return false;
}

/* Whether the host can be served at this moment on PORT, or on any. */
static bool is_served(struct host *host, uint16_t port) {
    bool served = false;
    for (size_t i = 0; i < host->service_count; i++)
        if (port == ANY_PORT || port == host->services[i].port)
            served |= can_serve(host, &host->services[i]);
    if (!served || host->numeric)
        return false;
    if (port == ANY_PORT)
        ask_real(host);
    log_lookup(LOG_DEBUG, host, table_service(host, port), "served");
    return true;
}

/* Whether a program that takes any family needs an IPv6 socket to reach the host's other ports. */
static bool prefers_v6(const struct host *host) {
    struct spot_addresses real;
    return spot_read(&host->real, &real) && !real.has_v4;
}

/* --- getaddrinfo --------------------------------------------------------------------------- */

/* Gives the canonical name that the resolver made of the literal the program's own. It is freed as
 * the resolver's was. */
static int name_result(const struct addrinfo *hints, struct addrinfo *list, const char *node) {
    if (!hints || !(hints->ai_flags & AI_CANONNAME) || !list->ai_canonname)
        return 0;
    char *name = strdup(node);
    if (!name) {
        freeaddrinfo(list);
        return EAI_MEMORY;
    }
    free(list->ai_canonname);
    list->ai_canonname = name;
    return 0;
}

/* Whether the lookup is to be served at this moment; errno is kept. */
static bool is_wanted(struct host *host, const char *service, const struct addrinfo *hints) {
    int saved = errno;
    uint16_t port;
    bool wanted = is_for_streams(hints) && read_service(service, &port) && is_served(host, port);
    errno = saved;
    return wanted;
}

/* Asks the real resolver for the literal of HOST, which the program calls NODE. */
static int ask_literal(const struct host *host, const char *node, const char *service,
                       const struct addrinfo *hints, struct addrinfo **result) {
    const struct real_resolver *real = real_resolver();
    int family = hints ? hints->ai_family : AF_UNSPEC;
    bool mapped = family == AF_INET6 || (family == AF_UNSPEC && prefers_v6(host));
    char literal[TABLE_LITERAL_SIZE];
    table_literal(host, mapped, literal);
    int error = real->getaddrinfo(literal, service, hints, result);
    if (error && error != EAI_MEMORY && error != EAI_SERVICE && family == AF_UNSPEC && !mapped) {
        /* AI_ADDRCONFIG on a host that has IPv6 alone */
        table_literal(host, true, literal);
        error = real->getaddrinfo(literal, service, hints, result);
    }
    return error ? error : name_result(hints, *result, node);
}

int lookup_addresses(struct host *host, const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **result) {
    return is_wanted(host, service, hints)
               ? ask_literal(host, node, service, hints, result)
               : real_resolver()->getaddrinfo(node, service, hints, result);
}

/* Answers REQUEST at once if it is for a logical host that is served. */
static bool answer(struct gaicb *request, const void *caller) {
    struct host *host = lookup_host(request->ar_name, caller);
    if (!host || !is_wanted(host, request->ar_service, request->ar_request))
        return false;
    request->__return = ask_literal(host, request->ar_name, request->ar_service,
                                    request->ar_request, &request->ar_result);
    return true;
}

int lookup_many(int mode, struct gaicb **list, int count, struct sigevent *event,
                const void *caller) {
    const struct real_resolver *real = real_resolver();
    int saved = errno;
    bool valid = count > 0 && !exempt_has(caller) && directory_renew() &&
                 (mode == GAI_WAIT || mode == GAI_NOWAIT);
    struct gaicb **rest =
        valid ? calloc((size_t)count, sizeof *rest) : NULL; /* NOLINT: an array of pointers */
    if (!rest)
        return real->getaddrinfo_a(mode, list, count, event);
    for (int i = 0; i < count; i++)
        rest[i] = list[i] && answer(list[i], caller) ? NULL : list[i];
    errno = saved;
    int result = real->getaddrinfo_a(mode, rest, count, event);
    free(rest); /* errno is kept by glibc's own */
    return result;
}

/* --- gethostbyname and its kin ------------------------------------------------------------- */

/* Whether HOST is to be served to a caller that can't say a port; writes the literal then. */
static bool is_wanted_by_name(struct host *host, int family, char literal[TABLE_LITERAL_SIZE]) {
    int saved = errno;
    bool wanted = (family == AF_INET || family == AF_INET6) && is_served(host, ANY_PORT);
    errno = saved;
    if (wanted)
        table_literal(host, family == AF_INET6, literal);
    return wanted;
}

/* Gives OUT, which is the resolver's own until the next call, the program's NAME: it lives as long,
 * and is as little safe with threads. */
static struct hostent *name_static(struct hostent *out, const char *name) {
    static char kept[HOST_NAME_SIZE];
    size_t length = strlen(name);
    if (!out || length >= sizeof kept)
        return out;
    memcpy(kept, name, length + 1);
    out->h_name = kept;
    return out;
}

struct hostent *lookup_by_name(struct host *host, const char *name) {
    const struct real_resolver *real = real_resolver();
    char literal[TABLE_LITERAL_SIZE];
    if (!is_wanted_by_name(host, AF_INET, literal))
        return real->gethostbyname(name);
    return name_static(real->gethostbyname(literal), name);
}

struct hostent *lookup_by_name2(struct host *host, const char *name, int family) {
    const struct real_resolver *real = real_resolver();
    char literal[TABLE_LITERAL_SIZE];
    if (!is_wanted_by_name(host, family, literal))
        return real->gethostbyname2(name, family);
    return name_static(real->gethostbyname2(literal, family), name);
}

/* The same with the memory of the caller: the end of BUFFER is for the program's name. */
static int by_name_r(const char *literal, const char *name, int family, struct hostent *out,
                     char *buffer, size_t size, struct hostent **result, int *error) {
    size_t room = strlen(name) + 1;
    size_t left = size > room ? size - room : 0;
    int status =
        real_resolver()->gethostbyname2_r(literal, family, out, buffer, left, result, error);
    if (status == 0 && *result)
        (*result)->h_name = memcpy(buffer + left, name, room);
    return status;
}

int lookup_by_name_r(struct host *host, const char *name, struct hostent *out, char *buffer,
                     size_t size, struct hostent **result, int *error) {
    char literal[TABLE_LITERAL_SIZE];
    if (!is_wanted_by_name(host, AF_INET, literal))
        return real_resolver()->gethostbyname_r(name, out, buffer, size, result, error);
    return by_name_r(literal, name, AF_INET, out, buffer, size, result, error);
}

int lookup_by_name2_r(struct host *host, const char *name, int family, struct hostent *out,
                      char *buffer, size_t size, struct hostent **result, int *error) {
    char literal[TABLE_LITERAL_SIZE];
    if (!is_wanted_by_name(host, family, literal))
        return real_resolver()->gethostbyname2_r(name, family, out, buffer, size, result, error);
    return by_name_r(literal, name, family, out, buffer, size, result, error);
}
