#include "shim/pool/http_date.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * By hand, since strptime() wants the host program's locale for the names, and timegm() takes
 * the time zone's lock.
 */

struct fields {
    int year, month, day; /* the month from 0; -1 is no number */
    int hour, minute, second;
};

/* One form: fills FIELDS and returns the number of bytes read, or returns 0. */
typedef size_t (*form)(const char *text, size_t length, struct fields *fields);

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int two_digits(const char *text) {
    return is_digit(text[0]) && is_digit(text[1]) ? (text[0] - '0') * 10 + (text[1] - '0') : -1;
}

static int four_digits(const char *text) {
    int high = two_digits(text), low = two_digits(text + 2);
    return high >= 0 && low >= 0 ? high * 100 + low : -1;
}

/* The place of the three letters at TEXT among the NAMES of three letters each, or -1. */
static int find_name(const char *text, const char *names) {
    char a = lower(text[0]), b = lower(text[1]), c = lower(text[2]);
    for (int i = 0; names[i] != '\0'; i += 3) {
        if (names[i] == a && names[i + 1] == b && names[i + 2] == c)
            return i / 3;
    }
    return -1;
}

static int weekday_at(const char *text) {
    return find_name(text, "sunmontuewedthufrisat");
}

static int month_at(const char *text) {
    return find_name(text, "janfebmaraprmayjunjulaugsepoctnovdec");
}

static bool is_gmt(const char *text) {
    return find_name(text, "gmt") == 0;
}

/* hh:mm:ss */
static bool read_clock(const char *text, struct fields *fields) {
    fields->hour = two_digits(text);
    fields->minute = two_digits(text + 3);
    fields->second = two_digits(text + 6);
    return text[2] == ':' && text[5] == ':';
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static size_t read_imf(const char *text, size_t length, struct fields *fields) {
    if (length < 29 || text[3] != ',' || text[4] != ' ' || text[7] != ' ' || text[11] != ' ' ||
        text[16] != ' ' || text[25] != ' ' || weekday_at(text) < 0 || !is_gmt(text + 26) ||
        !read_clock(text + 17, fields))
        return 0;
    fields->day = two_digits(text + 5);
    fields->month = month_at(text + 8);
    fields->year = four_digits(text + 12);
    return 29;
}

static int full_year(int year) {
    int now = 1970 + (int)(time(NULL) / 31556952); /* seconds of an average Gregorian year */
    year += now - now % 100;
    if (year > now + 50)
        return year - 100;
    return year <= now - 50 ? year + 100 : year;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static size_t read_rfc850(const char *text, size_t length, struct fields *fields) {
    static const char *const names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    int weekday = length < 3 ? -1 : weekday_at(text);
    if (weekday < 0)
        return 0;
    size_t start = 0;
    for (const char *name = names[weekday]; *name != '\0'; name++, start++) {
        if (start == length || lower(text[start]) != *name)
            return 0;
    }
    const char *rest = text + start;
    if (length - start < 24 || rest[0] != ',' || rest[1] != ' ' || rest[4] != '-' ||
        rest[8] != '-' || rest[11] != ' ' || rest[20] != ' ' || !is_gmt(rest + 21) ||
        !read_clock(rest + 12, fields))
        return 0;
    int year = two_digits(rest + 9);
    fields->day = two_digits(rest + 2);
    fields->month = month_at(rest + 5);
    fields->year = year < 0 ? -1 : full_year(year);
    return start + 24;
}

/* "Sun Nov  6 08:49:37 1994" */
static size_t read_asctime(const char *text, size_t length, struct fields *fields) {
    if (length < 24 || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' || text[19] != ' ' ||
        weekday_at(text) < 0 || !read_clock(text + 11, fields))
        return 0;
    const char day[2] = {text[8] == ' ' ? '0' : text[8], text[9]};
    fields->day = two_digits(day);
    fields->month = month_at(text + 4);
    fields->year = four_digits(text + 20);
    return 24;
}

static bool are_valid(const struct fields *date) {
    static const char lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date->year < 1 || date->month < 0 || date->day < 1 || date->day > lengths[date->month])
        return false;
    /* Second 60 is a leap second's. */
    if (date->hour < 0 || date->hour > 23 || date->minute < 0 || date->minute > 59 ||
        date->second < 0 || date->second > 60)
        return false;
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    return leap || date->month != 1 || date->day < 29;
}

static time_t to_time(const struct fields *date) {
    /* Counted from March a leap day ends its year, and the months' lengths have a formula. */
    int64_t year = date->month < 2 ? date->year - 1 : date->year;
    int64_t month = (date->month + 10) % 12;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 +
                   date->day - 1 - 719468 /* from March of the year 0 to 1970 */;
    return (time_t)(days * 86400 + date->hour * 3600 + date->minute * 60 + date->second);
}

size_t http_date_read(const char *text, size_t length, time_t *date) {
    static const form forms[] = {read_imf, read_rfc850, read_asctime};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct fields fields;
        size_t read = forms[i](text, length, &fields);
        if (read > 0 && are_valid(&fields)) {
            *date = to_time(&fields);
            return read;
        }
    }
    return 0;
}
