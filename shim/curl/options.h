/*
 * What the program set on one of its handles, as far as an attempt has to know or put it back.
 *
 * libcurl has no getters, so each successful curl_easy_setopt is noted here. Pointers are the
 * program's own, as libcurl keeps them too, except for the strings, which libcurl copies and
 * so do we. Not thread-safe, like the handle itself.
 */
#ifndef SPILLWAY_CURL_OPTIONS_H
#define SPILLWAY_CURL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shim/curl/libcurl.h"

/* Options that make a handle unfit for routing while they are set: one bit each. */
enum {
    UNFIT_CONNECT_ONLY = 1 << 0,
    UNFIT_CONNECT_TO = 1 << 1,
    UNFIT_UNIX_SOCKET = 1 << 2,
    UNFIT_ABSTRACT_SOCKET = 1 << 3,
    UNFIT_PINNED_KEY = 1 << 4,
    UNFIT_SIGV4 = 1 << 5,
    UNFIT_REQUEST_TARGET = 1 << 6,
    UNFIT_PROTOCOL = 1 << 7, /* CURLOPT_DEFAULT_PROTOCOL is neither http nor https */
    UNFIT_UNKNOWN = 1 << 8   /* memory ran out while noting something */
};

/* Options that hold credentials which libcurl itself turns into headers: one bit each. */
enum {
    AUTH_USERPWD = 1 << 0,
    AUTH_USERNAME = 1 << 1,
    AUTH_PASSWORD = 1 << 2,
    AUTH_BEARER = 1 << 3,
    AUTH_NETRC = 1 << 4
};

/* How the request's body comes to be, as libcurl's own state machine has it. */
enum method { METHOD_GET, METHOD_POST, METHOD_UPLOAD, METHOD_MIME };

/* A URL in memory that is used again. */
struct url_text {
    char *text;    /* NULL if not set */
    char *scratch; /* as much room, for its path without dot segments */
    size_t capacity;
};

struct options {
    struct url_text url;       /* CURLOPT_URL */
    CURLU *curlu;              /* CURLOPT_CURLU: wins over it */
    struct url_text curlu_url; /* what that said last */
    uint64_t url_changes;      /* counts, so that what was made from the URL can be kept */
    bool default_https;
    unsigned unfit; /* UNFIT_... */
    unsigned auth;  /* AUTH_... */
    enum method method;
    bool no_body;          /* CURLOPT_NOBODY */
    bool post_fields;      /* a body in memory is set ... */
    const char *post_data; /* ... the program's; our copy if libcurl copied it; NULL: unknown */
    bool post_copied;      /* CURLOPT_COPYPOSTFIELDS */
    bool copies_posts;     /* our copy is made: a backend may need to see it */
    char *post_copy;       /* ours, or NULL */
    size_t post_room;      /* its size */
    curl_off_t post_size;  /* CURLOPT_POSTFIELDSIZE(_LARGE); -1: up to its NUL, or unknown */
    curl_off_t in_size;    /* CURLOPT_INFILESIZE(_LARGE); -1: unknown */
    curl_mime *mime;       /* CURLOPT_MIMEPOST, if that was set last ... */
    struct curl_httppost *form; /* ... CURLOPT_HTTPPOST, if that was */

    curl_write_callback write_function;
    void *write_data; /* a FILE * if there is no function */
    curl_write_callback header_function;
    void *header_data;
    curl_read_callback read_function;
    void *read_data; /* a FILE * if there is no function */
    curl_seek_callback seek_function;
    void *seek_data;
    curl_ioctl_callback ioctl_function;
    void *ioctl_data;
    curl_xferinfo_callback xferinfo_function;
    curl_progress_callback progress_function;
    void *progress_data; /* libcurl has one for both of these */
    long no_progress;
    long low_speed_limit, low_speed_time;
    struct curl_slist *headers;
    long verbose;
    curl_debug_callback debug_function;
    void *debug_data;
    void *stderr_file; /* CURLOPT_STDERR, a FILE *; NULL for stderr */
    long netrc;
    char *netrc_file;            /* NULL: the default one */
    const void *accept_encoding; /* not NULL: libcurl decodes bodies */

    long timeout_ms;         /* 0: none */
    long connect_timeout_ms; /* 0: libcurl's own of 300 s */
    long port;
    long http_auth;
    long http_version;
    long follow_location;
    long include_headers; /* CURLOPT_HEADER */
    long http09_allowed;
    long fresh_connect;
    long forbid_reuse;
    long http_proxy_tunnel;
    long ip_resolve;
    long tcp_fastopen;
    long keep_sending_on_error;
    char *proxy;
    char *pre_proxy;
    char *protocols_text; /* CURLOPT_PROTOCOLS_STR, if that was set last */
    long protocols;       /* CURLOPT_PROTOCOLS, if that was */
    bool protocols_set;
    curl_opensocket_callback open_function;
    void *open_data;
    curl_closesocket_callback close_function;
    void *close_data;
    curl_sockopt_callback sockopt_function;
    void *sockopt_data;
    curl_prereq_callback prereq_function;
    void *prereq_data;
};

/* As a new handle has them. */
void options_init(struct options *options);

/* Frees what OPTIONS own, wiping what may hold a password. */
void options_clear(struct options *options);

/* Makes TO (cleared or new) a copy of FROM, as curl_easy_duphandle does. */
void options_copy(struct options *to, const struct options *from);

/* How an option is noted. */
enum note_kind {
    NOTE_NONE,
    NOTE_VALUE, /* a pointer or long, in the field at the offset `where` */
    NOTE_OTHER  /* the rest, by `rule` */
};

struct note {
    uint8_t kind;
    uint8_t rule;   /* private to options.c */
    uint16_t where; /* an offset in struct options, or a bit */
};

/* By an option's number: the last digits of its value, which are unique. */
#define OPTIONS_NOTES 400
extern const struct note options_notes[OPTIONS_NOTES] __attribute__((visibility("hidden")));

/* How OPTION, any value at all, is noted. */
static inline const struct note *options_note(CURLoption option) {
    unsigned number = (unsigned)option % 10000;
    return &options_notes[number < OPTIONS_NOTES ? number : 0]; /* there is no option 0 */
}

/* For options_record: the options that are not simply a value. */
void options_record_other(struct options *options, CURLoption option, const struct note *note,
                          void *value);

/*
 * Notes that OPTION, for which NOTE is options_note(OPTION), was set to VALUE, the vararg as it
 * came, a long or function as a pointer. If memory runs out the handle becomes unfit.
 */
static inline void options_record(struct options *options, CURLoption option,
                                  const struct note *note, void *value) {
    if (note->kind == NOTE_VALUE)
        memcpy((char *)options + note->where, &value, sizeof value);
    else if (note->kind == NOTE_OTHER)
        options_record_other(options, option, note, value);
}

/*
 * The URL that the next transfer asks for: of CURLOPT_CURLU, read anew each time, else of
 * CURLOPT_URL; NULL if there is none. Belongs to OPTIONS. url_changes counts when it is another.
 */
const struct url_text *options_url(struct options *options, const struct libcurl *curl);

/* The length of the body in memory, which is set. */
size_t options_post_length(const struct options *options);

/* Whether the request takes its body from the program's CURLOPT_READFUNCTION (or a FILE). */
bool options_reads_body(const struct options *options);

#endif
