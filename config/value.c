#include "config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

struct unit {
    const char *name;
    uint64_t size;
};

static const struct unit time_units[] = {{"h", UINT64_C(3600000000000)},
                                         {"m", UINT64_C(60000000000)},
                                         {"s", UINT64_C(1000000000)},
                                         {"ms", UINT64_C(1000000)}};
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"B", 1}};
#define UNITS 4

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads digits at *TEXT and moves past them. False if there are none, or too many. */
static bool take_digits(const char **text, uint64_t *number) {
    uint64_t value = 0;
    const char *p = *text;
    for (; is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    bool any = p > *text;
    *text = p;
    *number = value;
    return any;
}

static const struct unit *find_unit(const struct unit *units, const char *name) {
    for (size_t i = 0; i < UNITS; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

bool value_parse_number(const char *text, uint64_t *number) {
    const char *p = text;
    if (text[0] == '0' && text[1] != '\0')
        return false;
    return take_digits(&p, number) && *p == '\0';
}

bool settings_parse_duration(const char *text, uint64_t *ns) {
    uint64_t whole, part = 0;
    const char *p = text;
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (!take_digits(&p, &whole))
        return false;
    const char *fraction = *p == '.' ? p + 1 : NULL;
    if (fraction) {
        for (p = fraction; is_digit(*p); p++) {
        }
        if (p == fraction)
            return false;
    }
    const struct unit *unit = find_unit(time_units, p);
    if (!unit)
        return false;
    uint64_t place = unit->size / 10;
    for (const char *digit = fraction; digit && digit < p; digit++, place /= 10)
        part += (uint64_t)(*digit - '0') * place;
    return !__builtin_mul_overflow(whole, unit->size, &whole) &&
           !__builtin_add_overflow(whole, part, ns);
}

bool value_parse_size(const char *text, uint64_t *bytes) {
    uint64_t count;
    const char *p = text;
    if (!take_digits(&p, &count))
        return false;
    const struct unit *unit = find_unit(size_units, *p ? p : "B");
    return unit && !__builtin_mul_overflow(count, unit->size, bytes);
}

bool value_parse_word(const char *const *words, const char *text, unsigned *place) {
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *place = i;
            return true;
        }
    }
    return false;
}

static void add_statuses(struct retry_on *outcomes, unsigned first, unsigned count) {
    for (unsigned status = first; status < first + count; status++)
        outcomes->status[status / 64] |= UINT64_C(1) << (status % 64);
}

bool value_parse_outcome(const char *text, struct retry_on *outcomes) {
    uint64_t status;
    if (strcmp(text, "connect") == 0)
        outcomes->connect = true;
    else if (strcmp(text, "reset") == 0)
        outcomes->reset = true;
    else if (strcmp(text, "timeout") == 0)
        outcomes->timeout = true;
    else if (strcmp(text, "4xx") == 0)
        add_statuses(outcomes, 400, 100);
    else if (strcmp(text, "5xx") == 0)
        add_statuses(outcomes, 500, 100);
    else if (value_parse_number(text, &status) && status >= 100 && status <= 599)
        add_statuses(outcomes, (unsigned)status, 1);
    else
        return false;
    return true;
}

/* Appends to the terminated text in OUT. */
__attribute__((format(printf, 3, 4))) static void append(char *out, size_t size, const char *format,
                                                         ...) {
    size_t used = strnlen(out, size);
    va_list arguments;
    va_start(arguments, format);
    if (used < size)
        vsnprintf(out + used, size - used, format, arguments);
    va_end(arguments);
}

void value_write_duration(uint64_t ns, char *out, size_t size) {
    for (size_t i = 0; ns > 0 && i < UNITS; i++) {
        if (ns % time_units[i].size == 0) {
            snprintf(out, size, "%" PRIu64 "%s", ns / time_units[i].size, time_units[i].name);
            return;
        }
    }
    if (ns == 0) {
        snprintf(out, size, "0");
        return;
    }
    snprintf(out, size, "%" PRIu64 ".%06" PRIu64, ns / 1000000, ns % 1000000);
    size_t length = strnlen(out, size);
    while (length > 0 && out[length - 1] == '0')
        out[--length] = '\0';
    append(out, size, "ms");
}

void value_write_size(uint64_t bytes, char *out, size_t size) {
    for (size_t i = 0; i < UNITS; i++) {
        if (bytes % size_units[i].size == 0 && (bytes > 0 || size_units[i].size == 1)) {
            snprintf(out, size, "%" PRIu64 "%s", bytes / size_units[i].size, size_units[i].name);
            return;
        }
    }
}

static bool has_status(const struct retry_on *outcomes, unsigned status) {
    return outcomes->status[status / 64] >> (status % 64) & 1;
}

static bool has_class(const struct retry_on *outcomes, unsigned first) {
    for (unsigned status = first; status < first + 100; status++)
        if (!has_status(outcomes, status))
            return false;
    return true;
}

void value_write_outcomes(const struct retry_on *outcomes, char *out, size_t size) {
    const char *comma = "";
    if (size == 0)
        return;
    out[0] = '\0';
    for (unsigned status = 100; status < 600; status++) {
        bool whole = (status == 400 || status == 500) && has_class(outcomes, status);
        if (whole) {
            append(out, size, "%s%uxx", comma, status / 100);
            status += 99;
        } else if (has_status(outcomes, status)) {
            append(out, size, "%s%u", comma, status);
        } else {
            continue;
        }
        comma = ", ";
    }
    const char *const names[] = {outcomes->connect ? "connect" : NULL,
                                 outcomes->reset ? "reset" : NULL,
                                 outcomes->timeout ? "timeout" : NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i]) {
            append(out, size, "%s%s", comma, names[i]);
            comma = ", ";
        }
    }
}

void value_write_words(const char *const *words, char *out, size_t size) {
    if (size == 0)
        return;
    out[0] = '\0';
    for (size_t i = 0; words[i]; i++)
        append(out, size, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

bool value_has_control(const char *text) {
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7F)
            return true;
    }
    return false;
}

bool settings_parse_log_level(const char *text, enum log_level *level) {
    unsigned place;
    if (!value_parse_word(schema_levels, text, &place))
        return false;
    *level = (enum log_level)place;
    return true;
}

const char *settings_strategy_name(enum strategy strategy) {
    return schema_strategies[strategy];
}

const char *settings_dialect_name(enum dialect dialect) {
    return schema_dialects[dialect];
}

const char *settings_exhausted_name(enum exhausted_policy policy) {
    return schema_exhausted[policy];
}
