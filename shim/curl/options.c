#include "shim/curl/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void options_init(struct options *options) {
    memset(options, 0, sizeof *options);
    options->write_data = stdout; /* libcurl's own defaults: NULL is not the same to it */
    options->read_data = stdin;
    options->no_progress = 1;
    options->http_auth = CURLAUTH_BASIC;
    options->post_size = options->in_size = -1;
}

static void forget(char **text) {
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void forget_url(struct url_text *url) {
    if (url->text)
        explicit_bzero(url->text, url->capacity * 2);
    free(url->text);
    *url = (struct url_text){NULL, NULL, 0};
}

/* The body in memory is no longer known. */
static void forget_post(struct options *options) {
    if (options->post_copy)
        explicit_bzero(options->post_copy, options->post_room);
    free(options->post_copy);
    options->post_copy = NULL;
    options->post_data = NULL;
}

size_t options_post_length(const struct options *options) {
    if (options->post_size >= 0)
        return (size_t)options->post_size;
    return options->post_data ? strlen(options->post_data) : 0;
}

/* As libcurl copies it: as much as the size says that was set before. */
static void copy_post(struct options *options, const char *data) {
    size_t length = options->post_size >= 0 ? (size_t)options->post_size : strlen(data);
    char *copy = malloc(length + 1);
    if (!copy)
        return;
    memcpy(copy, data, length);
    copy[length] = '\0';
    options->post_data = options->post_copy = copy;
    options->post_room = length + 1;
}

static void set_post(struct options *options, const char *data, bool copied) {
    forget_post(options);
    options->method = METHOD_POST;
    options->post_fields = data != NULL;
    options->post_copied = copied && data;
    if (!copied)
        options->post_data = data;
    else if (data && options->copies_posts)
        copy_post(options, data);
}

/* libcurl lets go of a copy that the new size would read beyond. */
static void set_post_size(struct options *options, curl_off_t size) {
    if (options->post_copied && options->post_size < size) {
        forget_post(options);
        options->post_fields = options->post_copied = false;
    }
    options->post_size = size;
}

void options_clear(struct options *options) {
    forget_post(options);
    forget_url(&options->url);
    forget_url(&options->curlu_url);
    forget(&options->proxy);
    forget(&options->pre_proxy);
    forget(&options->protocols_text);
    forget(&options->netrc_file);
}

/* A URL is set again and again: its room is kept, and the same text again is no change. */
static void set_url(struct options *options, struct url_text *url, const char *text) {
    if (text && url->text && strcmp(url->text, text) == 0)
        return;
    options->url_changes++;
    if (!text) {
        forget_url(url);
        return;
    }
    size_t size = strlen(text) + 1;
    if (size > url->capacity) {
        forget_url(url);
        size_t capacity = size < 256 ? 256 : size;
        url->text = calloc(2, capacity);
        url->capacity = url->text ? capacity : 0;
    }
    if (!url->text) {
        options->unfit |= UNFIT_UNKNOWN;
        return;
    }
    url->scratch = url->text + url->capacity;
    memcpy(url->text, text, size);
}

const struct url_text *options_url(struct options *options, const struct libcurl *curl) {
    char *text = NULL;
    if (!options->curlu)
        return options->url.text ? &options->url : NULL;
    if (!curl->url_get || !curl->free ||
        curl->url_get(options->curlu, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return NULL;
    set_url(options, &options->curlu_url, text);
    curl->free(text);
    return options->curlu_url.text ? &options->curlu_url : NULL;
}

static void set_text(struct options *options, char **text, const char *value) {
    forget(text);
    if (value && !(*text = strdup(value)))
        options->unfit |= UNFIT_UNKNOWN;
}

void options_copy(struct options *to, const struct options *from) {
    *to = *from;
    to->url = to->curlu_url = (struct url_text){NULL, NULL, 0};
    to->proxy = to->pre_proxy = to->protocols_text = to->netrc_file = NULL;
    to->mime = NULL; /* libcurl makes a copy of its own, of which nothing is known */
    if (from->post_copied) {
        to->post_data = to->post_copy = NULL;
        if (from->post_data)
            copy_post(to, from->post_data);
    }
    set_url(to, &to->url, from->url.text);
    set_text(to, &to->proxy, from->proxy);
    set_text(to, &to->pre_proxy, from->pre_proxy);
    set_text(to, &to->protocols_text, from->protocols_text);
    set_text(to, &to->netrc_file, from->netrc_file);
}

static void set_bit(unsigned *bits, unsigned bit, bool on) {
    *bits = on ? *bits | bit : *bits & ~bit;
}

/* libcurl keeps one timeout, in milliseconds, and clamps what would overflow. */
static long milliseconds(long seconds) {
    return seconds > LONG_MAX / 1000 ? LONG_MAX : seconds * 1000;
}

static void set_default_protocol(struct options *options, const char *protocol) {
    options->default_https = protocol && strcasecmp(protocol, "https") == 0;
    set_bit(&options->unfit, UNFIT_PROTOCOL,
            protocol && !options->default_https && strcasecmp(protocol, "http") != 0);
    options->url_changes++;
}

static void set_method(struct options *options, CURLoption option, bool on) {
    if ((int)option == CURLOPT_NOBODY)
        options->no_body = on;
    else if (on)
        options->no_body = false; /* each of the others implies it */
    switch ((int)option) {
    case CURLOPT_HTTPGET:
    case CURLOPT_NOBODY:
        if (on)
            options->method = METHOD_GET;
        break;
    case CURLOPT_POST:
        options->method = on ? METHOD_POST : METHOD_GET;
        break;
    case CURLOPT_UPLOAD:
    case CURLOPT_PUT:
        options->method = on ? METHOD_UPLOAD : METHOD_GET;
        break;
    default:
        break;
    }
}

static void set_body(struct options *options, CURLoption option, void *value) {
    switch ((int)option) {
    case CURLOPT_HTTPPOST:
        options->method = METHOD_MIME;
        options->form = value;
        options->mime = NULL;
        break;
    case CURLOPT_MIMEPOST:
        options->method = METHOD_MIME;
        options->mime = value;
        options->form = NULL;
        break;
    case CURLOPT_POSTFIELDSIZE:
    case CURLOPT_POSTFIELDSIZE_LARGE:
        set_post_size(options, (curl_off_t)(intptr_t)value);
        break;
    default: /* CURLOPT_POSTFIELDS, CURLOPT_COPYPOSTFIELDS */
        set_post(options, value, (int)option == CURLOPT_COPYPOSTFIELDS);
        break;
    }
}

/* What is not simply a value. */
enum rule {
    TEXT,
    UNFIT, /* `where` is the bit */
    AUTH,
    NETRC,
    METHOD,
    BODY,
    URL,
    URL_PARTS,
    SECONDS, /* a long in seconds, kept in milliseconds */
    DEFAULT_PROTOCOL,
    PROTOCOLS,
    PROTOCOLS_TEXT
};

_Static_assert(sizeof(long) == sizeof(void *), "a value is a pointer or a long");

#define VALUE(option, field)                                                                       \
    [CURLOPT_##option % 10000] = {NOTE_VALUE, 0, offsetof(struct options, field)}
#define FIELD(rule, option, field)                                                                 \
    [CURLOPT_##option % 10000] = {NOTE_OTHER, rule, offsetof(struct options, field)}
#define RULE(rule, option, bit) [CURLOPT_##option % 10000] = {NOTE_OTHER, rule, bit}

const struct note options_notes[OPTIONS_NOTES] = {
    RULE(URL, URL, 0),
    VALUE(HTTPHEADER, headers),
    VALUE(VERBOSE, verbose),
    VALUE(DEBUGFUNCTION, debug_function),
    VALUE(DEBUGDATA, debug_data),
    VALUE(STDERR, stderr_file),
    RULE(URL_PARTS, CURLU, 0),
    VALUE(ACCEPT_ENCODING, accept_encoding),
    VALUE(WRITEFUNCTION, write_function),
    VALUE(WRITEDATA, write_data),
    VALUE(HEADERFUNCTION, header_function),
    VALUE(HEADERDATA, header_data),
    VALUE(READFUNCTION, read_function),
    VALUE(READDATA, read_data),
    VALUE(SEEKFUNCTION, seek_function),
    VALUE(SEEKDATA, seek_data),
    VALUE(IOCTLFUNCTION, ioctl_function),
    VALUE(IOCTLDATA, ioctl_data),
    VALUE(XFERINFOFUNCTION, xferinfo_function),
    VALUE(PROGRESSFUNCTION, progress_function),
    VALUE(XFERINFODATA, progress_data),
    VALUE(OPENSOCKETFUNCTION, open_function),
    VALUE(OPENSOCKETDATA, open_data),
    VALUE(CLOSESOCKETFUNCTION, close_function),
    VALUE(CLOSESOCKETDATA, close_data),
    VALUE(SOCKOPTFUNCTION, sockopt_function),
    VALUE(SOCKOPTDATA, sockopt_data),
    VALUE(PREREQFUNCTION, prereq_function),
    VALUE(PREREQDATA, prereq_data),
    FIELD(SECONDS, TIMEOUT, timeout_ms),
    VALUE(TIMEOUT_MS, timeout_ms),
    FIELD(SECONDS, CONNECTTIMEOUT, connect_timeout_ms),
    VALUE(CONNECTTIMEOUT_MS, connect_timeout_ms),
    VALUE(PORT, port),
    VALUE(HTTPAUTH, http_auth),
    VALUE(HTTP_VERSION, http_version),
    VALUE(FOLLOWLOCATION, follow_location),
    VALUE(HEADER, include_headers),
    VALUE(HTTP09_ALLOWED, http09_allowed),
    VALUE(FRESH_CONNECT, fresh_connect),
    VALUE(FORBID_REUSE, forbid_reuse),
    VALUE(IPRESOLVE, ip_resolve),
    VALUE(HTTPPROXYTUNNEL, http_proxy_tunnel),
    VALUE(TCP_FASTOPEN, tcp_fastopen),
    VALUE(KEEP_SENDING_ON_ERROR, keep_sending_on_error),
    VALUE(NOPROGRESS, no_progress),
    VALUE(LOW_SPEED_LIMIT, low_speed_limit),
    VALUE(LOW_SPEED_TIME, low_speed_time),
    FIELD(TEXT, PROXY, proxy),
    FIELD(TEXT, PRE_PROXY, pre_proxy),
    RULE(PROTOCOLS, PROTOCOLS, 0),
    RULE(PROTOCOLS_TEXT, PROTOCOLS_STR, 0),
    RULE(DEFAULT_PROTOCOL, DEFAULT_PROTOCOL, 0),
    RULE(METHOD, HTTPGET, 0),
    RULE(METHOD, NOBODY, 0),
    RULE(METHOD, POST, 0),
    RULE(METHOD, UPLOAD, 0),
    RULE(METHOD, PUT, 0),
    RULE(BODY, HTTPPOST, 0),
    RULE(BODY, MIMEPOST, 0),
    RULE(BODY, POSTFIELDS, 0),
    RULE(BODY, COPYPOSTFIELDS, 0),
    RULE(BODY, POSTFIELDSIZE, 0),
    RULE(BODY, POSTFIELDSIZE_LARGE, 0),
    VALUE(INFILESIZE, in_size),
    VALUE(INFILESIZE_LARGE, in_size),
    RULE(UNFIT, CONNECT_ONLY, UNFIT_CONNECT_ONLY),
    RULE(UNFIT, CONNECT_TO, UNFIT_CONNECT_TO),
    RULE(UNFIT, UNIX_SOCKET_PATH, UNFIT_UNIX_SOCKET),
    RULE(UNFIT, ABSTRACT_UNIX_SOCKET, UNFIT_ABSTRACT_SOCKET),
    RULE(UNFIT, PINNEDPUBLICKEY, UNFIT_PINNED_KEY),
    RULE(UNFIT, AWS_SIGV4, UNFIT_SIGV4),
    RULE(UNFIT, REQUEST_TARGET, UNFIT_REQUEST_TARGET),
    RULE(AUTH, USERPWD, AUTH_USERPWD),
    RULE(AUTH, USERNAME, AUTH_USERNAME),
    RULE(AUTH, PASSWORD, AUTH_PASSWORD),
    RULE(AUTH, XOAUTH2_BEARER, AUTH_BEARER),
    RULE(NETRC, NETRC, AUTH_NETRC),
    FIELD(TEXT, NETRC_FILE, netrc_file),
};

static void set_protocols(struct options *options, long protocols) {
    forget(&options->protocols_text);
    options->protocols = protocols;
    options->protocols_set = true;
}

void options_record_other(struct options *options, CURLoption option, const struct note *note,
                          void *value) {
    void *field = (char *)options + note->where;
    long number = (long)(intptr_t)value;
    switch ((enum rule)note->rule) {
    case TEXT:
        set_text(options, field, value);
        break;
    case SECONDS:
        number = milliseconds(number);
        memcpy(field, &number, sizeof number);
        break;
    case UNFIT:
        set_bit(&options->unfit, note->where, value != NULL);
        break;
    case AUTH:
        set_bit(&options->auth, note->where, value != NULL);
        break;
    case NETRC:
        options->netrc = number;
        set_bit(&options->auth, note->where, number != CURL_NETRC_IGNORED);
        break;
    case METHOD:
        set_method(options, option, value != NULL);
        break;
    case BODY:
        set_body(options, option, value);
        break;
    case URL:
        set_url(options, &options->url, value);
        break;
    case URL_PARTS:
        options->curlu = value;
        options->url_changes++;
        break;
    case DEFAULT_PROTOCOL:
        set_default_protocol(options, value);
        break;
    case PROTOCOLS:
        set_protocols(options, number);
        break;
    case PROTOCOLS_TEXT:
        set_protocols(options, (long)CURLPROTO_ALL);
        set_text(options, &options->protocols_text, value);
        break;
    }
}

bool options_reads_body(const struct options *options) {
    return options->method == METHOD_UPLOAD ||
           (options->method == METHOD_POST && !options->post_fields);
}
