/*
 * Keys: where they come from, and that a key file may be replaced, written to, broken and removed
 * while others hold the key that it had.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/log.h"
#include "shim/request/keys.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define KEY_LIMIT    CREDENTIALS_KEY_MAX

static char directory[64], path[80], other[80], log_file[80];
static const char *variable; /* the value of KEY_VARIABLE */
static struct endpoint endpoint;

static const char *lookup(const char *name) {
    return strcmp(name, "KEY_VARIABLE") == 0 ? variable : NULL;
}

static void set_up(void) {
    static char name[] = "llm";
    endpoint.name = name;
    snprintf(directory, sizeof directory, "/tmp/spillway-keys.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/key", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    snprintf(log_file, sizeof log_file, "%s/log", directory);
    log_open(log_file, LOG_INFO);
}

static void tear_down(void) {
    unlink(path);
    unlink(other);
    unlink(log_file);
    rmdir(directory);
    log_open(NULL, LOG_OFF);
}

TestSuite(keys, .init = set_up, .fini = tear_down);

static void write_bytes(const char *name, const char *bytes, size_t length) {
    FILE *stream = fopen(name, "wb");
    cr_assert_not_null(stream);
    cr_assert_eq(fwrite(bytes, 1, length, stream), length);
    fclose(stream);
}

/* As who rotates keys should: a new file in the place of the old. */
static void rotate(const char *key) {
    write_bytes(other, key, strlen(key));
    cr_assert_eq(rename(other, path), 0);
}

static struct backend backend_with(enum key_source source, char *key, enum dialect dialect) {
    static char name[] = "b";
    return (struct backend){.name = name, .dialect = dialect, .key_source = source, .key = key};
}

static struct key make_key(const struct backend *backend) {
    struct key key;
    cr_assert(key_init(&key, &endpoint, backend, lookup));
    return key;
}

/* KEY must now be the line EXPECTED; NULL: it is missing. */
static void expect_now(const struct key *key, const char *expected, const char *what) {
    errno = 77;
    struct key_use use = key_take(key);
    if (expected) {
        cr_expect_eq(use.state, CREDENTIALS_READY, "%s", what);
        cr_expect_str_eq(use.line, expected, "%s", what);
    } else {
        cr_expect_eq(use.state, CREDENTIALS_MISSING, "%s", what);
        cr_expect_null(use.line, "%s", what);
    }
    key_release(&use);
    cr_expect_null(use.line);
    cr_expect_eq(errno, 77, "errno after %s", what);
}

/* The same for a key that is made for this alone. */
static void expect_line(const struct backend *backend, const char *expected, const char *what) {
    struct key key = make_key(backend);
    const char *missing = key_missing(&key, backend);
    cr_expect_eq(missing == NULL, expected != NULL, "%s", what);
    expect_now(&key, expected, what);
    key_clear(&key);
}

static unsigned logged(const char *word) {
    char line[1100];
    unsigned count = 0;
    FILE *stream = fopen(log_file, "r");
    while (stream && fgets(line, sizeof line, stream))
        count += strstr(line, "event=credentials") && strstr(line, word);
    if (stream)
        fclose(stream);
    return count;
}

Test(keys, none_are_the_programs) {
    struct backend backend = backend_with(KEY_NONE, NULL, DIALECT_AZURE);
    struct key key = make_key(&backend);
    struct key_use use = key_take(&key);
    cr_expect_eq(use.state, CREDENTIALS_OF_PROGRAM);
    cr_expect_null(use.line);
    cr_expect_null(key_missing(&key, &backend));
    key_release(&use);
    key_clear(&key);
}

Test(keys, of_the_settings_and_the_environment) {
    char text[] = "k-1", name[] = "KEY_VARIABLE", unset[] = "KEY_UNSET";
    struct backend settings = backend_with(KEY_INLINE, text, DIALECT_AZURE);
    expect_line(&settings, "api-key: k-1", "inline");
    struct backend environment = backend_with(KEY_ENVIRONMENT, name, DIALECT_OPENAI);
    variable = "k 2";
    expect_line(&environment, "Authorization: Bearer k 2", "environment");
    variable = "k\n2";
    expect_line(&environment, NULL, "a line break");
    variable = "";
    expect_line(&environment, NULL, "empty variable");
    variable = NULL;
    expect_line(&environment, NULL, "no variable");
    environment.key = unset;
    expect_line(&environment, NULL, "another variable");
}

Test(keys, of_the_settings_and_the_environment_never_change) {
    char name[] = "KEY_VARIABLE";
    struct backend backend = backend_with(KEY_ENVIRONMENT, name, DIALECT_OPENAI);
    variable = "one";
    struct key key = make_key(&backend);
    variable = "two";
    expect_now(&key, "Authorization: Bearer one", "after a change");
    struct key_use use = key_take(&key);
    cr_expect_null(use.held, "nothing is counted");
    cr_expect_null(key.file, "nothing is looked at");
    key_release(&use);
    key_clear(&key);
}

Test(keys, of_a_file_are_trimmed) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *line;
    } cases[] = {
        {"k", 1, "api-key: k"},
        {"k\n", 2, "api-key: k"},
        {" \t\r\nk v\r\n \t\n", 12, "api-key: k v"},
        {"", 0, NULL},
        {"\n \n", 3, NULL},
        {"a\nb\n", 4, NULL},
        {"a\rb", 3, NULL},
        {"a\tb", 3, NULL},
        {"\va", 2, NULL},
        {"a\0b", 3, NULL},
        {"a\0\n", 3, NULL},
    };
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_bytes(path, cases[i].bytes, cases[i].length);
        expect_line(&backend, cases[i].line, cases[i].bytes);
    }
}

Test(keys, of_a_file_have_a_limit) {
    static char bytes[KEY_LIMIT + 2], line[KEY_LIMIT + 16];
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    memset(bytes, 'k', sizeof bytes);
    snprintf(line, sizeof line, "api-key: %.*s", KEY_LIMIT - 1, bytes);
    write_bytes(path, bytes, KEY_LIMIT - 1);
    expect_line(&backend, line, "a byte less than 16 KiB");
    snprintf(line, sizeof line, "api-key: %.*s", KEY_LIMIT, bytes);
    write_bytes(path, bytes, KEY_LIMIT);
    expect_line(&backend, line, "16 KiB");
    write_bytes(path, bytes, KEY_LIMIT + 1);
    expect_line(&backend, NULL, "a byte more than 16 KiB, which is not cut");
}

Test(keys, of_no_file_are_missing) {
    char none[] = "/tmp/spillway-key.none/key", tmp[] = "/tmp", null[] = "/dev/null";
    struct backend backend = backend_with(KEY_FILE, none, DIALECT_OPENAI);
    expect_line(&backend, NULL, none);
    backend.key = tmp;
    expect_line(&backend, NULL, tmp);
    backend.key = null;
    expect_line(&backend, NULL, null);
    cr_assert_eq(mkfifo(path, 0600), 0);
    backend.key = path;
    expect_line(&backend, NULL, "a fifo without a writer, which does not block");
}

Test(keys, follow_their_file) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    struct key key = make_key(&backend);
    expect_now(&key, NULL, "before it is there");
    rotate("one\n");
    expect_now(&key, "api-key: one", "when it appears");
    rotate("two\n");
    expect_now(&key, "api-key: two", "replaced");
    write_bytes(path, "six\n", 4);
    expect_now(&key, "api-key: six", "written to, with the same size");
    rotate("eyJ.x.y\n");
    expect_now(&key, "Authorization: Bearer eyJ.x.y", "replaced by a token");
    key_clear(&key);
}

/* Also where the clock of the files stands still between two writes. */
Test(keys, follow_quick_writes) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    struct key key = make_key(&backend);
    for (int i = 0; i < 2000; i++) {
        char text[16], line[32];
        snprintf(text, sizeof text, "%08d", i);
        snprintf(line, sizeof line, "api-key: %s", text);
        write_bytes(path, text, 8);
        expect_now(&key, line, "a quick write");
    }
    key_clear(&key);
}

Test(keys, that_were_good_stay) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    rotate("good\n");
    struct key key = make_key(&backend);
    static const char *const broken[] = {"", " \n", "a\nb", "a\tb"};
    for (unsigned i = 0; i < COUNT(broken); i++) {
        rotate(broken[i]);
        for (int again = 0; again < 3; again++)
            expect_now(&key, "api-key: good", "a broken file");
        cr_expect_eq(logged("key=kept"), i + 1, "one line for each change: %u", logged("kept"));
    }
    cr_assert_eq(unlink(path), 0);
    for (int again = 0; again < 3; again++)
        expect_now(&key, "api-key: good", "no file");
    cr_expect_eq(logged("does not exist"), 1);
    rotate("good\n");
    expect_now(&key, "api-key: good", "the same key anew");
    rotate("better\n");
    expect_now(&key, "api-key: better", "a better one");
    cr_expect_eq(logged("good") + logged("better"), 0, "a key is in the log");
    key_clear(&key);
}

Test(keys, that_are_held_stay_as_they_are) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    rotate("first");
    struct key key = make_key(&backend);
    struct key_use a = key_take(&key), b = key_take(&key);
    cr_expect_eq(a.line, b.line);
    rotate("second");
    struct key_use c = key_take(&key);
    cr_expect_str_eq(a.line, "api-key: first");
    cr_expect_str_eq(c.line, "api-key: second");
    key_release(&a);
    cr_expect_str_eq(b.line, "api-key: first");
    key_clear(&key);
    cr_expect_str_eq(b.line, "api-key: first");
    cr_expect_str_eq(c.line, "api-key: second");
    key_release(&b);
    key_release(&c);
    key_release(&c);
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *listing = opendir("/proc/self/fd");
    cr_assert_not_null(listing);
    while (readdir(listing))
        count++;
    closedir(listing);
    return count;
}

Test(keys, keep_no_descriptor) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    unsigned before = open_descriptors();
    struct key key = make_key(&backend);
    static const char *const contents[] = {"a", "", "b\nc", "d"};
    for (unsigned i = 0; i < COUNT(contents); i++) {
        rotate(contents[i]);
        struct key_use use = key_take(&key);
        key_release(&use);
    }
    cr_expect_eq(open_descriptors(), before);
    key_clear(&key);
}

static struct {
    struct key key;
    atomic_bool over;
    atomic_uint wrong, taken;
} shared;

/* A line is one of those that were written, whole: as many 'x' as it says. */
static bool is_whole(const char *line) {
    static const char front[] = "api-key: ";
    if (strncmp(line, front, sizeof front - 1) != 0)
        return false;
    size_t length = strtoul(line + sizeof front - 1, NULL, 10);
    const char *rest = strchr(line + sizeof front - 1, 'x');
    return rest && strspn(rest, "x") == length && strlen(rest) == length;
}

static void *take_many(void *unused) {
    (void)unused;
    while (!atomic_load(&shared.over)) {
        struct key_use use = key_take(&shared.key), second = key_take(&shared.key);
        if (!is_whole(use.line) || !is_whole(second.line))
            atomic_fetch_add(&shared.wrong, 1);
        key_release(&use);
        if (!is_whole(second.line))
            atomic_fetch_add(&shared.wrong, 1);
        key_release(&second);
        atomic_fetch_add(&shared.taken, 1);
    }
    return NULL;
}

static void rotate_to_length(int length) {
    char text[600], xs[500];
    memset(xs, 'x', sizeof xs);
    snprintf(text, sizeof text, "%d%.*s\n", length, length, xs);
    rotate(text);
}

static void fork_and_take(void) {
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(20);
        struct key_use use = key_take(&shared.key);
        _exit(is_whole(use.line) ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "a child that was forked in between");
}

Test(keys, of_many_threads_are_whole_in_rotation) {
    struct backend backend = backend_with(KEY_FILE, path, DIALECT_AZURE);
    pthread_t threads[6];
    rotate_to_length(1);
    shared.key = make_key(&backend);
    for (size_t i = 0; i < COUNT(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_many, NULL), 0);
    for (int i = 0; i < 300 || atomic_load(&shared.taken) < 300; i++) {
        rotate_to_length(1 + i * 7 % 480);
        if (i % 10 == 0)
            fork_and_take();
    }
    atomic_store(&shared.over, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(atomic_load(&shared.wrong), 0);
    rotate_to_length(480);
    struct key_use use = key_take(&shared.key);
    cr_expect_eq(strlen(use.line), strlen("api-key: 480") + 480);
    key_release(&use);
    key_clear(&shared.key);
}
