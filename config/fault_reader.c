#include "config/fault_reader.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/settings.h"
#include "config/value.h"

#define NUMBER_MAX  1000000000
#define FOUND_SHOWN 30

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t word_length(const char *text) {
    return strcspn(text, " \t,");
}

/* How many of LENGTH bytes at TEXT a message shows: no part of a character. */
static size_t shown(const char *text, size_t length) {
    if (length <= FOUND_SHOWN)
        return length;
    length = FOUND_SHOWN;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return length;
}

static void fail(struct fault_reader *reader, const char *place, const char *found, size_t length,
                 const char *expected, const char *meant) {
    struct fault_error *error = reader->error;
    char quoted[FOUND_SHOWN + 8] = "the end", question[80] = "";
    size_t some = shown(found, length);
    if (length > 0)
        snprintf(quoted, sizeof quoted, "'%.*s%s'", (int)some, found, some < length ? "..." : "");
    for (char *c = quoted; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    if (meant)
        snprintf(question, sizeof question, "; did you mean '%s'?", meant);
    error->column = (size_t)(place - reader->start) + 1;
    snprintf(error->message, sizeof error->message, "found %s, expected %s%s", quoted, expected,
             question);
}

bool fault_fail(struct fault_reader *reader, const char *place, const char *expected,
                const char *meant) {
    size_t length = word_length(place);
    fail(reader, place, place, length ? length : (size_t)(*place != '\0'), expected, meant);
    return false;
}

bool fault_fail_name(struct fault_reader *reader, const char *place, const char *name,
                     const char *expected, const char *meant) {
    fail(reader, place, name, strlen(name), expected, meant);
    return false;
}

void fault_skip_blanks(struct fault_reader *reader) {
    reader->at += strspn(reader->at, " \t,");
}

size_t fault_peek(struct fault_reader *reader) {
    fault_skip_blanks(reader);
    return word_length(reader->at);
}

static bool is_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static bool is_one_of(const char *text, size_t length, const char *const *words) {
    for (; *words; words++)
        if (is_word(text, length, *words))
            return true;
    return false;
}

bool fault_sees(struct fault_reader *reader, const char *word) {
    size_t length = fault_peek(reader);
    return is_word(reader->at, length, word);
}

bool fault_take_words(struct fault_reader *reader, const char *words) {
    struct fault_reader ahead = *reader;
    while (*words) {
        size_t length = fault_peek(&ahead), wanted = strcspn(words, " ");
        if (length != wanted || strncasecmp(ahead.at, words, length) != 0)
            return false;
        ahead.at += length;
        words += wanted;
        words += *words == ' ';
    }
    reader->at = ahead.at;
    return true;
}

/* The value of the digits at TEXT, and how many they are; 0 if none, or too many. */
static size_t read_digits(const char *text, uint64_t *number) {
    size_t length = 0;
    *number = 0;
    for (; is_digit(text[length]); length++) {
        *number = *number * 10 + (uint64_t)(text[length] - '0');
        if (*number > NUMBER_MAX)
            return 0;
    }
    return length;
}

bool fault_take_number(struct fault_reader *reader, uint64_t *number) {
    size_t length = fault_peek(reader);
    size_t digits = read_digits(reader->at, number);
    if (digits == 0 || digits != length)
        return false;
    reader->at += length;
    return true;
}

static bool take_one_of(struct fault_reader *reader, const char *const *words) {
    size_t length = fault_peek(reader);
    if (!is_one_of(reader->at, length, words))
        return false;
    reader->at += length;
    return true;
}

static const char *const attempts[] = {"attempts", "attempt", "requests", "request",
                                       "times",    "time",    NULL};

bool fault_take_ordinal(struct fault_reader *reader, uint64_t *number) {
    static const char *const endings[] = {"", "st", "nd", "rd", "th", NULL};
    size_t length = fault_peek(reader);
    size_t digits = read_digits(reader->at, number);
    if (digits == 0 || !is_one_of(reader->at + digits, length - digits, endings))
        return false;
    reader->at += length;
    take_one_of(reader, attempts);
    return true;
}

/* The unit of time that the LENGTH bytes at TEXT name, as the settings write it; or NULL. */
static const char *unit_of(const char *text, size_t length) {
    static const char *const names[][8] = {{"ms", "ms", "millisecond", "milliseconds", NULL},
                                           {"s", "s", "sec", "secs", "second", "seconds", NULL},
                                           {"m", "m", "min", "mins", "minute", "minutes", NULL},
                                           {"h", "h", "hr", "hour", "hours", NULL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_one_of(text, length, names[i] + 1))
            return names[i][0];
    return NULL;
}

bool fault_take_duration(struct fault_reader *reader, uint64_t *ns) {
    struct fault_reader ahead = *reader;
    char text[48], count[24] = "1";
    size_t length = fault_peek(&ahead);
    const char *word = ahead.at;
    bool article = is_word(word, length, "a") || is_word(word, length, "an");
    size_t digits = article ? length : strspn(word, "0123456789.");
    if (digits == 0 || digits >= sizeof count || digits > length)
        return false;
    if (!article)
        snprintf(count, sizeof count, "%.*s", (int)digits, word);
    ahead.at += digits;
    if (digits == length)
        length = fault_peek(&ahead); /* the unit is a word of its own */
    else
        length -= digits;
    const char *unit = unit_of(ahead.at, length);
    snprintf(text, sizeof text, "%s%s", count, unit ? unit : "");
    if (!unit || !settings_parse_duration(text, ns))
        return false;
    ahead.at += length;
    reader->at = ahead.at;
    return true;
}

bool fault_take_amount(struct fault_reader *reader, struct fault_amount *amount) {
    struct fault_reader ahead = *reader;
    amount->is_time = fault_take_duration(reader, &amount->value);
    if (amount->is_time)
        return true;
    if (!fault_take_number(&ahead, &amount->value) || !take_one_of(&ahead, attempts))
        return false;
    reader->at = ahead.at;
    return true;
}

bool fault_take_bytes(struct fault_reader *reader, uint64_t *bytes) {
    static const char *const units[] = {"bytes", "byte", "b", NULL};
    struct fault_reader ahead = *reader;
    uint64_t ns;
    char text[24];
    size_t length = fault_peek(&ahead);
    if (length == 0 || length >= sizeof text || !is_digit(*ahead.at))
        return false;
    memcpy(text, ahead.at, length);
    text[length] = '\0';
    if (fault_take_duration(&ahead, &ns) || !value_parse_size(text, bytes))
        return false;
    ahead.at += length;
    if (!take_one_of(&ahead, units) && take_one_of(&ahead, attempts))
        return false;
    reader->at = ahead.at;
    return true;
}

bool fault_sees_rate(struct fault_reader *reader) {
    struct fault_reader ahead = *reader;
    size_t length = fault_peek(&ahead);
    size_t digits = strspn(ahead.at, "0123456789.");
    if (digits == 0 || digits > length)
        return false;
    ahead.at += digits;
    return *ahead.at == '%' || fault_sees(&ahead, "%") || fault_sees(&ahead, "percent");
}

bool fault_take_rate(struct fault_reader *reader, uint32_t *ppm) {
    static const char *const things[] = {"attempts", "requests", NULL};
    struct fault_reader ahead = *reader;
    uint64_t whole = 0, part = 0;
    fault_skip_blanks(&ahead);
    size_t digits = read_digits(ahead.at, &whole);
    ahead.at += digits;
    if (digits == 0 || whole > 100)
        return false;
    if (*ahead.at == '.') {
        digits = read_digits(++ahead.at, &part);
        ahead.at += digits;
        if (digits == 0 || digits > 4)
            return false;
        for (; digits < 4; digits++)
            part *= 10;
    }
    whole = whole * 10000 + part;
    if (!fault_take_words(&ahead, "%") && !fault_take_words(&ahead, "percent"))
        return false;
    if (whole == 0 || whole > 1000000)
        return false;
    reader->at = ahead.at;
    *ppm = (uint32_t)whole;
    if (fault_take_words(&ahead, "of") &&
        (fault_take_words(&ahead, "the") || fault_take_words(&ahead, "all") || true) &&
        take_one_of(&ahead, things))
        reader->at = ahead.at;
    return true;
}

static bool is_token_character(char c) {
    return is_letter(c) || is_digit(c) || (c && strchr("!#$%&+-.^_`|~", c));
}

enum fault_pair_result fault_take_pair(struct fault_reader *reader, struct fault_pair *pair) {
    fault_skip_blanks(reader);
    const char *c = reader->at;
    pair->name = c;
    while (is_token_character(*c))
        c++;
    pair->name_length = (size_t)(c - pair->name);
    if (*c++ != '=' || pair->name_length == 0)
        return FAULT_NO_PAIR;
    pair->value = c;
    if (*c == '"' || *c == '\'') {
        const char *end = strchr(c + 1, *c);
        if (!end) {
            fault_fail(reader, c, "a closing quote", NULL);
            return FAULT_PAIR_WRONG;
        }
        pair->value++;
        pair->value_length = (size_t)(end - pair->value);
        reader->at = end + 1;
    } else {
        pair->value_length = strcspn(c, " \t");
        while (pair->value_length > 0 && c[pair->value_length - 1] == ',')
            pair->value_length--; /* between two options */
        reader->at = c + pair->value_length;
    }
    if (pair->value_length > 0)
        return FAULT_PAIR;
    fault_fail(reader, pair->value, "a value after '='", NULL);
    return FAULT_PAIR_WRONG;
}
