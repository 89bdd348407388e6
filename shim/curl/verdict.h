/*
 * What an attempt's outcome means: for the program, for the pool, for the log.
 *
 * These are the rules; transfer.c carries them out. Not thread-safe, like the transfer.
 */
#ifndef SPILLWAY_CURL_VERDICT_H
#define SPILLWAY_CURL_VERDICT_H

#include "shim/curl/transfer.h"

enum verdict {
    VERDICT_OVER, /* the transfer ends as libcurl ended it */
    VERDICT_NEXT, /* the attempt failed and the pool knows; the program has seen nothing of it */
    VERDICT_STUCK /* as NEXT, but the request can't be made once more */
};

/* See struct gate_owner. */
enum gate_opinion verdict_opinion(const struct transfer *transfer, int status);
bool verdict_judge(struct transfer *transfer, int status);

/* The response is accepted: tells pool and log. */
void verdict_answered(struct transfer *transfer);

/* Tells pool and log of the failed response that the gate holds or swallows, by what has come. */
void verdict_report(struct transfer *transfer);

/* The attempt ended with RESULT. */
enum verdict verdict_of_attempt(struct transfer *transfer, CURLcode result);

/*
 * Whether the backend has been silent for first_byte_timeout at NOW, or owes the first byte of a
 * body for first_body_timeout, given the upload's total (0: unknown) and progress in bytes; called
 * again and again.
 */
bool verdict_is_silent(struct transfer *transfer, curl_off_t up_total, curl_off_t up, uint64_t now);

/*
 * Whether the program's own DEADLINE (CLOCK_BOOTTIME in ns, 0: none) is over at NOW, or so near
 * that it counts as over: libcurl reckons in whole milliseconds, cut off, so that it may end a
 * transfer one millisecond early (Curl_timediff as of 7.88), and what is left for a later attempt
 * is cut off once more.
 */
bool verdict_time_is_out(uint64_t deadline, uint64_t now);

/* Whether the redirect that the gate holds leads to another origin than the attempt's. */
bool verdict_leaves_origin(const struct transfer *transfer);

#endif
