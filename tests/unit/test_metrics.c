/*
 * `spillway metrics`: its text, and the file that it replaces.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/command/metrics.h"

static const char yaml[] =
    "endpoints: [{name: e, url: https://x.example, backends:\n"
    "  [{name: b, url: 'https://y.example/\"q', priority: 2, key: sk-x}]}]\n";

static char *print(struct pool_view *view) {
    struct settings_error error;
    char *text = NULL;
    size_t length = 0;
    struct live live = {.settings = settings_load_text("t", yaml, strlen(yaml), &error),
                        .views = &view};
    cr_assert_not_null(live.settings, "%u: %s", error.line, error.message);
    FILE *out = open_memstream(&text, &length);
    metrics_print(&live, out);
    fclose(out);
    settings_free(live.settings);
    return text;
}

static void expect_lines(const char *text, const char *const *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char line[300];
        snprintf(line, sizeof line, "\n%s\n", lines[i]);
        cr_expect_not_null(strstr(text, line), "%s in %s", lines[i], text);
    }
}
#define EXPECT_LINES(text, ...)                                                                    \
    do {                                                                                           \
        const char *const lines[] = {__VA_ARGS__};                                                 \
        expect_lines(text, lines, sizeof lines / sizeof *lines);                                   \
    } while (0)

Test(metrics, values) {
    struct pool_view view = {.state = POOL_COOLING,
                             .left_ns = 4200000000,
                             .reason = 429,
                             .in_flight = 2,
                             .outcomes = {75, 4, 1, 2, 3, 5, 6}};
    char *text = print(&view);
    EXPECT_LINES(
        text, "# TYPE spillway_requests_total counter",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"answered\"} 75",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"throttled\"} 4",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"server_error\"} 1",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"connect\"} 2",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"reset\"} 3",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"timeout\"} 5",
        "spillway_requests_total{endpoint=\"e\",backend=\"b\",outcome=\"rejected\"} 6",
        "spillway_requests_in_flight{endpoint=\"e\",backend=\"b\"} 2",
        "spillway_backend_available{endpoint=\"e\",backend=\"b\"} 0",
        "spillway_backend_drained{endpoint=\"e\",backend=\"b\"} 0",
        "spillway_backend_state{endpoint=\"e\",backend=\"b\",state=\"cooling\"} 1",
        "spillway_backend_state{endpoint=\"e\",backend=\"b\",state=\"available\"} 0",
        "spillway_backend_cooldown_seconds{endpoint=\"e\",backend=\"b\"} 4.200000",
        ("spillway_backend_info{endpoint=\"e\",backend=\"b\",url=\"https://y.example/\\\"q\","
         "priority=\"2\",weight=\"1\",dialect=\"openai\"} 1"));
    cr_expect_null(strstr(text, "sk-x"));
    free(text);
    view.state = POOL_DRAINED;
    text = print(&view);
    EXPECT_LINES(text, "spillway_backend_drained{endpoint=\"e\",backend=\"b\"} 1",
                 "spillway_backend_available{endpoint=\"e\",backend=\"b\"} 0");
    free(text);
}

/* One answer at each bound, and one a microsecond above it. */
Test(metrics, buckets) {
    static const char *const bounds[] = {"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
                                         "0.25",  "0.5",    "1",     "2.5",  "5",     "10",   "25",
                                         "50",    "100",    "250",   "500",  "1000"};
    const size_t count = sizeof bounds / sizeof *bounds;
    struct ledger_slot slot = {0};
    struct pool_view view = {0};
    char line[200];
    for (size_t i = 0; i < count; i++) {
        uint64_t us = (uint64_t)(strtod(bounds[i], NULL) * 1e6 + 0.5);
        ledger_count_duration(&slot, us * 1000);
        ledger_count_duration(&slot, (us + 1) * 1000);
    }
    for (unsigned i = 0; i < LEDGER_CLASSES; i++)
        view.classes[i] = slot.classes[i];
    view.duration_us = slot.duration_us;
    char *text = print(&view);
    for (size_t i = 0; i < count; i++) {
        snprintf(
            line, sizeof line,
            "\nspillway_request_duration_seconds_bucket{endpoint=\"e\",backend=\"b\",le=\"%s\"} "
            "%zu\n",
            bounds[i], 2 * i + 1);
        cr_expect_not_null(strstr(text, line), "%s in %s", line, text);
    }
    EXPECT_LINES(
        text, "# TYPE spillway_request_duration_seconds histogram",
        "spillway_request_duration_seconds_bucket{endpoint=\"e\",backend=\"b\",le=\"+Inf\"} 38",
        "spillway_request_duration_seconds_sum{endpoint=\"e\",backend=\"b\"} 3888.887019",
        "spillway_request_duration_seconds_count{endpoint=\"e\",backend=\"b\"} 38");
    free(text);
}

static char directory[40], file[60], message[300];

static void set_up(void) {
    snprintf(directory, sizeof directory, "/tmp/spillway-metrics.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/m.prom", directory);
}

static unsigned entries(void) {
    DIR *opened = opendir(directory);
    unsigned count = 0;
    while (readdir(opened))
        count++;
    closedir(opened);
    return count - 2;
}

static void tear_down(void) {
    unlink(file);
    rmdir(file);
    cr_expect_eq(rmdir(directory), 0, "something was left in %s", directory);
}

TestSuite(textfile, .init = set_up, .fini = tear_down);

Test(textfile, is_made_and_replaced) {
    struct stat before, after;
    umask(077);
    cr_expect(metrics_replace(file, "one\n", 4, message, sizeof message), "%s", message);
    cr_assert_eq(stat(file, &before), 0);
    cr_expect_eq(before.st_mode & 07777, 0644);
    int fd = open(file, O_RDONLY | O_CLOEXEC); /* keeps the inode from being used again */
    cr_expect(metrics_replace(file, "three\n", 6, message, sizeof message), "%s", message);
    cr_assert_eq(stat(file, &after), 0);
    cr_expect_neq(before.st_ino, after.st_ino);
    cr_expect_eq(after.st_size, 6);
    cr_expect_eq(entries(), 1);
    close(fd);
}

Test(textfile, what_is_no_file_stays) {
    cr_assert_eq(symlink("/dev/null", file), 0);
    cr_expect_not(metrics_replace(file, "x", 1, message, sizeof message));
    cr_expect_not_null(strstr(message, "is no regular file"));
    unlink(file);
    cr_assert_eq(mkdir(file, 0700), 0);
    cr_expect_not(metrics_replace(file, "x", 1, message, sizeof message));
    cr_expect_eq(entries(), 1);
}

Test(textfile, without_a_directory) {
    char path[100];
    snprintf(path, sizeof path, "%s/absent/m.prom", directory);
    cr_expect_not(metrics_replace(path, "x", 1, message, sizeof message));
    cr_expect_not_null(strstr(message, "No such file"), "%s", message);
}

/* A name that is too long is only found out by the rename. */
Test(textfile, nothing_is_left_behind) {
    char path[400];
    snprintf(path, sizeof path, "%s/%0300d", directory, 0);
    cr_expect_not(metrics_replace(path, "x", 1, message, sizeof message));
    cr_expect_eq(entries(), 0);
}
