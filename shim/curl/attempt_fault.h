/*
 * An attempt in a drill: where it goes instead of the backend, and what it takes along. Nothing is
 * sent to the backend, no name is looked up, and no credential goes along.
 *
 * Not thread-safe, like the transfer.
 */
#ifndef SPILLWAY_CURL_ATTEMPT_FAULT_H
#define SPILLWAY_CURL_ATTEMPT_FAULT_H

#include "shim/curl/transfer.h"

/* Lines of ours among the headers of such a request, at most. */
#define ATTEMPT_FAULT_LINES 2

/*
 * Decides, in a drill, what becomes of the attempt that is about to be aimed at
 * transfer->backend: sets transfer->fault, and transfer->detoured if it is not to reach the
 * backend. Counts it for the drill's faults. Returns false if memory ran out.
 */
bool attempt_fault_choose(struct transfer *transfer);

/*
 * Of a detoured attempt: its URL (with the path and query that BACKEND would have been asked
 * for), or NULL if memory ran out; and LINES to send, of which it returns how many. Both belong to
 * the transfer until the next attempt.
 */
const char *attempt_fault_url(struct transfer *transfer, const struct backend *backend);
size_t attempt_fault_lines(struct transfer *transfer, const char *lines[ATTEMPT_FAULT_LINES]);

/* Leads the handle, aimed in all other ways, to the drill's server. */
void attempt_fault_set(struct transfer *transfer);

/* Ends a detoured attempt: all of the handle's options are the program's. Does nothing for others.
 */
void attempt_fault_end(struct transfer *transfer);

/* Frees what such attempts have made. */
void attempt_fault_free(struct transfer *transfer);

#endif
