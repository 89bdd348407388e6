#include "shim/curl/verdict.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "shim/curl/transfer_log.h"
#include "shim/log.h"

#define CLOCK_GRAIN 2000000u /* ns */

static const struct endpoint *endpoint_of(const struct transfer *t) {
    return pool_endpoint(t->live->pool);
}

static bool retries_status(const struct endpoint *endpoint, int status) {
    return status >= 100 && status <= 599 &&
           (endpoint->retry_on.status[status / 64] >> (status % 64) & 1);
}

static bool retries_reason(const struct endpoint *endpoint, uint32_t reason, bool silent) {
    switch (reason) {
    case REASON_CONNECT:
        return endpoint->retry_on.connect;
    case REASON_RESET:
        return endpoint->retry_on.reset;
    case REASON_TIMEOUT:
        /* whoever sets a limit for the first byte wants the request to go on after it */
        return silent || endpoint->retry_on.timeout;
    default:
        return false;
    }
}

static long get_long(const struct transfer *t, CURLINFO info) {
    long value = 0;
    t->handle->curl->easy_getinfo(t->handle->easy, info, &value);
    return value;
}

/*
 * Whether the block with STATUS is a proxy's answer to CONNECT, not a response: libcurl has set
 * the status of a response by the time of its status line, and never takes a proxy's for it.
 */
static bool is_proxy_block(const struct transfer *t, int status) {
    bool tunnel =
        t->url[4] == 's' || t->handle->options.http_proxy_tunnel; /* https, or asked for */
    return tunnel && get_long(t, CURLINFO_RESPONSE_CODE) != status;
}

enum gate_opinion verdict_opinion(const struct transfer *t, int status) {
    const struct options *o = &t->handle->options;
    if (is_proxy_block(t, status))
        return GATE_PROXY;
    /* after a 101 there is no HTTP any more, unless libcurl has asked for HTTP/2 in this way */
    if (status == 101 && o->http_version != CURL_HTTP_VERSION_2_0)
        return GATE_ACCEPT;
    if (status < 200)
        return GATE_INTERMEDIATE;
    if (status >= 300 && status < 400 && o->follow_location)
        return GATE_INTERMEDIATE;
    if (status == 407 || (status == 401 && (o->auth || t->route.userinfo.length)))
        return GATE_INTERMEDIATE;
    if (retries_status(endpoint_of(t), status))
        return GATE_LATER;
    return endpoint_of(t)->first_body_timeout_ns && status < 300 ? GATE_AT_BODY : GATE_ACCEPT;
}

void verdict_answered(struct transfer *t) {
    t->reported = t->answered = true;
    if (log_wanted(LOG_INFO))
        transfer_log_attempt(t, t->gate.status, NULL, CURLE_OK);
    /* as of the attempt's beginning: a later cooldown is somebody's newer finding */
    if (pool_succeeded(t->live->pool, &t->turn, t->backend, t->gate.status, t->attempt_started))
        transfer_log_recovered(t);
}

static void report_failure(struct transfer *t, uint32_t reason, unsigned how, uint64_t cooldown) {
    char name[12];
    t->reported = true;
    uint64_t left =
        pool_failed(t->live->pool, &t->turn, t->backend, reason, how, cooldown, ledger_now());
    if (left)
        transfer_log_cooldown(t, pool_reason_name(reason, name), left);
}

static void read_hint(void *hints, const char *line, size_t length) {
    cooldown_header(hints, line, length);
}

void verdict_report(struct transfer *t) {
    const struct endpoint *endpoint = endpoint_of(t);
    struct cooldown_hints hints;
    uint32_t reason = (uint32_t)t->gate.status;
    enum cooldown_kind kind =
        reason == 429 ? cooldown_kind(t->gate.body, t->gate.body_length) : COOLDOWN_NORMAL;
    transfer_log_attempt(t, t->gate.status, NULL, CURLE_OK);
    if (kind == COOLDOWN_TOO_LARGE || reason == 400) { /* the request's fault */
        t->reported = true;
        pool_refused(t->live->pool, &t->turn, t->backend, t->gate.status, ledger_now());
        return;
    }
    cooldown_reset(&hints);
    gate_each_line(&t->gate, read_hint, &hints);
    uint64_t cooldown = cooldown_duration(&hints, t->gate.body, t->gate.body_length, time(NULL),
                                          endpoint->cooldown_ns, endpoint->max_cooldown_ns);
    unsigned how = t->gate.status == 429 ? POOL_AT_ONCE : 0;
    if (cooldown_is_named(&hints, t->gate.body, t->gate.body_length))
        how |= POOL_NAMED;
    if (kind == COOLDOWN_QUOTA) {
        reason = REASON_QUOTA;
        cooldown = endpoint->max_cooldown_ns;
    }
    report_failure(t, reason, how, cooldown);
}

/* Whether the request can be made once more from its beginning. */
static bool is_repeatable(struct transfer *t) {
    return t->reads_body ? body_rewind(&t->body) : content_is_repeatable(&t->handle->options);
}

bool verdict_judge(struct transfer *t, int status) {
    const struct endpoint *endpoint = endpoint_of(t);
    if (!retries_status(endpoint, status))
        return true;
    bool last = endpoint->on_exhausted == EXHAUSTED_LAST &&
                !pool_has_another(t->live->pool, &t->turn, t->backend, ledger_now());
    if (!last && is_repeatable(t))
        return false;
    verdict_report(t);
    return true;
}

bool verdict_time_is_out(uint64_t deadline, uint64_t now) {
    return deadline && now + CLOCK_GRAIN >= deadline;
}

/* The program's own clock has run out, whatever else there is to say. */
static bool is_out_of_time(const struct transfer *t, CURLcode result) {
    return result == CURLE_OPERATION_TIMEDOUT && verdict_time_is_out(t->deadline, ledger_now());
}

/* Whether connections went to a proxy of the program, as far as can be told without libcurl's help:
 * what fails there says nothing about a backend. */
static bool uses_proxy(const struct transfer *t) {
    const struct options *o = &t->handle->options;
    bool https = t->url[4] == 's';
    if (o->proxy || o->pre_proxy)
        return (o->proxy && *o->proxy) || o->pre_proxy;
    if (runtime_environment("no_proxy") || runtime_environment("NO_PROXY"))
        return false; /* perhaps */
    const char *proxy = runtime_environment(https ? "https_proxy" : "http_proxy");
    if (!proxy && https)
        proxy = runtime_environment("HTTPS_PROXY");
    if (!proxy)
        proxy = runtime_environment("all_proxy");
    if (!proxy)
        proxy = runtime_environment("ALL_PROXY");
    return proxy && *proxy;
}

/* The class of an error before any response, 0 if it is not the backend's. */
static uint32_t reason_of(const struct transfer *t, CURLcode result) {
    curl_off_t sent_at = 0;
    switch ((int)result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return !t->detoured && uses_proxy(t) ? 0 : REASON_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_QUIC_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
        return REASON_CONNECT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP3:
        /* a proxy that refused its tunnel ends like this as well */
        return get_long(t, CURLINFO_HTTP_CONNECTCODE) / 100 <= 2 ? REASON_RESET : 0;
    case CURLE_OPERATION_TIMEDOUT:
        t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
        /* newer releases set the time also when the transfer ends before that */
        return sent_at > 0 && get_long(t, CURLINFO_REQUEST_SIZE) > 0 ? REASON_TIMEOUT
                                                                     : REASON_CONNECT;
    case CURLE_ABORTED_BY_CALLBACK:
        return t->silent ? REASON_TIMEOUT : 0;
    default:
        return 0;
    }
}

/*
 * Before 7.75 CURLOPT_FAILONERROR ends a transfer at the status line, and nobody is told of a
 * header: a failed response of which there is only the status.
 */
static bool is_bare_failure(const struct transfer *t, CURLcode result) {
    return result == CURLE_HTTP_RETURNED_ERROR && !t->gate.status &&
           retries_status(endpoint_of(t), (int)get_long(t, CURLINFO_RESPONSE_CODE));
}

static enum verdict of_bare_failure(struct transfer *t) {
    int status = (int)get_long(t, CURLINFO_RESPONSE_CODE);
    bool last = endpoint_of(t)->on_exhausted == EXHAUSTED_LAST &&
                !pool_has_another(t->live->pool, &t->turn, t->backend, ledger_now());
    transfer_log_attempt(t, status, NULL, CURLE_OK);
    report_failure(t, (uint32_t)status, status == 429 ? POOL_AT_ONCE : 0,
                   endpoint_of(t)->cooldown_ns);
    return !last && is_repeatable(t) ? VERDICT_NEXT : VERDICT_OVER;
}

static enum verdict of_error(struct transfer *t, CURLcode result) {
    char name[12];
    uint32_t reason = 0;
    if (is_bare_failure(t, result))
        return of_bare_failure(t);
    if ((t->silent || !gate_has_response(&t->gate)) && !is_out_of_time(t, result))
        reason = reason_of(t, result);
    transfer_log_attempt(t, 0, reason ? pool_reason_name(reason, name) : "error", result);
    if (result == CURLE_SEND_FAIL_REWIND && t->attempts > 1)
        return VERDICT_STUCK;
    if (!retries_reason(endpoint_of(t), reason, t->silent))
        return VERDICT_OVER;
    report_failure(t, reason, 0, endpoint_of(t)->cooldown_ns);
    return is_repeatable(t) ? VERDICT_NEXT : VERDICT_OVER;
}

/* Whether the connection broke within a response that the program has the beginning of. */
static bool is_broken_off(const struct transfer *t, CURLcode result) {
    switch ((int)result) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP3:
        return t->answered;
    default:
        return false;
    }
}

enum verdict verdict_of_attempt(struct transfer *t, CURLcode result) {
    if (t->late && result == CURLE_ABORTED_BY_CALLBACK) {
        t->turn.attempts[t->backend]--; /* nothing was tried */
        return VERDICT_NEXT;
    }
    switch (t->gate.state) {
    case GATE_HOLDING:
        return of_error(t, result);
    case GATE_SWALLOWING:
        if (!t->reported)
            verdict_report(t);
        /* the program itself may have ended it meanwhile, by a callback or its clock */
        return (result == CURLE_ABORTED_BY_CALLBACK && !t->gate.cut) || is_out_of_time(t, result)
                   ? VERDICT_OVER
                   : VERDICT_NEXT;
    case GATE_PASSED:
        if (is_broken_off(t, result) && endpoint_of(t)->retry_on.reset)
            report_failure(t, REASON_RESET, 0, endpoint_of(t)->cooldown_ns);
        return VERDICT_OVER;
    default:
        return VERDICT_OVER;
    }
}

/* How long it may take from the end of the request to what is awaited now; 0: any time. */
static uint64_t limit_of_silence(const struct transfer *t) {
    uint64_t byte = endpoint_of(t)->first_byte_timeout_ns,
             body = endpoint_of(t)->first_body_timeout_ns;
    if (gate_has_response(&t->gate))
        return gate_awaits_body(&t->gate) ? body : 0;
    return byte && (!body || byte < body) ? byte : body;
}

bool verdict_is_silent(struct transfer *t, curl_off_t up_total, curl_off_t up, uint64_t now) {
    uint64_t limit = limit_of_silence(t);
    if (!limit)
        return false;
    if (up != t->uploaded) {
        t->uploaded = up;
        t->quiet_since = 0;
    }
    if (t->quiet_since)
        return now - t->quiet_since >= limit;
    curl_off_t sent_at = 0;
    t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
    if (sent_at > 0 && up >= up_total)
        t->quiet_since = now;
    return false;
}

/* Whether the LENGTH bytes of a redirect's target at TEXT lead away from HERE. What can't be read
 * for sure counts as leading away. */
static bool leads_away(const struct url *here, const char *text, size_t length) {
    char target[2048];
    struct url there;
    if (length >= sizeof target)
        return true;
    memcpy(target, text, length);
    target[length] = '\0';
    bool absolute = target[strcspn(target, ":/?#")] == ':';
    bool network_path = strncmp(target, "//", 2) == 0;
    if (!absolute && !network_path)
        return strchr(target, '\\') != NULL; /* readers differ about these */
    return !url_parse(target + (network_path ? 2 : 0), here->https, &there) ||
           !url_same_origin(here, &there);
}

struct redirect {
    struct url here;
    bool away;
};

/* Of several Location headers any may be the one that is followed. */
static void check_location(void *userdata, const char *line, size_t length) {
    struct redirect *redirect = userdata;
    if (length < 9 || strncasecmp(line, "location:", 9) != 0)
        return;
    const char *start = line + 9, *end = line + length;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (unsigned char)end[-1] <= ' ')
        end--;
    if (leads_away(&redirect->here, start, (size_t)(end - start)))
        redirect->away = true;
}

bool verdict_leaves_origin(const struct transfer *t) {
    struct redirect redirect = {.away = false};
    if (!url_parse(t->url, false, &redirect.here))
        return true;
    gate_each_line(&t->gate, check_location, &redirect);
    return redirect.away;
}
