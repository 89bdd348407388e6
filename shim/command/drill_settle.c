#include "shim/command/drill_settle.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Something at a time; of those at the same time the lower kind and then the lower place first. */
struct moment {
    double time;
    unsigned kind;
    size_t place;
};

static int compare_moments(const void *a, const void *b) {
    const struct moment *x = a, *y = b;
    if (x->time < y->time || x->time > y->time)
        return x->time < y->time ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static struct moment *make_moments(size_t count) {
    return calloc(count ? count : 1, sizeof(struct moment));
}

/* Sorts the COUNT elements of SIZE bytes at LIST, whose begins are at OFFSET. If TO is given it
 * gets the new place of each. */
static bool sort(void *list, size_t count, size_t size, size_t offset, size_t *to) {
    struct moment *moments = make_moments(count);
    char *copy = malloc(count * size + 1);
    bool good = moments && copy;
    for (size_t i = 0; good && i < count; i++) {
        moments[i].place = i;
        memcpy(&moments[i].time, (char *)list + i * size + offset, sizeof(double));
    }
    if (good && count > 0) {
        qsort(moments, count, sizeof *moments, compare_moments);
        memcpy(copy, list, count * size);
    }
    for (size_t i = 0; good && i < count; i++) {
        memcpy((char *)list + i * size, copy + moments[i].place * size, size);
        if (to)
            to[moments[i].place] = i;
    }
    free(copy);
    free(moments);
    return good;
}

static bool sort_lists(struct drill_record *record) {
    size_t *to = calloc(record->transfer_count + 1, sizeof *to);
    bool good = to && sort(record->transfers, record->transfer_count, sizeof *record->transfers,
                           offsetof(struct drill_transfer, begin), to);
    for (size_t i = 0; good && i < record->attempt_count; i++)
        if (record->attempts[i].transfer != DRILL_NONE)
            record->attempts[i].transfer = to[record->attempts[i].transfer];
    free(to);
    return good &&
           sort(record->attempts, record->attempt_count, sizeof *record->attempts,
                offsetof(struct drill_attempt, begin), NULL) &&
           sort(record->cooldowns, record->cooldown_count, sizeof *record->cooldowns,
                offsetof(struct drill_cooldown, begin), NULL);
}

static enum drill_outcome of_status(int status) {
    return status < 400 ? DRILL_ANSWERED : status == 429 ? DRILL_THROTTLED : DRILL_REJECTED;
}

/* libcurl's code of a transfer, which may have been asked to fail for its status. */
static bool is_error(const struct drill_transfer *transfer) {
    return transfer->result != CURLE_OK && transfer->result != CURLE_HTTP_RETURNED_ERROR;
}

static void judge_transfers(struct drill_record *record) {
    for (size_t i = 0; i < record->transfer_count; i++) {
        struct drill_transfer *t = &record->transfers[i];
        t->outcome = !t->finished  ? DRILL_UNFINISHED
                     : is_error(t) ? DRILL_FAILED
                                   : of_status(t->status);
    }
    for (size_t i = 0; i < record->attempt_count; i++) {
        const struct drill_attempt *attempt = &record->attempts[i];
        if (attempt->transfer == DRILL_NONE)
            continue;
        struct drill_transfer *t = &record->transfers[attempt->transfer];
        if (t->last_attempt == DRILL_NONE || attempt->end >= record->attempts[t->last_attempt].end)
            t->last_attempt = i;
    }
}

/* The response had begun well: what became of it is what became of the transfer. */
static void judge_accepted(struct drill_attempt *attempt, const struct drill_transfer *t) {
    attempt->outcome = t->outcome == DRILL_UNFINISHED ? DRILL_UNFINISHED
                       : is_error(t)                  ? DRILL_FAILED
                                                      : DRILL_ANSWERED;
    attempt->answer = t->outcome == DRILL_ANSWERED;
    if (attempt->outcome != DRILL_FAILED)
        return;
    attempt->curl = t->result;
    snprintf(attempt->error, sizeof attempt->error, "%s",
             t->result == CURLE_OPERATION_TIMEDOUT ? "timeout" : "cut");
}

static void judge_attempts(struct drill_record *record) {
    for (size_t i = 0; i < record->attempt_count; i++) {
        struct drill_attempt *attempt = &record->attempts[i];
        const struct drill_transfer *t =
            attempt->transfer == DRILL_NONE ? NULL : &record->transfers[attempt->transfer];
        attempt->outcome = *attempt->error ? DRILL_FAILED : of_status(attempt->status);
        if (attempt->outcome == DRILL_ANSWERED && t && t->last_attempt == i)
            judge_accepted(attempt, t);
        else
            attempt->answer = attempt->outcome == DRILL_ANSWERED && !t;
    }
}

static void end_cooldowns(struct drill_record *record) {
    for (size_t i = 0; i < record->cooldown_count; i++) {
        struct drill_cooldown *cooldown = &record->cooldowns[i];
        for (size_t k = i + 1; k < record->cooldown_count; k++) {
            const struct drill_cooldown *newer = &record->cooldowns[k];
            if (newer->begin >= cooldown->end)
                break;
            if (newer->backend == cooldown->backend) {
                cooldown->end = newer->begin;
                break;
            }
        }
    }
}

static bool same_question(const struct drill_transfer *a, const struct drill_transfer *b) {
    return a->pid == b->pid && strcmp(a->path, b->path) == 0 &&
           strcmp(a->endpoint, b->endpoint) == 0;
}

/* Takes the first of the COUNT transfers in WAITING that asked what T asks. */
static bool take_question(const struct drill_record *record, size_t *waiting, size_t *count,
                          const struct drill_transfer *t) {
    for (size_t i = 0; i < *count; i++) {
        const struct drill_transfer *before = &record->transfers[waiting[i]];
        if (before == t || !same_question(before, t))
            continue;
        memmove(waiting + i, waiting + i + 1, (--*count - i) * sizeof *waiting);
        return true;
    }
    return false;
}

static bool find_retries(struct drill_record *record) {
    enum { END, BEGIN };
    size_t count = 0, waiting_count = 0;
    struct moment *moments = make_moments(record->transfer_count * 2);
    size_t *waiting = calloc(record->transfer_count + 1, sizeof *waiting);
    bool good = moments && waiting;
    for (size_t i = 0; good && i < record->transfer_count; i++) {
        const struct drill_transfer *t = &record->transfers[i];
        moments[count++] = (struct moment){t->begin, BEGIN, i};
        if (t->finished && t->outcome != DRILL_ANSWERED)
            moments[count++] = (struct moment){t->end, END, i};
    }
    if (good)
        qsort(moments, count, sizeof *moments, compare_moments);
    for (size_t i = 0; good && i < count; i++) {
        struct drill_transfer *t = &record->transfers[moments[i].place];
        if (moments[i].kind == END)
            waiting[waiting_count++] = moments[i].place;
        else
            t->retry = take_question(record, waiting, &waiting_count, t);
    }
    free(waiting);
    free(moments);
    return good;
}

/* The first lane of the same endpoint, which stands for its place among them. */
static size_t endpoint_place(const struct drill_record *record, size_t lane) {
    size_t first = 0;
    while (strcmp(record->backends[first].endpoint, record->backends[lane].endpoint) != 0)
        first++;
    return first;
}

static bool comes_before(const struct drill_record *record, size_t a, size_t b) {
    size_t x = endpoint_place(record, a), y = endpoint_place(record, b);
    unsigned p = (unsigned)record->backends[a].priority, q = (unsigned)record->backends[b].priority;
    return x != y ? x < y : p != q ? p < q : a < b; /* DRILL_UNKNOWN is the largest */
}

static bool order_lanes(struct drill_record *record) {
    size_t *order = record->order = calloc(record->backend_count + 1, sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < record->backend_count; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(record, i, order[at - 1]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return true;
}

bool drill_settle(struct drill_record *record) {
    if (!sort_lists(record) || !order_lanes(record))
        return false;
    judge_transfers(record);
    judge_attempts(record);
    end_cooldowns(record);
    return find_retries(record);
}
