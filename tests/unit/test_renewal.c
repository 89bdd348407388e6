/*
 * How a process that has a ledger notices that others share another one by now.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/pool/ledger.h"
#include "shim/pool/pool.h"

static char directory[64], file[96];

static void set_up(void) {
    snprintf(directory, sizeof directory, "/tmp/spillway-renewal.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/ledger", directory);
}

static void tear_down(void) {
    unlink(file);
    cr_expect_eq(rmdir(directory), 0, "something was left in %s", directory);
}

TestSuite(renewal, .init = set_up, .fini = tear_down);

static struct ledger *opened(void) {
    struct ledger *ledger = ledger_open(directory);
    cr_assert_not_null(ledger);
    cr_assert_null(ledger_problem(ledger), "%s", ledger_problem(ledger));
    return ledger;
}

/* Overwrites LENGTH bytes at OFFSET of the ledger's file. */
static void write_over(off_t offset, const void *bytes, size_t length) {
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_expect_eq(pwrite(fd, bytes, length, offset), (ssize_t)length);
    close(fd);
}

Test(renewal, is_current_until_others_share_another_one) {
    struct ledger *ledger = opened();
    cr_expect(ledger_is_current(ledger, directory));
    ledger_close(opened());
    cr_expect(ledger_is_current(ledger, directory), "the next one has opened it");
    cr_assert_eq(chmod(file, 0644), 0);
    cr_expect_not(ledger_is_current(ledger, directory), "another mode");
    cr_assert_eq(chmod(file, 0600), 0);
    write_over(8, "x", 1);
    cr_expect_not(ledger_is_current(ledger, directory), "another header");
    struct ledger *next = opened();
    cr_expect_not(ledger_is_current(ledger, directory), "another file");
    cr_expect(ledger_is_current(next, directory));
    cr_assert_eq(truncate(file, 4096), 0);
    cr_expect_not(ledger_is_current(next, directory), "a cut file");
    cr_assert_eq(truncate(file, 0), 0);
    cr_expect_not(ledger_is_current(next, directory), "an empty file");
    unlink(file);
    cr_expect_not(ledger_is_current(next, directory), "no file");
    cr_assert_eq(rmdir(directory), 0);
    cr_expect_not(ledger_is_current(next, directory), "no directory");
    cr_assert_eq(mkdir(directory, 0700), 0);
    ledger_close(next);
    ledger_close(ledger);
}

Test(renewal, a_private_one_is_not_what_was_asked_for) {
    struct ledger *ledger = ledger_open("/proc/no/such");
    cr_assert_not_null(ledger);
    cr_expect_not(ledger_is_current(ledger, "/proc/no/such"));
    ledger_close(ledger);
}

Test(renewal, lives_as_long_as_somebody_holds_it) {
    struct ledger *ledger = opened();
    cr_assert_eq(ledger_hold(ledger), ledger);
    ledger_close(ledger);
    cr_expect_not_null(ledger_slot(ledger, ledger_key("e", "a", NULL)));
    ledger_close(ledger);
}

Test(renewal, a_pool_notices_what_is_written_over_its_places) {
    struct backend backends[2] = {
        {.name = (char[]){"a"}, .url = (char[]){"http://a"}, .weight = 1},
        {.name = (char[]){"b"}, .url = (char[]){"http://b"}, .weight = 1}};
    struct endpoint endpoint = {
        .name = (char[]){"e"}, .backends = backends, .backend_count = 2, .failure_threshold = 1};
    struct ledger *ledger = opened();
    struct pool *pool = pool_new(&endpoint, ledger);
    cr_assert_not_null(pool);
    uint64_t keys[] = {ledger_key("e", "a", "http://a"), ledger_key("e", "b", "http://b"),
                       ledger_key("e", "tier 0", NULL)};
    for (int i = 0; i < 3; i++) {
        struct ledger_slot *slot = ledger_slot(ledger, keys[i]);
        cr_expect(pool_is_intact(pool));
        atomic_store(&slot->key, keys[i] + 1);
        cr_expect_not(pool_is_intact(pool), "key %d", i);
        atomic_store(&slot->key, keys[i]);
    }
    pool_free(pool);
    ledger_close(ledger);
}
