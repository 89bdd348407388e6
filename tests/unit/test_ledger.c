/*
 * The ledger: whatever lies in its place, whoever comes at the same time, and whatever is
 * written into it, there is a ledger, and it is either the right one or a private one.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/pool/ledger.h"
#include "shim/pool/pool.h"

#define SECOND UINT64_C(1000000000)

static char directory[64], file[96];

static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void set_up(void) {
    snprintf(directory, sizeof directory, "/tmp/spillway-ledger.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/ledger", directory);
}

static void tear_down(void) {
    unlink(file);
    rmdir(file);
    cr_expect_eq(rmdir(directory), 0, "something was left in %s", directory);
}

TestSuite(ledger, .init = set_up, .fini = tear_down);

/* Opens the ledger of `directory`, which must be had. */
static struct ledger *opened(void) {
    struct ledger *ledger = ledger_open(directory);
    cr_assert_not_null(ledger);
    cr_assert_null(ledger_problem(ledger), "%s", ledger_problem(ledger));
    return ledger;
}

static uint64_t key_of(const char *name) {
    return ledger_key("endpoint", name, NULL);
}

/* Writes a deadline to a ledger and closes it. */
static void leave_mark(void) {
    struct ledger *ledger = opened();
    atomic_store(&ledger_slot(ledger, key_of("mark"))->until, 4711);
    ledger_close(ledger);
}

/* The deadline that is found in the ledger, which is closed again. */
static uint64_t mark_in(struct ledger *ledger) {
    struct ledger_slot *slot = ledger_slot(ledger, key_of("mark"));
    cr_assert_not_null(slot);
    uint64_t until = atomic_load(&slot->until);
    ledger_close(ledger);
    return until;
}

/* PATH can't be used: the ledger is private, says so, and works. */
static void expect_private(const char *path) {
    struct ledger *ledger = ledger_open(path);
    cr_assert_not_null(ledger);
    cr_expect_not_null(ledger_problem(ledger), "%s was used", path);
    cr_expect_eq(mark_in(ledger), 0);
}

static unsigned count_descriptors(void) {
    unsigned count = 0;
    DIR *handle = opendir("/proc/self/fd");
    cr_assert_not_null(handle);
    while (readdir(handle))
        count++;
    closedir(handle);
    return count;
}

Test(ledger, is_kept_for_the_next) {
    leave_mark();
    struct stat status;
    cr_assert_eq(stat(file, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    cr_expect_eq(mark_in(opened()), 4711);
    cr_expect_eq(mark_in(opened()), 4711);
}

Test(ledger, keeps_no_descriptor) {
    unsigned before = count_descriptors();
    struct ledger *a = opened(), *b = ledger_open("/proc/no/such"), *c = ledger_open(NULL);
    cr_expect_eq(count_descriptors(), before);
    cr_expect_null(ledger_problem(c), "nobody asked for a shared one");
    ledger_close(a);
    ledger_close(b);
    ledger_close(c);
    ledger_close(NULL);
}

Test(ledger, makes_the_last_component_alone) {
    char path[128];
    snprintf(path, sizeof path, "%s/a/b", directory);
    expect_private(path);
    snprintf(path, sizeof path, "%s/a", directory);
    struct ledger *ledger = ledger_open(path);
    cr_expect_null(ledger_problem(ledger));
    ledger_close(ledger);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    snprintf(path, sizeof path, "%s/a/ledger", directory);
    cr_expect_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/a", directory);
    cr_expect_eq(rmdir(path), 0);
}

Test(ledger, replaces_a_file_with_any_other_header) {
    for (off_t i = 0; i < 64; i++) { /* magic, layout, size, boot id */
        leave_mark();
        int fd = open(file, O_RDWR);
        unsigned char byte;
        cr_assert_eq(pread(fd, &byte, 1, i), 1);
        byte ^= 0x21;
        cr_assert_eq(pwrite(fd, &byte, 1, i), 1);
        close(fd);
        cr_expect_eq(mark_in(opened()), 0, "byte %ld of the header says nothing", (long)i);
        cr_expect_eq(mark_in(opened()), 0);
    }
}

Test(ledger, replaces_files_of_other_sizes) {
    static const off_t sizes[] = {0, 1, 63, 4096, -1, 1 << 20, (off_t)1 << 32};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct stat status;
        leave_mark();
        cr_assert_eq(stat(file, &status), 0);
        cr_assert_eq(truncate(file, sizes[i] < 0 ? status.st_size - 1 : sizes[i]), 0);
        cr_expect_eq(mark_in(opened()), 0);
        leave_mark();
        cr_expect_eq(mark_in(opened()), 4711);
    }
}

Test(ledger, replaces_what_is_no_file_of_its_own) {
    leave_mark();
    cr_assert_eq(chmod(file, 0644), 0);
    cr_expect_eq(mark_in(opened()), 0, "a file that others may read was used");
    leave_mark();
    cr_assert_eq(chmod(file, 0620), 0);
    cr_expect_eq(mark_in(opened()), 0, "a file that others may write was used");
    if (geteuid() == 0) {
        leave_mark();
        cr_assert_eq(chown(file, 65534, 65534), 0);
        cr_expect_eq(mark_in(opened()), 0, "another user's file was used");
    }
    unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    cr_expect_eq(mark_in(opened()), 0);
}

Test(ledger, does_not_follow_a_link_in_its_place) {
    char target[96];
    snprintf(target, sizeof target, "%s/target", directory);
    leave_mark();
    cr_assert_eq(rename(file, target), 0);
    cr_assert_eq(symlink("target", file), 0);
    cr_expect_eq(mark_in(opened()), 0, "the link was followed");
    cr_expect_eq(rename(target, file), 0);
    cr_expect_eq(mark_in(opened()), 4711, "the link's target was changed");
    unlink(file);
    cr_assert_eq(symlink("nothing", file), 0);
    cr_expect_eq(mark_in(opened()), 0);
}

Test(ledger, leaves_a_directory_in_its_place_alone) {
    cr_assert_eq(mkdir(file, 0700), 0);
    expect_private(directory);
}

Test(ledger, refuses_directories_that_are_not_private) {
    static const mode_t modes[] = {0755, 0750, 0701, 0770, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        cr_assert_eq(chmod(directory, modes[i]), 0);
        expect_private(directory);
    }
    if (geteuid() == 0) {
        cr_assert_eq(chmod(directory, 0700), 0);
        cr_assert_eq(chown(directory, 65534, 65534), 0);
        expect_private(directory);
    }
    cr_expect_neq(access(file, F_OK), 0, "it wrote there all the same");
    expect_private("/dev/null");
    expect_private("/proc/1/spillway");
    expect_private("");
}

Test(ledger, refuses_a_directory_behind_a_link) {
    char link[128], slash[132];
    snprintf(link, sizeof link, "%s.link", directory);
    snprintf(slash, sizeof slash, "%s/", link);
    cr_assert_eq(symlink(directory, link), 0);
    expect_private(link);
    expect_private(slash);
    unlink(link);
}

/* Nothing is refused to root, so root lets a child be somebody else. */
Test(ledger, is_private_where_nothing_can_be_written) {
    int status;
    if (geteuid() == 0)
        cr_assert_eq(chown(directory, 65534, 65534), 0);
    cr_assert_eq(chmod(directory, 0500), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(9);
        struct ledger *ledger = ledger_open(directory);
        _exit(!ledger || !ledger_problem(ledger) || !ledger_slot(ledger, 1));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_assert_eq(chmod(directory, 0700), 0);
}

/* COUNT children open the ledger at once and count in one slot each time. All must meet. */
static void meet(unsigned count) {
    int gate[2], status;
    pid_t children[16];
    char byte;
    cr_assert_eq(pipe(gate), 0);
    for (unsigned i = 0; i < count; i++)
        if ((children[i] = fork()) == 0) {
            close(gate[1]);
            if (read(gate[0], &byte, 1) != 0)
                _exit(1);
            struct ledger *ledger = ledger_open(directory);
            struct ledger_slot *slot = ledger_slot(ledger, key_of("meeting"));
            atomic_fetch_add(&slot->cursor, 1);
            _exit(ledger_problem(ledger) != NULL);
        }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_expect_eq(status, 0);
    }
    struct ledger *ledger = opened();
    uint64_t met = atomic_load(&ledger_slot(ledger, key_of("meeting"))->cursor);
    cr_expect_eq(met, count, "%llu of %u met", (unsigned long long)met, count);
    ledger_close(ledger);
}

Test(ledger, processes_that_make_it_at_once_share_it) {
    for (unsigned round = 0; round < 5; round++) {
        unlink(file);
        meet(16);
    }
}

Test(ledger, processes_that_replace_it_at_once_share_it) {
    for (unsigned round = 0; round < 20; round++) {
        int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
        cr_assert_eq(write(fd, "garbage", 7), 7);
        close(fd);
        meet(16);
    }
}

static unsigned count_files(void) {
    unsigned count = 0;
    DIR *handle = opendir(directory);
    cr_assert_not_null(handle);
    for (const struct dirent *entry; (entry = readdir(handle));)
        count += entry->d_name[0] != '.';
    closedir(handle);
    return count;
}

/* Wherever its maker is killed, the next one finds, or makes, a whole one and nothing else. */
Test(ledger, a_maker_that_is_killed_leaves_nothing) {
    uint64_t seed = 17;
    int status;
    for (unsigned round = 0; round < 400; round++) {
        unlink(file);
        uint64_t end = ledger_now() + 200000 + next_random(&seed) % 1500000;
        pid_t child = fork();
        if (child == 0) {
            ledger_open(directory);
            _exit(0);
        }
        while (ledger_now() < end)
            ;
        kill(child, SIGKILL);
        cr_assert_eq(waitpid(child, &status, 0), child);
        ledger_close(opened());
        cr_assert_eq(count_files(), 1, "round %u", round);
    }
}

Test(ledger, slots_are_found_by_their_key) {
    struct ledger *ledger = opened();
    struct ledger_slot *slots[LEDGER_SLOTS];
    for (uint64_t i = 0; i < LEDGER_SLOTS; i++) {
        uint64_t key = i % 2 ? 5 + i * LEDGER_SLOTS : UINT64_MAX - i; /* many in one place */
        slots[i] = ledger_slot(ledger, key);
        cr_assert_not_null(slots[i], "slot %llu", (unsigned long long)i);
        cr_assert_eq(atomic_load(&slots[i]->key), key);
        for (uint64_t j = 0; j < i; j++)
            cr_assert_neq(slots[j], slots[i]);
    }
    struct ledger *other = opened();
    for (uint64_t i = 0; i < LEDGER_SLOTS; i++) {
        uint64_t key = i % 2 ? 5 + i * LEDGER_SLOTS : UINT64_MAX - i;
        cr_assert_eq(ledger_slot(ledger, key), slots[i]);
        cr_assert_not_null(ledger_slot(other, key));
    }
    cr_expect_null(ledger_slot(ledger, 3), "all are in use");
    ledger_close(other);
    ledger_close(ledger);
}

/* With backends of long ago, or with what somebody wrote over it. */
Test(ledger, a_full_one_is_replaced_for_the_next) {
    struct ledger *ledger = opened();
    for (uint64_t i = 1; i <= LEDGER_SLOTS; i++)
        cr_assert_not_null(ledger_slot(ledger, i));
    cr_expect_null(ledger_slot(ledger, key_of("new")));
    ledger_close(ledger);
    ledger = opened();
    cr_expect_null(ledger_slot(ledger, key_of("new")),
                   "not at once: the settings may need them all");
    ledger_close(ledger);
    uint64_t made = UINT64_MAX; /* as good as long ago */
    int fd = open(file, O_RDWR);
    cr_assert_eq(pwrite(fd, &made, sizeof made, 80), (ssize_t)sizeof made);
    close(fd);
    ledger = opened();
    cr_expect_not_null(ledger_slot(ledger, key_of("new")));
    ledger_close(ledger);
}

Test(ledger, keys_tell_their_parts_apart) {
    static const char *const texts[][3] = {
        {"ab", "c", NULL}, {"a", "bc", NULL}, {"a", "b", "c"}, {"", "abc", ""}, {"abc", "", NULL},
        {"a", "", "bc"},   {"", "", "abc"},   {"", "", ""},    {"c", "b", "a"}, {"ab", "", "c"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_expect_neq(ledger_key(texts[i][0], texts[i][1], texts[i][2]), 0);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(ledger_key(texts[i][0], texts[i][1], texts[i][2]),
                          ledger_key(texts[j][0], texts[j][1], texts[j][2]), "%zu, %zu", i, j);
    }
}

static unsigned in_flight(struct ledger *ledger, struct ledger_slot *slot, uint64_t now) {
    unsigned count;
    ledger_in_flight(ledger, &slot, 1, now, &count);
    return count;
}

Test(ledger, counts_the_claims_of_the_living) {
    struct ledger *ledger = opened();
    struct ledger_slot *slot = ledger_slot(ledger, key_of("busy"));
    uint64_t now = ledger_now();
    int ready[2], status, own = ledger_claim(ledger, slot, now);
    char byte;
    cr_assert_geq(own, 0);
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5; i++)
            if (ledger_claim(ledger, slot, now) < 0)
                _exit(1);
        if (write(ready[1], "", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_expect_eq(in_flight(ledger, slot, now), 6);
    cr_expect_eq(in_flight(ledger, slot, now + 2 * SECOND), 6, "a living one's claims are kept");
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(in_flight(ledger, slot, now + 4 * SECOND), 1);
    ledger_release(ledger, own);
    ledger_release(ledger, -1);
    cr_expect_eq(in_flight(ledger, slot, now + 6 * SECOND), 0);
    close(ready[0]);
    close(ready[1]);
    ledger_close(ledger);
}

/* Times are kept in eighths of a second; who reads the clock first may be the second to use it. */
Test(ledger, keeps_a_claim_that_is_younger_than_who_looks) {
    struct ledger *ledger = opened();
    struct ledger_slot *slot = ledger_slot(ledger, key_of("busy"));
    uint64_t now = ledger_now() / SECOND * SECOND;
    uint64_t mark = ledger_mark(now);
    cr_expect(ledger_lives(mark, now - 1));
    cr_expect(ledger_lives(mark, now - SECOND));
    cr_expect_not(ledger_lives(ledger_mark(now + 3600 * SECOND), now));
    cr_assert_geq(ledger_claim(ledger, slot, now), 0);
    cr_expect_eq(in_flight(ledger, slot, now - 1), 1);
    ledger_close(ledger);
}

/* A killed process is there, in a way, until its parent has asked what became of it. */
Test(ledger, does_not_count_the_claims_of_zombies) {
    struct ledger *ledger = opened();
    struct ledger_slot *slot = ledger_slot(ledger, key_of("busy"));
    uint64_t now = ledger_now();
    siginfo_t info;
    int status;
    pid_t child = fork();
    if (child == 0) {
        ledger_claim(ledger, slot, now);
        for (;;)
            raise(SIGKILL);
    }
    cr_assert_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    cr_expect_eq(in_flight(ledger, slot, now), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    ledger_close(ledger);
}

/* A child may clean up handles that its parent still uses. */
Test(ledger, a_child_does_not_release_its_parents_claim) {
    struct ledger *ledger = opened();
    struct ledger_slot *slot = ledger_slot(ledger, key_of("busy"));
    uint64_t now = ledger_now();
    int status, claim = ledger_claim(ledger, slot, now);
    pid_t child = fork();
    if (child == 0) {
        ledger_release(ledger, claim);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(in_flight(ledger, slot, now), 1);
    ledger_release(ledger, claim);
    cr_expect_eq(in_flight(ledger, slot, now), 0);
    ledger_close(ledger);
}

/* Nobody may ask for the counts for days. */
Test(ledger, a_table_full_of_the_dead_has_room) {
    struct ledger *ledger = opened();
    struct ledger_slot *slot = ledger_slot(ledger, key_of("busy"));
    uint64_t now = ledger_now();
    int status;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < LEDGER_CLAIMS; i++)
            if (ledger_claim(ledger, slot, now) < 0)
                _exit(1);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_expect_geq(ledger_claim(ledger, slot, now), 0);
    cr_expect_eq(in_flight(ledger, slot, now), 1);
    ledger_close(ledger);
}

Test(ledger, claims_end_with_their_table) {
    struct ledger *ledger = ledger_open(NULL);
    uint64_t now = ledger_now();
    struct ledger_slot *a = ledger_slot(ledger, 1), *b = ledger_slot(ledger, 2), foreign = {0};
    for (int i = 0; i < LEDGER_CLAIMS; i++)
        cr_assert_geq(ledger_claim(ledger, i % 4 ? a : b, now), 0);
    cr_expect_eq(ledger_claim(ledger, a, now), -1);
    cr_expect_eq(ledger_claim(ledger, &foreign, now), -1, "a slot of somebody else's");
    cr_expect_eq(in_flight(ledger, a, now), LEDGER_CLAIMS / 4 * 3);
    cr_expect_eq(in_flight(ledger, b, now), LEDGER_CLAIMS / 4);
    cr_expect_eq(in_flight(ledger, &foreign, now), 0);
    ledger_close(ledger);
}

/* Everything that a pool is asked, in whatever state its ledger is. */
static void use_pool(struct pool *pool, int count, uint64_t now, uint64_t random) {
    struct pool_turn turn = {.barred = 2};
    uint32_t reason;
    char text[12];
    int chosen = pool_choose(pool, &turn, now, random);
    cr_assert(chosen >= -1 && chosen < count && chosen != 1, "chose %d", chosen);
    for (int i = 0; i < count; i++) {
        pool_cooling(pool, i, now, &reason);
        cr_assert_leq(strlen(pool_reason_name(reason, text)), 11);
    }
    pool_soonest(pool, 0, now);
    if (chosen < 0)
        return;
    int claim = pool_begin(pool, chosen, now);
    cr_assert(claim >= -1 && claim < LEDGER_CLAIMS);
    pool_end(pool, claim);
    pool_succeeded(pool, &turn, chosen, 200, now);
    cr_assert_geq(pool_failed(pool, &turn, chosen, 429, POOL_AT_ONCE, SECOND, now), SECOND);
}

Test(ledger, any_bytes_in_it_do_no_harm) {
    struct backend backends[5];
    char names[5][16], name[] = "fuzzed", url[] = "https://fuzzed.test";
    for (int i = 0; i < 5; i++) {
        snprintf(names[i], sizeof names[i], "b%d", i);
        backends[i] = (struct backend){
            .name = names[i], .url = url, .priority = i / 3, .weight = 1 + (unsigned)i};
    }
    struct endpoint endpoint = {
        .name = name, .failure_threshold = 2, .backends = backends, .backend_count = 5};
    struct ledger *ledger = opened();
    struct pool *pool = pool_new(&endpoint, ledger);
    struct stat status;
    int fd = open(file, O_RDWR);
    cr_assert_eq(fstat(fd, &status), 0);
    size_t size = (size_t)status.st_size;
    unsigned char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(bytes, MAP_FAILED);
    close(fd);
    uint64_t seed = 99;
    for (unsigned round = 0; round < 3000; round++) {
        size_t length = round % 50 ? 1 + next_random(&seed) % 8192 : size;
        size_t at = length < size ? next_random(&seed) % (size - length) : 0;
        uint64_t fill = round % 3 ? next_random(&seed) : UINT64_MAX;
        for (size_t i = 0; i < length; i++)
            bytes[at + i] = (unsigned char)(fill >> (i % 8 * 8));
        endpoint.strategy = (enum strategy)(round % 4);
        use_pool(pool, 5, ledger_now(), next_random(&seed));
        ledger_slot(ledger, next_random(&seed) | 1);
    }
    munmap(bytes, size);
    pool_free(pool);
    ledger_close(ledger);
}

Test(ledger, a_full_table_leaves_the_pool_its_own_state) {
    struct ledger *ledger = ledger_open(NULL);
    for (uint64_t i = 1; i <= LEDGER_SLOTS; i++)
        ledger_slot(ledger, i);
    char name[] = "last", url[] = "https://last.test", second[] = "second";
    struct backend backends[] = {{.name = name, .url = url, .weight = 1},
                                 {.name = second, .url = url, .weight = 1}};
    struct endpoint endpoint = {
        .name = name, .failure_threshold = 1, .backends = backends, .backend_count = 2};
    struct pool *pool = pool_new(&endpoint, ledger);
    struct pool_turn turn = {0};
    int first = pool_choose(pool, &turn, SECOND, 0);
    cr_assert_geq(first, 0);
    cr_expect_eq(pool_failed(pool, &turn, first, 429, POOL_AT_ONCE, SECOND, SECOND), SECOND);
    cr_expect_eq(pool_choose(pool, &turn, SECOND, 0), 1 - first);
    cr_expect_eq(pool_cooling(pool, 1 - first, SECOND, NULL), 0);
    pool_free(pool);
    ledger_close(ledger);
}

static uint32_t peeked_status(void) {
    struct ledger *ledger = ledger_peek(directory);
    cr_assert_not_null(ledger);
    cr_expect_null(ledger_problem(ledger), "%s", ledger_problem(ledger));
    struct ledger_slot *slot = ledger_slot(ledger, key_of("a"));
    uint32_t status = atomic_load(&slot->last_status);
    atomic_store(&slot->last_status, 1); /* for nobody */
    ledger_close(ledger);
    return status;
}

Test(ledger, a_look_sees_and_changes_nothing) {
    struct ledger *ledger = opened();
    atomic_store(&ledger_slot(ledger, key_of("a"))->last_status, 429);
    cr_expect_eq(peeked_status(), 429);
    cr_expect_eq(peeked_status(), 429);
    cr_expect_eq(atomic_load(&ledger_slot(ledger, key_of("a"))->last_status), 429);
    ledger_close(ledger);
}

Test(ledger, a_look_makes_nothing) {
    cr_expect_eq(peeked_status(), 0);
    cr_expect_lt(access(file, F_OK), 0);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_expect_eq(write(fd, "precious", 8), 8);
    close(fd);
    cr_expect_eq(peeked_status(), 0);
    struct stat status;
    cr_expect(stat(file, &status) == 0 && status.st_size == 8, "the file was touched");
    unlink(file);
    rmdir(directory);
    cr_expect_eq(peeked_status(), 0);
    cr_expect_lt(access(directory, F_OK), 0);
    cr_assert_eq(mkdir(directory, 0700), 0);
}

Test(ledger, a_look_at_a_foreign_directory_is_a_problem) {
    cr_assert_eq(chmod(directory, 0755), 0);
    struct ledger *ledger = ledger_peek(directory);
    cr_assert_not_null(ledger);
    cr_expect_not_null(ledger_problem(ledger));
    ledger_close(ledger);
    ledger = ledger_peek(NULL);
    cr_assert_not_null(ledger);
    cr_expect_null(ledger_problem(ledger));
    ledger_close(ledger);
}
