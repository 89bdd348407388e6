/*
 * client: libcurl with all its callbacks, as a command line. It prints every callback in its order,
 * and after each transfer everything that libcurl tells of it. Its arguments, done in their order:
 *
 *   OPTION=VALUE      curl_easy_setopt; more than one VALUE of a list come together: HTTPHEADER=...
 *   loop=HOW          easy, multi (curl_multi_perform), or socket
 *                     (curl_multi_socket_action)
 *   with=WHAT         seek, ioctl, read, debug, progress, sockets, prereq, share, curlu, mime,
 *                     mimecb; codes, to print the response code at each header line; url, the URL
 *   as=WHAT           where the response goes: callbacks (as usual), body (no header callback),
 *                     shared (HEADERDATA alone), files (no callback at all)
 *   body=TEXT         what the read function gives; @SIZE for so many bytes
 *   at=EVENT:N:WHAT   at the Nth header, body, read or progress callback: fail, pause, quit (the
 *                     progress callback's way), set (options, for the next time), copy (the handle)
 *   run               a transfer; the program ends itself after LIFE seconds
 *   copy, reset, fresh     curl_easy_duphandle, curl_easy_reset, a new handle
 */
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "report.h"

#define TRAPS 8
#define LIFE  20

static struct {
    CURL *easy;
    CURLM *multi;
    CURLSH *share;
    CURLU *parts;
    curl_mime *mime;
    struct curl_slist *lists[32];
    CURLoption list_options[32];
    size_t list_count;
    const char *loop;
    const char *body;
    size_t body_size, body_at;
    bool seek, ioctl, read, debug, progress, sockets, prereq, codes, url, with_mime, mime_callback;
    const char *as;
    FILE *body_file, *header_file;
    char error[CURL_ERROR_SIZE];
    bool paused;
    struct trap {
        char event[16], what[8];
        int at, seen;
    } traps[TRAPS];
    size_t trap_count;
} client;

/* What is to be done at this call for EVENT, or "". */
static const char *trap(const char *event) {
    for (size_t i = 0; i < client.trap_count; i++) {
        struct trap *t = &client.traps[i];
        if (strcmp(t->event, event) == 0 && ++t->seen == t->at) {
            if (strcmp(t->what, "pause") != 0) { /* that is to leave no trace */
                end_row();
                printf("at %s %d: %s\n", event, t->at, t->what);
            }
            return t->what;
        }
    }
    return "";
}

static void act(const char *what) {
    if (strcmp(what, "set") == 0) {
        curl_easy_setopt(client.easy, CURLOPT_USERAGENT, "changed");
        curl_easy_setopt(client.easy, CURLOPT_HTTPHEADER, NULL);
        curl_easy_setopt(client.easy, CURLOPT_TIMEOUT_MS, 5000L);
    } else if (strcmp(what, "copy") == 0) {
        CURL *copy = curl_easy_duphandle(client.easy);
        printf("copied: %d\n", copy != NULL);
        curl_easy_cleanup(copy);
    }
}

static void show_state(void) {
    long code = 0;
    char *url = NULL;
    curl_easy_getinfo(client.easy, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(client.easy, CURLINFO_EFFECTIVE_URL, &url);
    if (client.codes)
        printf("  code %ld\n", code);
    if (client.url)
        printf("  url %s\n", url ? url : "");
}

/* For the functions that take bytes: what to return for LENGTH of them. */
static size_t taken(const char *event, size_t length) {
    const char *what = trap(event);
    act(what);
    if (strcmp(what, "pause") == 0) {
        client.paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return strcmp(what, "fail") == 0 ? length + 1 : length;
}

static size_t on_header(char *data, size_t size, size_t count, void *userdata) {
    size_t result = taken("header", size * count);
    (void)userdata;
    if (result == CURL_WRITEFUNC_PAUSE)
        return result;
    show_line("header", data, size * count);
    show_state();
    return result;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
    size_t result = taken("body", size * count);
    if (result == CURL_WRITEFUNC_PAUSE)
        return result;
    add_to_row(userdata == &client.header_file ? "shared" : "body", data, size * count);
    return result;
}

static size_t on_read(char *data, size_t size, size_t count, void *userdata) {
    const char *what = trap("read");
    size_t room = size * count, left = client.body_size - client.body_at;
    size_t given = left < room ? left : room;
    (void)userdata;
    act(what);
    if (strcmp(what, "pause") == 0) {
        client.paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (strcmp(what, "fail") == 0)
        return CURL_READFUNC_ABORT;
    if (client.body[0] == '@')
        memset(data, 'u', given);
    else
        memcpy(data, client.body + client.body_at, given);
    client.body_at += given;
    add_to_row("read", data, given);
    return given;
}

static int on_seek(void *userdata, curl_off_t offset, int origin) {
    (void)userdata;
    end_row();
    printf("seek %ld %d\n", (long)offset, origin);
    client.body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static curlioerr on_ioctl(CURL *easy, int command, void *userdata) {
    (void)userdata;
    end_row();
    printf("ioctl %d, %s handle\n", command, easy == client.easy ? "its" : "another");
    client.body_at = 0;
    return CURLIOE_OK;
}

static int on_progress(void *userdata, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    const char *what = trap("progress");
    (void)userdata, (void)total, (void)now, (void)up_total, (void)up;
    if (client.paused) {
        client.paused = false;
        curl_easy_pause(client.easy, CURLPAUSE_CONT);
    }
    return strcmp(what, "quit") == 0;
}

/* The texts carry times and addresses; data is cut as it comes. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *userdata) {
    static const char *const names[] = {"", "", "> ", "", "> data", "", ""};
    (void)userdata;
    if (easy != client.easy)
        puts("debug: another handle");
    if (type == CURLINFO_HEADER_OUT)
        show_line(names[type], data, size);
    else if (type == CURLINFO_DATA_OUT)
        add_to_row(names[type], data, size);
    return 0;
}

static int on_sockopt(void *userdata, curl_socket_t fd, curlsocktype purpose) {
    (void)userdata, (void)fd;
    show_line("sockopt", "", 0);
    return purpose == CURLSOCKTYPE_IPCXN ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)userdata, (void)purpose;
    show_line("open", "", 0);
    return socket(address->family, address->socktype, address->protocol);
}

static int on_close(void *userdata, curl_socket_t fd) {
    (void)userdata;
    show_line("close", "", 0);
    return close(fd);
}

static int on_prereq(void *userdata, char *remote, char *local, int remote_port, int local_port) {
    (void)userdata, (void)remote_port, (void)local_port;
    end_row();
    printf("prereq %s %s\n", remote, local);
    return strcmp(trap("prereq"), "fail") == 0 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void set_callbacks(CURL *easy) {
    const char *as = client.as;
    if (strcmp(as, "files") != 0)
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (strcmp(as, "callbacks") == 0)
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    if (strcmp(as, "shared") == 0)
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &client.header_file);
    if (strcmp(as, "files") == 0) {
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, client.body_file);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, client.header_file);
    }
    if (client.read)
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    if (client.seek)
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    if (client.ioctl)
        curl_easy_setopt(easy, CURLOPT_IOCTLFUNCTION, on_ioctl);
    if (client.progress) {
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    }
    if (client.debug) {
        curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
        curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    }
    if (client.sockets) {
        curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    }
    if (client.prereq)
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client.error);
}

static void set_mime(void) {
    if (!client.with_mime && !client.mime_callback)
        return;
    curl_mime_free(client.mime);
    client.mime = curl_mime_init(client.easy);
    curl_mimepart *part = curl_mime_addpart(client.mime);
    curl_mime_name(part, "field");
    if (client.mime_callback)
        curl_mime_data_cb(part, (curl_off_t)client.body_size, on_read, client.seek ? on_seek : NULL,
                          NULL, NULL);
    else
        curl_mime_data(part, "some text", CURL_ZERO_TERMINATED);
    curl_easy_setopt(client.easy, CURLOPT_MIMEPOST, client.mime);
}

static void run_multi(CURLcode *result) {
    CURLMsg *message;
    CURLMcode code;
    int running = 1, left, messages = 0;
    bool socket = strcmp(client.loop, "socket") == 0;
    if (!client.multi)
        client.multi = loop_start(socket);
    printf("add %d\n", curl_multi_add_handle(client.multi, client.easy));
    do
        code = socket ? loop_sockets(client.multi, &running) : loop_perform(client.multi, &running);
    while (code == CURLM_OK && running);
    end_row();
    while ((message = curl_multi_info_read(client.multi, &left))) {
        *result = message->data.result;
        messages++;
        printf("message %d, %s handle, %d left\n", message->msg,
               message->easy_handle == client.easy ? "its" : "another", left);
    }
    code = curl_multi_remove_handle(client.multi, client.easy);
    printf("messages %d, remove %d\n", messages, code);
}

static void run(void) {
    CURLcode result = CURLE_OK;
    client.body_at = 0;
    client.paused = false;
    client.error[0] = '\0';
    set_callbacks(client.easy);
    set_mime();
    if (client.parts)
        curl_easy_setopt(client.easy, CURLOPT_CURLU, client.parts);
    if (strcmp(client.loop, "easy") == 0)
        result = curl_easy_perform(client.easy);
    else
        run_multi(&result);
    end_row();
    show_state();
    show_result(client.easy, result, client.error);
}

static void set_list(CURLoption option, const char *value) {
    size_t i = 0;
    while (i < client.list_count && client.list_options[i] != option)
        i++;
    if (i == client.list_count && client.list_count++ == 32)
        exit(2);
    client.list_options[i] = option;
    client.lists[i] = curl_slist_append(client.lists[i], value);
    curl_easy_setopt(client.easy, option, client.lists[i]);
}

static void set_option(const char *name, const char *value) {
    const struct curl_easyoption *option = curl_easy_option_by_name(name);
    CURLcode result = CURLE_OK;
    if (!option) {
        fprintf(stderr, "client: no option %s\n", name);
        exit(2);
    }
    if (client.parts && option->id == CURLOPT_URL)
        curl_url_set(client.parts, CURLUPART_URL, value, 0);
    else if (option->type == CURLOT_SLIST)
        set_list(option->id, value);
    else if (option->type == CURLOT_LONG || option->type == CURLOT_VALUES)
        result = curl_easy_setopt(client.easy, option->id, strtol(value, NULL, 10));
    else if (option->type == CURLOT_OFF_T)
        result = curl_easy_setopt(client.easy, option->id, (curl_off_t)strtoll(value, NULL, 10));
    else
        result = curl_easy_setopt(client.easy, option->id, strcmp(value, "NULL") ? value : NULL);
    if (result != CURLE_OK)
        printf("setopt %s: %d\n", name, result);
}

static void share_all(void) {
    client.share = curl_share_init();
    curl_share_setopt(client.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
    curl_share_setopt(client.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(client.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    curl_easy_setopt(client.easy, CURLOPT_SHARE, client.share);
}

static void install(const char *what) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"seek", &client.seek},
        {"ioctl", &client.ioctl},
        {"read", &client.read},
        {"debug", &client.debug},
        {"progress", &client.progress},
        {"sockets", &client.sockets},
        {"prereq", &client.prereq},
        {"codes", &client.codes},
        {"url", &client.url},
        {"mime", &client.with_mime},
        {"mimecb", &client.mime_callback},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(what, flags[i].name) == 0)
            *flags[i].flag = true;
    if (strcmp(what, "share") == 0)
        share_all();
    else if (strcmp(what, "curlu") == 0)
        client.parts = curl_url();
}

static void set_trap(char *text) {
    struct trap *t = &client.traps[client.trap_count++ % TRAPS];
    const char *event = strsep(&text, ":"), *at = strsep(&text, ":");
    if (!at || !text)
        exit(2);
    snprintf(t->event, sizeof t->event, "%s", event);
    snprintf(t->what, sizeof t->what, "%s", text);
    t->at = (int)strtol(at, NULL, 10);
}

static void set_body(const char *text) {
    client.read = true;
    client.body = text;
    client.body_size = text[0] == '@' ? (size_t)strtoul(text + 1, NULL, 10) : strlen(text);
}

static void replace(CURL *easy) {
    curl_easy_cleanup(client.easy);
    client.easy = easy;
}

static void do_word(const char *word) {
    if (strcmp(word, "run") == 0)
        run();
    else if (strcmp(word, "copy") == 0)
        replace(curl_easy_duphandle(client.easy));
    else if (strcmp(word, "reset") == 0)
        curl_easy_reset(client.easy);
    else if (strcmp(word, "fresh") == 0)
        replace(curl_easy_init());
    else
        exit(2);
}

static void do_argument(char *argument) {
    char *value = strchr(argument, '=');
    if (!value) {
        do_word(argument);
        return;
    }
    *value++ = '\0';
    if (strcmp(argument, "loop") == 0)
        client.loop = value;
    else if (strcmp(argument, "as") == 0)
        client.as = value;
    else if (strcmp(argument, "with") == 0)
        install(value);
    else if (strcmp(argument, "at") == 0)
        set_trap(value);
    else if (strcmp(argument, "body") == 0)
        set_body(value);
    else
        set_option(argument, value);
}

static int count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = -1; /* the directory itself */
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void show_file(const char *name, FILE *file) {
    char line[4096];
    rewind(file);
    while (fgets(line, sizeof line, file))
        show_line(name, line, strlen(line));
    fclose(file);
}

int main(int count, char **arguments) {
    alarm(LIFE);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    curl_global_init(CURL_GLOBAL_ALL);
    client.loop = "easy";
    client.as = "callbacks";
    client.body = "";
    client.body_file = tmpfile();
    client.header_file = tmpfile();
    client.easy = curl_easy_init();
    if (!client.easy || !client.body_file || !client.header_file)
        return 2;
    int descriptors = count_descriptors();
    for (int i = 1; i < count; i++)
        do_argument(arguments[i]);
    curl_easy_cleanup(client.easy);
    curl_mime_free(client.mime);
    curl_url_cleanup(client.parts);
    if (client.multi)
        printf("cleanup %d\n", curl_multi_cleanup(client.multi));
    if (client.share)
        printf("share %d\n", curl_share_cleanup(client.share));
    for (size_t i = 0; i < client.list_count; i++)
        curl_slist_free_all(client.lists[i]);
    printf("descriptors left %d\n", count_descriptors() - descriptors);
    show_file("body file", client.body_file);
    show_file("header file", client.header_file);
    curl_global_cleanup();
    return 0;
}
