#include "shim/pool/cooldown.h"

#include <string.h>

/*
 * Everything here is read by hand: strtod() and strptime() follow the locale of the program that
 * we are a guest in, strncasecmp() does in Turkish, and timegm() takes the time zone's lock.
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
    const char *name;
    unsigned factor;
    int exponent;
};

static const struct unit seconds = {"s", 1, 9};
static const struct unit milliseconds = {"ms", 1, 6};

/* Go's notation, which OpenAI's headers have, and the words of Azure's sentences. */
static const struct unit units[] = {
    {"s", 1, 9},        {"ms", 1, 6},
    {"m", 6, 10},       {"h", 36, 11},
    {"d", 864, 11},     {"us", 1, 3},
    {"\xc2\xb5s", 1, 3} /* micro sign */,
    {"ns", 1, 0},       {"seconds", 1, 9},
    {"second", 1, 9},   {"secs", 1, 9},
    {"sec", 1, 9},      {"milliseconds", 1, 6},
    {"minutes", 6, 10}, {"millisecond", 1, 6},
    {"minute", 6, 10},  {"mins", 6, 10},
    {"min", 6, 10},     {"hours", 36, 11},
    {"hour", 36, 11},   {"days", 864, 11},
    {"day", 864, 11},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool starts_with_digit(const struct cursor *text)
{
    return text->at < text->end && is_digit(*text->at);
}

/* Goes past WORD, which is in lower case, if the text starts with it in any case. */
static bool skip(struct cursor *text, const char *word)
{
    const char *at = text->at;
    for (; *word != '\0'; word++, at++) {
        if (at == text->end || lower(*at) != *word)
            return false;
    }
    text->at = at;
    return true;
}

/* Line ends are blanks: they are what follows a value, or what it was folded with. */
static void skip_blanks(struct cursor *text)
{
    while (text->at < text->end &&
           (*text->at == ' ' || *text->at == '\t' || *text->at == '\r' || *text->at == '\n'))
        text->at++;
}

/* ---- times ---- */

static void take_digits(struct cursor *text, struct number *number, bool fraction)
{
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

static void take_exponent(struct cursor *text, struct number *number)
{
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

static bool read_number(struct cursor *text, struct number *number)
{
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

static const struct unit *read_unit(struct cursor *text)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct cursor ahead = *text;
        if (skip(&ahead, units[i].name) && (ahead.at == ahead.end || !is_letter(*ahead.at))) {
            *text = ahead;
            return &units[i];
        }
    }
    return NULL;
}

/* Rounds up, since a backend is not to be used early; UINT64_MAX stands for all that is more. */
static uint64_t to_nanoseconds(const struct number *number, const struct unit *unit)
{
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

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/*
 * Reads `6m0s`, `20ms`, `1.5`. A number without a unit is one of BARE. Without BARE the text is
 * a sentence: units are required, and blanks may stand between the parts ("1 minute 5 seconds").
 * A negative time is zero, that is: now.
 */
static bool read_time(struct cursor *text, const struct unit *bare, uint64_t *time)
{
    bool negative = skip(text, "-");
    uint64_t total = 0;
    struct cursor ahead = *text;
    bool adjacent = true; /* to the part before, which makes this one a part of the same word */
    do {
        struct number number;
        if (!read_number(&ahead, &number))
            return false;
        bool first = ahead.at > text->at && total == 0 && adjacent;
        if (bare == NULL)
            skip_blanks(&ahead);
        const struct unit *unit = read_unit(&ahead);
        (void)first;
        if (unit == NULL)
            return false;
        total = add(total, to_nanoseconds(&number, unit));
        *text = ahead;
    } while (starts_with_digit(&ahead));
    *time = negative ? 0 : total;
    return true;
}
