#include "config/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/fault_reader.h"
#include "config/nearest.h"
#include "config/settings.h"

#define LISTED_SIZE 200                 /* of the names in a message */
#define INTERVAL    UINT64_C(100000000) /* ns between two pieces of a trickle */

/* The words of kinds; where one begins another the longer comes first. The grammar's own come
 * before what else people write, for messages. */
static const struct {
    const char *words;
    enum fault_kind kind;
} kinds[] = {
    {"refused", FAULT_REFUSED},
    {"dns failure", FAULT_DNS},
    {"dns error", FAULT_DNS},
    {"dns", FAULT_DNS},
    {"tls failure", FAULT_TLS},
    {"tls error", FAULT_TLS},
    {"tls handshake failure", FAULT_TLS},
    {"tls", FAULT_TLS},
    {"reset before the headers", FAULT_RESET},
    {"reset before headers", FAULT_RESET},
    {"reset", FAULT_RESET},
    {"silence before the first body byte", FAULT_SILENCE_BODY},
    {"silence before first body byte", FAULT_SILENCE_BODY},
    {"silence before the body", FAULT_SILENCE_BODY},
    {"silence before body", FAULT_SILENCE_BODY},
    {"silence before the headers", FAULT_SILENCE},
    {"silence before headers", FAULT_SILENCE},
    {"silence", FAULT_SILENCE},
    {"silence-body", FAULT_SILENCE_BODY},
    {"cut", FAULT_CUT},
    {"stall", FAULT_STALL},
    {"trickle", FAULT_TRICKLE},
    {"connection refused", FAULT_REFUSED},
    {"connect refused", FAULT_REFUSED},
    {"ssl failure", FAULT_TLS},
    {"ssl", FAULT_TLS},
    {"connection reset", FAULT_RESET},
    {"silent", FAULT_SILENCE},
    {"stream cut", FAULT_CUT},
    {"stalled stream", FAULT_STALL},
    {"stream stalled", FAULT_STALL},
    {"stalled", FAULT_STALL},
};

/* What a status may mean besides the usual; see the mock's scripts. */
static const struct {
    const char *word;
    int status;
} causes[] = {
    {"quota", 429},  {"too-large", 429},   {"content-filter", 400}, {"not-json", 400},
    {"no-key", 401}, {"no-resource", 404}, {"no-model", 400},
};

const char *fault_kind_name(enum fault_kind kind) {
    static const char *const names[FAULT_KINDS] = {
        [FAULT_STATUS] = "status",
        [FAULT_REFUSED] = "refused",
        [FAULT_DNS] = "dns",
        [FAULT_TLS] = "tls",
        [FAULT_RESET] = "reset",
        [FAULT_SILENCE] = "silence",
        [FAULT_SILENCE_BODY] = "silence-body",
        [FAULT_CUT] = "cut",
        [FAULT_STALL] = "stall",
        [FAULT_TRICKLE] = "trickle",
    };
    return names[kind];
}

static bool has_response(const struct fault *fault) {
    return fault->status != 0;
}

/* Adds to the fault's step. False if it does not fit. */
__attribute__((format(printf, 2, 3))) static bool add_step(struct fault *fault, const char *format,
                                                           ...) {
    size_t used = strlen(fault->step);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(fault->step + used, sizeof fault->step - used, format, arguments);
    va_end(arguments);
    return length >= 0 && (size_t)length < sizeof fault->step - used;
}

/* --- where ----------------------------------------------------------------------------------- */

/* The colon that ends `where`: names may have one as well, so that a blank after it decides. */
static const char *find_colon(const char *text) {
    const char *first = NULL;
    for (const char *c = text; *c; c++) {
        if (*c == ':' && !first)
            first = c;
        if (*c == ':' && (c[1] == ' ' || c[1] == '\t'))
            return c;
    }
    return first;
}

/* Copies the name of LENGTH bytes at TEXT, "" for "*". */
static bool take_name(struct fault_reader *reader, const char *text, size_t length, char *out) {
    if (length == 0)
        return fault_fail(reader, text, "the name of a backend, ENDPOINT/BACKEND or '*'", NULL);
    if (length >= FAULT_NAME_SIZE)
        return fault_fail(reader, text, "a name of at most 63 bytes", NULL);
    memcpy(out, text, length);
    out[length] = '\0';
    if (strcmp(out, "*") == 0)
        out[0] = '\0';
    return true;
}

static bool read_where(struct fault_reader *reader, struct fault *fault) {
    const char *start, *colon = find_colon(reader->at);
    fault_skip_blanks(reader);
    start = reader->at;
    if (!colon)
        return fault_fail(reader, start, "BACKEND: KIND, such as 'ptu: 429 for 60s'", NULL);
    size_t length = (size_t)(colon - start);
    while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t'))
        length--;
    const char *slash = memchr(start, '/', length);
    size_t before = slash ? (size_t)(slash - start) + 1 : 0;
    reader->at = colon + 1;
    return (!slash || take_name(reader, start, before - 1, fault->endpoint)) &&
           take_name(reader, start + before, length - before, fault->backend);
}

/* --- kind ------------------------------------------------------------------------------------ */

static bool unknown_kind(struct fault_reader *reader) {
    struct nearest nearest = {0};
    char word[NEAREST_LENGTH_MAX + 1];
    size_t length = fault_peek(reader);
    snprintf(word, sizeof word, "%.*s", (int)length, reader->at);
    nearest.word = word;
    for (size_t i = 0; length > 0 && i < sizeof kinds / sizeof *kinds; i++)
        nearest_offer(&nearest, kinds[i].words);
    return fault_fail(reader, reader->at,
                      "a status from 200 to 599, refused, dns, tls, reset, silence, silence-body, "
                      "cut, stall or trickle",
                      nearest.best);
}

static bool read_status(struct fault_reader *reader, struct fault *fault) {
    const char *start = reader->at;
    uint64_t status = 0;
    if (!fault_take_number(reader, &status) || status < 200 || status > 599)
        return fault_fail(reader, start, "a status from 200 to 599", NULL);
    fault->kind = FAULT_STATUS;
    fault->status = (int)status;
    return add_step(fault, "%d", fault->status);
}

/* How many bytes pass before the stream is cut or stalls, if that is said. */
static bool read_bytes(struct fault_reader *reader, struct fault *fault) {
    fault_skip_blanks(reader);
    const char *start = reader->at;
    uint64_t bytes;
    bool after = fault_take_words(reader, "after");
    if (!fault_take_bytes(reader, &bytes)) {
        reader->at = start; /* an option, perhaps: after 10s, after 3 attempts */
        return true;
    }
    if (bytes > FAULT_BYTES_MAX)
        return fault_fail(reader, start, after ? "after at most 1GiB" : "at most 1GiB", NULL);
    return add_step(fault, ":after=%llu", (unsigned long long)bytes);
}

static bool read_interval(struct fault_reader *reader, struct fault *fault) {
    fault_skip_blanks(reader);
    const char *start = reader->at;
    uint64_t ns;
    if (!fault_take_duration(reader, &ns)) {
        reader->at = start;
        ns = INTERVAL;
    }
    if (ns < 1000000 || ns > 3600 * UINT64_C(1000000000))
        return fault_fail(reader, start, "a time from 1ms to 1h", NULL);
    fault_take_words(reader, "per piece");
    return add_step(fault, ":interval=%llums", (unsigned long long)(ns / 1000000));
}

static bool read_kind(struct fault_reader *reader, struct fault *fault) {
    static const char *const steps[FAULT_KINDS] = {
        [FAULT_REFUSED] = "",    [FAULT_DNS] = "",         [FAULT_TLS] = "",
        [FAULT_RESET] = "reset", [FAULT_SILENCE] = "hang", [FAULT_SILENCE_BODY] = "stall:after=0",
        [FAULT_CUT] = "cut",     [FAULT_STALL] = "stall",  [FAULT_TRICKLE] = "trickle"};
    size_t i = 0;
    if (!fault_take_words(reader, "http"))
        fault_take_words(reader, "status");
    fault_peek(reader);
    if (*reader->at >= '0' && *reader->at <= '9')
        return read_status(reader, fault);
    while (i < sizeof kinds / sizeof *kinds && !fault_take_words(reader, kinds[i].words))
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return unknown_kind(reader);
    fault->kind = kinds[i].kind;
    bool body = fault->kind == FAULT_CUT || fault->kind == FAULT_STALL;
    fault->status =
        body || fault->kind == FAULT_SILENCE_BODY || fault->kind == FAULT_TRICKLE ? 200 : 0;
    return add_step(fault, "%s", steps[fault->kind]) && (!body || read_bytes(reader, fault)) &&
           (fault->kind != FAULT_TRICKLE || read_interval(reader, fault));
}

/* --- options --------------------------------------------------------------------------------- */

/* Whether an option stands where it may not: twice. */
static bool once(struct fault_reader *reader, const char *start, bool *given, const char *what) {
    char expected[64];
    if (*given) {
        snprintf(expected, sizeof expected, "%s once", what);
        return fault_fail(reader, start, expected, NULL);
    }
    *given = true;
    return true;
}

static bool read_cause(struct fault_reader *reader, struct fault *fault, size_t i) {
    const char *start = reader->at;
    char expected[64];
    fault_take_words(reader, causes[i].word);
    if (fault->kind != FAULT_STATUS || fault->status != causes[i].status) {
        snprintf(expected, sizeof expected, "%s with %d alone", causes[i].word, causes[i].status);
        return fault_fail(reader, start, expected, NULL);
    }
    return once(reader, start, &reader->given.cause, "a cause") &&
           add_step(fault, ":%s", causes[i].word);
}

/* A name of the mock's own options, or of a header that is the server's job. */
static bool is_reserved(const char *name, size_t length) {
    static const char *const names[] = {"content-length", "transfer-encoding", "interim", "after",
                                        "interval"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == length && strncasecmp(name, names[i], length) == 0)
            return true;
    return false;
}

static bool add_header(struct fault_reader *reader, struct fault *fault,
                       const struct fault_pair *pair) {
    const char *value = pair->value;
    char quote = memchr(value, '"', pair->value_length) ? '\'' : '"';
    uint64_t ns;
    if (!has_response(fault))
        return fault_fail(reader, pair->name, "no header, for this fault is no response", NULL);
    if (is_reserved(pair->name, pair->name_length))
        return fault_fail(reader, pair->name, "a header that says nothing of the body's length",
                          NULL);
    if (pair->name_length == 7 && strncmp(pair->name, "latency", 7) == 0) {
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)pair->value_length, value);
        if (!settings_parse_duration(text, &ns))
            return fault_fail(reader, value, "a time such as 250ms, 2s or 1m", NULL);
    }
    if (memchr(value, quote, pair->value_length))
        return fault_fail(reader, value, "a value without one of the two quotes", NULL);
    return add_step(fault, ":%.*s=%c%.*s%c", (int)pair->name_length, pair->name, quote,
                    (int)pair->value_length, value, quote) ||
           fault_fail(reader, pair->name, "shorter headers", NULL);
}

/* "for" and "after": a time or a number of attempts. */
static bool read_span(struct fault_reader *reader, struct fault *fault, bool after) {
    const char *start = reader->at, *word = after ? "after" : "for";
    struct fault_amount amount;
    char expected[96], meant[48] = "";
    fault_take_words(reader, word);
    fault_skip_blanks(reader);
    const char *found = reader->at;
    if (!fault_take_amount(reader, &amount)) {
        snprintf(expected, sizeof expected, "a time such as 60s, or a number of attempts");
        size_t digits = strspn(found, "0123456789");
        if (digits > 0 && digits < 10)
            snprintf(meant, sizeof meant, "%s %.*ss", word, (int)digits, found);
        return fault_fail(reader, found, expected, *meant ? meant : NULL);
    }
    if (amount.value == 0)
        return fault_fail(reader, found, "more than 0", NULL);
    if (amount.is_time) {
        *(after ? &fault->after_ns : &fault->for_ns) = amount.value;
        return once(reader, start, after ? &reader->given.after_time : &reader->given.for_time,
                    after ? "'after' with a time" : "'for' with a time");
    }
    *(after ? &fault->after_attempts : &fault->for_attempts) = amount.value;
    return once(reader, start, after ? &reader->given.after_attempts : &reader->given.for_attempts,
                after ? "'after' with attempts" : "'for' with attempts");
}

static bool read_every(struct fault_reader *reader, struct fault *fault) {
    const char *start = reader->at;
    fault_take_words(reader, "every");
    fault_skip_blanks(reader);
    const char *found = reader->at;
    if (!fault_take_ordinal(reader, &fault->every) || fault->every == 0)
        return fault_fail(reader, found, "a number from 1 to 1000000000, such as every 3", NULL);
    return once(reader, start, &reader->given.every, "'every'");
}

static bool read_rate(struct fault_reader *reader, struct fault *fault) {
    const char *start = reader->at;
    if (!fault_take_rate(reader, &fault->rate))
        return fault_fail(reader, start, "a rate above 0% and up to 100%, such as 10% or 0.5%",
                          NULL);
    return once(reader, start, &reader->given.rate, "a rate");
}

static bool unknown_option(struct fault_reader *reader) {
    static const char *const words[] = {"every", "for", "after"};
    struct nearest nearest = {0};
    char word[NEAREST_LENGTH_MAX + 1], meant[NEAREST_LENGTH_MAX + 2];
    size_t length = fault_peek(reader);
    snprintf(word, sizeof word, "%.*s", (int)length, reader->at);
    nearest.word = word;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        nearest_offer(&nearest, words[i]);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        nearest_offer(&nearest, causes[i].word);
    if (!nearest.best && strspn(word, "0123456789.") == strlen(word) && strlen(word) < 10) {
        snprintf(meant, sizeof meant, "%s%%", word);
        nearest.best = meant;
    }
    return fault_fail(reader, reader->at,
                      "10%, every N, for 60s, for N attempts, after 10s, after N attempts or "
                      "header=value",
                      nearest.best);
}

static bool read_option(struct fault_reader *reader, struct fault *fault) {
    struct fault_pair pair;
    if (fault_sees(reader, "for") || fault_sees(reader, "after"))
        return read_span(reader, fault, fault_sees(reader, "after"));
    if (fault_sees(reader, "every"))
        return read_every(reader, fault);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (fault_sees(reader, causes[i].word))
            return read_cause(reader, fault, i);
    if (fault_sees_rate(reader))
        return read_rate(reader, fault);
    switch (fault_take_pair(reader, &pair)) {
    case FAULT_PAIR:
        return add_header(reader, fault, &pair);
    case FAULT_PAIR_WRONG:
        return false;
    case FAULT_NO_PAIR:
        break;
    }
    return unknown_option(reader);
}

/* Words that mean nothing by themselves. */
static void skip_fillers(struct fault_reader *reader) {
    static const char *const words[] = {"with", "and", "at", "rate"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (fault_take_words(reader, words[i]))
            i = (size_t)-1; /* from the first again */
}

bool fault_parse(const char *text, struct fault *fault, struct fault_error *error) {
    struct fault_reader reader = {.start = text, .at = text, .error = error};
    *fault = (struct fault){
        .rate = 1000000, .every = 1, .for_ns = UINT64_MAX, .for_attempts = UINT64_MAX};
    *error = (struct fault_error){0};
    size_t length = strlen(text);
    if (length > FAULT_TEXT_MAX)
        return fault_fail(&reader, text + FAULT_TEXT_MAX, "a fault of at most 500 bytes", NULL);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' ? text[i] != '\t' : text[i] == 0x7f)
            return fault_fail(&reader, text + i, "text without control characters", NULL);
    memcpy(fault->text, text, length + 1);
    if (!read_where(&reader, fault) || !read_kind(&reader, fault))
        return false;
    for (skip_fillers(&reader); fault_peek(&reader) > 0; skip_fillers(&reader))
        if (!read_option(&reader, fault))
            return false;
    if (fault->every > fault->for_attempts)
        return fault_fail(&reader, reader.at,
                          "as many attempts after 'for' as after 'every': it would never happen",
                          NULL);
    return true;
}

/* --- which backends -------------------------------------------------------------------------- */

bool fault_means(const struct fault *fault, const char *endpoint, const char *backend) {
    return (!*fault->endpoint || strcmp(fault->endpoint, endpoint) == 0) &&
           (!*fault->backend || strcmp(fault->backend, backend) == 0);
}

/* Adds NAME to the list in LISTED, or dots if that has no room. */
static void list(char *listed, const char *name) {
    size_t used = strlen(listed);
    bool full = used + strlen(name) + 8 > LISTED_SIZE;
    if (full && used >= 3 && strcmp(listed + used - 3, "...") == 0)
        return;
    snprintf(listed + used, LISTED_SIZE - used, "%s%s", used ? ", " : "", full ? "..." : name);
}

bool fault_check(const struct fault *fault, const struct settings *settings,
                 struct fault_error *error) {
    struct fault_reader reader = {.start = fault->text, .at = fault->text, .error = error};
    bool endpoint_known = !*fault->endpoint;
    const char *wrong = fault->backend;
    char listed[LISTED_SIZE] = "", expected[LISTED_SIZE + 40];
    *error = (struct fault_error){0};
    for (size_t i = 0; i < settings->endpoint_count; i++)
        endpoint_known |= strcmp(settings->endpoints[i].name, fault->endpoint) == 0;
    if (!endpoint_known)
        wrong = fault->endpoint;
    struct nearest nearest = {.word = wrong};
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        if (!endpoint_known) {
            nearest_offer(&nearest, endpoint->name);
            list(listed, endpoint->name);
        }
        for (size_t k = 0; endpoint_known && k < endpoint->backend_count; k++) {
            if (fault_means(fault, endpoint->name, endpoint->backends[k].name))
                return true;
            if (*fault->endpoint && strcmp(fault->endpoint, endpoint->name) != 0)
                continue;
            nearest_offer(&nearest, endpoint->backends[k].name);
            list(listed, endpoint->backends[k].name);
        }
    }
    fault_skip_blanks(&reader);
    const char *slash = strchr(reader.at, '/');
    const char *at = *fault->endpoint && endpoint_known && slash ? slash + 1 : reader.at;
    snprintf(expected, sizeof expected, "%s of the settings: %s",
             endpoint_known ? "a backend" : "an endpoint", listed);
    return fault_fail_name(&reader, at, wrong, expected, nearest.best);
}
