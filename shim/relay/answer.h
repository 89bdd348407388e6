/*
 * The response of an exchange as libmicrohttpd sends it.
 */
#ifndef SPILLWAY_RELAY_ANSWER_H
#define SPILLWAY_RELAY_ANSWER_H

#include <microhttpd.h>

#include "shim/relay/exchange.h"

/* Hands the response of EXCHANGE, which has one, to libmicrohttpd: whole if all of it is there,
 * else it is sent as it comes. MHD_NO if that can't be done: the connection is to be closed. */
enum MHD_Result answer_queue(struct exchange *exchange);

#endif
