#include "shim/socket/goal.h"

#include <errno.h>

#include "shim/socket/real.h"

/* An address that may be a logical host's. */
struct goal {
    struct in6_addr address; /* an IPv4 one as v4-mapped */
    uint16_t port;
    struct host *host; /* NULL: it is announced by the environment */
};

/* As short as the kernel takes an IPv6 address (SIN6_LEN_RFC2133). */
#define SHORT_V6 24

static struct in6_addr mapped(struct in_addr v4) {
    struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&address.s6_addr[12], &v4, sizeof v4);
    return address;
}

static struct in_addr unmapped(const struct in6_addr *address) {
    struct in_addr v4;
    memcpy(&v4, &address->s6_addr[12], sizeof v4);
    return v4;
}

static bool is_in_net(const struct in6_addr *address) {
    return IN6_IS_ADDR_V4MAPPED(address) &&
           (ntohl(unmapped(address).s_addr) & TABLE_MASK) == TABLE_NET;
}

/* Takes a copy: the program's may lie anywhere. */
static bool copy(const struct sockaddr *address, socklen_t length, union goal_address *out) {
    memset(out, 0, sizeof *out);
    memcpy(out, address, length < sizeof *out ? length : sizeof *out);
    return out->any.sa_family == AF_INET || length >= SHORT_V6;
}

/* Fills in GOAL for OWN; false if it is no logical host's. */
static bool find(const union goal_address *own, struct goal *goal) {
    const struct table *table = atomic_load_explicit(&directory_table, memory_order_acquire);
    bool v4 = own->any.sa_family == AF_INET;
    goal->address = v4 ? mapped(own->v4.sin_addr) : own->v6.sin6_addr;
    goal->port = ntohs(v4 ? own->v4.sin_port : own->v6.sin6_port);
    goal->host = NULL;
    if (!table)
        return directory_announced(&goal->address, goal->port) != 0;
    if (!table->has_numeric && !is_in_net(&goal->address))
        return false;
    goal->host = table_at(table, &goal->address);
    /* of a host that is an address only the very ports are ours */
    return goal->host && (!goal->host->numeric || table_service(goal->host, goal->port));
}

bool goal_is_ours_ip(const struct sockaddr *address, socklen_t length) {
    union goal_address own;
    struct goal goal;
    if (!atomic_load_explicit(&directory_table, memory_order_relaxed) && !directory_announces_any())
        return false;
    return copy(address, length, &own) && find(&own, &goal);
}

static bool is_stream(int fd) {
    int type = 0, saved = errno;
    socklen_t size = sizeof type;
    bool stream = real_sockets()->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                  type == SOCK_STREAM;
    errno = saved;
    return stream;
}

/* Puts the IPv4 address V4 into OUT, in the form that its family has. */
static void put_v4(union goal_address *out, struct in_addr v4) {
    if (out->any.sa_family == AF_INET)
        out->v4.sin_addr = v4;
    else
        out->v6.sin6_addr = mapped(v4);
}

static enum goal_course to_relay(uint16_t port, union goal_address *out) {
    if (!port)
        return GOAL_NOWHERE;
    put_v4(out, (struct in_addr){htonl(INADDR_LOOPBACK)});
    if (out->any.sa_family == AF_INET) {
        out->v4.sin_port = htons(port);
    } else {
        out->v6.sin6_port = htons(port);
        out->v6.sin6_scope_id = 0;
    }
    return GOAL_REPLACED;
}

/* Another port of the host: to where the name leads without us. */
static enum goal_course to_real(const struct host *host, union goal_address *out) {
    struct spot_addresses real;
    if (!spot_read(&host->real, &real))
        return GOAL_NOWHERE;
    if (real.has_v4)
        put_v4(out, real.v4);
    else if (out->any.sa_family == AF_INET6)
        out->v6.sin6_addr = real.v6;
    else
        return GOAL_NOWHERE;
    return GOAL_REPLACED;
}

static uint16_t relay_port(enum way way) {
    bool tls = way == WAY_RELAY_TLS;
    uint16_t port = atomic_load_explicit(tls ? &directory_relay_tls_port : &directory_relay_port,
                                         memory_order_acquire);
    return port || tls ? port : directory_announced_port();
}

enum goal_course goal_decide(int fd, const struct sockaddr *address, socklen_t length,
                             union goal_address *out) {
    struct goal goal;
    if (!is_stream(fd) || !copy(address, length, out) || !find(out, &goal))
        return GOAL_OWN;
    if (!goal.host)
        return to_relay(directory_announced(&goal.address, goal.port), out);
    const struct service *service = table_service(goal.host, goal.port);
    enum goal_course course = GOAL_NOWHERE;
    if (service && (service->way == WAY_RELAY || service->way == WAY_RELAY_TLS))
        course = to_relay(relay_port(service->way), out);
    else if (service && service->way == WAY_ADDRESS)
        return GOAL_CHOICE;
    /* a numeric host without its relay is what it is */
    if (course == GOAL_NOWHERE)
        course = goal.host->numeric ? GOAL_OWN : to_real(goal.host, out);
    return course;
}

const struct service *goal_service(const struct sockaddr *address, socklen_t length) {
    union goal_address own;
    struct goal goal;
    if (!copy(address, length, &own) || !find(&own, &goal) || !goal.host)
        return NULL;
    return table_service(goal.host, goal.port);
}
