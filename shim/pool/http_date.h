/*
 * Dates as HTTP writes them (RFC 9110, section 5.6.7), in all three forms:
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT      what is sent today
 *     Sunday, 06-Nov-94 08:49:37 GMT     RFC 850
 *     Sun Nov  6 08:49:37 1994           asctime()
 */
#ifndef SPILLWAY_POOL_HTTP_DATE_H
#define SPILLWAY_POOL_HTTP_DATE_H

#include <stddef.h>
#include <time.h>

/*
 * Reads the date that the LENGTH bytes of TEXT start with, into DATE. Letters of either case are
 * taken; that the weekday fits the date is not asked for. A year of two digits is the one within
 * 50 years of the clock's now. Returns the number of bytes that the date has, or 0, with DATE as
 * it was, if there is none. Needs neither the locale nor the time zone; thread-safe.
 */
size_t http_date_read(const char *text, size_t length, time_t *date);

#endif
