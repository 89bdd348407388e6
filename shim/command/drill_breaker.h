/*
 * A thread that breaks connections: those to one socket by a reset after the request, those to
 * another by refusing the TLS handshake.
 *
 * AF_UNIX knows a reset, too: whoever reads from a connection whose other end was closed with bytes
 * unread gets ECONNRESET (unix_release_sock in Linux). So of each request the last piece is left
 * unread.
 */
#ifndef SPILLWAY_COMMAND_DRILL_BREAKER_H
#define SPILLWAY_COMMAND_DRILL_BREAKER_H

struct breaker;

/*
 * Starts to serve on the listening sockets RESET and TLS, which are non-blocking and belong to the
 * breaker from then on. Returns one for breaker_stop, or NULL with errno; the sockets stay the
 * caller's then.
 */
struct breaker *breaker_start(int reset, int tls);

/* Ends every connection, joins the thread and frees BREAKER; NULL is allowed. */
void breaker_stop(struct breaker *breaker);

#endif
