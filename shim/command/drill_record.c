#include "shim/command/drill_record.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* uthash's own answer to a full heap is exit() */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "shim/command/drill_line.h"
#include "shim/command/drill_settle.h"

/* Where a transfer is, by its id. */
struct drill_names {
    char *id; /* the transfer's */
    size_t place;
    UT_hash_handle hh;
};

const char *drill_outcome_name(enum drill_outcome outcome) {
    static const char *const names[DRILL_OUTCOMES] = {"answered", "throttled", "rejected", "failed",
                                                      "unfinished"};
    return names[outcome];
}

/* Room for one more at the end of LIST, all zero; its size is doubled at each power of two. */
static void *add(void *list, size_t *count, size_t size) {
    void **array = list;
    if ((*count & (*count - 1)) == 0) {
        void *more = reallocarray(*array, *count ? *count * 2 : 1, size);
        if (!more)
            return NULL;
        *array = more;
    }
    return memset((char *)*array + (*count)++ * size, 0, size);
}

static struct drill_backend *add_backend(struct drill_record *record, const char *endpoint,
                                         const char *name, int priority) {
    struct drill_backend *backend =
        add(&record->backends, &record->backend_count, sizeof *record->backends);
    if (!backend)
        return NULL;
    *backend = (struct drill_backend){strdup(endpoint), strdup(name), priority};
    return backend->endpoint && backend->name ? backend : NULL;
}

struct drill_record *drill_record_new(const struct settings *settings, double start,
                                      double length) {
    struct drill_record *record = calloc(1, sizeof *record);
    bool good = record != NULL;
    for (size_t i = 0; good && i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t k = 0; good && k < endpoint->backend_count; k++)
            good = add_backend(record, endpoint->name, endpoint->backends[k].name,
                               endpoint->backends[k].priority);
    }
    if (!good) {
        drill_record_free(record);
        return NULL;
    }
    record->start = start;
    record->length = length;
    return record;
}

/* The lane of LINE's backend; DRILL_NONE without memory. Settings that are replaced while a program
 * runs may bring new ones. */
static size_t backend_of(struct drill_record *record, const struct drill_line *line) {
    for (size_t i = 0; i < record->backend_count; i++)
        if (strcmp(record->backends[i].name, line->backend) == 0 &&
            strcmp(record->backends[i].endpoint, line->endpoint) == 0)
            return i;
    return add_backend(record, line->endpoint, line->backend, DRILL_UNKNOWN)
               ? record->backend_count - 1
               : DRILL_NONE;
}

/* In whole microseconds: what was subtracted from a date has lost more than that. */
static double limited(const struct drill_record *record, double time) {
    return fmin(fmax(round(time * 1e6) / 1e6, 0), record->length);
}

/* Also where a number makes no sense: the record is no more than a text. */
static int to_int(double number) {
    return number < 0 ? 0 : number > INT_MAX ? INT_MAX : (int)number;
}

static bool remember(struct drill_record *record, struct drill_transfer *transfer, size_t place) {
    struct drill_names *name = calloc(1, sizeof *name);
    if (!name)
        return false;
    name->id = transfer->id;
    name->place = place;
    HASH_ADD_KEYPTR(hh, record->names, name->id, strlen(name->id), name);
    if (name->hh.tbl)
        return true;
    free(name);
    return false;
}

static struct drill_transfer *add_transfer(struct drill_record *record,
                                           const struct drill_line *line) {
    struct drill_transfer *transfer =
        add(&record->transfers, &record->transfer_count, sizeof *record->transfers);
    if (!transfer)
        return NULL;
    transfer->id = strdup(line->transfer);
    transfer->endpoint = strdup(line->endpoint);
    transfer->path = strdup(line->path);
    transfer->pid = to_int(line->pid);
    transfer->begin = limited(record, line->time - record->start);
    transfer->end = record->length;
    transfer->first = -1;
    transfer->last_attempt = DRILL_NONE;
    bool good = transfer->id && transfer->endpoint && transfer->path;
    return good && remember(record, transfer, record->transfer_count - 1) ? transfer : NULL;
}

/* The place of LINE's transfer, which is new if this is its first line. DRILL_NONE without memory.
 */
static size_t transfer_of(struct drill_record *record, const struct drill_line *line) {
    struct drill_names *name;
    HASH_FIND_STR(record->names, line->transfer, name);
    if (name)
        return name->place;
    return add_transfer(record, line) ? record->transfer_count - 1 : DRILL_NONE;
}

static bool take_attempt(struct drill_record *record, const struct drill_line *line) {
    size_t backend = backend_of(record, line), transfer = DRILL_NONE;
    if (*line->transfer) {
        transfer = transfer_of(record, line);
        if (transfer == DRILL_NONE)
            return false;
        record->transfers[transfer].attempts++;
    }
    struct drill_attempt *attempt =
        add(&record->attempts, &record->attempt_count, sizeof *record->attempts);
    if (!attempt || backend == DRILL_NONE)
        return false;
    attempt->backend = backend;
    attempt->transfer = transfer;
    attempt->end = limited(record, line->time - record->start);
    attempt->begin = limited(record, attempt->end - fmax(line->ms, 0) / 1000);
    if (transfer != DRILL_NONE) { /* they follow one another; times are logged in milliseconds */
        struct drill_transfer *t = &record->transfers[transfer];
        attempt->begin = fmax(attempt->begin, t->tried);
        attempt->end = t->tried = fmax(attempt->end, attempt->begin);
    }
    attempt->count = (unsigned long)to_int(line->attempt);
    attempt->status = to_int(line->status);
    attempt->curl = to_int(line->curl);
    snprintf(attempt->error, sizeof attempt->error, "%s", line->error);
    attempt->fault = *line->fault ? strdup(line->fault) : NULL;
    attempt->fault_number = (size_t)to_int(line->fault_number);
    return attempt->fault || !*line->fault;
}

static bool take_cooldown(struct drill_record *record, const struct drill_line *line) {
    size_t backend = backend_of(record, line);
    struct drill_cooldown *cooldown =
        add(&record->cooldowns, &record->cooldown_count, sizeof *record->cooldowns);
    if (!cooldown || backend == DRILL_NONE)
        return false;
    cooldown->backend = backend;
    cooldown->seconds = fmax(line->seconds, 0);
    cooldown->begin = limited(record, line->time - record->start);
    cooldown->end = limited(record, cooldown->begin + cooldown->seconds);
    snprintf(cooldown->reason, sizeof cooldown->reason, "%s", line->reason);
    return true;
}

static bool take_transfer(struct drill_record *record, const struct drill_line *line) {
    size_t place = transfer_of(record, line);
    if (place == DRILL_NONE)
        return false;
    struct drill_transfer *transfer = &record->transfers[place];
    if (strcmp(line->event, "exhausted") == 0)
        transfer->exhausted = true;
    if (strcmp(line->event, "finished") != 0)
        return true;
    transfer->over = true;
    transfer->finished = line->result >= 0; /* else the program gave it up */
    transfer->end = limited(record, line->time - record->start);
    if (line->ms >= 0)
        transfer->begin = limited(record, transfer->end - line->ms / 1000);
    if (line->first_ms >= 0)
        transfer->first = line->first_ms / 1000;
    transfer->status = to_int(line->status);
    transfer->result = to_int(line->result);
    return true;
}

/* A process may have the number of one that has ended, and so may its transfers. */
static void forget(struct drill_record *record, const char *id) {
    struct drill_names *name;
    HASH_FIND_STR(record->names, id, name);
    if (!name || !record->transfers[name->place].over)
        return;
    HASH_DEL(record->names, name);
    free(name);
}

static bool take_line(struct drill_record *record, char *text) {
    struct drill_line line;
    if (!drill_line_read(text, &line)) {
        record->strange++;
        return true;
    }
    if (strcmp(line.event, "attempt") == 0 && *line.backend)
        return take_attempt(record, &line);
    if (strcmp(line.event, "cooldown") == 0 && *line.backend)
        return take_cooldown(record, &line);
    if (strcmp(line.event, "intercepted") == 0)
        forget(record, line.transfer);
    return !*line.transfer || take_transfer(record, &line);
}

bool drill_record_read(struct drill_record *record, FILE *in) {
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&text, &size, in)) > 0) {
        if (text[length - 1] == '\n')
            text[length - 1] = '\0';
        good = take_line(record, text);
    }
    free(text);
    return good && !ferror(in) && drill_settle(record);
}

void drill_record_free(struct drill_record *record) {
    struct drill_names *name, *next;
    if (!record)
        return;
    HASH_ITER(hh, record->names, name, next) {
        HASH_DEL(record->names, name);
        free(name);
    }
    for (size_t i = 0; i < record->backend_count; i++) {
        free(record->backends[i].endpoint);
        free(record->backends[i].name);
    }
    for (size_t i = 0; i < record->attempt_count; i++)
        free(record->attempts[i].fault);
    for (size_t i = 0; i < record->transfer_count; i++) {
        free(record->transfers[i].id);
        free(record->transfers[i].endpoint);
        free(record->transfers[i].path);
    }
    free(record->order);
    free(record->backends);
    free(record->attempts);
    free(record->cooldowns);
    free(record->transfers);
    free(record);
}
