/*
 * Keeps a backend's key out of what a program prints of its own transfers (curl -v).
 */
#ifndef SPILLWAY_CURL_MASK_H
#define SPILLWAY_CURL_MASK_H

#include "shim/curl/options.h"

struct mask {
    const struct options *options; /* the program's debug function, or libcurl's own default */
    const char *key;               /* NULL: nothing to hide */
};

/* The key itself within the header line LINE ("Name: [Bearer ]KEY"); NULL if LINE is NULL. */
const char *mask_key_of(const char *line);

/*
 * For CURLOPT_DEBUGFUNCTION, with a mask as its data: passes on what libcurl tells, with each
 * letter of the key shown as '*'. What can't be masked for want of memory is not passed on.
 */
int mask_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *mask);

#endif
