/*
 * A transfer's lines in the log; spillway(1) says what each means. None of them is written if its
 * level is not wanted. Not thread-safe, like the transfer; errno is kept.
 */
#ifndef SPILLWAY_CURL_TRANSFER_LOG_H
#define SPILLWAY_CURL_TRANSFER_LOG_H

#include "shim/curl/transfer.h"

/* The transfer begins. */
void transfer_log_intercepted(struct transfer *transfer);

/* The attempt at hand got STATUS, or failed by ERROR with libcurl's RESULT. */
void transfer_log_attempt(struct transfer *transfer, int status, const char *error,
                          CURLcode result);

/* Its backend cools down for NS from now on; or works again. */
void transfer_log_cooldown(struct transfer *transfer, const char *reason, uint64_t ns);
void transfer_log_recovered(struct transfer *transfer);

/* Its backend can't serve the request; no backend can; none is left; the next one is waited for. */
void transfer_log_skipped(struct transfer *transfer);
void transfer_log_refused(struct transfer *transfer);
void transfer_log_exhausted(struct transfer *transfer);
void transfer_log_waiting(struct transfer *transfer);

/* The transfer is over, and the handle not touched since libcurl was done with it. */
void transfer_log_finished(struct transfer *transfer);

#endif
