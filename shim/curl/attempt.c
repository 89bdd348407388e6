#include "shim/curl/attempt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shim/curl/attempt_body.h"
#include "shim/curl/attempt_fault.h"
#include "shim/curl/attempt_url.h"
#include "shim/curl/translate.h"

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
    OURS_TIMEOUT = 1 << 9,
    OURS_DEBUG = 1 << 10,
    OURS_SPEED = 1 << 11,
    OURS_PREREQ = 1 << 12,
    OURS_NETRC = 1 << 13,
    OURS_BODY = 1 << 14 /* the request's body and its size */
};

#define SET(transfer, option, value)                                                               \
    ((transfer)->handle->curl->easy_setopt((transfer)->handle->easy, option, value))

/* What may stay on the handle between transfers: see transfer_release. */
#define PARKED (OURS_URL | OURS_HEADERS | OURS_CONNECT_TIMEOUT)

static bool set_url(struct transfer *t, const struct backend *backend, bool theirs) {
    bool from_netrc = false;
    const char *before = t->url;
    const char *url =
        t->detoured ? attempt_fault_url(t, backend) : attempt_url(t, backend, theirs, &from_netrc);
    if (!url)
        return false;
    if (from_netrc) {
        SET(t, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        t->applied |= OURS_NETRC;
    }
    bool there = (t->applied & OURS_URL) && t->url && url == before && !t->detoured;
    CURLU *curlu = t->handle->options.curlu;
    if (!there && curlu)
        SET(t, CURLOPT_CURLU, NULL); /* first: from 8.12 on this takes the URL away as well */
    if (!there && SET(t, CURLOPT_URL, url) != CURLE_OK) {
        if (curlu)
            SET(t, CURLOPT_CURLU, curlu);
        return false;
    }
    t->url = url;
    t->applied |= OURS_URL;
    return true;
}

static void set_headers(struct transfer *t, struct curl_slist *headers) {
    if (!(t->applied & OURS_HEADERS) || t->headers != headers)
        SET(t, CURLOPT_HTTPHEADER, headers);
    t->headers = headers;
    t->applied |= OURS_HEADERS;
}

/* Whether a header of the program stays behind: Host always (it names the logical host), its
 * credentials if it is not to send them, its LENGTH if that is another one. Most names are told
 * by their first letter. */
static bool stays_behind(const char *line, bool credentials, bool length) {
    while (*line == ' ' || *line == '\t')
        line++;
    /* some programs put several headers into one: any of them may be what must not go along */
    for (const char *at = credentials || length ? strchr(line, '\n') : NULL; at;
         at = strchr(at, '\n')) {
        at++;
        if ((credentials && credentials_is_header(at)) ||
            (length && credentials_header_is(at, "content-length")))
            return true;
    }
    switch (line[0] | 0x20) {
    case 'h':
        return credentials_header_is(line, "host");
    case 'c':
        return length && credentials_header_is(line, "content-length");
    case 'a':
    case 'o':
    case 'x':
        return credentials && credentials_is_header(line);
    default:
        return false;
    }
}

static bool grow_nodes(struct transfer *t) {
    size_t capacity = t->node_capacity ? t->node_capacity * 2 : 16;
    struct curl_slist *nodes = malloc(capacity * sizeof *nodes);
    if (!nodes)
        return false;
    /* nobody follows the old ones any more: they are made anew, and set anew, right away */
    free(t->nodes);
    t->nodes = nodes;
    t->node_capacity = capacity;
    t->applied &= ~(unsigned)OURS_HEADERS;
    return true;
}

/* The lines of ours, to LINES. Returns how many. */
static size_t own_lines(struct transfer *t, const struct key_use *key,
                        const char *lines[ATTEMPT_FAULT_LINES]) {
    if (t->detoured)
        return attempt_fault_lines(t, lines);
    lines[0] = key->line;
    return key->line ? 1 : 0;
}

/* Fills the nodes. Returns how many, or -1 if there are too few. */
static ptrdiff_t fill_nodes(struct transfer *t, const struct key_use *key) {
    struct curl_slist *node = t->nodes, *end = node + t->node_capacity;
    bool filter = key->state != CREDENTIALS_OF_PROGRAM, length = t->applied & OURS_BODY;
    const char *own[ATTEMPT_FAULT_LINES];
    size_t count = own_lines(t, key, own);
    if (t->node_capacity < count)
        return -1;
    for (size_t i = 0; i < count; i++, node++)
        *node = (struct curl_slist){(char *)(uintptr_t)own[i], node + 1}; /* libcurl reads it */
    for (const struct curl_slist *h = t->handle->options.headers; h; h = h->next) {
        if (h->data == t->retold || stays_behind(h->data, filter, length))
            continue;
        if (node == end)
            return -1;
        *node = (struct curl_slist){h->data, node + 1};
        node++;
    }
    if (node != t->nodes)
        node[-1].next = NULL;
    return node - t->nodes;
}

/* The program's own key for BACKEND, which has none: where it is in the header of the other
 * dialect, and no second one is there, in the header of BACKEND's. */
static struct key_use retell_key(struct transfer *t, const struct backend *backend) {
    const char *found = NULL;
    const struct options *o = &t->handle->options;
    bool other = backend->dialect != pool_endpoint(t->live->pool)->dialect;
    for (const struct curl_slist *h = other && !o->auth ? o->headers : NULL; h; h = h->next) {
        if (!credentials_is_header(h->data))
            continue;
        if (found)
            return key_of_program(NULL);
        found = h->data;
    }
    struct key_use key = key_of_program(found ? credentials_retell(backend, found) : NULL);
    t->retold = key.line ? found : NULL;
    return key;
}

/*
 * The attempt's header list: the program's without what stays behind, and in front the backend's
 * key. The program may change its list between transfers without telling libcurl: made anew.
 */
static bool make_headers(struct transfer *t, const struct key_use *key) {
    ptrdiff_t used;
    while ((used = fill_nodes(t, key)) < 0)
        if (!grow_nodes(t))
            return false;
    t->key_sent = key->line != NULL;
    ptrdiff_t own = t->key_sent ? 1 : 0;
    t->headers_without_key = used > own ? t->nodes + own : NULL;
    set_headers(t, used ? t->nodes : NULL);
    return true;
}

static void limit_connecting(struct transfer *t) {
    uint64_t ours = pool_endpoint(t->live->pool)->connect_timeout_ns / 1000000;
    long theirs = t->handle->options.connect_timeout_ms;
    bool shorter = ours && (theirs <= 0 || (unsigned long)theirs > ours);
    long wanted = shorter ? (long)ours : theirs;
    bool there = t->applied & OURS_CONNECT_TIMEOUT ? t->connect_timeout_ms == wanted : !shorter;
    if (there)
        return;
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, wanted);
    t->connect_timeout_ms = wanted;
    t->applied |= OURS_CONNECT_TIMEOUT;
}

void attempt_limit_time(struct transfer *t, uint64_t now) {
    if (!t->deadline)
        return;
    uint64_t left = t->deadline > now ? (t->deadline - now) / 1000000 : 0;
    SET(t, CURLOPT_TIMEOUT_MS, left ? (long)left : 1L);
    t->applied |= OURS_TIMEOUT;
}

/* What the program prints of its transfers must not show the backend's key. */
static void hide_key(struct transfer *t, const struct key_use *key) {
    t->mask.options = &t->handle->options;
    t->mask.key = mask_key_of(key->line);
    SET(t, CURLOPT_DEBUGFUNCTION, mask_debug);
    SET(t, CURLOPT_DEBUGDATA, &t->mask);
    t->applied |= OURS_DEBUG;
}

static void divert_reading(struct transfer *t) {
    SET(t, CURLOPT_READFUNCTION, body_read);
    SET(t, CURLOPT_READDATA, &t->body);
    SET(t, CURLOPT_SEEKFUNCTION, body_seek);
    SET(t, CURLOPT_SEEKDATA, &t->body);
    t->applied |= OURS_READ_CALLBACKS;
}

static void put_back(const struct transfer *t, CURL *easy, unsigned groups) {
    const struct options *o = &t->handle->options;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->handle->curl->easy_setopt;
    if (groups & OURS_URL) {
        if (o->curlu)
            set(easy, CURLOPT_CURLU, o->curlu);
        /* with CURLOPT_CURLU the URL is not used, but told as the effective one */
        set(easy, CURLOPT_URL, o->curlu ? o->curlu_url.text : o->url.text);
    }
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
    if (groups & OURS_NETRC)
        set(easy, CURLOPT_NETRC, o->netrc);
    if (groups & OURS_PREREQ) {
        set(easy, CURLOPT_PREREQFUNCTION, o->prereq_function);
        set(easy, CURLOPT_PREREQDATA, o->prereq_data);
    }
    if (groups & OURS_SPEED) {
        set(easy, CURLOPT_LOW_SPEED_LIMIT, o->low_speed_limit);
        set(easy, CURLOPT_LOW_SPEED_TIME, o->low_speed_time);
    }
    if (groups & OURS_DEBUG) {
        set(easy, CURLOPT_DEBUGFUNCTION, o->debug_function);
        set(easy, CURLOPT_DEBUGDATA, o->debug_data);
    }
    if (groups & OURS_BODY)
        attempt_body_unset(t, easy);
    if (groups & OURS_PORT)
        set(easy, CURLOPT_PORT, o->port);
    if (groups & OURS_AUTH)
        set(easy, CURLOPT_HTTPAUTH, o->http_auth);
    if (groups & OURS_CONNECT_TIMEOUT)
        set(easy, CURLOPT_CONNECTTIMEOUT_MS, o->connect_timeout_ms);
    if (groups & OURS_TIMEOUT)
        set(easy, CURLOPT_TIMEOUT_MS, o->timeout_ms);
}

static void put_back_body(struct transfer *t) {
    if (!(t->applied & OURS_BODY))
        return;
    attempt_body_unset(t, t->handle->easy);
    body_replace(&t->body, NULL, 0);
    content_drop_edit(&t->content, t->handle->curl);
    t->applied &= ~(unsigned)OURS_BODY;
}

/* The body that the plan wants, the program's or an edited one. */
static bool set_body(struct transfer *t) {
    bool changed;
    put_back_body(t);
    if (!translate_body(t, &changed))
        return false;
    if (changed) {
        attempt_body_set(t);
        t->applied |= OURS_BODY;
    }
    return true;
}

bool attempt_aim(struct transfer *t) {
    const struct options *o = &t->handle->options;
    const struct backend *backend = &pool_endpoint(t->live->pool)->backends[t->backend];
    struct key_use key = t->detoured ? (struct key_use){CREDENTIALS_MISSING, NULL, NULL}
                                     : key_take(&t->live->keys[t->backend]);
    bool theirs = key.state == CREDENTIALS_OF_PROGRAM;
    t->retold = NULL;
    if (theirs)
        key = retell_key(t, backend);
    bool changes = t->plan.body != DIALECT_KEEP || (t->applied & OURS_BODY);
    if ((changes && !set_body(t)) || !set_url(t, backend, theirs) || !make_headers(t, &key)) {
        key_release(&key);
        return false;
    }
    key_release(&t->key); /* no list has it any more */
    t->key = key;
    SET(t, CURLOPT_HEADERFUNCTION, gate_header);
    SET(t, CURLOPT_HEADERDATA, &t->gate);
    t->applied |= OURS_HEADER_CALLBACK;
    if (o->include_headers || o->http09_allowed)
        attempt_divert_body(t);
    if (t->reads_body)
        divert_reading(t);
    if (o->verbose && (key.line || t->applied & OURS_DEBUG))
        hide_key(t, &key); /* also none: the mask must not point to the one before */
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
    if (t->detoured)
        attempt_fault_set(t);
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
    const struct options *o = &t->handle->options;
    if (t->applied & OURS_PROGRESS)
        return;
    SET(t, CURLOPT_XFERINFOFUNCTION, watch);
    SET(t, CURLOPT_XFERINFODATA, t);
    SET(t, CURLOPT_NOPROGRESS, 0L);
    t->applied |= OURS_PROGRESS;
    /* With a speed limit libcurl looks at the transfer each second, even if nothing happens and
     * an event loop waits for its timer. This one is too low, for too long, to end anything. */
    if (!o->low_speed_limit || !o->low_speed_time) {
        SET(t, CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(t, CURLOPT_LOW_SPEED_TIME, 1000000L);
        t->applied |= OURS_SPEED;
    }
}

void attempt_ask_before(struct transfer *t, curl_prereq_callback before) {
    if (SET(t, CURLOPT_PREREQFUNCTION, before) != CURLE_OK)
        return;
    SET(t, CURLOPT_PREREQDATA, t);
    t->applied |= OURS_PREREQ;
}

void attempt_drop_key(struct transfer *t) {
    if (t->key_sent)
        set_headers(t, t->headers_without_key);
    t->key_sent = false;
}

void attempt_hand_back(struct transfer *t) {
    unsigned groups =
        t->applied & (OURS_HEADER_CALLBACK | OURS_WRITE_CALLBACK | OURS_PROGRESS | OURS_SPEED);
    put_back(t, t->handle->easy, groups);
    t->applied &= ~groups;
}

void attempt_park(struct transfer *t) {
    put_back_body(t);
    if (t->applied & ~(unsigned)PARKED)
        put_back(t, t->handle->easy, t->applied & ~(unsigned)PARKED);
    t->applied &= PARKED;
}

void attempt_restore(struct transfer *t) {
    put_back_body(t);
    put_back(t, t->handle->easy, t->applied);
    t->applied = 0;
    key_release(&t->key);
}

void attempt_unset(const struct transfer *t, CURL *easy) {
    put_back(t, easy, t->applied);
}

/* The group that OPTION belongs to, 0 if it is never ours. */
static unsigned group_of(CURLoption option) {
    switch ((int)option) {
    case CURLOPT_URL:
    case CURLOPT_CURLU:
        return OURS_URL;
    case CURLOPT_HTTPHEADER:
        return OURS_HEADERS;
    case CURLOPT_HEADERFUNCTION:
    case CURLOPT_HEADERDATA:
        return OURS_HEADER_CALLBACK;
    case CURLOPT_WRITEFUNCTION:
    case CURLOPT_WRITEDATA:
        return OURS_WRITE_CALLBACK;
    case CURLOPT_READFUNCTION:
    case CURLOPT_READDATA:
    case CURLOPT_SEEKFUNCTION:
    case CURLOPT_SEEKDATA:
        return OURS_READ_CALLBACKS;
    case CURLOPT_XFERINFOFUNCTION:
    case CURLOPT_PROGRESSFUNCTION:
    case CURLOPT_XFERINFODATA:
    case CURLOPT_NOPROGRESS:
        return OURS_PROGRESS;
    case CURLOPT_NETRC:
        return OURS_NETRC;
    case CURLOPT_POSTFIELDS:
    case CURLOPT_COPYPOSTFIELDS:
    case CURLOPT_POSTFIELDSIZE:
    case CURLOPT_POSTFIELDSIZE_LARGE:
    case CURLOPT_INFILESIZE:
    case CURLOPT_INFILESIZE_LARGE:
    case CURLOPT_MIMEPOST:
    case CURLOPT_HTTPPOST:
        return OURS_BODY;
    case CURLOPT_PREREQFUNCTION:
    case CURLOPT_PREREQDATA:
        return OURS_PREREQ;
    case CURLOPT_LOW_SPEED_LIMIT:
    case CURLOPT_LOW_SPEED_TIME:
        return OURS_SPEED;
    case CURLOPT_DEBUGFUNCTION:
    case CURLOPT_DEBUGDATA:
        return OURS_DEBUG;
    case CURLOPT_PORT:
        return OURS_PORT;
    case CURLOPT_HTTPAUTH:
        return OURS_AUTH;
    case CURLOPT_CONNECTTIMEOUT:
    case CURLOPT_CONNECTTIMEOUT_MS:
        return OURS_CONNECT_TIMEOUT;
    case CURLOPT_TIMEOUT:
    case CURLOPT_TIMEOUT_MS:
        return OURS_TIMEOUT;
    default:
        return 0;
    }
}

bool attempt_owns(const struct transfer *t, CURLoption option) {
    return t->applied & group_of(option);
}

void attempt_overridden(struct transfer *t, CURLoption option) {
    t->applied &= ~group_of(option);
    if (!(t->applied & OURS_HEADERS))
        key_release(&t->key);
}

void attempt_free(struct transfer *t) {
    attempt_fault_free(t);
    attempt_url_free(t);
    key_release(&t->key);
    free(t->nodes);
}
