/*
 * The drill page: what the processes of one drill share. It lies in the drill's own directory, as
 * the file "page", and is mapped by each process that the drill's program is made of.
 *
 * In the same directory are the sockets of the fault server, see shim/command/drill_server.h.
 */
#ifndef SPILLWAY_FAULT_PAGE_H
#define SPILLWAY_FAULT_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/fault.h"

#define DRILL_AGAINST_MOCKS 1u /* flag: an attempt that no fault meets goes to a mock, too */

/* Names in the drill's directory. */
#define DRILL_PAGE    "page"
#define DRILL_MOCK    "mock"    /* a socket: HTTP, a mock for every backend */
#define DRILL_REFUSED "refused" /* a socket where nobody listens */
#define DRILL_RESET   "reset"   /* a socket: takes a request, and resets the connection */
#define DRILL_TLS     "tls"     /* a socket: refuses every TLS handshake */

/* Headers of a request to DRILL_MOCK: what it gets, and in whose name. */
#define DRILL_STEP_HEADER    "x-spillway-fault"
#define DRILL_BACKEND_HEADER "x-spillway-backend"

struct drill_page {
    uint64_t magic;
    uint32_t layout; /* of this struct */
    uint32_t size;   /* of the file, in bytes */
    uint64_t start;  /* of the drill: CLOCK_BOOTTIME in ns */
    uint64_t seed;
    uint32_t flags; /* DRILL_... */
    uint32_t reserved;
    /* Per fault, in the order of the list: the attempts that it was a matter of; see drill.h. */
    _Atomic uint64_t passed[FAULTS_MAX];
};

/*
 * Makes the page in DIRECTORY, which exists and is this user's own, with a drill that starts at
 * START. Returns false with errno. Keeps no file descriptor.
 */
bool drill_page_make(const char *directory, uint64_t start, uint64_t seed, uint32_t flags);

/*
 * Maps the page in DIRECTORY. Directory and file must be this user's own, closed to others and no
 * symbolic links (EPERM), the page of this layout (EPROTO). Returns NULL with errno. What lies in
 * it may change at any time, so that every value of `passed` has to be acceptable; the rest is to
 * be read once. Keeps no file descriptor.
 */
struct drill_page *drill_page_open(const char *directory);

/* Unmaps PAGE; NULL is allowed. */
void drill_page_close(struct drill_page *page);

#endif
