/*
 * What programs do to a handle while it runs in a multi handle.
 *
 *   multi_touch WHAT LOOP URL
 *
 *   url         a socket callback sets CURLOPT_URL: it holds for the next transfer
 *   url-between the same between two turns of the loop
 *   write       the header callback chooses where the body goes
 *   headers     a socket callback sets CURLOPT_HTTPHEADER: for the next transfer
 *   untimed     the header callback takes CURLOPT_TIMEOUT_MS off: a slow body may take its time
 *   late        the loop is idle for longer than CURLOPT_TIMEOUT_MS before it runs for the first
 * time duplicate   curl_easy_duphandle after each number of turns; the copy does a transfer of its
 * own reset       curl_easy_reset before the first turn, and after the last pause curl_easy_pause
 * after each number of turns, and on again later pause-head  the header callback pauses once at
 * each line short-head  the header callback takes less than it is given short-body  the write
 * callback does abort       the progress callback ends it private     CURLOPT_PRIVATE and
 * CURLOPT_ERRORBUFFER are the program's own
 *
 * Exit status 3 if something is not as it should be.
 */
#include "multi_request.h"

#define SECONDS   10
#define TURNS_MAX 60

static struct {
    const char *kind, *url;
    char other[1024]; /* a longer URL: the same with a query */
    int calls;
    size_t elsewhere; /* bytes that came to the other write function */
    int line;         /* to pause at */
    bool paused;
} setup;

static curl_socket_t open_socket(struct curl_sockaddr *address) {
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static curl_socket_t set_url(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
    const struct request *request = userdata;
    (void)purpose;
    setup.calls++;
    if (curl_easy_setopt(request->easy, CURLOPT_URL, setup.other) != CURLE_OK)
        loop_broken("CURLOPT_URL in a callback");
    return open_socket(address);
}

static curl_socket_t set_headers(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    const struct request *request = userdata;
    (void)purpose;
    setup.calls++;
    if (curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, NULL) != CURLE_OK)
        loop_broken("CURLOPT_HTTPHEADER in a callback");
    return open_socket(address);
}

static void run(struct loop *loop, struct request *request, const char *when) {
    request_again(request);
    loop_check(curl_multi_add_handle(loop->multi, request->easy), when);
    request_finish(loop, request, SECONDS, when);
}

static void take_out(struct loop *loop, struct request *request) {
    loop_check(curl_multi_remove_handle(loop->multi, request->easy), "curl_multi_remove_handle");
}

static void expect_url(const struct request *request, const char *want) {
    const char *got = NULL;
    curl_easy_getinfo(request->easy, CURLINFO_EFFECTIVE_URL, &got);
    if (strcmp(got, want) != 0)
        loop_broken("effective URL %s instead of %s", got, want);
}

static void touch_url(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_OPENSOCKETFUNCTION, set_url);
    curl_easy_setopt(request->easy, CURLOPT_OPENSOCKETDATA, request);
    curl_easy_setopt(request->easy, CURLOPT_FORBID_REUSE, 1L);
    for (int i = 0; i < 2; i++) {
        run(loop, request, "with a URL set in mid-transfer");
        request_check(request, 200, "with a URL set in mid-transfer");
        take_out(loop, request);
    }
    if (!setup.calls)
        loop_broken("the socket callback was not called");
    expect_url(request, setup.other);
}

static void touch_url_between(struct loop *loop, struct request *request) {
    loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
    loop_turn(loop, 1000);
    curl_easy_setopt(request->easy, CURLOPT_URL, setup.other);
    request_finish(loop, request, SECONDS, "with a URL set between turns");
    request_check(request, 200, "with a URL set between turns");
    take_out(loop, request);
    run(loop, request, "with the other URL");
    request_check(request, 200, "with the other URL");
    expect_url(request, setup.other);
    take_out(loop, request);
}

static void touch_headers(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_OPENSOCKETFUNCTION, set_headers);
    curl_easy_setopt(request->easy, CURLOPT_OPENSOCKETDATA, request);
    run(loop, request, "with a header list set in mid-transfer");
    request_check(request, 200, "with a header list set in mid-transfer");
    take_out(loop, request);
    curl_slist_free_all(request->headers); /* no handle knows it any more */
    request->headers = NULL;
    run(loop, request, "without a header list");
    request_check(request, 200, "without a header list");
    take_out(loop, request);
}

static size_t other_write(char *data, size_t size, size_t count, void *userdata) {
    setup.elsewhere += size * count;
    return request_on_body(data, size, count, userdata);
}

static size_t choose_write(char *data, size_t size, size_t count, void *userdata) {
    const struct request *request = userdata;
    curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, other_write);
    curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, request_on_header);
    return request_on_header(data, size, count, userdata);
}

static void touch_write(struct loop *loop, struct request *request) {
    for (int i = 0; i < 2; i++) {
        setup.elsewhere = 0;
        curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, request_on_body);
        curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, choose_write);
        run(loop, request, "with a write function chosen late");
        request_check(request, 200, "with a write function chosen late");
        if (setup.elsewhere != request->length)
            loop_broken("%zu of %zu bytes where they should go", setup.elsewhere, request->length);
        take_out(loop, request);
    }
}

static size_t untime(char *data, size_t size, size_t count, void *userdata) {
    const struct request *request = userdata;
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, 0L);
    return request_on_header(data, size, count, userdata);
}

static void touch_untimed(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, 800L);
    curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, untime);
    run(loop, request, "without its timeout");
    request_check(request, 200, "without its timeout");
    take_out(loop, request);
}

static void touch_late(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, 400L);
    request_again(request);
    loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
    usleep(500000); /* what a program does before it runs its loop */
    request_finish(loop, request, SECONDS, "after a pause of the program");
    request_check(request, 200, "after a pause of the program");
    take_out(loop, request);
}

static void use_copy(struct request *copy, CURL *easy, int turns) {
    struct loop loop;
    *copy = (struct request){.number = 1000 + turns, .easy = easy};
    request_set(copy, easy, setup.url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    loop_begin(&loop, setup.kind);
    run(&loop, copy, "a copy");
    request_check(copy, 200, "a copy");
    take_out(&loop, copy);
    loop_end(&loop);
}

/* The copy is made untouched, so that all that is not its own would show. */
static void touch_duplicate(struct loop *loop, struct request *request) {
    static struct request copy;
    for (int turns = 0; turns < TURNS_MAX; turns++) {
        request_again(request);
        loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
        for (int i = 0; i < turns; i++)
            loop_turn(loop, 1000);
        bool ended = turns && !loop->running;
        CURL *first = curl_easy_duphandle(request->easy);
        CURL *second = curl_easy_duphandle(request->easy);
        request_finish(loop, request, SECONDS, "the original");
        request_check(request, 200, "the original");
        take_out(loop, request);
        size_t length = request->length;
        if (curl_easy_perform(second) != CURLE_OK || request->length != length * 2)
            loop_broken("a copy does not do what its original did");
        use_copy(&copy, first, turns);
        curl_easy_cleanup(first);
        curl_easy_cleanup(second);
        if (ended)
            return;
    }
}

static void touch_reset(struct loop *loop, struct request *request) {
    loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
    curl_easy_reset(request->easy);
    curl_easy_setopt(request->easy, CURLOPT_PRIVATE, request);
    request_finish(loop, request, SECONDS, "without a URL");
    if (request->result != CURLE_URL_MALFORMAT)
        loop_broken("result %d without a URL", (int)request->result);
    take_out(loop, request);
    request_set(request, request->easy, setup.url);
    run(loop, request, "set anew");
    request_check(request, 200, "set anew");
    curl_easy_reset(request->easy);
    take_out(loop, request);
    request_set(request, request->easy, setup.url);
    run(loop, request, "set anew after the end");
    request_check(request, 200, "set anew after the end");
    take_out(loop, request);
}

static void touch_pause(struct loop *loop, struct request *request) {
    for (int turns = 1; turns < TURNS_MAX; turns++) {
        request_again(request);
        loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
        for (int i = 0; i < turns; i++)
            loop_turn(loop, 1000);
        bool ended = !loop->running;
        curl_easy_pause(request->easy, CURLPAUSE_ALL);
        size_t length = request->length;
        for (int i = 0; i < 3; i++)
            loop_turn(loop, 10);
        if (request->length != length)
            loop_broken("body bytes while it is paused after %d turns", turns);
        curl_easy_pause(request->easy, CURLPAUSE_CONT);
        request_finish(loop, request, SECONDS, "after a pause");
        request_check(request, 200, "after a pause");
        take_out(loop, request);
        if (ended)
            return;
    }
}

static size_t pause_at_line(char *data, size_t size, size_t count, void *userdata) {
    const struct request *request = userdata;
    if (request->lines == setup.line && !setup.paused) {
        setup.paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return request_on_header(data, size, count, userdata);
}

static void touch_pause_head(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, pause_at_line);
    for (bool paused = true; paused; setup.line++) {
        setup.paused = false;
        request_again(request);
        loop_check(curl_multi_add_handle(loop->multi, request->easy), "add");
        while (!setup.paused && !request_read_all(loop))
            loop_turn(loop, 1000);
        paused = setup.paused;
        if (paused) {
            loop_turn(loop, 10);
            if (request->lines != setup.line || request->messages)
                loop_broken("it goes on while it is paused at line %d", setup.line);
            curl_easy_pause(request->easy, CURLPAUSE_CONT);
            request_finish(loop, request, SECONDS, "paused at a header line");
        }
        request_check(request, 200, "paused at a header line");
        take_out(loop, request);
    }
    if (setup.line < 5)
        loop_broken("it paused at %d lines only", setup.line);
}

static size_t take_less(char *data, size_t size, size_t count, void *userdata) {
    (void)data, (void)userdata;
    setup.calls++;
    return size * count / 2;
}

static void expect_refused(struct loop *loop, struct request *request) {
    run(loop, request, "refused");
    if (request->result != CURLE_WRITE_ERROR || setup.calls != 1)
        loop_broken("result %d after %d calls", (int)request->result, setup.calls);
    take_out(loop, request);
    request_set(request, request->easy, setup.url);
    run(loop, request, "after a refusal");
    request_check(request, 200, "after a refusal");
    take_out(loop, request);
}

static void touch_short_head(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, take_less);
    expect_refused(loop, request);
}

static void touch_short_body(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, take_less);
    expect_refused(loop, request);
}

static int stop(void *userdata, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)userdata, (void)a, (void)b, (void)c, (void)d;
    return ++setup.calls > 2;
}

static void touch_abort(struct loop *loop, struct request *request) {
    curl_easy_setopt(request->easy, CURLOPT_XFERINFOFUNCTION, stop);
    curl_easy_setopt(request->easy, CURLOPT_NOPROGRESS, 0L);
    run(loop, request, "aborted");
    if (request->result != CURLE_ABORTED_BY_CALLBACK)
        loop_broken("result %d of an aborted transfer", (int)request->result);
    take_out(loop, request);
    curl_easy_setopt(request->easy, CURLOPT_NOPROGRESS, 1L);
    run(loop, request, "after an abort");
    request_check(request, 200, "after an abort");
    take_out(loop, request);
}

static void touch_private(struct loop *loop, struct request *request) {
    char error[CURL_ERROR_SIZE] = "";
    char *value = NULL;
    curl_easy_setopt(request->easy, CURLOPT_ERRORBUFFER, error);
    run(loop, request, "with an error buffer");
    request_check(request, 200, "with an error buffer");
    curl_easy_getinfo(request->easy, CURLINFO_PRIVATE, &value);
    if (value != (char *)request || error[0])
        loop_broken("private data, or an error '%s' that nobody asked for", error);
    take_out(loop, request);
}

static const struct {
    const char *name;
    void (*touch)(struct loop *, struct request *);
} touches[] = {
    {"url", touch_url},
    {"url-between", touch_url_between},
    {"write", touch_write},
    {"headers", touch_headers},
    {"untimed", touch_untimed},
    {"late", touch_late},
    {"duplicate", touch_duplicate},
    {"reset", touch_reset},
    {"pause", touch_pause},
    {"pause-head", touch_pause_head},
    {"short-head", touch_short_head},
    {"short-body", touch_short_body},
    {"abort", touch_abort},
    {"private", touch_private},
};

int main(int argc, char **argv) {
    static struct request request;
    struct loop loop;
    for (size_t i = 0; argc == 4 && i < sizeof touches / sizeof touches[0]; i++) {
        if (strcmp(argv[1], touches[i].name) != 0)
            continue;
        setup.kind = argv[2];
        setup.url = argv[3];
        snprintf(setup.other, sizeof setup.other, "%s?%0500d", setup.url, 0);
        curl_global_init(CURL_GLOBAL_ALL);
        loop_begin(&loop, setup.kind);
        request_begin(&request, 7, setup.url);
        touches[i].touch(&loop, &request);
        loop_end(&loop);
        request_end(&request);
        curl_global_cleanup();
        return 0;
    }
    fprintf(stderr, "usage: multi_touch WHAT LOOP URL\n");
    return 2;
}
