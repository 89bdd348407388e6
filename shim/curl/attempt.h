/*
 * An attempt on a handle: which options are ours while it runs, and the program's back in place.
 */
#ifndef SPILLWAY_CURL_ATTEMPT_H
#define SPILLWAY_CURL_ATTEMPT_H

#include "shim/curl/transfer.h"

/*
 * Aims the handle at transfer->backend: URL, headers, credentials, time limits, and the callbacks
 * that gate_start and body_rewind have prepared. Everything is made from what the program set.
 * Returns false if this backend can't be aimed at (memory, or its URL would be too long).
 */
bool attempt_aim(struct transfer *transfer);

/* Lets BEFORE be called when the connection stands and nothing is sent yet, where libcurl can do
 * that (7.80). */
void attempt_ask_before(struct transfer *transfer, curl_prereq_callback before);

/* Sends the response's body to the gate from now on; for callbacks. */
void attempt_divert_body(struct transfer *transfer);

/* Calls transfer_watch, through libcurl's progress callback, from now on. */
void attempt_watch(struct transfer *transfer, curl_xferinfo_callback watch);

/* Keeps the backend's key to itself: the rest of the attempt goes to another origin. */
void attempt_drop_key(struct transfer *transfer);

/* Gives the program its response callbacks back; for callbacks. */
void attempt_hand_back(struct transfer *transfer);

/* Puts the program's options back, except those that the next attempt is likely to need again
 * and that nobody sees meanwhile. */
void attempt_park(struct transfer *transfer);

/* Puts all of the program's options back. */
void attempt_restore(struct transfer *transfer);

/* The program has set OPTION itself: what belongs to it is no longer ours. */
void attempt_overridden(struct transfer *transfer, CURLoption option);

/* Frees what attempts have made. */
void attempt_free(struct transfer *transfer);

/* Sets CURLOPT_TIMEOUT_MS to what is left of the program's own at NOW. */
void attempt_limit_time(struct transfer *transfer, uint64_t now);

/* Whether OPTION is ours at the moment. */
bool attempt_owns(const struct transfer *transfer, CURLoption option);

/* Sets all that is ours at the moment to the program's values on EASY. */
void attempt_unset(const struct transfer *transfer, CURL *easy);

#endif
