/*
 * What the transparency tests' client prints: events in their order, and what libcurl tells of a
 * transfer at its end, without what is never the same twice (times, local ports).
 */
#ifndef TESTS_TRANSPARENCY_REPORT_H
#define TESTS_TRANSPARENCY_REPORT_H

#include <curl/curl.h>
#include <stddef.h>

/* Bytes that came, as event NAME (kept by address). Calls in a row are one event. */
void add_to_row(const char *name, const char *data, size_t length);

/* Prints the bytes that came last; before any event of another kind. */
void end_row(void);

/* An event of its own. */
void show_line(const char *name, const char *line, size_t length);

/* The end of a transfer: RESULT, the error buffer, everything for curl_easy_getinfo, all headers.
 */
void show_result(CURL *easy, CURLcode result, const char *error);

#endif
