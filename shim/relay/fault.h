/*
 * What a relay answers itself when it can't pass on an answer.
 */
#ifndef SPILLWAY_RELAY_FAULT_H
#define SPILLWAY_RELAY_FAULT_H

#include <stddef.h>

#include <curl/curl.h>

/*
 * The body of an answer with STATUS: OpenAI's error shape, with MESSAGE, of any bytes. Writes it to
 * OUT, of SIZE bytes, cut where it does not fit and still whole as JSON. Returns its length. SIZE
 * is at least 128.
 */
size_t fault_body(unsigned status, const char *message, char *out, size_t size);

/*
 * The status for a transfer that ended with RESULT before any response, and in MESSAGE, of SIZE
 * bytes, why: with the HOST that was asked for, but nothing else of the request.
 */
unsigned fault_of_transfer(CURLcode result, const char *host, char *message, size_t size);

#endif
