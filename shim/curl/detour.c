#include "shim/curl/detour.h"

#include <string.h>
#include <unistd.h>

static int close_socket(void *userdata, curl_socket_t fd) {
    (void)userdata;
    return close(fd);
}

void detour_set(const struct handle *handle, curl_opensocket_callback open, void *data) {
    const struct options *o = &handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = handle->curl->easy_setopt;
    CURL *easy = handle->easy;
    set(easy, CURLOPT_OPENSOCKETFUNCTION, open);
    set(easy, CURLOPT_OPENSOCKETDATA, data);
    set(easy, CURLOPT_SOCKOPTFUNCTION, NULL);
    set(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    set(easy, CURLOPT_CLOSESOCKETDATA, NULL);
    set(easy, CURLOPT_FRESH_CONNECT, 1L);
    set(easy, CURLOPT_FORBID_REUSE, 1L);
    set(easy, CURLOPT_PROXY, ""); /* also shuts out the environment's */
    if (o->pre_proxy)
        set(easy, CURLOPT_PRE_PROXY, NULL);
    if (o->protocols_set)
        set(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    if (o->http_version)
        set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (o->ip_resolve)
        set(easy, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_WHATEVER);
    if (o->tcp_fastopen)
        set(easy, CURLOPT_TCP_FASTOPEN, 0L);
}

void detour_unset(const struct handle *handle, CURL *easy) {
    const struct options *o = &handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = handle->curl->easy_setopt;
    set(easy, CURLOPT_OPENSOCKETFUNCTION, o->open_function);
    set(easy, CURLOPT_OPENSOCKETDATA, o->open_data);
    set(easy, CURLOPT_SOCKOPTFUNCTION, o->sockopt_function);
    set(easy, CURLOPT_SOCKOPTDATA, o->sockopt_data);
    set(easy, CURLOPT_CLOSESOCKETFUNCTION, o->close_function);
    set(easy, CURLOPT_CLOSESOCKETDATA, o->close_data);
    set(easy, CURLOPT_FRESH_CONNECT, o->fresh_connect);
    set(easy, CURLOPT_FORBID_REUSE, o->forbid_reuse);
    set(easy, CURLOPT_PROXY, o->proxy);
    if (o->pre_proxy)
        set(easy, CURLOPT_PRE_PROXY, o->pre_proxy);
    if (o->protocols_text)
        set(easy, CURLOPT_PROTOCOLS_STR, o->protocols_text);
    else if (o->protocols_set)
        set(easy, CURLOPT_PROTOCOLS, o->protocols);
    if (o->http_version)
        set(easy, CURLOPT_HTTP_VERSION, o->http_version);
    if (o->ip_resolve)
        set(easy, CURLOPT_IPRESOLVE, o->ip_resolve);
    if (o->tcp_fastopen)
        set(easy, CURLOPT_TCP_FASTOPEN, o->tcp_fastopen);
}

bool detour_owns(CURLoption option) {
    switch ((int)option) {
    case CURLOPT_OPENSOCKETFUNCTION:
    case CURLOPT_OPENSOCKETDATA:
    case CURLOPT_SOCKOPTFUNCTION:
    case CURLOPT_SOCKOPTDATA:
    case CURLOPT_CLOSESOCKETFUNCTION:
    case CURLOPT_CLOSESOCKETDATA:
    case CURLOPT_FRESH_CONNECT:
    case CURLOPT_FORBID_REUSE:
    case CURLOPT_PROXY:
        return true;
    default:
        return false;
    }
}

curl_socket_t detour_socket(struct curl_sockaddr *address, const struct sockaddr_un *to,
                            socklen_t length) {
    address->family = AF_UNIX; /* so it is not bound to an interface or port of the program's */
    address->socktype = SOCK_STREAM;
    address->protocol = 0;
    address->addrlen = length;
    /* libcurl has room for any address there: sizeof(struct sockaddr_storage) */
    memcpy(&address->addr, to, length);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}
