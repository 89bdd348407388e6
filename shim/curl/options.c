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
}

static void forget(char **text) {
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void options_clear(struct options *options) {
    forget(&options->url);
    forget(&options->proxy);
    forget(&options->pre_proxy);
    forget(&options->protocols_text);
}

/* The URL is set again and again: its room is kept, and the same text again is no change. */
static void set_url(struct options *options, const char *url) {
    if (!url) {
        forget(&options->url);
        options->url_capacity = 0;
        options->url_changes++;
        return;
    }
    size_t size = strlen(url) + 1;
    if (options->url && strcmp(options->url, url) == 0)
        return;
    options->url_changes++;
    if (size > options->url_capacity) {
        forget(&options->url);
        options->url_capacity = size < 256 ? 256 : size;
        options->url = malloc(options->url_capacity * 2);
    }
    if (!options->url) {
        options->url_capacity = 0;
        options->unfit |= UNFIT_UNKNOWN;
        return;
    }
    options->scratch = options->url + options->url_capacity;
    memcpy(options->url, url, size);
}

static void set_text(struct options *options, char **text, const char *value) {
    forget(text);
    if (value && !(*text = strdup(value)))
        options->unfit |= UNFIT_UNKNOWN;
}

void options_copy(struct options *to, const struct options *from) {
    *to = *from;
    to->url = to->proxy = to->pre_proxy = to->protocols_text = NULL;
    to->url_capacity = 0;
    set_url(to, from->url);
    set_text(to, &to->proxy, from->proxy);
    set_text(to, &to->pre_proxy, from->pre_proxy);
    set_text(to, &to->protocols_text, from->protocols_text);
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
        options->method = on ? METHOD_UPLOAD : METHOD_GET;
        break;
    case CURLOPT_PUT:
        if (on)
            options->method = METHOD_UPLOAD;
        break;
    case CURLOPT_HTTPPOST:
    case CURLOPT_MIMEPOST:
        options->method = METHOD_MIME;
        break;
    default: /* CURLOPT_POSTFIELDS, CURLOPT_COPYPOSTFIELDS */
        options->post_fields = on;
        options->method = METHOD_POST;
        break;
    }
}

/* How an option is noted: in the field at an offset, as a bit, or by a rule of its own. */
enum kind {
    IGNORED,
    POINTER, /* a data or function pointer */
    LONG,
    TEXT,
    UNFIT, /* `where` is the bit */
    AUTH,
    METHOD,
    URL,
    SECONDS, /* a LONG in seconds, kept in milliseconds */
    DEFAULT_PROTOCOL,
    PROTOCOLS,
    PROTOCOLS_TEXT
};

struct note {
    uint16_t kind;
    uint16_t where;
};

#define NUMBER(option) ((option) % 10000)
#define FIELD(kind, option, field)                                                                 \
    [NUMBER(CURLOPT_##option)] = {kind, offsetof(struct options, field)}
#define BIT(kind, option, bit) [NUMBER(CURLOPT_##option)] = {kind, bit}

static const struct note notes[] = {
    BIT(URL, URL, 0),
    FIELD(POINTER, HTTPHEADER, headers),
    FIELD(POINTER, ACCEPT_ENCODING, accept_encoding),
    FIELD(POINTER, WRITEFUNCTION, write_function),
    FIELD(POINTER, WRITEDATA, write_data),
    FIELD(POINTER, HEADERFUNCTION, header_function),
    FIELD(POINTER, HEADERDATA, header_data),
    FIELD(POINTER, READFUNCTION, read_function),
    FIELD(POINTER, READDATA, read_data),
    FIELD(POINTER, SEEKFUNCTION, seek_function),
    FIELD(POINTER, SEEKDATA, seek_data),
    FIELD(POINTER, IOCTLFUNCTION, ioctl_function),
    FIELD(POINTER, IOCTLDATA, ioctl_data),
    FIELD(POINTER, XFERINFOFUNCTION, xferinfo_function),
    FIELD(POINTER, PROGRESSFUNCTION, progress_function),
    FIELD(POINTER, XFERINFODATA, progress_data),
    FIELD(POINTER, OPENSOCKETFUNCTION, open_function),
    FIELD(POINTER, OPENSOCKETDATA, open_data),
    FIELD(POINTER, CLOSESOCKETFUNCTION, close_function),
    FIELD(POINTER, CLOSESOCKETDATA, close_data),
    FIELD(POINTER, SOCKOPTFUNCTION, sockopt_function),
    FIELD(POINTER, SOCKOPTDATA, sockopt_data),
    FIELD(POINTER, PREREQFUNCTION, prereq_function),
    FIELD(POINTER, PREREQDATA, prereq_data),
    FIELD(SECONDS, TIMEOUT, timeout_ms),
    FIELD(LONG, TIMEOUT_MS, timeout_ms),
    FIELD(SECONDS, CONNECTTIMEOUT, connect_timeout_ms),
    FIELD(LONG, CONNECTTIMEOUT_MS, connect_timeout_ms),
    FIELD(LONG, PORT, port),
    FIELD(LONG, HTTPAUTH, http_auth),
    FIELD(LONG, HTTP_VERSION, http_version),
    FIELD(LONG, FOLLOWLOCATION, follow_location),
    FIELD(LONG, HEADER, include_headers),
    FIELD(LONG, HTTP09_ALLOWED, http09_allowed),
    FIELD(LONG, FRESH_CONNECT, fresh_connect),
    FIELD(LONG, FORBID_REUSE, forbid_reuse),
    FIELD(LONG, TCP_FASTOPEN, tcp_fastopen),
    FIELD(LONG, KEEP_SENDING_ON_ERROR, keep_sending_on_error),
    FIELD(LONG, NOPROGRESS, no_progress),
    FIELD(TEXT, PROXY, proxy),
    FIELD(TEXT, PRE_PROXY, pre_proxy),
    BIT(PROTOCOLS, PROTOCOLS, 0),
    BIT(PROTOCOLS_TEXT, PROTOCOLS_STR, 0),
    BIT(DEFAULT_PROTOCOL, DEFAULT_PROTOCOL, 0),
    BIT(METHOD, HTTPGET, 0),
    BIT(METHOD, NOBODY, 0),
    BIT(METHOD, POST, 0),
    BIT(METHOD, UPLOAD, 0),
    BIT(METHOD, PUT, 0),
    BIT(METHOD, HTTPPOST, 0),
    BIT(METHOD, MIMEPOST, 0),
    BIT(METHOD, POSTFIELDS, 0),
    BIT(METHOD, COPYPOSTFIELDS, 0),
    BIT(UNFIT, CONNECT_ONLY, UNFIT_CONNECT_ONLY),
    BIT(UNFIT, CONNECT_TO, UNFIT_CONNECT_TO),
    BIT(UNFIT, UNIX_SOCKET_PATH, UNFIT_UNIX_SOCKET),
    BIT(UNFIT, ABSTRACT_UNIX_SOCKET, UNFIT_ABSTRACT_SOCKET),
    BIT(UNFIT, PINNEDPUBLICKEY, UNFIT_PINNED_KEY),
    BIT(UNFIT, AWS_SIGV4, UNFIT_SIGV4),
    BIT(UNFIT, REQUEST_TARGET, UNFIT_REQUEST_TARGET),
    BIT(UNFIT, CURLU, UNFIT_CURLU),
    BIT(AUTH, USERPWD, AUTH_USERPWD),
    BIT(AUTH, USERNAME, AUTH_USERNAME),
    BIT(AUTH, PASSWORD, AUTH_PASSWORD),
    BIT(AUTH, XOAUTH2_BEARER, AUTH_BEARER),
    BIT(AUTH, NETRC, AUTH_NETRC),
};

static void set_protocols(struct options *options, long protocols) {
    forget(&options->protocols_text);
    options->protocols = protocols;
    options->protocols_set = true;
}

void options_record(struct options *options, CURLoption option, void *value) {
    unsigned number = (unsigned)NUMBER(option);
    if (number >= sizeof notes / sizeof notes[0])
        return;
    struct note note = notes[number];
    void *field = (char *)options + note.where;
    long number_value = (long)(intptr_t)value;
    switch ((enum kind)note.kind) {
    case IGNORED:
        break;
    case POINTER:
        memcpy(field, &value, sizeof value);
        break;
    case LONG:
        memcpy(field, &number_value, sizeof number_value);
        break;
    case SECONDS:
        number_value = milliseconds(number_value);
        memcpy(field, &number_value, sizeof number_value);
        break;
    case TEXT:
        set_text(options, field, value);
        break;
    case UNFIT:
        set_bit(&options->unfit, note.where, value != NULL);
        break;
    case AUTH:
        set_bit(&options->auth, note.where, value != NULL);
        break;
    case METHOD:
        set_method(options, option, value != NULL);
        break;
    case URL:
        set_url(options, value);
        break;
    case DEFAULT_PROTOCOL:
        set_default_protocol(options, value);
        break;
    case PROTOCOLS:
        set_protocols(options, number_value);
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
