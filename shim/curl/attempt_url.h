/*
 * The URL of an attempt. It is made once per backend for each URL that the program sets, so that
 * the next transfer finds it on the handle already.
 */
#ifndef SPILLWAY_CURL_ATTEMPT_URL_H
#define SPILLWAY_CURL_ATTEMPT_URL_H

#include "shim/curl/transfer.h"

/*
 * The URL of an attempt of TRANSFER on BACKEND by its plan; NULL if memory ran out. Belongs to the
 * transfer until the next call for the same backend. Two kinds are made anew each time: those
 * that are translated, which the same text leaves the same pointer, and those with a login of the
 * program's netrc file, which may say something else each time. THEIRS: the program's credentials
 * go along; *FROM_NETRC says whether they come from that file.
 */
const char *attempt_url(struct transfer *transfer, const struct backend *backend, bool theirs,
                        bool *from_netrc);

/* Frees all of the transfer's URLs, wiping them. */
void attempt_url_free(struct transfer *transfer);

#endif
