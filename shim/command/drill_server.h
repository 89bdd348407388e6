/*
 * The fault server of a drill: acts out the faults, and stands in for backends, on sockets in the
 * drill's directory (see shim/fault/page.h for all names).
 *
 * On the socket DRILL_MOCK each request says by headers of its own what it gets: the step of a
 * mock's script in DRILL_STEP_HEADER, and the name of the backend in DRILL_BACKEND_HEADER, which is
 * the mock's for this request. It trusts them: the directory is closed to others.
 */
#ifndef SPILLWAY_COMMAND_DRILL_SERVER_H
#define SPILLWAY_COMMAND_DRILL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct drill_server;

/*
 * Starts to serve in DIRECTORY, which exists, is this user's own and closed to others. Its threads
 * have all signals blocked, so that these stay the caller's. Returns a server for
 * drill_server_stop, or NULL with what is wrong in ERROR (a path too long for a socket: about 100
 * bytes are left for DIRECTORY). The caller may fork; a child has no server. All descriptors are
 * O_CLOEXEC.
 */
struct drill_server *drill_server_start(const char *directory, char *error, size_t size);

/* Ends every connection, waits for the threads, removes the sockets and frees SERVER; NULL is
 * allowed. The directory and other files in it stay. */
void drill_server_stop(struct drill_server *server);

#endif
