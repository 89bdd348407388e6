/*
 * The program that is measured: an ordinary user of libcurl, which knows nothing of the shim.
 *
 *   client requests COUNT URL [again]   COUNT keep-alive POSTs on one handle; "again": all options
 *                                       are set anew before each
 *   client setopt COUNT OPTION URL      COUNT calls of curl_easy_setopt on one handle
 *   client memory COUNT URL             as "requests", then prints the private memory in KiB, all
 * of it and the part that was written to; stays until stdin ends client first URL for each line on
 * stdin: forks a child whose first use of libcurl is one POST; prints the nanoseconds it took, and
 *                                       those of its curl_easy_init
 *   client fallback INDEX MS URL [URL2] for each line on stdin: the server is told to throttle port
 *                                       INDEX once, then one POST to URL, and without the shim
 *                                       (URL2 given) another one to that; prints their nanoseconds
 *
 * "fallback" expects a port of the server in BENCH_CONTROL.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BODY 500

static char body[BODY + 1];
static struct curl_slist *headers;

static void die(const char *what) {
    fprintf(stderr, "client: %s\n", what);
    exit(1);
}

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static size_t count_bytes(char *data, size_t size, size_t count, void *total) {
    (void)data;
    *(size_t *)total += size * count;
    return size * count;
}

/*
 * Leaves holes in the heap, differently for each value of BENCH_LAYOUT. What malloc costs in
 * libcurl depends on such accidents by more than what is measured here, so that one layout
 * alone would say little.
 */
static void lay_out_heap(void) {
    const char *layout = getenv("BENCH_LAYOUT");
    unsigned long state = layout ? strtoul(layout, NULL, 10) : 0;
    void *blocks[64];
    if (!state)
        return;
    for (size_t i = 0; i < 64; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        blocks[i] = malloc(16 + (state >> 40) % 2000);
    }
    for (size_t i = 0; i < 64; i += 2)
        free(blocks[i]);
}

static void prepare(void) {
    int length = snprintf(body, sizeof body,
                          "{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    memset(body + length, 'x', (size_t)(BODY - length));
    memcpy(body + BODY - 4, "\"}]}", 4);
    lay_out_heap();
    curl_global_init(CURL_GLOBAL_ALL);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "api-key: 0123456789abcdef0123456789abcdef");
}

static void set_all(CURL *curl, const char *url, size_t *total) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)BODY);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, total);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

static CURL *new_handle(const char *url, size_t *total) {
    CURL *curl = curl_easy_init();
    if (!curl)
        die("curl_easy_init");
    set_all(curl, url, total);
    return curl;
}

static void expect(CURL *curl, long wanted) {
    long status = 0;
    CURLcode result = curl_easy_perform(curl);
    if (result != CURLE_OK)
        die(curl_easy_strerror(result));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != wanted)
        die("an answer that was not expected");
}

/* Functions that callgrind is told to count by their name: see scripts/bench. */
#define COUNTED __attribute__((noinline))

static COUNTED void requests(long count, const char *url, bool again) {
    size_t total = 0;
    CURL *curl = new_handle(url, &total);
    for (long i = 0; i < count; i++) {
        if (again)
            set_all(curl, url, &total);
        expect(curl, 200);
    }
    curl_easy_cleanup(curl);
}

static void setopt(long count, const char *option, const char *url) {
    size_t total = 0;
    CURL *curl = new_handle(url, &total);
    for (long i = 0; i < count; i++) {
        if (strcmp(option, "TIMEOUT_MS") == 0)
            curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
        else if (strcmp(option, "WRITEDATA") == 0)
            curl_easy_setopt(curl, CURLOPT_WRITEDATA, &total);
        else if (strcmp(option, "URL") == 0)
            curl_easy_setopt(curl, CURLOPT_URL, url);
        else if (strcmp(option, "POSTFIELDS") == 0)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        else if (strcmp(option, "USERAGENT") == 0)
            curl_easy_setopt(curl, CURLOPT_USERAGENT, "bench/1");
        else
            die("no such option here");
    }
    curl_easy_cleanup(curl);
}

/* Prints what this process has for itself, and what of it was written to. */
static void print_private_memory(void) {
    char line[256];
    long clean = 0, dirty = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (!file)
        die("/proc/self/smaps_rollup");
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "Private_Clean:", 14) == 0)
            clean = strtol(line + 14, NULL, 10);
        if (strncmp(line, "Private_Dirty:", 14) == 0)
            dirty = strtol(line + 14, NULL, 10);
    }
    fclose(file);
    printf("%ld %ld\n", clean + dirty, dirty);
    fflush(stdout);
}

static void memory(long count, const char *url) {
    size_t total = 0;
    CURL *curl = new_handle(url, &total);
    for (long i = 0; i < count; i++)
        expect(curl, 200);
    print_private_memory();
    while (getchar() != EOF)
        ;
    curl_easy_cleanup(curl);
}

static void first_use(const char *url) {
    size_t total = 0;
    uint64_t start = now(CLOCK_PROCESS_CPUTIME_ID);
    CURL *curl = curl_easy_init();
    uint64_t made = now(CLOCK_PROCESS_CPUTIME_ID);
    set_all(curl, url, &total);
    expect(curl, 200);
    uint64_t end = now(CLOCK_PROCESS_CPUTIME_ID);
    printf("%llu %llu\n", (unsigned long long)(end - start), (unsigned long long)(made - start));
    fflush(stdout);
}

static void first(const char *url) {
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            first_use(url);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            die("a child failed");
    }
}

static void tell(CURL *control, const char *command) {
    char url[128];
    const char *port = getenv("BENCH_CONTROL");
    snprintf(url, sizeof url, "http://127.0.0.1:%s/control/%s", port ? port : "", command);
    curl_easy_setopt(control, CURLOPT_URL, url);
    expect(control, 200);
}

static COUNTED void after_throttling(CURL *curl, const char *second) {
    if (second) {
        expect(curl, 429);
        curl_easy_setopt(curl, CURLOPT_URL, second);
    }
    expect(curl, 200);
}

static void fallback(const char *index, long ms, const char *url, const char *second) {
    char line[16], command[64];
    size_t total = 0;
    CURL *curl = new_handle(url, &total), *control = new_handle(url, &total);
    snprintf(command, sizeof command, "throttle/%s/%ld", index, ms);
    curl_easy_setopt(control, CURLOPT_HTTPGET, 1L);
    while (fgets(line, sizeof line, stdin)) {
        struct timespec pause = {ms / 1000, (ms % 1000 + 5) * 1000000};
        nanosleep(&pause, NULL); /* the last round's cooldown has to end: no event tells of it */
        curl_easy_setopt(curl, CURLOPT_URL, url);
        expect(curl, 200);
        tell(control, command);
        uint64_t start = now(CLOCK_MONOTONIC);
        after_throttling(curl, second);
        printf("%llu\n", (unsigned long long)(now(CLOCK_MONOTONIC) - start));
        fflush(stdout);
    }
    curl_easy_cleanup(control);
    curl_easy_cleanup(curl);
}

int main(int argc, char **argv) {
    const char *mode = argc > 2 ? argv[1] : "";
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    prepare();
    if (strcmp(mode, "requests") == 0 && (argc == 4 || argc == 5))
        requests(count, argv[3], argc == 5);
    else if (strcmp(mode, "setopt") == 0 && argc == 5)
        setopt(count, argv[3], argv[4]);
    else if (strcmp(mode, "memory") == 0 && argc == 4)
        memory(count, argv[3]);
    else if (strcmp(mode, "first") == 0 && argc == 3)
        first(argv[2]);
    else if (strcmp(mode, "fallback") == 0 && (argc == 5 || argc == 6))
        fallback(argv[2], strtol(argv[3], NULL, 10), argv[4], argc == 6 ? argv[5] : NULL);
    else
        die("see the head of client.c");
    curl_slist_free_all(headers);
    curl_global_cleanup();
    return 0;
}
