/*
 * A detour: for one transfer a handle is led to a socket of this machine (AF_UNIX), whatever
 * address libcurl has in mind, and whatever proxy, interface, protocols or HTTP version the program
 * has set. Which URL it then asks for is the caller's matter.
 *
 * Not thread-safe, like the handle.
 */
#ifndef SPILLWAY_CURL_DETOUR_H
#define SPILLWAY_CURL_DETOUR_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shim/curl/handle.h"

/* An origin that needs no resolver, for the URL; nothing is ever sent to this address. */
#define DETOUR_HTTP  "http://127.0.0.1"
#define DETOUR_HTTPS "https://127.0.0.1"

/*
 * Sets what a detour needs on HANDLE: its sockets come from OPEN, called with DATA, its connection
 * is a new one and not used again. The options of the URL (URL, CURLU, PORT) and all others are
 * left as they are.
 */
void detour_set(const struct handle *handle, curl_opensocket_callback open, void *data);

/* Sets what detour_set changes to the program's values on EASY, HANDLE's own or a copy of it. */
void detour_unset(const struct handle *handle, CURL *easy);

/* Whether OPTION is one of those. */
bool detour_owns(CURLoption option);

/* For OPEN: a socket for libcurl, and in ADDRESS where it is to connect to: the LENGTH bytes TO. */
curl_socket_t detour_socket(struct curl_sockaddr *address, const struct sockaddr_un *to,
                            socklen_t length);

#endif
