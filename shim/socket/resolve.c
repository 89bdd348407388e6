/*
 * The exported functions of the resolver. What is for no logical host goes on as it came.
 */
#include "shim/socket/lookup.h"
#include "shim/socket/real.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result) {
    struct host *host = lookup_host(node, CALLER);
    return host ? lookup_addresses(host, node, service, hints, result)
                : real_resolver()->getaddrinfo(node, service, hints, result);
}

EXPORT int getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event) {
    return lookup_many(mode, list, count, event, CALLER);
}

EXPORT struct hostent *gethostbyname(const char *name) {
    struct host *host = lookup_host(name, CALLER);
    return host ? lookup_by_name(host, name) : real_resolver()->gethostbyname(name);
}

EXPORT struct hostent *gethostbyname2(const char *name, int family) {
    struct host *host = lookup_host(name, CALLER);
    return host ? lookup_by_name2(host, name, family)
                : real_resolver()->gethostbyname2(name, family);
}

EXPORT int gethostbyname_r(const char *name, struct hostent *out, char *buffer, size_t size,
                           struct hostent **result, int *error) {
    struct host *host = lookup_host(name, CALLER);
    return host ? lookup_by_name_r(host, name, out, buffer, size, result, error)
                : real_resolver()->gethostbyname_r(name, out, buffer, size, result, error);
}

EXPORT int gethostbyname2_r(const char *name, int family, struct hostent *out, char *buffer,
                            size_t size, struct hostent **result, int *error) {
    struct host *host = lookup_host(name, CALLER);
    return host ? lookup_by_name2_r(host, name, family, out, buffer, size, result, error)
                : real_resolver()->gethostbyname2_r(name, family, out, buffer, size, result, error);
}
