#include "shim/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Written by log_open before any event, constant from then on. */
static char *log_path;
enum log_level log_limit = LOG_OFF;

static const char *const level_names[] = {"off", "error", "warn", "info", "debug"};

void log_open(const char *file, enum log_level level) {
    free(log_path);
    log_path = file ? strdup(file) : NULL;
    log_limit = log_path ? level : LOG_OFF;
}

static void put(struct log_line *line, const char *text, size_t length) {
    size_t room = sizeof line->text - 1 - line->length; /* the last byte is for the line's end */
    if (length > room)
        length = room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct log_line *line,
                                                             const char *format, ...) {
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0)
        put(line, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

/*
 * UTC without gmtime_r, which takes a lock that a fork in another thread may leave locked. Days
 * to a date as in Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
 */
static void put_time(struct log_line *line) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t days = now.tv_sec / 86400, seconds = now.tv_sec % 86400;
    int64_t z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153, month = m < 10 ? m + 3 : m - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    put_format(line, "time=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, (int)month,
               (int)(day_of_year - (153 * m + 2) / 5 + 1), (int)(seconds / 3600),
               (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(now.tv_nsec / 1000000));
}

void log_begin(struct log_line *line, enum log_level level, const char *event) {
    line->wanted = log_wanted(level);
    if (!line->wanted)
        return;
    int saved = errno;
    line->length = 0;
    put_time(line);
    put_format(line, " level=%s pid=%ld", level_names[level], (long)getpid());
    log_text(line, "event", event);
    errno = saved;
}

static bool needs_quotes(const char *value, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return true;
    }
    return length == 0;
}

/* Writes C as it stands within quotes to TEXT; a value never ends the line. Returns its size. */
static size_t escape(char c, char *text) {
    static const char digits[] = "0123456789abcdef";
    unsigned char u = (unsigned char)c;
    if (u == '"' || u == '\\') {
        text[0] = '\\';
        text[1] = c;
        return 2;
    }
    if (u >= ' ' && u != 0x7f) {
        text[0] = c;
        return 1;
    }
    text[0] = '\\';
    text[1] = 'x';
    text[2] = digits[u >> 4];
    text[3] = digits[u & 15];
    return 4;
}

void log_slice(struct log_line *line, const char *name, const char *value, size_t length) {
    if (!line->wanted)
        return;
    size_t before = line->length, limit = sizeof line->text - 2; /* a quote and the line's end */
    if (before + strlen(name) + 4 > limit)
        return; /* no room for a value either: the pair is left out */
    put(line, " ", 1);
    put(line, name, strlen(name));
    put(line, "=", 1);
    if (!needs_quotes(value, length)) {
        put(line, value, length);
        return;
    }
    put(line, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        char text[5];
        size_t size = escape(value[i], text);
        if (line->length + size > limit)
            break;
        put(line, text, size);
    }
    put(line, "\"", 1);
}

void log_text(struct log_line *line, const char *name, const char *value) {
    if (line->wanted)
        log_slice(line, name, value ? value : "", value ? strlen(value) : 0);
}

void log_number(struct log_line *line, const char *name, int64_t value) {
    if (line->wanted)
        put_format(line, " %s=%lld", name, (long long)value);
}

/* N thousandths of a unit: printf's %f would follow the program's locale. */
static void put_thousandths(struct log_line *line, const char *name, uint64_t n) {
    put_format(line, " %s=%llu.%03u", name, (unsigned long long)(n / 1000), (unsigned)(n % 1000));
}

void log_seconds(struct log_line *line, const char *name, uint64_t ns) {
    if (line->wanted)
        put_thousandths(line, name, ns / 1000000);
}

void log_milliseconds(struct log_line *line, const char *name, uint64_t ns) {
    if (line->wanted)
        put_thousandths(line, name, ns / 1000);
}

void log_end(struct log_line *line) {
    if (!line->wanted)
        return;
    int saved = errno;
    line->text[line->length++] = '\n';
    /* O_NONBLOCK: a fifo that nobody reads must not stop the program */
    int fd =
        open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd >= 0) {
        ssize_t written = write(fd, line->text, line->length);
        (void)written; /* nothing can be done, and nobody told */
        close(fd);
    }
    errno = saved;
}
