/*
 * The exported functions that connect. What is for no logical host goes on as it came.
 */
#include <errno.h>

#include "shim/exempt.h"
#include "shim/socket/address.h"
#include "shim/socket/goal.h"
#include "shim/socket/real.h"

#define EXPORT   __attribute__((visibility("default")))
#define CALLER   __builtin_return_address(0)
#define NOINLINE __attribute__((noinline))

/* The address to use in place of ADDRESS, perhaps in OTHER; NULL, with errno, if there is none. */
static const struct sockaddr *choose(int fd, const struct sockaddr *address, socklen_t length,
                                     union goal_address *other) {
    enum goal_course course = goal_decide(fd, address, length, other);
    if (course == GOAL_CHOICE && !address_choose(goal_service(address, length), other))
        course = GOAL_NOWHERE;
    else if (course == GOAL_CHOICE)
        course = GOAL_REPLACED;
    if (course == GOAL_NOWHERE) {
        errno = EHOSTUNREACH;
        return NULL;
    }
    return course == GOAL_REPLACED ? &other->any : address;
}

static NOINLINE int connect_served(int fd, const struct sockaddr *address, socklen_t length) {
    union goal_address other;
    if (goal_decide(fd, address, length, &other) == GOAL_CHOICE)
        return address_connect(fd, &other, length, goal_service(address, length));
    address = choose(fd, address, length, &other);
    return address ? real_sockets()->connect(fd, address, length) : -1;
}

static NOINLINE ssize_t sendto_served(int fd, const void *data, size_t size, int flags,
                                      const struct sockaddr *address, socklen_t length) {
    union goal_address other;
    address = choose(fd, address, length, &other);
    return address ? real_sockets()->sendto(fd, data, size, flags, address, length) : -1;
}

static NOINLINE ssize_t sendmsg_served(int fd, const struct msghdr *message, int flags) {
    union goal_address other;
    struct msghdr copy = *message;
    const struct sockaddr *address = choose(fd, message->msg_name, message->msg_namelen, &other);
    if (address == &other.any)
        copy.msg_name = &other;
    return address ? real_sockets()->sendmsg(fd, &copy, flags) : -1;
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length) {
    if (goal_is_ours(address, length) && !exempt_has(CALLER))
        return connect_served(fd, address, length);
    return real_sockets()->connect(fd, address, length);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags,
                      const struct sockaddr *address, socklen_t length) {
    if ((flags & MSG_FASTOPEN) && goal_is_ours(address, length) && !exempt_has(CALLER))
        return sendto_served(fd, data, size, flags, address, length);
    return real_sockets()->sendto(fd, data, size, flags, address, length);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if ((flags & MSG_FASTOPEN) && message &&
        goal_is_ours(message->msg_name, message->msg_namelen) && !exempt_has(CALLER))
        return sendmsg_served(fd, message, flags);
    return real_sockets()->sendmsg(fd, message, flags);
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
    int result = real_sockets()->getsockopt(fd, level, name, value, length);
    if (level == SOL_SOCKET && name == SO_ERROR && result == 0 && address_is_pending())
        address_settle(fd, value, *length);
    return result;
}
