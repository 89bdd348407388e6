/*
 * An attempt's body on the handle, where it is not the program's own: transfer->content.
 */
#ifndef SPILLWAY_CURL_ATTEMPT_BODY_H
#define SPILLWAY_CURL_ATTEMPT_BODY_H

#include "shim/curl/transfer.h"

/* Gives the handle the edited body, and its length where the program has set one. */
void attempt_body_set(struct transfer *transfer);

/* Gives EASY, the transfer's handle or a copy of it, the program's own body and method. A form
 * belongs to one handle: a copy keeps what it has. */
void attempt_body_unset(const struct transfer *transfer, CURL *easy);

#endif
