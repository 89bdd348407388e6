#include "shim/command/drill_expect.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"

#define SPACES " \t\n"

static const char *const relations[] = {"<", "<=", "=", "!=", ">=", ">"};

/* The text that is read, and where a complaint goes. */
struct reader {
    const char *start, *p;
    char *message;
    size_t size;
};

__attribute__((format(printf, 3, 4))) static bool
complain(const struct reader *reader, const char *at, const char *format, ...) {
    va_list values;
    int length =
        snprintf(reader->message, reader->size, "column %zu: ", (size_t)(at - reader->start) + 1);
    va_start(values, format);
    if (length > 0 && (size_t)length < reader->size)
        vsnprintf(reader->message + length, reader->size - (size_t)length, format, values);
    va_end(values);
    return false;
}

/* "; did you mean 'X'?", or nothing. */
struct hint {
    char text[120];
};

static struct hint hint_at(const char *meant) {
    struct hint hint = {""};
    if (meant && *meant)
        snprintf(hint.text, sizeof hint.text, "; did you mean '%s'?", meant);
    return hint;
}

/* What stands at P, for a complaint. */
static struct hint found_at(const char *p) {
    struct hint found;
    p += strspn(p, SPACES);
    int length = (int)strcspn(p, SPACES ",");
    snprintf(found.text, sizeof found.text, length ? "found '%.*s'" : "found %.*s",
             length ? length : 7,
             length ? p
             : *p   ? "a comma"
                    : "the end");
    return found;
}

static bool same_text(const char *text, const char *p, size_t length) {
    return strlen(text) == length && memcmp(text, p, length) == 0;
}

/* Whether LENGTH bytes at P, perhaps with "ENDPOINT/" before them, name BACKEND. */
static bool names(const struct endpoint *endpoint, const struct backend *backend, const char *p,
                  size_t length, bool *with_endpoint) {
    size_t prefix = strlen(endpoint->name);
    *with_endpoint = false;
    if (same_text(backend->name, p, length))
        return true;
    *with_endpoint = length > prefix + 1 && p[prefix] == '/' &&
                     memcmp(p, endpoint->name, prefix) == 0 &&
                     same_text(backend->name, p + prefix + 1, length - prefix - 1);
    return *with_endpoint;
}

static bool take_backend(struct reader *reader, const struct settings *settings,
                         struct drill_choice *choice) {
    const char *p = reader->p;
    size_t length = strcspn(p, SPACES ",<>=!");
    char word[NEAREST_LENGTH_MAX + 1];
    struct nearest nearest = {.word = word};
    bool with_endpoint;
    snprintf(word, sizeof word, "%.*s", (int)length, p);
    for (size_t i = 0; i < settings->endpoint_count; i++) {
        const struct endpoint *endpoint = &settings->endpoints[i];
        for (size_t k = 0; k < endpoint->backend_count; k++) {
            nearest_offer(&nearest, endpoint->backends[k].name);
            if (!names(endpoint, &endpoint->backends[k], p, length, &with_endpoint))
                continue;
            choice->endpoint = with_endpoint ? endpoint->name : NULL;
            choice->backend = endpoint->backends[k].name;
            reader->p += length;
            return true;
        }
    }
    return complain(reader, p, "%s, expected a backend of the settings%s", found_at(p).text,
                    hint_at(nearest.best).text);
}

static bool take_metric(struct reader *reader, const struct settings *settings,
                        struct drill_choice *choice) {
    const char *p = reader->p, *meant;
    size_t length = strcspn(p, SPACES ",<>=!@");
    bool of_backend = p[length] == '@';
    char form[64] = "";
    if (!drill_metric_find(p, length, of_backend, choice, &meant)) {
        bool elsewhere = drill_metric_find(p, length, !of_backend, choice, &meant);
        if (elsewhere && of_backend)
            return complain(reader, p + length, "found '@', but %.*s is of the whole drill",
                            (int)length, p);
        if (elsewhere)
            return complain(reader, p + length, "expected '@' and a backend behind %.*s",
                            (int)length, p);
        drill_metric_find(p, length, of_backend, choice, &meant);
        snprintf(form, sizeof form, "%s%s", meant ? meant : "", meant && of_backend ? "@..." : "");
        return complain(reader, p, "%s, expected a metric such as answered, program_429 or p99%s",
                        found_at(p).text, hint_at(form).text);
    }
    reader->p += length;
    if (!of_backend)
        return true;
    reader->p++;
    return take_backend(reader, settings, choice);
}

static bool take_relation(struct reader *reader, enum drill_relation *relation) {
    const char *p = reader->p;
    size_t length = strspn(p, "<>=!");
    for (unsigned i = 0; i < sizeof relations / sizeof *relations; i++)
        if (same_text(relations[i], p, length) ||
            (i == DRILL_EQUAL && same_text("==", p, length))) {
            *relation = (enum drill_relation)i;
            reader->p += length;
            return true;
        }
    const char *meant = same_text("=<", p, length)   ? "<="
                        : same_text("=>", p, length) ? ">="
                        : same_text("<>", p, length) ? "!="
                                                     : NULL;
    if (length)
        return complain(reader, p, "found '%.*s', expected <, <=, =, !=, >= or >%s", (int)length, p,
                        hint_at(meant).text);
    return complain(reader, p, "%s, expected <, <=, =, !=, >= or >", found_at(p).text);
}

/* Digits with or without a fraction, and what is behind them. False if it is none. */
static bool take_number(const char *word, double *number, const char **unit) {
    char *end;
    if (*word < '0' || *word > '9' || strspn(word, "0123456789.") == 0)
        return false;
    *number = strtod(word, &end);
    *unit = end;
    return isfinite(*number);
}

/* What a value of UNIT looks like, and in MEANT what WORD might have been. */
static const char *describe(enum drill_unit unit, const char *word, char meant[64]) {
    double number = 0;
    const char *rest = "";
    bool is_number = take_number(word, &number, &rest);
    meant[0] = '\0';
    switch (unit) {
    case DRILL_SHARE:
        if (is_number && !*rest && number <= 100)
            snprintf(meant, 64, "%.20s%%", word);
        return "a share such as 99%";
    case DRILL_SECONDS:
        if (is_number && !*rest)
            snprintf(meant, 64, "%.20ss", word);
        return "a time such as 2s or 250ms";
    case DRILL_RATIO:
        return "a number such as 1.5";
    case DRILL_STATUS:
        return "an exit status, 0 to 255";
    default:
        if (is_number && (strchr(word, '.') || *rest) && number < 1e15)
            snprintf(meant, 64, "%.0f", number);
        return "a whole number";
    }
}

static bool value_of(enum drill_unit unit, const char *word, double *value) {
    uint64_t ns;
    const char *rest;
    switch (unit) {
    case DRILL_SECONDS:
        *value = settings_parse_duration(word, &ns) ? (double)ns / 1e9 : -1;
        return *value >= 0;
    case DRILL_SHARE:
        if (!take_number(word, value, &rest))
            return false;
        if (*rest)
            *value /= 100;
        return strcmp(rest, "%") == 0 || (!*rest && *value <= 1);
    case DRILL_RATIO:
        return take_number(word, value, &rest) && !*rest;
    default:
        return take_number(word, value, &rest) && !*rest && !strchr(word, '.');
    }
}

static bool take_value(struct reader *reader, const struct drill_metric *metric, double *value) {
    const char *p = reader->p;
    size_t length = strcspn(p, SPACES ",");
    char word[64], meant[64];
    snprintf(word, sizeof word, "%.*s", (int)length, p);
    if (length < sizeof word && value_of(metric->unit, word, value)) {
        reader->p += length;
        return true;
    }
    const char *expected = describe(metric->unit, word, meant);
    return complain(reader, p, "%s, expected %s%s", found_at(p).text, expected,
                    hint_at(meant).text);
}

/* What an expectation allows: both ends belong to it. */
struct range {
    double low, high;
};

static struct range range_of(const struct drill_expectation *e) {
    enum drill_unit unit = e->choice.metric->unit;
    bool whole = unit == DRILL_COUNT || unit == DRILL_STATUS;
    struct range range = {0, unit == DRILL_SHARE ? 1 : unit == DRILL_STATUS ? 255 : INFINITY};
    double below = whole ? e->value - 1 : nextafter(e->value, -INFINITY);
    double above = whole ? e->value + 1 : nextafter(e->value, INFINITY);
    if (e->relation == DRILL_AT_LEAST || e->relation == DRILL_EQUAL)
        range.low = fmax(range.low, e->value);
    if (e->relation == DRILL_AT_MOST || e->relation == DRILL_EQUAL)
        range.high = fmin(range.high, e->value);
    if (e->relation == DRILL_MORE)
        range.low = fmax(range.low, above);
    if (e->relation == DRILL_LESS)
        range.high = fmin(range.high, below);
    return range;
}

static bool same_name(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_choice(const struct drill_choice *a, const struct drill_choice *b) {
    return a->metric == b->metric && a->first == b->first && a->last == b->last &&
           same_name(a->endpoint, b->endpoint) && same_name(a->backend, b->backend);
}

/* Whether no value is good for both. */
static bool excludes(const struct drill_expectation *a, const struct drill_expectation *b) {
    struct range x = range_of(a), y = range_of(b);
    double low = fmax(x.low, y.low), high = fmin(x.high, y.high);
    bool one_value = !(low < high) && !(low > high);
    const struct drill_expectation *not = a->relation == DRILL_UNEQUAL ? a : b;
    return low > high || (one_value && not ->relation == DRILL_UNEQUAL &&
                          !(not ->value < low || not ->value > low));
}

static bool has_outage(const struct drill_facts *facts, bool with_end) {
    for (size_t i = 0; i < facts->fault_count; i++)
        if (facts->faults[i].outage && (!with_end || isfinite(facts->faults[i].end)))
            return true;
    return false;
}

static bool complain_of_range(const struct reader *reader, const struct drill_expectation *e,
                              bool below) {
    enum drill_unit unit = e->choice.metric->unit;
    char limit[64], meant[100];
    drill_metric_write(unit, below ? 0 : unit == DRILL_SHARE ? 1 : 255, limit, sizeof limit);
    size_t length = strcspn(e->text, SPACES "<>=!");
    snprintf(meant, sizeof meant, "%.*s %s %s", (int)length, e->text, below ? "=" : ">=", limit);
    return complain(reader, reader->start + e->position,
                    "found '%s', which can't be: it is at %s %s%s", e->text,
                    below ? "least" : "most", limit, hint_at(meant).text);
}

static bool check_possible(const struct reader *reader, const struct drill_expectations *all,
                           const struct drill_facts *facts) {
    const struct drill_expectation *e = &all->list[all->count - 1];
    const struct drill_metric *metric = e->choice.metric;
    const char *at = reader->start + e->position;
    struct range range = range_of(e);
    if (range.low > range.high || range.high < 0)
        return complain_of_range(reader, e, range.high < 0);
    if (metric->needs_outage && !has_outage(facts, metric->needs_end))
        return complain(reader, at, "found %s, but no fault %s, as 'ptu: 503 for 5s' %s",
                        metric->name, metric->needs_end ? "has an end in time" : "is one of time",
                        metric->needs_end ? "has" : "is");
    for (size_t i = 0; i + 1 < all->count; i++)
        if (same_choice(&all->list[i].choice, &e->choice) && excludes(&all->list[i], e))
            return complain(reader, at, "found '%s', which can't be together with '%s'", e->text,
                            all->list[i].text);
    return true;
}

static struct drill_expectation *add(struct drill_expectations *all) {
    struct drill_expectation *more = reallocarray(all->list, all->count + 1, sizeof *all->list);
    if (!more)
        return NULL;
    all->list = more;
    return memset(&more[all->count++], 0, sizeof *more);
}

static void skip_spaces(struct reader *reader) {
    reader->p += strspn(reader->p, SPACES);
}

static bool take_expectation(struct reader *reader, const struct settings *settings,
                             const struct drill_facts *facts, struct drill_expectations *all) {
    struct drill_expectation *e = add(all);
    const char *begin = reader->p;
    if (!e)
        return complain(reader, begin, "out of memory");
    e->position = (size_t)(begin - reader->start);
    if (!take_metric(reader, settings, &e->choice))
        return false;
    skip_spaces(reader);
    if (!take_relation(reader, &e->relation))
        return false;
    skip_spaces(reader);
    if (!take_value(reader, e->choice.metric, &e->value))
        return false;
    e->text = strndup(begin, (size_t)(reader->p - begin));
    return e->text ? check_possible(reader, all, facts) : complain(reader, begin, "out of memory");
}

bool drill_expect_parse(const char *list, const struct settings *settings,
                        const struct drill_facts *facts, struct drill_expectations *out,
                        char *message, size_t size) {
    struct reader reader = {list, list, message, size};
    bool good, more;
    *out = (struct drill_expectations){0};
    do {
        skip_spaces(&reader);
        good = take_expectation(&reader, settings, facts, out);
        skip_spaces(&reader);
        more = good && *reader.p == ',';
        reader.p += more;
    } while (more);
    if (good && *reader.p)
        good = complain(&reader, reader.p, "%s, expected ',' and another expectation",
                        found_at(reader.p).text);
    if (!good)
        drill_expect_free(out);
    return good;
}

static bool compare(enum drill_relation relation, double a, double b) {
    switch (relation) {
    case DRILL_LESS:
        return a < b;
    case DRILL_AT_MOST:
        return a <= b;
    case DRILL_EQUAL:
        return a >= b && a <= b;
    case DRILL_UNEQUAL:
        return a < b || a > b;
    case DRILL_AT_LEAST:
        return a >= b;
    default:
        return a > b;
    }
}

bool drill_expect_check(struct drill_expectations *expectations, const struct drill_record *record,
                        const struct drill_figures *figures, const struct drill_facts *facts) {
    bool all = true;
    for (size_t i = 0; i < expectations->count; i++) {
        struct drill_expectation *e = &expectations->list[i];
        e->actual = drill_metric_value(&e->choice, record, figures, facts);
        e->met = e->actual >= 0 && compare(e->relation, e->actual, e->value);
        all &= e->met;
    }
    return all;
}

void drill_expect_free(struct drill_expectations *expectations) {
    for (size_t i = 0; i < expectations->count; i++)
        free(expectations->list[i].text);
    free(expectations->list);
    *expectations = (struct drill_expectations){0};
}
