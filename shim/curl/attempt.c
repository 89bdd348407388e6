#include "shim/curl/attempt.h"

#include <stdlib.h>
#include <string.h>

/* Groups of options that are set and put back together. */
enum {
    OURS_URL = 1 << 0,
    OURS_HEADERS = 1 << 1, /* the list of request headers */
    OURS_HEADER_CALLBACK = 1 << 2,
    OURS_WRITE_CALLBACK = 1 << 3,
    OURS_READ_CALLBACKS = 1 << 4,
    OURS_PROGRESS = 1 << 5,
    OURS_PORT = 1 << 6,
    OURS_AUTH = 1 << 7,
    OURS_CONNECT_TIMEOUT = 1 << 8,
    OURS_TIMEOUT = 1 << 9
};

#define SET(transfer, option, value)                                                               \
    ((transfer)->handle->curl->easy_setopt((transfer)->handle->easy, option, value))

static bool make_url(struct transfer *t, const struct backend *backend, bool with_userinfo) {
    /* an upper bound: the scheme and the '@' come to less than 16 */
    size_t need = strlen(backend->url) + strlen(t->handle->options.url) + 16;
    if (need > t->url_capacity) {
        free(t->url);
        t->url_capacity = 0;
        t->url = malloc(need);
        if (!t->url)
            return false;
        t->url_capacity = need;
    }
    return route_url(&t->route, backend, with_userinfo, t->url, t->url_capacity) > 0;
}

static bool reserve_nodes(struct transfer *t) {
    size_t count = 1; /* the key */
    for (const struct curl_slist *h = t->handle->options.headers; h; h = h->next)
        count++;
    if (count > t->node_capacity) {
        free(t->nodes);
        t->nodes = malloc(count * sizeof *t->nodes);
        t->node_capacity = t->nodes ? count : 0;
    }
    return t->nodes != NULL;
}

/*
 * The attempt's header list: the program's without Host (it names the logical host) and, unless
 * the program's own credentials are to go, without these; in front the backend's key. The
 * program may change its list between transfers without telling libcurl: made anew each time.
 */
static bool make_headers(struct transfer *t, const struct runtime_key *key) {
    if (!reserve_nodes(t))
        return false;
    struct curl_slist *last = NULL;
    size_t used = 0;
    t->key_sent = key->line != NULL;
    if (key->line) {
        last = &t->nodes[used++];
        *last = (struct curl_slist){key->line, NULL};
    }
    t->headers_without_key = NULL;
    for (const struct curl_slist *h = t->handle->options.headers; h; h = h->next) {
        if (credentials_header_is(h->data, "host") ||
            (key->state != CREDENTIALS_OF_PROGRAM && credentials_is_header(h->data)))
            continue;
        struct curl_slist *node = &t->nodes[used++];
        *node = (struct curl_slist){h->data, NULL};
        if (last)
            last->next = node;
        if (!t->headers_without_key)
            t->headers_without_key = node;
        last = node;
    }
    SET(t, CURLOPT_HTTPHEADER, used ? t->nodes : NULL);
    t->applied |= OURS_HEADERS;
    return true;
}

static void limit_connecting(struct transfer *t) {
    uint64_t ours = pool_endpoint(t->live->pool)->connect_timeout_ns / 1000000;
    long theirs = t->handle->options.connect_timeout_ms;
    if (ours && (theirs <= 0 || (unsigned long)theirs > ours)) {
        SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)ours);
        t->applied |= OURS_CONNECT_TIMEOUT;
    }
}

void attempt_limit_time(struct transfer *t, uint64_t now) {
    if (!t->deadline)
        return;
    uint64_t left = t->deadline > now ? (t->deadline - now) / 1000000 : 0;
    SET(t, CURLOPT_TIMEOUT_MS, left ? (long)left : 1L);
    t->applied |= OURS_TIMEOUT;
}

static void divert_reading(struct transfer *t) {
    SET(t, CURLOPT_READFUNCTION, body_read);
    SET(t, CURLOPT_READDATA, &t->body);
    SET(t, CURLOPT_SEEKFUNCTION, body_seek);
    SET(t, CURLOPT_SEEKDATA, &t->body);
    t->applied |= OURS_READ_CALLBACKS;
}

bool attempt_aim(struct transfer *t) {
    const struct options *o = &t->handle->options;
    const struct backend *backend = &pool_endpoint(t->live->pool)->backends[t->backend];
    const struct runtime_key *key = &t->live->keys[t->backend];
    bool theirs = key->state == CREDENTIALS_OF_PROGRAM;
    if (!make_url(t, backend, theirs) || !make_headers(t, key) ||
        SET(t, CURLOPT_URL, t->url) != CURLE_OK)
        return false;
    t->applied |= OURS_URL;
    SET(t, CURLOPT_HEADERFUNCTION, gate_header);
    SET(t, CURLOPT_HEADERDATA, &t->gate);
    t->applied |= OURS_HEADER_CALLBACK;
    if (o->include_headers || o->http09_allowed)
        attempt_divert_body(t);
    if (options_reads_body(o))
        divert_reading(t);
    if (o->port) {
        SET(t, CURLOPT_PORT, 0L);
        t->applied |= OURS_PORT;
    }
    if (!theirs && o->auth) {
        SET(t, CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE); /* no header from -u, a bearer or netrc */
        t->applied |= OURS_AUTH;
    } else if (t->applied & OURS_AUTH) {
        SET(t, CURLOPT_HTTPAUTH, o->http_auth);
    }
    limit_connecting(t);
    if (t->attempts > 1)
        attempt_limit_time(t, t->attempt_started);
    return true;
}

void attempt_divert_body(struct transfer *t) {
    if (t->applied & OURS_WRITE_CALLBACK)
        return;
    SET(t, CURLOPT_WRITEFUNCTION, gate_write);
    SET(t, CURLOPT_WRITEDATA, &t->gate);
    t->applied |= OURS_WRITE_CALLBACK;
}

void attempt_watch(struct transfer *t, curl_xferinfo_callback watch) {
    if (t->applied & OURS_PROGRESS)
        return;
    SET(t, CURLOPT_XFERINFOFUNCTION, watch);
    SET(t, CURLOPT_XFERINFODATA, t);
    SET(t, CURLOPT_NOPROGRESS, 0L);
    t->applied |= OURS_PROGRESS;
}

void attempt_drop_key(struct transfer *t) {
    if (t->key_sent)
        SET(t, CURLOPT_HTTPHEADER, t->headers_without_key);
    t->key_sent = false;
}

static void put_back(const struct transfer *t, CURL *easy, unsigned groups) {
    const struct options *o = &t->handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->handle->curl->easy_setopt;
    if (groups & OURS_URL)
        set(easy, CURLOPT_URL, o->url);
    if (groups & OURS_HEADERS)
        set(easy, CURLOPT_HTTPHEADER, o->headers);
    if (groups & OURS_HEADER_CALLBACK) {
        set(easy, CURLOPT_HEADERFUNCTION, o->header_function);
        set(easy, CURLOPT_HEADERDATA, o->header_data);
    }
    if (groups & OURS_WRITE_CALLBACK) {
        set(easy, CURLOPT_WRITEFUNCTION, o->write_function);
        set(easy, CURLOPT_WRITEDATA, o->write_data);
    }
    if (groups & OURS_READ_CALLBACKS) {
        set(easy, CURLOPT_READFUNCTION, o->read_function);
        set(easy, CURLOPT_READDATA, o->read_data);
        set(easy, CURLOPT_SEEKFUNCTION, o->seek_function);
        set(easy, CURLOPT_SEEKDATA, o->seek_data);
    }
    if (groups & OURS_PROGRESS) {
        set(easy, CURLOPT_XFERINFOFUNCTION, o->xferinfo_function);
        /* libcurl has one flag for both kinds of function, and the line above may clear it */
        if (o->progress_function)
            set(easy, CURLOPT_PROGRESSFUNCTION, o->progress_function);
        set(easy, CURLOPT_XFERINFODATA, o->progress_data);
        set(easy, CURLOPT_NOPROGRESS, o->no_progress);
    }
    if (groups & OURS_PORT)
        set(easy, CURLOPT_PORT, o->port);
    if (groups & OURS_AUTH)
        set(easy, CURLOPT_HTTPAUTH, o->http_auth);
    if (groups & OURS_CONNECT_TIMEOUT)
        set(easy, CURLOPT_CONNECTTIMEOUT_MS, o->connect_timeout_ms);
    if (groups & OURS_TIMEOUT)
        set(easy, CURLOPT_TIMEOUT_MS, o->timeout_ms);
}

void attempt_hand_back(struct transfer *t) {
    unsigned groups = t->applied & (OURS_HEADER_CALLBACK | OURS_WRITE_CALLBACK | OURS_PROGRESS);
    put_back(t, t->handle->easy, groups);
    t->applied &= ~groups;
}

void attempt_restore(struct transfer *t) {
    put_back(t, t->handle->easy, t->applied);
    t->applied = 0;
}

void attempt_unset(const struct transfer *t, CURL *easy) {
    put_back(t, easy, t->applied);
}

bool attempt_owns(const struct transfer *t, CURLoption option) {
    switch ((int)option) {
    case CURLOPT_URL:
        return t->applied & OURS_URL;
    case CURLOPT_HTTPHEADER:
        return t->applied & OURS_HEADERS;
    case CURLOPT_HEADERFUNCTION:
    case CURLOPT_HEADERDATA:
        return t->applied & OURS_HEADER_CALLBACK;
    case CURLOPT_WRITEFUNCTION:
    case CURLOPT_WRITEDATA:
        return t->applied & OURS_WRITE_CALLBACK;
    case CURLOPT_READFUNCTION:
    case CURLOPT_READDATA:
    case CURLOPT_SEEKFUNCTION:
    case CURLOPT_SEEKDATA:
        return t->applied & OURS_READ_CALLBACKS;
    case CURLOPT_XFERINFOFUNCTION:
    case CURLOPT_PROGRESSFUNCTION:
    case CURLOPT_XFERINFODATA:
    case CURLOPT_NOPROGRESS:
        return t->applied & OURS_PROGRESS;
    case CURLOPT_PORT:
        return t->applied & OURS_PORT;
    case CURLOPT_HTTPAUTH:
        return t->applied & OURS_AUTH;
    case CURLOPT_CONNECTTIMEOUT:
    case CURLOPT_CONNECTTIMEOUT_MS:
        return t->applied & OURS_CONNECT_TIMEOUT;
    case CURLOPT_TIMEOUT:
    case CURLOPT_TIMEOUT_MS:
        return t->applied & OURS_TIMEOUT;
    default:
        return false;
    }
}
