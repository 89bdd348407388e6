/* Where the relay is found, and who needs it. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/place.h"

static char directory[64], file[PATH_MAX];
static const char *text, *config;

static const char *lookup(const char *name) {
    if (strcmp(name, "SPILLWAY_STATE_DIR") == 0)
        return directory;
    if (strcmp(name, "SPILLWAY_SETTINGS") == 0)
        return text;
    return strcmp(name, "SPILLWAY_CONFIG") == 0 ? config : NULL;
}

static void begin(void) {
    static const struct settings settings = {.state_scope = STATE_PROCESS};
    snprintf(directory, sizeof directory, "/tmp/spillway-place-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    text = "endpoints: []";
    cr_assert(place_path(&settings, lookup, file));
}

static void end(void) {
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0); // NOLINT(cert-env33-c)
}

TestSuite(place, .init = begin, .fini = end);

Test(place, has_a_name_by_where_the_settings_come_from) {
    static const struct settings settings = {0};
    char other[PATH_MAX], again[PATH_MAX], relative[PATH_MAX], here[PATH_MAX];
    text = "endpoints: [1]";
    cr_expect(place_path(&settings, lookup, other));
    cr_expect_str_neq(other, file);
    text = NULL;
    config = "/a/b.yaml";
    cr_expect(place_path(&settings, lookup, again));
    cr_expect_str_neq(again, other);
    config = "b.yaml";
    cr_expect(place_path(&settings, lookup, relative));
    cr_assert_not_null(getcwd(here, sizeof here));
    cr_expect_str_neq(relative, again);
    config = NULL;
}

Test(place, is_held_by_one_and_announced) {
    struct place place = {0};
    cr_expect_not(place_find(file, &place), "there is none");
    int claim = place_claim(file);
    cr_assert_geq(claim, 0);
    cr_expect_not(place_find(file, &place), "nothing is announced");
    cr_expect_eq(place_claim(file), -1);
    cr_expect_eq(errno, EWOULDBLOCK);
    cr_assert(place_announce(claim, &(struct place){65535, 7}));
    cr_assert(place_find(file, &place));
    cr_expect_eq(place.port, 65535);
    cr_expect_eq(place.tls_port, 7);
    cr_assert(place_announce(claim, &(struct place){1, 0}));
    cr_assert(place_find(file, &place));
    cr_expect_eq(place.port, 1);
    close(claim);
    cr_expect_not(place_find(file, &place), "who held it is gone");
    claim = place_claim(file);
    cr_expect_not(place_find(file, &place), "what was announced is gone as well");
    close(claim);
}

Test(place, is_held_on_by_who_inherits_it) {
    int claim = place_claim(file), pipes[2], status;
    struct place place;
    cr_assert(place_announce(claim, &(struct place){80, 0}));
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(claim);
    close(pipes[0]);
    cr_expect(place_find(file, &place));
    close(pipes[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_not(place_find(file, &place));
}

Test(place, believes_nothing_else) {
    static const char *const contents[] = {
        "",
        "spillway relay 1 port=80",
        "spillway relay 2 port=80 tls=0\n",
        "spillway relay 1 port=80 tls=0",
        "spillway relay 1 port=-1 tls=0\n",
        "spillway relay 1 port=99999 tls=0\n",
        "spillway relay 1 port=080 tls=0\n",
        "spillway relay 1 port=80 tls=0\nx",
        "spillway relay 1 port=80 tls=0 long: .................................\n"};
    struct place place;
    int claim = place_claim(file);
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        cr_assert_eq(ftruncate(claim, 0), 0);
        cr_assert_eq(pwrite(claim, contents[i], strlen(contents[i]), 0),
                     (ssize_t)strlen(contents[i]));
        cr_expect_not(place_find(file, &place), "%s", contents[i]);
    }
    cr_assert(place_announce(claim, &(struct place){80, 0}));
    cr_assert_eq(chmod(file, 0644), 0);
    cr_expect_not(place_find(file, &place), "others could read it");
    cr_assert_eq(chmod(file, 0600), 0);
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_expect_not(place_find(file, &place), "others could be in the directory");
    cr_assert_eq(chmod(directory, 0700), 0);
    cr_expect(place_find(file, &place));
    close(claim);
}

Test(place, is_needed_while_somebody_lives) {
    int pipes[2], status;
    char byte = 0;
    cr_expect_not(place_is_needed(file));
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        close(pipes[1]);
        _exit(place_join(file) && read(pipes[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(pipes[0]);
    while (!place_is_needed(file) && waitpid(child, &status, WNOHANG) == 0)
        usleep(1000);
    cr_expect(place_is_needed(file));
    cr_assert_eq(write(pipes[1], &byte, 1), 1);
    close(pipes[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_expect_not(place_is_needed(file));
    cr_expect_eq(rmdir(directory), 0, "no mark is left");
}

Test(place, is_withdrawn_only_if_nobody_needs_it) {
    struct place announced = {.port = 4711}, found;
    int claim = place_claim(file);
    cr_assert_geq(claim, 0);
    cr_assert(place_announce(claim, &announced));
    cr_assert(place_join(file));
    cr_expect_not(place_withdraw(claim, file));
    cr_expect(place_find(file, &found));
    cr_expect_eq(found.port, 4711);
    char command[PATH_MAX * 2];
    snprintf(command, sizeof command, "rm -f '%s'.*", file);
    cr_assert_eq(system(command), 0); // NOLINT(cert-env33-c)
    cr_expect(place_withdraw(claim, file));
    cr_expect_not(place_find(file, &found));
    close(claim);
}

Test(place, is_left_without_a_trace) {
    int claim = place_claim(file);
    cr_assert_geq(claim, 0);
    int late = open(file, O_RDWR | O_CLOEXEC); /* somebody else is about to claim it */
    place_release(claim, file);
    cr_expect_neq(access(file, F_OK), 0);
    cr_assert_geq(late, 0);
    cr_expect_eq(flock(late, LOCK_EX | LOCK_NB), 0);
    claim = place_claim(file); /* another file */
    cr_expect_geq(claim, 0);
    struct place announced = {.port = 1}, found;
    cr_expect(place_announce(claim, &announced));
    cr_expect(place_find(file, &found));
    close(late);
    place_release(claim, file);
}
