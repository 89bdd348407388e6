#include "shim/relay/fault.h"

#include <stdio.h>
#include <string.h>

static size_t put_json(char *out, size_t size, const char *text) {
    size_t length = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (length + 7 > size)
            break;
        if (*c == '"' || *c == '\\') {
            out[length++] = '\\';
            out[length++] = (char)*c;
        } else if (*c < ' ') {
            length += (size_t)snprintf(out + length, size - length, "\\u%04x", *c);
        } else {
            out[length++] = (char)*c;
        }
    }
    out[length] = '\0';
    return length;
}

size_t fault_body(unsigned status, const char *message, char *out, size_t size) {
    char end[80];
    int tail = snprintf(end, sizeof end,
                        "\", \"type\": \"spillway_error\", \"param\": null, \"code\": \"%u\"}}\n",
                        status % 1000);
    size_t length = (size_t)snprintf(out, size, "{\"error\": {\"message\": \"");
    length += put_json(out + length, size - length - (size_t)tail, message);
    return length + (size_t)snprintf(out + length, size - length, "%s", end);
}

unsigned fault_of_transfer(CURLcode result, const char *host, char *message, size_t size) {
    unsigned status = 502;
    const char *what = curl_easy_strerror(result);
    if (result == CURLE_OPERATION_TIMEDOUT)
        status = 504;
    if (result == CURLE_OK)
        what = "The response had no status line";
    snprintf(message, size, "%s did not answer: %s.", host, what);
    return status;
}
