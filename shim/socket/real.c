#include "shim/socket/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Next to what our other constructor writes: each page that is written to at its start costs a
 * program a page fault, and most programs never connect. */
#define EARLY __attribute__((section(".data")))

/* NULL until they are bound; constant from then on. */
EARLY const struct real_sockets *_Atomic real_sockets_bound;
const struct real_resolver *_Atomic real_resolver_bound;

static int no_connect(int fd, const struct sockaddr *address, socklen_t length) {
    (void)fd, (void)address, (void)length;
    errno = ENOSYS;
    return -1;
}

static ssize_t no_sendto(int fd, const void *data, size_t size, int flags,
                         const struct sockaddr *address, socklen_t length) {
    (void)fd, (void)data, (void)size, (void)flags, (void)address, (void)length;
    errno = ENOSYS;
    return -1;
}

static ssize_t no_sendmsg(int fd, const struct msghdr *message, int flags) {
    (void)fd, (void)message, (void)flags;
    errno = ENOSYS;
    return -1;
}

static int no_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
    (void)fd, (void)level, (void)name, (void)value, (void)length;
    errno = ENOSYS;
    return -1;
}

static int no_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                          struct addrinfo **result) {
    (void)node, (void)service, (void)hints, (void)result;
    return EAI_FAIL;
}

static int no_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event) {
    (void)mode, (void)list, (void)count, (void)event;
    errno = ENOSYS;
    return EAI_SYSTEM;
}

static struct hostent *no_gethostbyname(const char *name) {
    (void)name;
    h_errno = NO_RECOVERY;
    return NULL;
}

static struct hostent *no_gethostbyname2(const char *name, int family) {
    (void)family;
    return no_gethostbyname(name);
}

static int no_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
                               size_t size, struct hostent **result, int *error) {
    (void)name, (void)family, (void)host, (void)buffer, (void)size;
    *result = NULL;
    *error = NO_RECOVERY;
    return ENOSYS;
}

static int no_gethostbyname_r(const char *name, struct hostent *host, char *buffer, size_t size,
                              struct hostent **result, int *error) {
    return no_gethostbyname2_r(name, AF_INET, host, buffer, size, result, error);
}

/* A data pointer from dlsym as a function pointer, the way POSIX dlsym(3p) means it. */
#define BIND(set, name)                                                                            \
    do {                                                                                           \
        void *found_ = dlsym(RTLD_NEXT, #name);                                                    \
        (set)->name = no_##name;                                                                   \
        if (found_)                                                                                \
            memcpy(&(set)->name, &found_, sizeof found_);                                          \
    } while (0)

EARLY static struct real_sockets sockets;
EARLY static pthread_once_t sockets_once = PTHREAD_ONCE_INIT;
static struct real_resolver resolver;
static pthread_once_t resolver_once = PTHREAD_ONCE_INIT;

static void find_sockets(void) {
    BIND(&sockets, connect);
    BIND(&sockets, sendto);
    BIND(&sockets, sendmsg);
    BIND(&sockets, getsockopt);
    atomic_store_explicit(&real_sockets_bound, &sockets, memory_order_release);
}

static void find_resolver(void) {
    BIND(&resolver, getaddrinfo);
    BIND(&resolver, getaddrinfo_a);
    BIND(&resolver, gethostbyname);
    BIND(&resolver, gethostbyname2);
    BIND(&resolver, gethostbyname_r);
    BIND(&resolver, gethostbyname2_r);
    atomic_store_explicit(&real_resolver_bound, &resolver, memory_order_release);
}

const struct real_sockets *real_bind_sockets(void) {
    int saved = errno;
    pthread_once(&sockets_once, find_sockets);
    errno = saved;
    return &sockets;
}

const struct real_resolver *real_bind_resolver(void) {
    int saved = errno;
    pthread_once(&resolver_once, find_resolver);
    errno = saved;
    return &resolver;
}

__attribute__((constructor)) static void bind_sockets(void) {
    real_bind_sockets();
}
