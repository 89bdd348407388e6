/*
 * Many transfers at once through libcurl's multi interface, and what the interface promises about
 * them checked at every turn.
 *
 *   multi_fetch LOOP COUNT URL [NAME=VALUE]...
 *
 * LOOP is one of multi_loop.h's. Each transfer posts a model name of its own and expects to find it
 * in its answer. NAME is one of
 *
 *   parallel=N    handles in the multi handle at a time (all)
 *   connections=N CURLMOPT_MAX_TOTAL_CONNECTIONS
 *   limit=N       seconds for everything; more is a failure (20)
 *   turn=N        milliseconds for which a turn may wait (60000)
 *   timeout_ms=N  CURLOPT_TIMEOUT_MS
 *   failonerror=1 CURLOPT_FAILONERROR
 *   http2=CA      HTTP/2 over TLS, with that certificate
 *   pause=1       the first call of each write function pauses
 *   short=1       the write function takes less than it is given
 *
 * Prints a line "RESULT STATUS NUMBER" for each kind of end, "bodies=N" for those with the right
 * one, "connections=N" as CURLINFO_NUM_CONNECTS has it, "longest=MS" for the longest call that must
 * not block, and of a single transfer its status line, Retry-After and effective URL. Exit status 3
 * if a promise is broken.
 */
#include "multi_loop.h"

#define KEPT 65536 /* bytes of a body */

struct fetch {
    int index;
    CURL *easy;
    struct curl_slist *headers;
    char body[KEPT];
    size_t length, total;
    char status_line[256], retry_after[64];
    int ended;
    bool paused, resume;
};

static struct {
    const char *url, *http2;
    int count, parallel, limit, turn;
    long connections, timeout_ms, failonerror;
    bool pause, cut;
} setup = {.limit = 20, .turn = 60000};

static struct {
    struct {
        CURLcode result;
        long status;
        int count;
    } kinds[16];
    int kind_count, right, ended, added;
    long connections;
} totals;

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
    struct fetch *fetch = userdata;
    size_t length = size * count;
    size_t room = sizeof fetch->body - 1 - fetch->length;
    if (fetch->ended)
        loop_broken("transfer %d: a body byte after its message", fetch->index);
    if (setup.cut)
        return length / 2;
    if (setup.pause && !fetch->paused) {
        fetch->paused = fetch->resume = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (length < room)
        room = length;
    memcpy(fetch->body + fetch->length, data, room);
    fetch->length += room;
    fetch->total += length;
    return length;
}

static size_t on_header(char *data, size_t size, size_t count, void *userdata) {
    struct fetch *fetch = userdata;
    size_t length = size * count;
    if (length > 5 && memcmp(data, "HTTP/", 5) == 0)
        snprintf(fetch->status_line, sizeof fetch->status_line, "%.*s", (int)length - 2, data);
    if (length > 13 && strncasecmp(data, "retry-after: ", 13) == 0)
        snprintf(fetch->retry_after, sizeof fetch->retry_after, "%.*s", (int)length - 15,
                 data + 13);
    return length;
}

static void prepare(struct fetch *fetch, int index) {
    char body[64];
    CURL *easy = curl_easy_init();
    *fetch = (struct fetch){.index = index, .easy = easy};
    snprintf(body, sizeof body, "{\"model\":\"m%d\"}", index);
    fetch->headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(easy, CURLOPT_URL, setup.url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, setup.timeout_ms);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, setup.failonerror);
    if (setup.http2) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_CAINFO, setup.http2);
        /* what answers is no mock */
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
}

static void count_end(CURLcode result, long status) {
    for (int i = 0; i < totals.kind_count; i++)
        if (totals.kinds[i].result == result && totals.kinds[i].status == status) {
            totals.kinds[i].count++;
            return;
        }
    if (totals.kind_count == 16)
        loop_broken("too many ways to end");
    totals.kinds[totals.kind_count].result = result;
    totals.kinds[totals.kind_count].status = status;
    totals.kinds[totals.kind_count++].count = 1;
}

static void on_end(struct loop *loop, const CURLMsg *message) {
    struct fetch *fetch = NULL;
    CURL *easy = message->easy_handle;
    CURLcode result = message->data.result; /* the message goes with the handle */
    char *url = NULL, name[32];
    long status = 0, connects = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&fetch);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    if (!fetch || fetch->easy != easy)
        loop_broken("a message of another handle");
    if (fetch->ended++)
        loop_broken("transfer %d: a second message", fetch->index);
    if (strcmp(url, setup.url) != 0)
        loop_broken("transfer %d: effective URL %s", fetch->index, url);
    snprintf(name, sizeof name, "\"m%d\"", fetch->index);
    fetch->body[fetch->length] = '\0';
    totals.right += setup.http2 ? fetch->total > 0 : strstr(fetch->body, name) != NULL;
    totals.connections += connects;
    totals.ended++;
    count_end(result, status);
    if (setup.count == 1)
        printf("line=%s\nretry_after=%s\nbytes=%zu\n", fetch->status_line, fetch->retry_after,
               fetch->total);
    loop_check(curl_multi_remove_handle(loop->multi, easy), "curl_multi_remove_handle");
    curl_easy_cleanup(easy);
    curl_slist_free_all(fetch->headers);
}

/* Reads the queue to its end and compares what is said about its length. */
static void read_messages(struct loop *loop) {
    int left = -1, expected = -1;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            loop_broken("message %d", (int)message->msg);
        if (expected >= 0 && left != expected)
            loop_broken("%d messages left, expected %d", left, expected);
        expected = left - 1;
        on_end(loop, message);
    }
    if (left != 0 || expected > 0)
        loop_broken("no message, but %d left", left);
}

static void resume(struct fetch *fetches) {
    for (int i = 0; i < totals.added; i++)
        if (fetches[i].resume) {
            fetches[i].resume = false;
            if (!fetches[i].ended)
                curl_easy_pause(fetches[i].easy, CURLPAUSE_CONT);
        }
}

static void run(struct loop *loop, struct fetch *fetches) {
    double until = loop_now() + setup.limit;
    while (totals.ended < setup.count) {
        while (totals.added < setup.count && totals.added - totals.ended < setup.parallel) {
            struct fetch *fetch = &fetches[totals.added];
            prepare(fetch, totals.added++);
            loop_check(curl_multi_add_handle(loop->multi, fetch->easy), "curl_multi_add_handle");
        }
        double left = until - loop_now();
        if (left <= 0)
            loop_broken("%d of %d ended after %d s", totals.ended, setup.count, setup.limit);
        int wait = left * 1e3 < setup.turn ? (int)(left * 1e3) + 1 : setup.turn;
        int before = loop->running = totals.added - totals.ended;
        int running = loop_turn(loop, wait);
        read_messages(loop);
        if (running != totals.added - totals.ended)
            loop_broken("%d running of %d, %d without a message", running, before,
                        totals.added - totals.ended);
        resume(fetches);
    }
}

static bool set(const char *name, const char *value) {
    long number = strtol(value, NULL, 10);
    if (strcmp(name, "parallel") == 0)
        setup.parallel = (int)number;
    else if (strcmp(name, "connections") == 0)
        setup.connections = number;
    else if (strcmp(name, "limit") == 0)
        setup.limit = (int)number;
    else if (strcmp(name, "turn") == 0)
        setup.turn = (int)number;
    else if (strcmp(name, "timeout_ms") == 0)
        setup.timeout_ms = number;
    else if (strcmp(name, "failonerror") == 0)
        setup.failonerror = number;
    else if (strcmp(name, "http2") == 0)
        setup.http2 = value;
    else if (strcmp(name, "pause") == 0)
        setup.pause = number != 0;
    else if (strcmp(name, "short") == 0)
        setup.cut = number != 0;
    else
        return false;
    return true;
}

static bool read_arguments(int argc, char **argv) {
    if (argc < 4)
        return false;
    setup.count = setup.parallel = (int)strtol(argv[2], NULL, 10);
    setup.url = argv[3];
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return false;
        *value++ = '\0';
        if (!set(argv[i], value))
            return false;
    }
    return setup.count > 0;
}

int main(int argc, char **argv) {
    struct loop loop;
    if (!read_arguments(argc, argv)) {
        fprintf(stderr, "usage: multi_fetch LOOP COUNT URL [NAME=VALUE]...\n");
        return 2;
    }
    struct fetch *fetches = setup.count > 0 ? calloc((size_t)setup.count, sizeof *fetches) : NULL;
    if (!fetches)
        return 2;
    curl_global_init(CURL_GLOBAL_ALL);
    loop_begin(&loop, argv[1]);
    if (setup.connections)
        curl_multi_setopt(loop.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, setup.connections);
    run(&loop, fetches);
    loop_end(&loop);
    for (int i = 0; i < totals.kind_count; i++)
        printf("%d %ld %d\n", (int)totals.kinds[i].result, totals.kinds[i].status,
               totals.kinds[i].count);
    printf("bodies=%d\nconnections=%ld\nlongest=%d\n", totals.right, totals.connections,
           (int)(loop.longest * 1e3));
    free(fetches);
    curl_global_cleanup();
    return 0;
}
