/*
 * A request that can be told from others by its answer: it posts a model name of its own, which
 * `spillway mock` puts into what it says. For the clients of the multi interface.
 */
#ifndef SPILLWAY_TESTS_MULTI_REQUEST_H
#define SPILLWAY_TESTS_MULTI_REQUEST_H

#include "multi_loop.h"

#define REQUEST_BODY_MAX 4096

struct request {
    CURL *easy;
    struct curl_slist *headers;
    int number;
    char body[REQUEST_BODY_MAX];
    size_t length;
    int lines, blocks; /* header lines; status lines among them */
    int messages;
    CURLcode result;
    long status;
};

static size_t request_on_body(char *data, size_t size, size_t count, void *userdata) {
    struct request *request = userdata;
    size_t length = size * count, room = sizeof request->body - 1 - request->length;
    size_t taken = length < room ? length : room;
    memcpy(request->body + request->length, data, taken);
    request->length += taken;
    request->body[request->length] = '\0';
    return length;
}

static size_t request_on_header(char *data, size_t size, size_t count, void *userdata) {
    struct request *request = userdata;
    request->lines++;
    request->blocks += size * count > 5 && memcmp(data, "HTTP/", 5) == 0;
    return size * count;
}

/* Forgets what the last transfer brought. */
static void request_again(struct request *request) {
    request->length = 0;
    request->body[0] = '\0';
    request->lines = request->blocks = request->messages = 0;
    request->result = (CURLcode)-1;
    request->status = 0;
}

/* The options of REQUEST on EASY, which becomes its handle. */
static void request_set(struct request *request, CURL *easy, const char *url) {
    char body[64];
    request->easy = easy;
    snprintf(body, sizeof body, "{\"model\":\"m%d\"}", request->number);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, request_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, request_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    /* libcurl 7.88 can't duplicate a handle with a copy of unknown length */
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
}

static void request_begin(struct request *request, int number, const char *url) {
    *request = (struct request){.number = number};
    request->headers = curl_slist_append(NULL, "Content-Type: application/json");
    request_again(request);
    request_set(request, curl_easy_init(), url);
}

/* Frees all of it; the handle may be NULL by then. */
static void request_end(struct request *request) {
    if (request->easy)
        curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    request->easy = NULL;
    request->headers = NULL;
}

/* That its last transfer brought one whole response, with STATUS, to this very request. */
static void request_check(const struct request *request, long status, const char *when) {
    char name[32];
    long got = 0;
    snprintf(name, sizeof name, "\"m%d\"", request->number);
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &got);
    if (request->result != CURLE_OK || got != status)
        loop_broken("%s: result %d, status %ld instead of %ld", when, (int)request->result, got,
                    status);
    if (request->blocks != 1)
        loop_broken("%s: %d responses", when, request->blocks);
    if (status == 200 && !strstr(request->body, name))
        loop_broken("%s: not its own body: %s", when, request->body);
}

/* Notes what there is to read; returns how many messages came. */
static int request_read_all(const struct loop *loop) {
    int count = 0, left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        struct request *request = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        if (message->msg != CURLMSG_DONE || !request)
            loop_broken("a message of no request");
        if (request->messages++)
            loop_broken("request %d: a second message", request->number);
        request->result = message->data.result;
        count++;
    }
    return count;
}

/* Drives LOOP until REQUEST has its message, SECONDS at most. */
static void request_finish(struct loop *loop, struct request *request, double seconds,
                           const char *when) {
    double until = loop_now() + seconds;
    request_read_all(loop);
    while (!request->messages) {
        double left = until - loop_now();
        if (left <= 0)
            loop_broken("%s: request %d does not end", when, request->number);
        loop_turn(loop, (int)(left * 1e3) + 1);
        request_read_all(loop);
    }
}

#endif
