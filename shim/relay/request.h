/*
 * The server's side of an exchange: reads the request, as libmicrohttpd hands it over, and gives it
 * the response.
 */
#ifndef SPILLWAY_RELAY_REQUEST_H
#define SPILLWAY_RELAY_REQUEST_H

#include <microhttpd.h>

#include "shim/relay/exchange.h"

/* For MHD_OPTION_URI_LOG_CALLBACK, MHD_start_daemon and MHD_OPTION_NOTIFY_COMPLETED, with the
 * listener. */
void *request_begin(void *listener, const char *target, struct MHD_Connection *connection);
enum MHD_Result request_handle(void *listener, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *length, void **exchange);
void request_end(void *listener, struct MHD_Connection *connection, void **exchange,
                 enum MHD_RequestTerminationCode code);

/* Resumes the client of EXCHANGE if what it waits for is there, or if it has hung up. Returns
 * whether it did. */
bool request_continue(struct exchange *exchange);

#endif
