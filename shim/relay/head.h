/*
 * A response's head, put together from libcurl's header lines.
 */
#ifndef SPILLWAY_RELAY_HEAD_H
#define SPILLWAY_RELAY_HEAD_H

#include "config/url.h"
#include "shim/relay/exchange.h"

/*
 * Takes the next LINE, with its end. A head of a 1xx is forgotten at its end; what comes behind the
 * final one, trailers, is not looked at. False if memory ran out.
 */
bool head_take(struct head *head, struct slice line);

/* Calls FIELD for each field that goes through to the client, in their order, until it returns
 * false. Returns whether it never did. */
bool head_each(const struct head *head,
               bool (*field)(void *context, const char *name, const char *value), void *context);

#endif
