#include "shim/curl/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/curl/attempt.h"
#include "shim/curl/attempt_fault.h"
#include "shim/curl/attempt_url.h"
#include "shim/curl/detour.h"
#include "shim/curl/form.h"
#include "shim/curl/transfer_log.h"
#include "shim/curl/translate.h"
#include "shim/curl/verdict.h"
#include "shim/log.h"

#define SECOND       1000000000ull
#define SWALLOW_TIME SECOND /* for the body of a rejected response */

__thread bool transfer_watched;

static const struct endpoint *endpoint_of(const struct transfer *t) {
    return pool_endpoint(t->live->pool);
}

static struct transfer *allocate(struct handle *handle) {
    if (!handle->transfer) {
        handle->transfer = calloc(1, sizeof *handle->transfer);
        if (handle->transfer) {
            handle->transfer->handle = handle;
            reply_init(&handle->transfer->reply);
        }
    }
    return handle->transfer;
}

/* A URL may hold a password. */
static void free_secret(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void transfer_free(struct transfer *t) {
    if (!t)
        return;
    gate_clear(&t->gate);
    body_clear(&t->body);
    attempt_free(t);
    content_clear(&t->content, t->handle->curl);
    free(t->answer);
    free_secret(t->asked);
    free(t);
}

static struct slice moved(struct slice slice, const char *from, const char *to) {
    return (struct slice){slice.text ? to + (slice.text - from) : NULL, slice.length};
}

/* The program may set another URL while the transfer runs: its own copy. */
static bool keep_route(struct transfer *t, const struct url_text *url, const struct route *route) {
    char *copy = malloc(url->capacity * 2);
    if (!copy)
        return false;
    memcpy(copy, url->text, url->capacity * 2); /* with the scratch behind it */
    t->route = *route;
    t->route.userinfo = moved(route->userinfo, url->text, copy);
    t->route.prefix = moved(route->prefix, url->text, copy);
    t->route.host = moved(route->host, url->text, copy);
    t->route.below = moved(route->below, url->text, copy);
    t->route.query = moved(route->query, url->text, copy);
    free_secret(t->asked);
    t->asked = copy;
    return true;
}

/* Whether the handle's URL is for an endpoint; looked at again only after it changed. */
static bool route(struct handle *handle, const struct settings *settings) {
    const struct options *o = &handle->options;
    const struct url_text *url = options_url(&handle->options, handle->curl);
    if (!url)
        return false;
    if (handle->routed_changes == o->url_changes)
        return handle->routable;
    struct route found;
    handle->routable = route_find(settings, url->text, o->default_https, url->scratch, &found);
    handle->routed_changes = o->url_changes;
    if (handle->routable) {
        struct transfer *t = allocate(handle);
        handle->routable = t && keep_route(t, url, &found);
    }
    return handle->routable;
}

void transfer_release(struct handle *handle) {
    if (!handle->ours || handle->aimed)
        return;
    attempt_restore(handle->transfer);
    handle->ours = false;
}

void transfer_overridden(struct handle *handle, CURLoption option) {
    if (handle->transfer)
        attempt_overridden(handle->transfer, option);
}

static uint64_t deadline_after(const struct transfer *t, uint64_t start) {
    long timeout = t->handle->options.timeout_ms;
    return timeout > 0 ? start + (uint64_t)timeout * (SECOND / 1000) : 0;
}

/* The runtime for the handle's next transfer, or NULL. With another one nothing that was found or
 * made before holds. */
static const struct runtime *renew_runtime(struct handle *handle, uint64_t now) {
    const struct runtime *active = runtime_renew(handle->runtime, now);
    if (active == handle->runtime)
        return active;
    handle->routed_changes = 0;
    if (handle->transfer) {
        transfer_release(handle);
        attempt_url_free(handle->transfer);
    }
    runtime_release(handle->runtime);
    handle->options.copies_posts = runtime_translates();
    handle->runtime = active;
    return active;
}

bool transfer_begin(struct handle *handle) {
    uint64_t now = ledger_now();
    const struct runtime *runtime = handle->aimed ? NULL : renew_runtime(handle, now);
    const struct options *o = &handle->options;
    if (!runtime || o->unfit || handle->aimed || !route(handle, runtime->settings)) {
        transfer_release(handle);
        return false;
    }
    struct transfer *t = handle->transfer;
    t->live = &runtime->endpoints[t->route.endpoint - runtime->settings->endpoints];
    memset(&t->turn, 0, sizeof t->turn);
    t->claim = t->result = -1;
    t->attempts = 0;
    t->number = 0;
    t->waited_ns = 0;
    t->stuck = t->in_multi = false;
    t->waits = 0;
    t->started = now;
    t->deadline = deadline_after(t, t->started);
    t->reads_body = options_reads_body(o);
    if (t->reads_body)
        body_start(&t->body, o, handle->easy, endpoint_of(t)->replay_limit);
    translate_begin(t);
    handle->aimed = handle->ours = true;
    if (log_wanted(LOG_INFO))
        transfer_log_intercepted(t);
    return true;
}

/* Stalled bodies and silent backends make no callbacks but this one. */
static int watch(void *userdata, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                 curl_off_t up) {
    struct transfer *t = userdata;
    const struct options *o = &t->handle->options;
    uint64_t now = ledger_now();
    if (t->gate.state == GATE_SWALLOWING && now >= t->swallow_deadline) {
        t->gate.cut = true;
        return 1;
    }
    if (t->gate.state == GATE_HOLDING && verdict_is_silent(t, up_total, up, now)) {
        t->silent = true;
        return 1;
    }
    if (o->no_progress)
        return 0;
    if (o->xferinfo_function)
        return o->xferinfo_function(o->progress_data, down_total, down, up_total, up);
    if (o->progress_function)
        return o->progress_function(o->progress_data, (double)down_total, (double)down,
                                    (double)up_total, (double)up);
    return CURL_PROGRESSFUNC_CONTINUE; /* libcurl's own meter */
}

static void start_watch(struct transfer *t) {
    attempt_watch(t, watch);
    transfer_watched = !t->in_multi;
}

/* HANDLE is in the same multi handle: if it has just been rejected by the backend of T, the pool
 * should know before T asks that backend, too. */
static void hear(const struct transfer *t, const struct handle *handle) {
    struct transfer *other = handle->transfer;
    if (handle->aimed && other->live == t->live && other->backend == t->backend &&
        other->gate.state == GATE_SWALLOWING && !other->reported)
        verdict_report(other);
}

/*
 * An event loop may start a transfer long after it was added. If the backend was found to throttle
 * meanwhile, it is not to be asked.
 */
static int before_sending(void *userdata, char *remote, char *local, int remote_port,
                          int local_port) {
    struct transfer *t = userdata;
    const struct options *o = &t->handle->options;
    /* libcurl may start this one in the very call in which another has failed */
    for (const struct handle *h = t->handle->previous; h; h = h->previous)
        hear(t, h);
    for (const struct handle *h = t->handle->next; h; h = h->next)
        hear(t, h);
    if (t->gate.state == GATE_HOLDING && !t->gate.answered &&
        pool_cooling(t->live->pool, t->backend, ledger_now(), NULL) > 0) {
        t->late = true;
        return CURL_PREREQFUNC_ABORT;
    }
    return o->prereq_function
               ? o->prereq_function(o->prereq_data, remote, local, remote_port, local_port)
               : CURL_PREREQFUNC_OK;
}

static enum gate_opinion opinion(void *context, int status) {
    return verdict_opinion(context, status);
}

static bool judge(void *context, int status) {
    return verdict_judge(context, status);
}

static void hand_back(void *context) {
    struct transfer *t = context;
    transfer_watched = false;
    if (!t->reported)
        verdict_answered(t);
    attempt_hand_back(t);
}

static void divert_body(void *context) {
    struct transfer *t = context;
    attempt_divert_body(t);
    if (t->gate.state == GATE_SWALLOWING) {
        t->swallow_deadline = ledger_now() + SWALLOW_TIME;
        start_watch(t);
    }
}

static void intermediate(void *context, int status) {
    struct transfer *t = context;
    if (status >= 300 && status < 400 && verdict_leaves_origin(t))
        attempt_drop_key(t);
}

static const struct gate_owner owner = {opinion, judge, hand_back, divert_body, intermediate};

/* No backend is left: the kept answer of the last one, or a 429 of ours. */
static void aim_reply(struct transfer *t) {
    size_t length = t->answer_length;
    char *response = t->answer;
    t->answer = NULL;
    t->backend = -1;
    attempt_restore(t);
    if (!response && translate_refused(t)) {
        const char *reasons[BACKENDS_MAX];
        translate_reasons(t, reasons);
        response = reply_refused(endpoint_of(t), reasons, t->route.below, &length);
        transfer_log_refused(t);
    } else if (!response) {
        response = reply_exhausted(t->live->pool, t->unfit, t->attempt_started, &length);
        transfer_log_exhausted(t);
    }
    if (t->attempts > 0)
        attempt_limit_time(t, t->attempt_started);
    if (response)
        reply_aim(&t->reply, t->handle, response, length);
}

/* Whether the backend can serve the request at all; if not, nothing was tried. */
static bool fits(struct transfer *t) {
    if (!t->live->translates && !t->reads_body && t->handle->options.method != METHOD_MIME)
        return true;
    /* the first attempt finds nothing to rewind; later ones were asked before the rejection */
    if (t->reads_body ? !body_rewind(&t->body) : !content_rewind(&t->handle->options))
        return false;
    if (translate_plan(t, t->backend))
        return true;
    t->turn.attempts[t->backend]--;
    transfer_log_skipped(t);
    return false;
}

static bool aim_backend(struct transfer *t) {
    t->attempts++;
    t->reported = t->answered = t->silent = t->late = false;
    t->quiet_since = 0;
    t->uploaded = -1;
    gate_start(&t->gate, &t->handle->options, &owner, t,
               endpoint_of(t)->on_exhausted == EXHAUSTED_LAST);
    if ((t->handle->runtime->drill && !attempt_fault_choose(t)) || !attempt_aim(t)) {
        t->detoured = false;
        return false;
    }
    if (endpoint_of(t)->first_byte_timeout_ns || endpoint_of(t)->first_body_timeout_ns)
        start_watch(t);
    if (t->in_multi)
        attempt_ask_before(t, before_sending);
    t->claim = pool_begin(t->live->pool, t->backend, t->attempt_started);
    return true;
}

/*
 * Whether the program is to wait for the soonest backend, and for how long: until its cooldown
 * ends, and a random while more that grows with each wait, so that waiters don't come back
 * together. Not if that can't fit into max_wait or the program's own timeout.
 */
static bool shall_wait(struct transfer *t) {
    const struct endpoint *endpoint = endpoint_of(t);
    uint64_t now = ledger_now();
    if (endpoint->on_exhausted != EXHAUSTED_WAIT)
        return false;
    uint64_t soonest = pool_soonest(t->live->pool, t->unfit, now);
    uint64_t spread = (SECOND / 10) << (t->waits < 5 ? t->waits : 5);
    uint64_t jitter = runtime_random(now) % spread;
    uint64_t wait = soonest ? soonest + jitter : spread + jitter;
    uint64_t limit = endpoint->max_wait_ns - t->waited_ns;
    if (soonest == UINT64_MAX)
        return false; /* none that could serve it */
    if (t->deadline && (t->deadline <= now || t->deadline - now < limit))
        limit = t->deadline > now ? t->deadline - now : 0;
    if (soonest >= limit)
        return false;
    t->wait_ns = wait < limit ? wait : limit;
    t->waited_ns += t->wait_ns;
    t->waits++;
    memset(&t->turn, 0, sizeof t->turn); /* a round of its own */
    transfer_log_waiting(t);
    return true;
}

static int choose(struct transfer *t) {
    enum strategy strategy = endpoint_of(t)->strategy;
    bool chance = strategy == STRATEGY_RANDOM || strategy == STRATEGY_LEAST_BUSY;
    return pool_choose(t->live->pool, &t->turn, t->attempt_started,
                       chance ? runtime_random(t->attempt_started) : 0);
}

enum transfer_next transfer_aim(struct transfer *t) {
    t->attempt_started = t->attempts || t->waits ? ledger_now() : t->started;
    for (;;) {
        t->backend = t->stuck ? -1 : choose(t);
        if (t->backend < 0)
            break;
        if (fits(t) && aim_backend(t))
            return TRANSFER_RUN;
        pool_give_up(t->live->pool, &t->turn, t->backend);
        pool_bar(&t->turn, t->backend);
    }
    if (!t->stuck)
        translate_plan_rest(t);
    if (!t->stuck && !t->in_multi && shall_wait(t))
        return TRANSFER_WAIT;
    aim_reply(t);
    return TRANSFER_RUN;
}

/* Keeps what the program gets if this was the last answer of all. */
static void keep_answer(struct transfer *t) {
    size_t length = 0;
    char *answer = gate_answer(&t->gate, t->handle->options.accept_encoding != NULL, &length);
    if (answer) {
        free(t->answer);
        t->answer = answer;
        t->answer_length = length;
    }
}

/* The attempt is over, whatever came of it. */
static void leave_backend(struct transfer *t) {
    transfer_watched = false;
    if (t->backend < 0)
        return;
    attempt_fault_end(t);
    pool_end(t->live->pool, t->claim);
    t->claim = -1;
    if (t->answered)
        pool_took(t->live->pool, t->backend, ledger_now() - t->attempt_started);
    t->answered = false;
    pool_give_up(t->live->pool, &t->turn, t->backend); /* if nothing was reported */
}

static enum transfer_next judge_attempt(struct transfer *t, CURLcode *result) {
    /* with CURLOPT_FAILONERROR a response ends the transfer like this, at the end of its headers */
    bool complete = *result == CURLE_OK || (*result == CURLE_HTTP_RETURNED_ERROR && t->gate.status);
    if (t->gate.state == GATE_HOLDING && complete && !gate_conclude(&t->gate)) {
        *result = CURLE_WRITE_ERROR;
        return TRANSFER_DONE;
    }
    switch (verdict_of_attempt(t, *result)) {
    case VERDICT_STUCK:
        t->stuck = true; /* as if no backend were left */
        return TRANSFER_RUN;
    case VERDICT_NEXT:
        keep_answer(t);
        return TRANSFER_RUN;
    case VERDICT_OVER:
        break;
    }
    t->reported = true;
    gate_flush(&t->gate);
    return TRANSFER_DONE;
}

/* In an event loop the program's clock starts with the first turn, not when it added the handle. */
static void correct_start(struct transfer *t) {
    curl_off_t taken_us = 0;
    t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_TOTAL_TIME_T, &taken_us);
    t->started = ledger_now() - (uint64_t)taken_us * 1000;
    t->deadline = deadline_after(t, t->started);
}

/* Goes on after *RESULT of an attempt on a backend. */
static enum transfer_next continue_backend(struct transfer *t, CURLcode *result) {
    if (t->in_multi && t->attempts == 1)
        correct_start(t);
    enum transfer_next next = judge_attempt(t, result);
    leave_backend(t);
    return next;
}

enum transfer_next transfer_continue(struct transfer *t, CURLcode *result) {
    enum transfer_next next = t->backend < 0 ? TRANSFER_DONE : continue_backend(t, result);
    if (next == TRANSFER_DONE)
        t->result = (int)*result;
    return next;
}

void transfer_end(struct transfer *t) {
    transfer_log_finished(t);
    if (t->reply.response)
        reply_end(&t->reply, t->handle);
    leave_backend(t);
    attempt_park(t);
    if (t->reads_body)
        body_clear(&t->body);
    if (t->content.state != CONTENT_UNREAD)
        content_clear(&t->content, t->handle->curl);
    free(t->answer);
    t->answer = NULL;
    t->handle->aimed = false;
}

bool transfer_owns(const struct transfer *t, CURLoption option) {
    return attempt_owns(t, option) || (t->reply.response && reply_owns(option)) ||
           (t->detoured && detour_owns(option));
}

void transfer_changed(struct transfer *t, CURLoption option) {
    if (option != CURLOPT_TIMEOUT && option != CURLOPT_TIMEOUT_MS)
        return;
    t->deadline = deadline_after(t, t->started);
    if (!attempt_owns(t, option))
        return;
    if (t->deadline)
        attempt_limit_time(t, t->attempt_started);
    else
        t->handle->curl->easy_setopt(t->handle->easy, CURLOPT_TIMEOUT_MS, 0L);
}

curl_mime *transfer_clean_copy(const struct transfer *t, CURL *copy) {
    const struct libcurl *curl = t->handle->curl;
    if (t->reply.response)
        reply_unset(t->handle, copy);
    if (t->detoured)
        detour_unset(t->handle, copy);
    attempt_unset(t, copy);
    if (!t->content.mime)
        return NULL;
    /* libcurl has duplicated the edited form */
    const struct form_mime *own = form_mime_find(t->handle->options.mime);
    curl_mime *form = own ? form_mime_copy(own, curl, copy, NULL, NULL) : NULL;
    if (form)
        curl->easy_setopt(copy, CURLOPT_MIMEPOST, form);
    return form;
}
