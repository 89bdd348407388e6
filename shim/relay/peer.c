#include "shim/relay/peer.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define ALL_STATES 0xfffu

int peer_open(void) {
    return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/* An address as bytes; an IPv4 address in IPv6's clothes (RFC 4291, section 2.5.5.2) is one of
 * IPv4. */
struct place_of {
    int family;
    uint32_t words[4];
    uint16_t port; /* in the network's order */
};

static bool take_apart(const struct sockaddr *address, struct place_of *out) {
    *out = (struct place_of){.family = AF_INET};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        out->words[0] = four.sin_addr.s_addr;
        out->port = four.sin_port;
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 six;
    memcpy(&six, address, sizeof six);
    out->port = six.sin6_port;
    if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
        memcpy(out->words, six.sin6_addr.s6_addr + 12, 4);
        return true;
    }
    out->family = AF_INET6;
    memcpy(out->words, &six.sin6_addr, sizeof out->words);
    return true;
}

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

/* The socket at the other end: there PEER is its own address. */
static bool make_question(struct question *question, const struct sockaddr *peer,
                          const struct sockaddr *own) {
    struct place_of there, here;
    if (!take_apart(peer, &there) || !take_apart(own, &here) || there.family != here.family)
        return false;
    *question = (struct question){
        .head = {.nlmsg_len = sizeof *question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = (uint8_t)there.family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = ALL_STATES,
                 .id = {.idiag_sport = there.port,
                        .idiag_dport = here.port,
                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    memcpy(question->body.id.idiag_src, there.words, sizeof there.words);
    memcpy(question->body.id.idiag_dst, here.words, sizeof here.words);
    return true;
}

/* Whether MESSAGE tells of the socket that QUESTION asks about, and of this user's. */
static bool says_own(const struct inet_diag_msg *message, const struct question *question) {
    /* a socket that nobody holds any more has no inode, and belongs to root by default */
    return message->idiag_inode != 0 && message->idiag_uid == geteuid() &&
           message->id.idiag_sport == question->body.id.idiag_sport &&
           message->id.idiag_dport == question->body.id.idiag_dport;
}

/* Whether HEAD, LENGTH bytes of it, is the kernel's answer to QUESTION, and not to one before. */
static bool is_answer(const struct nlmsghdr *head, ssize_t length, const struct sockaddr_nl *from,
                      const struct question *question) {
    return length >= (ssize_t)sizeof *head && from->nl_pid == 0 &&
           head->nlmsg_seq == question->head.nlmsg_seq;
}

/* The kernel answers in the call that asks: what is not there afterwards does not come. */
static bool receive(int diag, const struct question *question, struct inet_diag_msg *message) {
    _Alignas(struct nlmsghdr) char text[1024];
    const struct nlmsghdr *head = (const struct nlmsghdr *)text;
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_length = sizeof from;
        ssize_t length =
            recvfrom(diag, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &from_length);
        if (length < 0 && errno != EINTR)
            return false;
        if (!is_answer(head, length, &from, question))
            continue;
        if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            length < (ssize_t)(NLMSG_HDRLEN + sizeof *message))
            return false; /* there is no such socket */
        memcpy(message, text + NLMSG_HDRLEN, sizeof *message);
        return true;
    }
}

bool peer_is_own(int diag, const struct sockaddr *peer, const struct sockaddr *own) {
    static uint32_t number;
    struct question question;
    struct inet_diag_msg message;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (!make_question(&question, peer, own))
        return false;
    question.head.nlmsg_seq = ++number;
    return sendto(diag, &question, sizeof question, 0, (struct sockaddr *)&kernel, sizeof kernel) ==
               (ssize_t)sizeof question &&
           receive(diag, &question, &message) && says_own(&message, &question);
}

uint16_t peer_port(const struct sockaddr *address) {
    struct place_of place;
    return take_apart(address, &place) ? ntohs(place.port) : 0;
}

static bool is_any(const struct place_of *place) {
    static const uint32_t none[4];
    return memcmp(place->words, none, sizeof none) == 0;
}

static bool is_loopback(const struct place_of *place) {
    if (place->family == AF_INET)
        return ntohl(place->words[0]) >> 24 == 127;
    return memcmp(place->words, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

bool peer_same_service(const struct sockaddr *address, const struct sockaddr *listener) {
    struct place_of a, b;
    if (!take_apart(address, &a) || !take_apart(listener, &b) || a.port != b.port)
        return false;
    return is_any(&a) || is_any(&b) || (is_loopback(&a) && is_loopback(&b)) ||
           (a.family == b.family && memcmp(a.words, b.words, sizeof a.words) == 0);
}
