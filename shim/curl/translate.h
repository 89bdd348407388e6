/*
 * A transfer's request in the dialect of the backend that it goes to.
 *
 * The rules are dialect.h's; here they meet what the program set on its handle.
 */
#ifndef SPILLWAY_CURL_TRANSLATE_H
#define SPILLWAY_CURL_TRANSLATE_H

#include "shim/curl/transfer.h"

/* At the beginning of a transfer, whose route is known. */
void translate_begin(struct transfer *transfer);

/*
 * Plans the request for BACKEND (an index in the endpoint) in transfer->plan. Returns false if it
 * can't serve this request; transfer->misfits says so from then on. Where the model is in the
 * body, the program may be asked for all of it.
 */
bool translate_plan(struct transfer *transfer, int backend);

/* The URL of an attempt by transfer->plan, for free(); NULL if memory ran out. */
char *translate_url(const struct transfer *transfer, const struct backend *backend,
                    struct slice userinfo);

/* Makes transfer->content what the plan wants to send. *CHANGED says whether that is another body
 * than the program's. Returns false if it can't be made. */
bool translate_body(struct transfer *transfer, bool *changed);

/* Plans the request for all backends that it was not planned for: those that cool. */
void translate_plan_rest(struct transfer *transfer);

/* Whether no backend can serve the request, as far as it was planned for them; and why, as words
 * per backend. */
bool translate_refused(const struct transfer *transfer);
void translate_reasons(const struct transfer *transfer, const char *reasons[BACKENDS_MAX]);

/* Why the transfer's request can't be served by BACKEND, as words for log and message. */
const char *translate_reason(const struct transfer *transfer, int backend);

#endif
