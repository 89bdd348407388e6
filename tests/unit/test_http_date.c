#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/pool/http_date.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* timegm() is the oracle: here nobody minds its lock. */
Test(http_date, agrees_with_the_c_library) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (time_t expected = -62135596800; expected < 253402300800; expected += 8640007 * 3) {
        struct tm tm;
        cr_assert_not_null(gmtime_r(&expected, &tm));
        char text[64];
        int length = snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                              days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                              tm.tm_hour, tm.tm_min, tm.tm_sec);
        time_t date = 1;
        cr_assert_eq(http_date_read(text, (size_t)length, &date), 29, "%s", text);
        cr_assert_eq(date, expected, "%s", text);
        length = snprintf(text, sizeof text, "%s %s %2d %02d:%02d:%02d %04d", days[tm.tm_wday],
                          months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                          tm.tm_year + 1900);
        cr_assert_eq(http_date_read(text, (size_t)length, &date), 24, "%s", text);
        cr_assert_eq(date, expected, "%s", text);
    }
}

Test(http_date, two_digits_are_a_year_within_fifty_of_now) {
    time_t now = time(NULL);
    struct tm tm;
    cr_assert_not_null(gmtime_r(&now, &tm));
    for (int distance = -48; distance <= 48; distance++) {
        int year = tm.tm_year + 1900 + distance;
        struct tm expected = {.tm_year = year - 1900, .tm_mon = 5, .tm_mday = 15};
        char text[64];
        int length = snprintf(text, sizeof text, "Sunday, 15-Jun-%02d 00:00:00 GMT", year % 100);
        time_t date;
        cr_assert_eq(http_date_read(text, (size_t)length, &date), (size_t)length);
        cr_expect_eq(date, timegm(&expected), "%s is not in %d", text, year);
    }
}

Test(http_date, has_leap_days_and_leap_seconds) {
    static const struct {
        const char *text;
        time_t expected;
    } cases[] = {
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        time_t date = 12345;
        cr_expect_eq(http_date_read(cases[i].text, strlen(cases[i].text), &date), 29);
        cr_expect_eq(date, cases[i].expected, "%s", cases[i].text);
    }
}

Test(http_date, leaves_the_result_alone_if_there_is_no_date) {
    static const char *const cases[] = {
        "Sun, 06 Nov 1994 08:49:47",
        "Sun, 06 Nov 1994 08:49:47 CET",
        "Sun, 06 Nov 1994 08:49:47 GM",
        "Son, 06 Nov 1994 08:49:47 GMT",
        "Sun, 06 Foo 1994 08:49:47 GMT",
        "Sun, 31 Nov 1994 08:49:47 GMT",
        "Sun, 00 Nov 1994 08:49:47 GMT",
        "Sun, 29 Feb 1995 08:49:47 GMT",
        "Sun, 29 Feb 2100 08:49:47 GMT",
        "Sun, 06 Nov 1994 24:49:47 GMT",
        "Sun, 06 Nov 1994 08:60:47 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:47 GMT",
        "Sun, 6 Nov 1994 08:49:47 GMT",
        "Sun, 06 Nov 0000 08:49:47 GMT",
        "Sun, 06-Nov-94 08:49:47 GMT",
        "Sunday, 06-Nov-1994 08:49:47 GMT",
        "Sunda, 06-Nov-94 08:49:47 GMT",
        "Sunday",
        "Sun",
        "Su",
        "Sun Nov 6 08:49:47 1994",
        "Sun Nov  6 08:49:47 94",
        "Sun Nov  6 08:49:47 199",
        "Sunday, 06-Nov-94 08:49:47 GM",
        "1994-11-06T08:49:47Z",
        "5",
        "",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        /* In memory of its own, so that a sanitizer sees a byte that is read beyond it. */
        size_t length = strlen(cases[i]);
        char *copy = malloc(length + (length == 0));
        cr_assert_not_null(copy);
        memcpy(copy, cases[i], length);
        time_t date = 12345;
        cr_expect_eq(http_date_read(copy, length, &date), 0, "%s", cases[i]);
        cr_expect_eq(date, 12345, "%s", cases[i]);
        free(copy);
    }
}
