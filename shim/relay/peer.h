/*
 * Whose connection it is: asked from the kernel, which knows the user of the socket at the other
 * end when that is on this host (sock_diag(7)).
 */
#ifndef SPILLWAY_RELAY_PEER_H
#define SPILLWAY_RELAY_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A descriptor for peer_is_own; -1 with errno. */
int peer_open(void);

/*
 * Whether the connection from PEER to OWN, an address of this process, is one of this process's
 * effective user, made on this host, whose socket is open still. False whenever that can't be told.
 * Two system calls.
 */
bool peer_is_own(int diag, const struct sockaddr *peer, const struct sockaddr *own);

/* The port of ADDRESS, in the host's order; 0 if it has none. */
uint16_t peer_port(const struct sockaddr *address);

/* Whether a connection to ADDRESS arrives at LISTENER: the same port, and the same host or one side
 * that stands for all of this host's addresses, or for a loopback address. */
bool peer_same_service(const struct sockaddr *address, const struct sockaddr *listener);

#endif
