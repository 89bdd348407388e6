#include "shim/curl/transfer_log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/curl/translate.h"
#include "shim/log.h"

static const char *backend_name(const struct transfer *t) {
    return pool_endpoint(t->live->pool)->backends[t->backend].name;
}

/* Numbers are given to those transfers alone of which something is told. */
static void add_number(struct log_line *line, struct transfer *t) {
    static _Atomic uint64_t last;
    char text[48];
    if (!line->wanted)
        return;
    if (!t->number)
        t->number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    snprintf(text, sizeof text, "%ld-%llu", (long)getpid(), (unsigned long long)t->number);
    log_text(line, "transfer", text);
}

static void begin(struct log_line *line, enum log_level level, const char *event,
                  const struct transfer *t) {
    log_begin(line, level, event);
    log_text(line, "endpoint", pool_endpoint(t->live->pool)->name);
}

static void end(struct log_line *line, struct transfer *t) {
    add_number(line, t);
    log_end(line);
}

/* Ends a line with the path, the last of all: it may be so long that what follows is cut. Without
 * the query, which may hold a secret. */
static void end_with_path(struct log_line *line, struct transfer *t) {
    add_number(line, t);
    log_slice(line, "path", t->route.below.text, t->route.below.length);
    log_end(line);
}

void transfer_log_intercepted(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_INFO, "intercepted", t);
    end_with_path(&line, t);
}

static void add_fault(struct log_line *line, const struct transfer *t) {
    if (!t->fault)
        return;
    log_text(line, "fault", fault_kind_name(t->fault->kind));
    log_number(line, "fault_number", t->fault - t->handle->runtime->drill->faults + 1);
}

void transfer_log_attempt(struct transfer *t, int status, const char *error, CURLcode result) {
    struct log_line line;
    if (!log_wanted(LOG_INFO))
        return;
    begin(&line, LOG_INFO, "attempt", t);
    log_text(&line, "backend", backend_name(t));
    log_number(&line, "attempt", t->attempts);
    if (status)
        log_number(&line, "status", status);
    if (error)
        log_text(&line, "error", error);
    if (result)
        log_number(&line, "curl", result);
    add_fault(&line, t);
    log_milliseconds(&line, "ms", ledger_now() - t->attempt_started);
    end(&line, t);
}

void transfer_log_cooldown(struct transfer *t, const char *reason, uint64_t ns) {
    struct log_line line;
    begin(&line, LOG_WARN, "cooldown", t);
    log_text(&line, "backend", backend_name(t));
    log_text(&line, "reason", reason);
    log_seconds(&line, "seconds", ns);
    end(&line, t);
}

void transfer_log_recovered(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_WARN, "recovered", t);
    log_text(&line, "backend", backend_name(t));
    end(&line, t);
}

void transfer_log_skipped(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_WARN, "skipped", t);
    log_text(&line, "backend", backend_name(t));
    log_text(&line, "reason", translate_reason(t, t->backend));
    end_with_path(&line, t);
}

void transfer_log_refused(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_WARN, "refused", t);
    end_with_path(&line, t);
}

void transfer_log_exhausted(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_WARN, "exhausted", t);
    log_number(&line, "attempts", t->attempts);
    log_seconds(&line, "seconds", pool_soonest(t->live->pool, t->unfit, ledger_now()));
    end(&line, t);
}

void transfer_log_waiting(struct transfer *t) {
    struct log_line line;
    begin(&line, LOG_INFO, "waiting", t);
    log_seconds(&line, "seconds", t->wait_ns);
    end(&line, t);
}

/* When the response that the program got began, in ns after the transfer did; 0: there is none. */
static uint64_t first_byte(const struct transfer *t) {
    curl_off_t us = 0;
    t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_STARTTRANSFER_TIME_T, &us);
    uint64_t before = t->attempt_started > t->started ? t->attempt_started - t->started : 0;
    return us > 0 ? before + (uint64_t)us * 1000 : 0;
}

void transfer_log_finished(struct transfer *t) {
    struct log_line line;
    long status = 0;
    curl_off_t bytes = 0;
    if (!log_wanted(LOG_INFO))
        return;
    t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    t->handle->curl->easy_getinfo(t->handle->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
    uint64_t now = ledger_now(), first = status ? first_byte(t) : 0;
    begin(&line, LOG_INFO, "finished", t);
    log_number(&line, "attempts", t->attempts);
    log_number(&line, "status", status);
    if (t->result >= 0)
        log_number(&line, "result", t->result);
    log_milliseconds(&line, "ms", now > t->started ? now - t->started : 0);
    if (first)
        log_milliseconds(&line, "first_ms", first);
    if (status)
        log_number(&line, "bytes", bytes);
    end(&line, t);
}
