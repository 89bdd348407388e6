/*
 * libcurl's easy interface as a command line, for what the curl program can't show. Its arguments
 * are done in their order, on one handle:
 *
 *   NAME=VALUE        sets an option, see long_options and text_options; "url", "timeout_ms" ...
 *   header=LINE       adds to CURLOPT_HTTPHEADER
 *   receive=HOW       callbacks (from the start), shared (one write function for headers, too),
 *                     file (FILEs, no function), whole (a file, CURLOPT_HEADER)
 *   upload=BYTES      CURLOPT_UPLOAD with a read function; seek=1 gives it a seek function
 *   mime=FILE         a multipart body with a text part and that file
 *   stop=KIND:N       the Nth call of that callback (header or body) returns too little
 *   pause=KIND:N      the Nth call pauses once; the progress callback goes on later
 *   abort=N           the progress callback ends the transfer N ms after its beginning
 *   sockets=1         installs socket callbacks, and counts their calls
 *   touch=FILE        makes a file at the first body byte
 *   perform           a transfer; prints what the callbacks got and what libcurl tells of it
 *   until=STATUS      transfers, without a word, until one has that status, for 15 s at most
 *   duplicate, reset, fresh    curl_easy_duphandle, curl_easy_reset, a new handle
 *   descriptors       prints how many file descriptors are open
 *
 * Prints "H LINE" per header line, "B LENGTH TEXT" per run of body bytes, then NAME=VALUE lines.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOWN 400 /* of a body */

/* What a callback is to do at a certain call. */
struct trap {
    const char *kind;
    int at;
    int calls;
};

static struct {
    CURL *easy;
    struct curl_slist *headers;
    curl_mime *mime;
    FILE *body_file, *header_file;
    char error[CURL_ERROR_SIZE];
    char *run; /* body bytes that came in a row */
    size_t run_length;
    struct trap stop, pause;
    bool paused;
    int resumed_after; /* calls of the progress callback since the pause */
    long abort_ms;
    double started;
    size_t upload_size, upload_at;
    bool seekable;
    int reads, rewinds;
    int opened, configured, closed, prepared;
    const char *touch;
    CURL *old[8]; /* handles to clean up */
    int old_count;
} state;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void complain(const char *what, const char *value) {
    fprintf(stderr, "client: %s: %s\n", what, value);
    exit(99);
}

static void print_text(const char *text, size_t length) {
    for (size_t i = 0; i < length && i < SHOWN; i++)
        if (text[i] != '\r')
            putchar(isprint((unsigned char)text[i]) ? text[i] : '.');
    if (length > SHOWN) {
        unsigned long long hash = 0xcbf29ce484222325u; /* FNV-1a */
        for (size_t i = 0; i < length; i++)
            hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
        printf("... %llx", hash);
    }
    putchar('\n');
}

static void flush_run(void) {
    if (state.run_length) {
        printf("B %zu ", state.run_length);
        print_text(state.run, state.run_length);
    }
    state.run_length = 0;
}

static void add_run(const char *data, size_t length) {
    char *run = realloc(state.run, state.run_length + length);
    if (!run)
        complain("memory", "none left");
    memcpy(run + state.run_length, data, length);
    state.run = run;
    state.run_length += length;
}

static bool springs(struct trap *trap, const char *kind) {
    return trap->kind && strncmp(trap->kind, kind, strlen(kind)) == 0 && ++trap->calls == trap->at;
}

static size_t on_header(char *data, size_t size, size_t count, void *userdata) {
    (void)userdata;
    if (springs(&state.pause, "header")) {
        puts("paused");
        state.paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    flush_run();
    printf("H ");
    print_text(data, size * count - 1);
    return springs(&state.stop, "header") ? 0 : size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
    (void)userdata;
    if (springs(&state.pause, "body")) {
        state.paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (state.touch) {
        close(open(state.touch, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        state.touch = NULL;
    }
    add_run(data, size * count);
    return springs(&state.stop, "body") ? 0 : size * count;
}

static int on_progress(void *userdata, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    (void)userdata, (void)down_total, (void)down, (void)up_total, (void)up;
    if (state.paused && ++state.resumed_after > 1) {
        state.paused = false;
        state.resumed_after = 0;
        curl_easy_pause(state.easy, CURLPAUSE_CONT);
    }
    return state.abort_ms > 0 && (now() - state.started) * 1000 >= (double)state.abort_ms;
}

static size_t on_read(char *data, size_t size, size_t count, void *userdata) {
    size_t room = size * count, left = state.upload_size - state.upload_at;
    size_t length = room < left ? room : left;
    (void)userdata;
    state.reads++;
    for (size_t i = 0; i < length; i++)
        data[i] = (char)('a' + (state.upload_at + i) % 23);
    state.upload_at += length;
    return length;
}

static int on_seek(void *userdata, curl_off_t offset, int origin) {
    (void)userdata;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    state.rewinds++;
    state.upload_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)userdata, (void)purpose;
    state.opened++;
    return socket(address->family, address->socktype, address->protocol);
}

static int on_close(void *userdata, curl_socket_t fd) {
    (void)userdata;
    state.closed++;
    return close(fd);
}

static int on_configure(void *userdata, curl_socket_t fd, curlsocktype purpose) {
    (void)userdata, (void)fd, (void)purpose;
    state.configured++;
    return CURL_SOCKOPT_OK;
}

static int on_prepared(void *userdata, char *remote, char *local, int remote_port, int local_port) {
    (void)userdata, (void)remote, (void)local, (void)remote_port, (void)local_port;
    state.prepared++;
    return CURL_PREREQFUNC_OK;
}

static const struct {
    const char *name;
    CURLoption option;
} long_options[] = {
    {"timeout_ms", CURLOPT_TIMEOUT_MS},
    {"fail", CURLOPT_FAILONERROR},
    {"follow", CURLOPT_FOLLOWLOCATION},
    {"include", CURLOPT_HEADER},
    {"nobody", CURLOPT_NOBODY},
    {"post", CURLOPT_POST},
    {"get", CURLOPT_HTTPGET},
    {"size", CURLOPT_POSTFIELDSIZE},
    {"http_version", CURLOPT_HTTP_VERSION},
    {"fastopen", CURLOPT_TCP_FASTOPEN},
    {"local_port", CURLOPT_LOCALPORT},
    {"port", CURLOPT_PORT},
    {"keep_sending", CURLOPT_KEEP_SENDING_ON_ERROR},
    {"httpauth", CURLOPT_HTTPAUTH},
    {"no_progress", CURLOPT_NOPROGRESS},
};

static const struct {
    const char *name;
    CURLoption option;
} text_options[] = {
    {"url", CURLOPT_URL},
    {"proxy", CURLOPT_PROXY},
    {"interface", CURLOPT_INTERFACE},
    {"fields", CURLOPT_COPYPOSTFIELDS},
    {"userpwd", CURLOPT_USERPWD},
    {"encoding", CURLOPT_ACCEPT_ENCODING},
    {"cookiefile", CURLOPT_COOKIEFILE},
    {"protocols", CURLOPT_PROTOCOLS_STR},
};

/* Whether curl_easy_setopt said that all is well; the program's errors are the test's. */
static void expect_ok(CURLcode code, const char *what) {
    if (code != CURLE_OK)
        complain(what, curl_easy_strerror(code));
}

static bool set_simple(const char *name, const char *value) {
    for (size_t i = 0; i < sizeof long_options / sizeof long_options[0]; i++)
        if (strcmp(name, long_options[i].name) == 0) {
            expect_ok(curl_easy_setopt(state.easy, long_options[i].option, strtol(value, NULL, 10)),
                      name);
            return true;
        }
    for (size_t i = 0; i < sizeof text_options / sizeof text_options[0]; i++)
        if (strcmp(name, text_options[i].name) == 0) {
            const char *text = strcmp(value, "NULL") == 0 ? NULL : value;
            expect_ok(curl_easy_setopt(state.easy, text_options[i].option, text), name);
            return true;
        }
    return false;
}

static FILE *scratch_file(void) {
    FILE *file = tmpfile();
    if (!file)
        complain("tmpfile", strerror(errno));
    return file;
}

static void set_receive(const char *how) {
    bool callbacks = strcmp(how, "callbacks") == 0, shared = strcmp(how, "shared") == 0;
    bool file = strcmp(how, "file") == 0, whole = strcmp(how, "whole") == 0;
    if (!callbacks && !shared && !file && !whole)
        complain("receive", how);
    if ((file || whole) && !state.body_file)
        state.body_file = scratch_file();
    if (file && !state.header_file)
        state.header_file = scratch_file();
    /* with a WRITEFUNCTION of NULL libcurl calls fwrite */
    curl_easy_setopt(state.easy, CURLOPT_WRITEFUNCTION, callbacks || shared ? on_body : NULL);
    curl_easy_setopt(state.easy, CURLOPT_WRITEDATA, file || whole ? state.body_file : NULL);
    curl_easy_setopt(state.easy, CURLOPT_HEADERFUNCTION, callbacks ? on_header : NULL);
    curl_easy_setopt(state.easy, CURLOPT_HEADERDATA,
                     file     ? (void *)state.header_file
                     : shared ? (void *)&state
                              : NULL);
    curl_easy_setopt(state.easy, CURLOPT_HEADER, whole ? 1L : 0L);
}

static void set_sockets(void) {
    curl_easy_setopt(state.easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(state.easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(state.easy, CURLOPT_SOCKOPTFUNCTION, on_configure);
    curl_easy_setopt(state.easy, CURLOPT_PREREQFUNCTION, on_prepared);
}

static void set_trap(struct trap *trap, const char *value) {
    const char *colon = strchr(value, ':');
    if (!colon)
        complain("KIND:N is missing", value);
    *trap = (struct trap){.kind = value, .at = (int)strtol(colon + 1, NULL, 10), .calls = 0};
}

static void set_upload(const char *value) {
    state.upload_size = strtoul(value, NULL, 10);
    curl_easy_setopt(state.easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(state.easy, CURLOPT_UPLOAD, 1L);
}

static void set_mime(const char *path) {
    curl_mime *mime = curl_mime_init(state.easy);
    curl_mimepart *part = curl_mime_addpart(mime);
    curl_mime_name(part, "purpose");
    curl_mime_data(part, "fine-tune", CURL_ZERO_TERMINATED);
    part = curl_mime_addpart(mime);
    curl_mime_name(part, "file");
    expect_ok(curl_mime_filedata(part, path), path);
    curl_easy_setopt(state.easy, CURLOPT_MIMEPOST, mime);
    state.mime = mime;
}

static bool set_special(const char *name, const char *value) {
    if (strcmp(name, "header") == 0) {
        state.headers = curl_slist_append(state.headers, value);
        curl_easy_setopt(state.easy, CURLOPT_HTTPHEADER, state.headers);
    } else if (strcmp(name, "receive") == 0) {
        set_receive(value);
    } else if (strcmp(name, "upload") == 0) {
        set_upload(value);
    } else if (strcmp(name, "seek") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_SEEKFUNCTION, *value == '1' ? on_seek : NULL);
    } else if (strcmp(name, "infilesize") == 0) {
        curl_easy_setopt(state.easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)strtoll(value, NULL, 10));
    } else if (strcmp(name, "mime") == 0) {
        set_mime(value);
    } else if (strcmp(name, "stop") == 0) {
        set_trap(&state.stop, value);
    } else if (strcmp(name, "pause") == 0) {
        set_trap(&state.pause, value);
    } else if (strcmp(name, "abort") == 0) {
        state.abort_ms = strtol(value, NULL, 10);
    } else if (strcmp(name, "touch") == 0) {
        state.touch = value;
    } else if (strcmp(name, "sockets") == 0) {
        set_sockets();
    } else {
        return false;
    }
    return true;
}

static void print_long(const char *name, CURLINFO info) {
    long value = 0;
    curl_easy_getinfo(state.easy, info, &value);
    printf("%s=%ld\n", name, value);
}

static void print_number(const char *name, CURLINFO info) {
    curl_off_t value = 0;
    curl_easy_getinfo(state.easy, info, &value);
    printf("%s=%lld\n", name, (long long)value);
}

static void print_string(const char *name, CURLINFO info) {
    char *value = NULL;
    curl_easy_getinfo(state.easy, info, &value);
    printf("%s=%s\n", name, value ? value : "");
}

static void print_api_headers(void) {
    struct curl_header *header = NULL;
    while ((header = curl_easy_nextheader(state.easy, CURLH_HEADER, -1, header)))
        printf("api %s: %s\n", header->name, header->value);
    if (curl_easy_header(state.easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        printf("api_retry_after=%s\n", header->value);
}

static void print_file(const char *prefix, FILE *file) {
    char line[4096];
    if (!file)
        return;
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        printf("%s ", prefix);
        print_text(line, strcspn(line, "\n"));
    }
    rewind(file);
    if (ftruncate(fileno(file), 0) != 0)
        complain("ftruncate", strerror(errno));
}

static void print_outcome(CURLcode result) {
    flush_run();
    print_file("FH", state.header_file);
    print_file("FB", state.body_file);
    printf("result=%d\n", (int)result);
    print_long("response_code", CURLINFO_RESPONSE_CODE);
    print_number("retry_after", CURLINFO_RETRY_AFTER);
    print_string("effective_url", CURLINFO_EFFECTIVE_URL);
    print_string("effective_method", CURLINFO_EFFECTIVE_METHOD);
    print_string("content_type", CURLINFO_CONTENT_TYPE);
    print_number("content_length", CURLINFO_CONTENT_LENGTH_DOWNLOAD_T);
    print_number("size_download", CURLINFO_SIZE_DOWNLOAD_T);
    print_number("size_upload", CURLINFO_SIZE_UPLOAD_T);
    print_long("header_size", CURLINFO_HEADER_SIZE);
    print_long("redirects", CURLINFO_REDIRECT_COUNT);
    print_string("redirect_url", CURLINFO_REDIRECT_URL);
    print_api_headers();
    printf("error=%s\n", state.error);
    printf("sockets=%d %d %d %d\n", state.opened, state.configured, state.closed, state.prepared);
    printf("rewinds=%d\n", state.rewinds);
    printf("ms=%.0f\n", (now() - state.started) * 1000);
}

static CURLcode transfer(void) {
    state.upload_at = 0;
    state.reads = state.rewinds = 0;
    state.opened = state.configured = state.closed = state.prepared = 0;
    state.stop.calls = state.pause.calls = 0;
    state.started = now();
    memset(state.error, '?', sizeof state.error - 1); /* libcurl is to empty it */
    return curl_easy_perform(state.easy);
}

static void perform_until(const char *value) {
    long want = strtol(value, NULL, 10), got = 0;
    FILE *nowhere = fopen("/dev/null", "w");
    double begin = now();
    if (!nowhere)
        complain("/dev/null", strerror(errno));
    curl_easy_setopt(state.easy, CURLOPT_WRITEFUNCTION, NULL);
    curl_easy_setopt(state.easy, CURLOPT_WRITEDATA, nowhere);
    curl_easy_setopt(state.easy, CURLOPT_HEADERFUNCTION, NULL);
    while (got != want && now() - begin < 15) {
        if (got)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        transfer();
        curl_easy_getinfo(state.easy, CURLINFO_RESPONSE_CODE, &got);
    }
    fclose(nowhere);
    set_receive("callbacks");
    printf("until=%ld\n", got);
}

static void count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = -1; /* the directory's own */
    if (!directory)
        complain("/proc/self/fd", strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    printf("descriptors=%d\n", count);
}

/* What every handle has from its beginning. */
static void prepare(void) {
    curl_easy_setopt(state.easy, CURLOPT_ERRORBUFFER, state.error);
    curl_easy_setopt(state.easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(state.easy, CURLOPT_NOPROGRESS, 0L);
    set_receive("callbacks");
}

static void replace_handle(CURL *easy) {
    if (!easy || state.old_count == 8)
        complain("handle", "none to be had");
    state.old[state.old_count++] = state.easy;
    state.easy = easy;
}

static void act(char *argument) {
    char *equals = strchr(argument, '=');
    if (equals) {
        *equals = '\0';
        if (strcmp(argument, "until") == 0)
            perform_until(equals + 1);
        else if (!set_simple(argument, equals + 1) && !set_special(argument, equals + 1))
            complain("unknown option", argument);
    } else if (strcmp(argument, "perform") == 0) {
        print_outcome(transfer());
    } else if (strcmp(argument, "duplicate") == 0) {
        replace_handle(curl_easy_duphandle(state.easy));
        curl_easy_setopt(state.easy, CURLOPT_ERRORBUFFER, state.error); /* is not duplicated */
    } else if (strcmp(argument, "reset") == 0) {
        curl_easy_reset(state.easy);
        prepare();
    } else if (strcmp(argument, "fresh") == 0) {
        replace_handle(curl_easy_init());
        prepare();
    } else if (strcmp(argument, "descriptors") == 0) {
        count_descriptors();
    } else {
        complain("unknown command", argument);
    }
}

int main(int argc, char **argv) {
    curl_global_init(CURL_GLOBAL_ALL);
    state.easy = curl_easy_init();
    prepare();
    for (int i = 1; i < argc; i++)
        act(argv[i]);
    while (state.old_count)
        curl_easy_cleanup(state.old[--state.old_count]);
    curl_easy_cleanup(state.easy);
    curl_mime_free(state.mime);
    curl_slist_free_all(state.headers);
    free(state.run);
    curl_global_cleanup();
    return 0;
}
