#include "shim/pool/cooldown.h"

#include <string.h>

#include "shim/pool/http_date.h"

/*
 * Everything here is read by hand: strtod() follows the locale of the program that we are a guest
 * in (a comma for the point), and so does strncasecmp() (the Turkish i).
 */

struct cursor {
    const char *at;
    const char *end;
};

/* DIGITS times ten to the EXPONENT; `more` if digits were cut off that are not zero. */
struct number {
    uint64_t digits;
    int64_t exponent;
    bool more;
};

/* FACTOR times ten to the EXPONENT nanoseconds; kept apart so that 59.56s is exact. */
struct unit {
    unsigned factor;
    int exponent;
    const char *names[5]; /* NULL after the last, if there are fewer */
};

/* Go's notation, which OpenAI's headers have, and the words of Azure's sentences; frequent first.
 */
static const struct unit units[] = {
    {1, 9, {"s", "sec", "secs", "second", "seconds"}},
    {1, 6, {"ms", "millisecond", "milliseconds"}},
    {6, 10, {"m", "min", "mins", "minute", "minutes"}},
    {36, 11, {"h", "hour", "hours"}},
    {864, 11, {"d", "day", "days"}},
    {1, 3, {"us", "\xc2\xb5s"}}, /* Go writes the micro sign */
    {1, 0, {"ns"}},
};
static const struct unit seconds = {1, 9, {NULL}};
static const struct unit milliseconds = {1, 6, {NULL}};

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool starts_with_digit(const struct cursor *text) {
    return text->at < text->end && is_digit(*text->at);
}

/* Goes past WORD, which is in lower case, if the text starts with it in any case. */
static bool skip(struct cursor *text, const char *word) {
    const char *at = text->at;
    for (; *word != '\0'; word++, at++) {
        if (at == text->end || lower(*at) != *word)
            return false;
    }
    text->at = at;
    return true;
}

/* Line ends are blanks: they are what follows a value, or what it was folded with. */
static void skip_blanks(struct cursor *text) {
    while (text->at < text->end &&
           (*text->at == ' ' || *text->at == '\t' || *text->at == '\r' || *text->at == '\n'))
        text->at++;
}

/* ---- times ---- */

static void take_digits(struct cursor *text, struct number *number, bool fraction) {
    for (; starts_with_digit(text); text->at++) {
        unsigned digit = (unsigned)(*text->at - '0');
        if (number->digits > (UINT64_MAX - 9) / 10) {
            number->more |= digit != 0;
            number->exponent += !fraction;
        } else {
            number->digits = number->digits * 10 + digit;
            number->exponent -= fraction;
        }
    }
}

static void take_exponent(struct cursor *text, struct number *number) {
    struct cursor ahead = *text;
    if (!skip(&ahead, "e"))
        return;
    bool negative = skip(&ahead, "-");
    if (!negative)
        skip(&ahead, "+");
    if (!starts_with_digit(&ahead))
        return;
    int64_t exponent = 0;
    for (; starts_with_digit(&ahead); ahead.at++) {
        if (exponent < INT32_MAX)
            exponent = exponent * 10 + (*ahead.at - '0');
    }
    number->exponent += negative ? -exponent : exponent;
    *text = ahead;
}

static bool read_number(struct cursor *text, struct number *number) {
    *number = (struct number){0};
    const char *start = text->at;
    take_digits(text, number, false);
    size_t length = (size_t)(text->at - start);
    if (skip(text, ".")) {
        start = text->at;
        take_digits(text, number, true);
        length += (size_t)(text->at - start);
    }
    if (length == 0)
        return false;
    take_exponent(text, number);
    return true;
}

/* Goes past NAME if it is a whole word. */
static bool skip_word(struct cursor *text, const char *name) {
    struct cursor ahead = *text;
    if (!skip(&ahead, name) || (ahead.at < ahead.end && is_letter(*ahead.at)))
        return false;
    *text = ahead;
    return true;
}

static const struct unit *read_unit(struct cursor *text) {
    if (text->at == text->end)
        return NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        for (size_t name = 0; name < 5 && units[i].names[name] != NULL; name++) {
            if (skip_word(text, units[i].names[name]))
                return &units[i];
        }
    }
    return NULL;
}

/* Rounds up, since a backend is not to be used early; UINT64_MAX stands for all that is more. */
static uint64_t to_nanoseconds(const struct number *number, const struct unit *unit) {
    uint64_t digits = number->digits;
    int64_t exponent = number->exponent + unit->exponent;
    bool more = number->more;
    uint64_t value;
    while (__builtin_mul_overflow(digits, (uint64_t)unit->factor, &value)) {
        more |= digits % 10 != 0;
        digits /= 10;
        exponent++;
    }
    for (; exponent > 0 && value != 0; exponent--) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value))
            return UINT64_MAX;
    }
    for (; exponent < 0 && value != 0; exponent++) {
        more |= value % 10 != 0;
        value /= 10;
    }
    return more && value < UINT64_MAX ? value + 1 : value;
}

static uint64_t add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/*
 * Reads `6m0s`, `20ms`, `1.5`, "1 minute 5 seconds". A number without a unit is one of BARE, or
 * no time at all if BARE is NULL. What is negative is in the past, so it is zero: now.
 */
static bool read_time(struct cursor *text, const struct unit *bare, uint64_t *time) {
    bool negative = skip(text, "-");
    const struct unit *unit;
    *time = 0;
    do {
        struct number number;
        if (!read_number(text, &number))
            return false;
        skip_blanks(text);
        unit = read_unit(text);
        if (unit == NULL && bare == NULL)
            return false;
        *time = add(*time, to_nanoseconds(&number, unit != NULL ? unit : bare));
        if (unit != NULL)
            skip_blanks(text);
        bare = NULL; /* a number alone is no part of a longer time */
    } while (unit != NULL && starts_with_digit(text));
    if (negative)
        *time = 0;
    return true;
}

static bool read_date(struct cursor *text, time_t *date) {
    size_t length = http_date_read(text->at, (size_t)(text->end - text->at), date);
    text->at += length;
    return length > 0;
}

/* ---- header fields: each value is a list, as what was sent twice may have been joined ---- */

/* Goes to the next element; false if there is none. */
static bool next_element(struct cursor *list) {
    for (;; list->at++) {
        skip_blanks(list);
        if (list->at == list->end)
            return false;
        if (*list->at != ',')
            return true;
    }
}

/* Whether the element is over, so that nothing unread follows. If not, goes to its end. */
static bool ends_element(struct cursor *list) {
    skip_blanks(list);
    if (list->at == list->end || *list->at == ',')
        return true;
    const char *comma = memchr(list->at, ',', (size_t)(list->end - list->at));
    list->at = comma != NULL ? comma : list->end;
    return false;
}

static bool read_element(struct cursor *list, const struct unit *bare, uint64_t *time) {
    bool read = read_time(list, bare, time);
    return ends_element(list) && read;
}

static bool read_date_element(struct cursor *list, time_t *date) {
    bool read = read_date(list, date);
    return ends_element(list) && read;
}

static void keep_later(bool *has, uint64_t *kept, uint64_t time) {
    if (!*has || time > *kept)
        *kept = time;
    *has = true;
}

static void note_retry_after_ms(struct cursor value, struct cooldown_hints *hints) {
    uint64_t time;
    while (next_element(&value)) {
        if (read_element(&value, &milliseconds, &time))
            keep_later(&hints->has_retry_after_ms, &hints->retry_after_ms, time);
    }
}

static void note_retry_after(struct cursor value, struct cooldown_hints *hints) {
    uint64_t time;
    time_t date;
    while (next_element(&value)) {
        if (!is_letter(*value.at)) {
            if (read_element(&value, &seconds, &time))
                keep_later(&hints->has_retry_after, &hints->retry_after, time);
        } else if (read_date_element(&value, &date)) {
            if (!hints->has_retry_date || date > hints->retry_date)
                hints->retry_date = date;
            hints->has_retry_date = true;
        }
    }
}

/* Of two the earlier one is kept: it makes for the later deadline. */
static void note_date(struct cursor value, struct cooldown_hints *hints) {
    time_t date;
    while (next_element(&value)) {
        if (read_date_element(&value, &date)) {
            if (!hints->has_date || date < hints->date)
                hints->date = date;
            hints->has_date = true;
        }
    }
}

/* Azure sends 0 and -1 where it has nothing to say, so these are absent. */
static void note_reset(struct cursor value, bool *has, uint64_t *kept) {
    uint64_t time;
    while (next_element(&value)) {
        if (read_element(&value, &seconds, &time) && time > 0)
            keep_later(has, kept, time);
    }
}

static void note_reset_requests(struct cursor value, struct cooldown_hints *hints) {
    note_reset(value, &hints->has_reset_requests, &hints->reset_requests);
}

static void note_reset_tokens(struct cursor value, struct cooldown_hints *hints) {
    note_reset(value, &hints->has_reset_tokens, &hints->reset_tokens);
}

static void note_remaining(struct cursor value, bool *spent) {
    while (next_element(&value)) {
        struct number count;
        bool negative = skip(&value, "-");
        bool read = read_number(&value, &count);
        if (ends_element(&value) && read && (negative || count.digits == 0))
            *spent = true;
    }
}

static void note_remaining_requests(struct cursor value, struct cooldown_hints *hints) {
    note_remaining(value, &hints->requests_spent);
}

static void note_remaining_tokens(struct cursor value, struct cooldown_hints *hints) {
    note_remaining(value, &hints->tokens_spent);
}

static const struct {
    const char *name;
    size_t length;
    void (*note)(struct cursor value, struct cooldown_hints *hints);
} fields[] = {
#define NAME(text) text, sizeof(text) - 1
    {NAME("date:"), note_date},
    {NAME("retry-after:"), note_retry_after},
    {NAME("retry-after-ms:"), note_retry_after_ms},
    {NAME("x-ms-retry-after-ms:"), note_retry_after_ms},
    {NAME("x-ratelimit-reset-tokens:"), note_reset_tokens},
    {NAME("x-ratelimit-reset-requests:"), note_reset_requests},
    {NAME("x-ratelimit-remaining-tokens:"), note_remaining_tokens},
    {NAME("x-ratelimit-remaining-requests:"), note_remaining_requests},
    {NAME("x-rate-limit-reset-tokens:"), note_reset_tokens},
    {NAME("x-rate-limit-reset-requests:"), note_reset_requests},
    {NAME("x-rate-limit-remaining-tokens:"), note_remaining_tokens},
    {NAME("x-rate-limit-remaining-requests:"), note_remaining_requests},
#undef NAME
};

/*
 * Four characters of a field's name as one number, in lower case. Compilers make it one load.
 * (Control characters fall together with others; no field's name has any.)
 */
static inline uint32_t four(const char *text) {
    const unsigned char *byte = (const unsigned char *)text;
    uint32_t word = (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 |
                    (uint32_t)byte[3] << 24;
    return word | 0x20202020;
}

/* LENGTH is at least four. */
static bool is_name(const char *text, const char *name, size_t length) {
    for (size_t i = 0; i + 4 < length; i += 4) {
        if (four(text + i) != four(name + i))
            return false;
    }
    return four(text + length - 4) == four(name + length - 4);
}

/* A line that may be one of ours; kept out of cooldown_header(), which then needs no stack. */
__attribute__((noinline)) static void note_line(struct cooldown_hints *hints, const char *line,
                                                size_t length) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t end = fields[i].length;
        if (length >= end && line[end - 1] == ':' && is_name(line, fields[i].name, end)) {
            fields[i].note((struct cursor){line + end, line + length}, hints);
            return;
        }
    }
}

void cooldown_reset(struct cooldown_hints *hints) {
    *hints = (struct cooldown_hints){0};
}

void cooldown_header(struct cooldown_hints *hints, const char *line, size_t length) {
    if (length < sizeof "date:")
        return;
    uint32_t start = four(line);
    if (start == four("x-ra")) {
        /* x-ratelimit-r* and x-rate-limit-r*: as many lines say x-ratelimit-limit-* */
        if (length < sizeof "x-ratelimit-reset-tokens:" ||
            ((line[12] | 0x20) != 'r' && (line[13] | 0x20) != 'r'))
            return;
    } else if (start == four("x-ms")) {
        if (length < sizeof "x-ms-retry-after-ms:" || (line[7] | 0x20) != 't')
            return;
    } else if (start != four("retr") && start != four("date")) {
        return;
    }
    note_line(hints, line, length);
}

/* ---- bodies ---- */

static struct cursor start_of_body(const char *body, size_t length) {
    if (body == NULL)
        return (struct cursor){NULL, NULL};
    return (struct cursor){body,
                           body + (length < COOLDOWN_BODY_LIMIT ? length : COOLDOWN_BODY_LIMIT)};
}

/* Goes past the next PHRASE, which is in lower case; false if there is none. */
static bool find(struct cursor *text, const char *phrase) {
    for (; text->at < text->end; text->at++) {
        if (lower(*text->at) == *phrase && skip(text, phrase))
            return true;
    }
    return false;
}

static bool body_says(const char *body, size_t length, const char *phrase) {
    struct cursor text = start_of_body(body, length);
    return find(&text, phrase);
}

static bool time_after(const char *body, size_t length, const char *phrase, uint64_t *time) {
    struct cursor text = start_of_body(body, length);
    while (find(&text, phrase)) {
        struct cursor ahead = text;
        skip_blanks(&ahead);
        /* What the limit cuts may have gone on: "20m" as "20ms". */
        if (read_time(&ahead, NULL, time) && (ahead.at < ahead.end || length < COOLDOWN_BODY_LIMIT))
            return true;
    }
    return false;
}

enum cooldown_kind cooldown_kind(const char *body, size_t length) {
    static const char *const quota[] = {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
    };
    for (size_t i = 0; i < sizeof quota / sizeof quota[0]; i++) {
        if (body_says(body, length, quota[i]))
            return COOLDOWN_QUOTA;
    }
    return body_says(body, length, "request too large") ? COOLDOWN_TOO_LARGE : COOLDOWN_NORMAL;
}

/* ---- the decision ---- */

bool cooldown_has_time(const struct cooldown_hints *hints) {
    return hints->has_retry_after_ms || hints->has_retry_after || hints->has_retry_date ||
           hints->has_reset_requests || hints->has_reset_tokens;
}

static uint64_t time_until(time_t date, time_t now) {
    static const uint64_t second = 1000000000;
    if (date <= now)
        return 0;
    uint64_t distance = (uint64_t)date - (uint64_t)now;
    return distance < UINT64_MAX / second ? distance * second : UINT64_MAX;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* A bucket is full again after its reset; only an empty one is worth waiting for. */
static uint64_t time_to_reset(const struct cooldown_hints *hints) {
    uint64_t requests = hints->has_reset_requests ? hints->reset_requests : 0;
    uint64_t tokens = hints->has_reset_tokens ? hints->reset_tokens : 0;
    uint64_t spent = larger(hints->requests_spent ? requests : 0, hints->tokens_spent ? tokens : 0);
    return spent > 0 ? spent : larger(requests, tokens);
}

static uint64_t time_in_headers(const struct cooldown_hints *hints, time_t wall) {
    if (hints->has_retry_after_ms)
        return hints->retry_after_ms;
    if (!hints->has_retry_after && !hints->has_retry_date)
        return time_to_reset(hints);
    uint64_t time = hints->has_retry_after ? hints->retry_after : 0;
    if (!hints->has_retry_date)
        return time;
    return larger(time, time_until(hints->retry_date, hints->has_date ? hints->date : wall));
}

static bool time_in_body(const char *body, size_t length, uint64_t *time) {
    return time_after(body, length, "retry after", time) ||
           time_after(body, length, "try again in", time);
}

bool cooldown_is_named(const struct cooldown_hints *hints, const char *body, size_t length) {
    uint64_t time;
    return cooldown_has_time(hints) || time_in_body(body, length, &time);
}

uint64_t cooldown_duration(const struct cooldown_hints *hints, const char *body, size_t length,
                           time_t wall, uint64_t default_ns, uint64_t max_ns) {
    uint64_t time;
    if (cooldown_has_time(hints))
        time = time_in_headers(hints, wall);
    else if (!time_in_body(body, length, &time))
        time = default_ns;
    return time < max_ns ? time : max_ns;
}
