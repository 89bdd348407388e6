/* Which fault meets an attempt, and the page that processes share for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/fault/drill.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static char directory[] = "/tmp/spillway-page-XXXXXX";
static const char *faults;

static const char *lookup(const char *name) {
    return strcmp(name, "SPILLWAY_DRILL") == 0    ? directory
           : strcmp(name, "SPILLWAY_FAULTS") == 0 ? faults
                                                  : NULL;
}

static void make_directory(void) {
    cr_assert(mkdtemp(directory));
}

static void remove_directory(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/page", directory);
    unlink(path);
    rmdir(directory);
}

/* A new drill with FAULTS and SEED. */
static struct drill *begin(const char *text, uint64_t seed) {
    char error[300], path[64];
    snprintf(path, sizeof path, "%s/page", directory);
    unlink(path);
    faults = text;
    cr_assert(drill_page_make(directory, START, seed, 0), "%s", strerror(errno));
    struct drill *drill = drill_open(lookup, error, sizeof error);
    cr_assert(drill, "%s", error);
    return drill;
}

/* Attempts COUNT times on backend "b" at NOW; writes who met each as a digit, '-' for nobody. */
static void attempt(const struct drill *drill, uint64_t now, size_t count, char *out) {
    for (size_t i = 0; i < count; i++) {
        const struct fault *fault = drill_choose(drill, "e", "b", now);
        out[i] = fault ? (char)('1' + (fault - drill->faults)) : '-';
    }
    out[count] = '\0';
}

TestSuite(drill_choose, .init = make_directory, .fini = remove_directory);

Test(drill_choose, by_count) {
    static const struct {
        const char *faults, *met;
    } table[] = {
        {"", "------------"},
        {"b: 429", "111111111111"},
        {"c: 429", "------------"},
        {"c: 429\nb: 500", "222222222222"},
        {"b: 429 for 3 attempts", "111---------"},
        {"b: 429 after 2 attempts for 3 attempts", "--111-------"},
        {"b: 429 every 3", "--1--1--1--1"},
        {"b: 429 every 3 after 1 attempt", "---1--1--1--"},
        {"b: 429 every 2 for 4 attempts", "-1-1--------"},
        {"b: 429 for 2 attempts\n*: reset", "112222222222"},
        /* the second is a matter of those alone that the first let by */
        {"b: 429 every 2\nb: reset every 2", "-121-121-121"},
    };
    char met[20];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct drill *drill = begin(table[i].faults, 1);
        attempt(drill, START, 12, met);
        cr_expect_str_eq(met, table[i].met, "%s: %s", table[i].faults, met);
        drill_close(drill);
    }
}

Test(drill_choose, by_time) {
    struct drill *drill = begin("b: 429 after 10s for 5s\nb: 500 every 2 after 20s", 1);
    static const struct {
        double seconds;
        const char *met;
    } table[] = {{-1, "--"},     {0, "--"},  {9.999, "--"}, {10, "11"},
                 {14.999, "11"}, {15, "--"}, {20, "-2"},    {1e6, "-2"}};
    char met[4];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        attempt(drill, START + (uint64_t)(int64_t)(table[i].seconds * 1e9), 2, met);
        cr_expect_str_eq(met, table[i].met, "at %g: %s", table[i].seconds, met);
    }
    drill_close(drill);
}

Test(drill_choose, rates_are_those_of_the_seed) {
    enum { COUNT = 10000 };
    static char first[COUNT + 1], again[COUNT + 1], other[COUNT + 1];
    struct drill *drill = begin("b: 429 10%\nb: reset 10%", 7);
    size_t met[2] = {0, 0};
    attempt(drill, START, COUNT, first);
    drill_close(drill);
    drill = begin("b: 429 10%\nb: reset 10%", 7);
    attempt(drill, START, COUNT, again);
    drill_close(drill);
    drill = begin("b: 429 10%\nb: reset 10%", 8);
    attempt(drill, START, COUNT, other);
    drill_close(drill);
    cr_expect_str_eq(first, again);
    cr_expect_str_neq(first, other);
    for (size_t i = 0; i < COUNT; i++)
        if (first[i] != '-')
            met[first[i] - '1']++;
    /* five standard deviations of 30 */
    cr_expect(met[0] > 850 && met[0] < 1150, "%zu of 10000", met[0]);
    cr_expect(met[1] > 750 && met[1] < 1050, "%zu of 9000", met[1]);
}

Test(drill_choose, processes_count_together) {
    struct drill *drill = begin("b: 429 for 500 attempts", 1);
    unsigned met = 0;
    for (int i = 0; i < 4; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            unsigned own = 0;
            for (int k = 0; k < 200; k++)
                own += drill_choose(drill, "e", "b", START) != NULL;
            _exit((int)own);
        }
        cr_assert(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
        met += (unsigned)WEXITSTATUS(status);
    }
    cr_expect_eq(met, 500, "%u", met);
    cr_expect_eq(drill->page->passed[0], 800);
    drill_close(drill);
}

Test(drill_choose, a_page_that_is_not_to_be_trusted) {
    char path[64], error[300];
    struct drill *drill = begin("", 1);
    drill_close(drill);
    snprintf(path, sizeof path, "%s/page", directory);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_expect_null(drill_page_open(directory));
    cr_expect_eq(errno, EPERM);
    cr_assert_eq(chmod(path, 0600), 0);
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_null(drill_page_open(directory));
    cr_expect_eq(errno, EPROTO);
    cr_assert_eq(truncate(path, sizeof(struct drill_page)), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && write(fd, "another!", 8) == 8);
    close(fd);
    cr_expect_null(drill_page_open(directory));
    cr_expect_eq(errno, EPROTO);
    unlink(path);
    cr_assert_eq(symlink("/dev/zero", path), 0);
    cr_expect_null(drill_page_open(directory));
    cr_expect_eq(errno, ELOOP);
    unlink(path);
    cr_expect_null(drill_page_open(directory));
    cr_expect_eq(errno, ENOENT);
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_expect_not(drill_page_make(directory, START, 1, 0));
    cr_expect_eq(errno, EPERM);
    cr_expect_null(drill_open(lookup, error, sizeof error));
    cr_expect(strstr(error, "no page in '/tmp/spillway-page-"), "%s", error);
}

Test(drill_choose, faults_that_cannot_be_read) {
    char error[300];
    struct drill *drill = begin("", 1);
    drill_close(drill);
    faults = "b: 429\nb: resett";
    cr_expect_null(drill_open(lookup, error, sizeof error));
    cr_expect(strncmp(error, "fault 2, column 4: found 'resett'", 33) == 0, "%s", error);
}
