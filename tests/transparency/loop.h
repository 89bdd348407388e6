/*
 * The event loops of the transparency tests' client, for one multi handle.
 */
#ifndef TESTS_TRANSPARENCY_LOOP_H
#define TESTS_TRANSPARENCY_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>

/* A multi handle for curl_multi_cleanup; with SOCKETS for loop_sockets, else for loop_perform. */
CURLM *loop_start(bool sockets);

/* Waits for what comes next and lets libcurl work on it. Sets *RUNNING as libcurl does. */
CURLMcode loop_sockets(CURLM *multi, int *running);
CURLMcode loop_perform(CURLM *multi, int *running);

#endif
