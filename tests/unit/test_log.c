/*
 * The log: one line and one write per event, whatever the values hold.
 */
#include <criterion/criterion.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/log.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char file[64], text[8192];

static void set_up(void) {
    snprintf(file, sizeof file, "/tmp/spillway-log.XXXXXX");
    int fd = mkstemp(file);
    cr_assert_geq(fd, 0);
    close(fd);
    log_open(file, LOG_DEBUG);
}

static void tear_down(void) {
    log_open(NULL, LOG_OFF);
    unlink(file);
}

TestSuite(log, .init = set_up, .fini = tear_down);

/* What was written since the last time. */
static const char *written(void) {
    FILE *stream = fopen(file, "r+");
    cr_assert_not_null(stream);
    size_t length = fread(text, 1, sizeof text - 1, stream);
    text[length] = '\0';
    cr_assert_eq(ftruncate(fileno(stream), 0), 0);
    fclose(stream);
    return text;
}

/* The line of an event with one value: what follows "event=e". */
static const char *line_with(const char *value, size_t length) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "e");
    log_slice(&line, "v", value, length);
    log_end(&line);
    const char *after = strstr(written(), " event=e");
    cr_assert_not_null(after, "%s", text);
    return after + 8;
}

/* Whether LINE is pairs of NAME=VALUE with one space between them, and one line end. */
static bool is_logfmt(const char *line) {
    for (;;) {
        const char *name = line;
        while (isalnum((unsigned char)*line) || *line == '_')
            line++;
        if (line == name || *line++ != '=')
            return false;
        if (*line == '"') {
            for (line++; *line != '"'; line++) {
                if (*line == '\\')
                    line++;
                if ((unsigned char)*line < ' ')
                    return false;
            }
            line++;
        } else {
            while ((unsigned char)*line > ' ' && *line != '"' && *line != '=')
                line++;
        }
        if (*line == '\n')
            return line[1] == '\0';
        if (*line++ != ' ')
            return false;
    }
}

Test(log, begins_with_time_level_pid_and_event) {
    static const struct {
        enum log_level level;
        const char *name;
    } levels[] = {
        {LOG_ERROR, "error"}, {LOG_WARN, "warn"}, {LOG_INFO, "info"}, {LOG_DEBUG, "debug"}};
    for (size_t i = 0; i < COUNT(levels); i++) {
        struct log_line line;
        struct tm tm = {0};
        char rest[64];
        time_t before = time(NULL);
        log_begin(&line, levels[i].level, "started");
        log_end(&line);
        time_t after = time(NULL);
        const char *ms = strptime(written(), "time=%Y-%m-%dT%H:%M:%S", &tm);
        cr_assert(ms && ms == text + 24 && *ms == '.', "%s", text);
        cr_assert(strspn(ms + 1, "0123456789") == 3 && ms[4] == 'Z', "%s", text);
        time_t at = timegm(&tm);
        cr_expect(at >= before && at <= after, "%s is not between %ld and %ld", text, (long)before,
                  (long)after);
        snprintf(rest, sizeof rest, " level=%s pid=%ld event=started\n", levels[i].name,
                 (long)getpid());
        cr_expect_str_eq(ms + 5, rest);
        cr_expect(is_logfmt(text));
    }
}

Test(log, quotes_what_needs_it) {
    static const struct {
        const char *value;
        size_t length;
        const char *expected;
    } cases[] = {
        {"plain", 5, " v=plain\n"},
        {"a-b/c:d?e&f", 11, " v=a-b/c:d?e&f\n"},
        {"\xc3\xa4", 2, " v=\xc3\xa4\n"},
        {"", 0, " v=\"\"\n"},
        {"a b", 3, " v=\"a b\"\n"},
        {"a=b", 3, " v=\"a=b\"\n"},
        {"a\"b", 3, " v=\"a\\\"b\"\n"},
        {"a\\b", 3, " v=\"a\\\\b\"\n"},
        {"a\nb", 3, " v=\"a\\x0ab\"\n"},
        {"\r\n", 2, " v=\"\\x0d\\x0a\"\n"},
        {"\0", 1, " v=\"\\x00\"\n"},
        {"\x7f\x1b[0m", 5, " v=\"\\x7f\\x1b[0m\"\n"},
        {"xyz", 1, " v=x\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_str_eq(line_with(cases[i].value, cases[i].length), cases[i].expected);
}

Test(log, a_value_never_ends_the_line) {
    for (int c = 0; c < 256; c++) {
        char value[3] = {'a', (char)c, 'b'};
        line_with(value, 3);
        cr_expect(is_logfmt(text), "byte %d: %s", c, text);
    }
}

Test(log, takes_no_value_for_an_empty_one) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "e");
    log_text(&line, "a", NULL);
    log_text(&line, "b", "x y");
    log_end(&line);
    cr_expect(strstr(written(), " a=\"\" b=\"x y\"\n"));
}

Test(log, writes_numbers_and_times) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "e");
    log_number(&line, "low", INT64_MIN);
    log_number(&line, "high", INT64_MAX);
    log_seconds(&line, "s", 4200000000);
    log_seconds(&line, "zero", 0);
    log_seconds(&line, "most", UINT64_MAX);
    log_milliseconds(&line, "ms", 1002003);
    log_end(&line);
    cr_expect(is_logfmt(written()));
    cr_expect(strstr(text, " low=-9223372036854775808 high=9223372036854775807 s=4.2"), "%s", text);
    cr_expect(strstr(text, " zero=0"));
    cr_expect(strstr(text, " most=18446744073.709 ms=1.002\n"), "%s", text);
}

Test(log, cuts_what_does_not_fit) {
    static char value[3000];
    static const char fillers[] = "x \"\\\n";
    for (size_t f = 0; f < sizeof fillers - 1; f++)
        for (size_t length = 850; length < 1100; length++) {
            memset(value, fillers[f], length);
            line_with(value, length);
            cr_assert_leq(strlen(text), 1000);
            cr_assert_eq(strcspn(text, "\n"), strlen(text) - 1, "one line end, the last byte");
        }
}

/* Whoever reads the log finds pairs in every line, a cut one too. */
Test(log, a_cut_line_is_pairs) {
    static char value[3000];
    memset(value, ' ', sizeof value);
    line_with(value, sizeof value);
    cr_expect(is_logfmt(text), "...%s", text + strlen(text) - 8);
    memset(value, '\n', sizeof value);
    for (size_t shift = 0; shift < 4; shift++) {
        memset(value, 'x', shift);
        line_with(value, sizeof value);
        cr_expect(is_logfmt(text), "...%s", text + strlen(text) - 8);
    }
}

Test(log, writes_what_is_wanted_alone) {
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    for (enum log_level limit = LOG_OFF; limit <= LOG_DEBUG; limit++) {
        log_open(file, limit);
        for (size_t i = 0; i < COUNT(levels); i++) {
            struct log_line line;
            memset(&line, 0x55, sizeof line);
            log_begin(&line, levels[i], "e");
            log_text(&line, "a", "b");
            log_slice(&line, "a", "b", 1);
            log_number(&line, "c", 1);
            log_seconds(&line, "d", 1);
            log_milliseconds(&line, "e", 1);
            log_end(&line);
            cr_expect_eq(log_wanted(levels[i]), levels[i] <= limit);
            cr_expect_eq(written()[0] != '\0', levels[i] <= limit);
        }
    }
}

Test(log, keeps_errno_whatever_happens) {
    static const char *const files[] = {NULL, "", "/", "/proc/none/log", "/dev/full", "/dev/null"};
    for (size_t i = 0; i < COUNT(files); i++) {
        struct log_line line;
        log_open(files[i], LOG_DEBUG);
        errno = EXDEV;
        log_begin(&line, LOG_ERROR, "e");
        log_text(&line, "a", "b c\n");
        log_number(&line, "n", 1);
        log_end(&line);
        cr_expect_eq(errno, EXDEV, "%s", files[i] ? files[i] : "no file");
    }
}

Test(log, a_fifo_without_a_reader_does_not_block) {
    unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    struct log_line line;
    log_begin(&line, LOG_ERROR, "e");
    log_end(&line);
}

Test(log, makes_its_file_for_the_user_alone) {
    struct stat status;
    unlink(file);
    struct log_line line;
    log_begin(&line, LOG_INFO, "e");
    log_end(&line);
    cr_assert_eq(stat(file, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
}

Test(log, keeps_a_copy_of_the_name) {
    char name[64];
    snprintf(name, sizeof name, "%s", file);
    log_open(name, LOG_INFO);
    memset(name, 'x', sizeof name - 1);
    cr_expect_str_eq(line_with("x", 1), " v=x\n");
}
