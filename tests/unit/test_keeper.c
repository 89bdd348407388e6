/*
 * Running key_commands, their files, and waiting for the end of a process.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/command/fetch.h"
#include "shim/command/keeper.h"
#include "shim/command/watch.h"
#include "shim/pool/ledger.h"
#include "shim/request/keys.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char directory[64];
static char output[FETCH_OUTPUT_MAX + 1], fault[100];
static size_t length;

static void set_up(void) {
    snprintf(directory, sizeof directory, "/tmp/spillway-keeper.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void tear_down(void) {
    cr_assert_eq(chdir("/"), 0);
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", directory, (char *)NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

TestSuite(fetch, .init = set_up, .fini = tear_down);
TestSuite(keeper, .init = set_up, .fini = tear_down);

static bool run(const char *command, int64_t limit_ms, int stop) {
    fault[0] = '\0';
    return fetch_run(command, limit_ms, stop, output, &length, fault, sizeof fault);
}

Test(fetch, gives_what_is_printed) {
    cr_expect(run("echo one; echo two", FETCH_LIMIT_MS, -1), "%s", fault);
    cr_expect_str_eq(output, "one\ntwo\n");
    cr_expect_eq(length, 8);
    cr_expect(run("true", FETCH_LIMIT_MS, -1), "%s", fault);
    cr_expect_eq(length, 0);
    cr_expect(run("cat; exec >&-; test -z \"$(cat)\"", FETCH_LIMIT_MS, -1), "%s", fault);
    cr_expect_eq(length, 0, "standard input is empty");
}

Test(fetch, has_the_environment_without_the_shim) {
    setenv("LD_PRELOAD", "/nowhere/libspillway.so", 1);
    cr_expect(run("echo \"${LD_PRELOAD-none}\"", FETCH_LIMIT_MS, -1), "%s", fault);
    cr_expect_str_eq(output, "none\n");
    cr_expect_str_eq(getenv("LD_PRELOAD"), "/nowhere/libspillway.so");
    unsetenv("LD_PRELOAD");
}

Test(fetch, tells_how_it_failed) {
    cr_expect_not(run("echo secret; exit 3", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "exit status 3");
    cr_expect_not(run("kill -TERM $$", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "signal 15");
    cr_expect_not(run("no-such-command-here 2>/dev/null", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "exit status 127");
}

Test(fetch, has_a_limit_of_size) {
    cr_expect(run("head -c 65536 /dev/zero | tr '\\0' a", FETCH_LIMIT_MS, -1), "%s", fault);
    cr_expect_eq(length, 65536);
    cr_expect_not(run("head -c 65537 /dev/zero | tr '\\0' a", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "printed more than 64 KiB");
    cr_expect_not(run("yes", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "printed more than 64 KiB");
}

static bool is_alive(const char *file) {
    FILE *stream = fopen(file, "r");
    char line[32] = "";
    cr_assert_not_null(stream);
    cr_assert_not_null(fgets(line, sizeof line, stream));
    fclose(stream);
    long pid = strtol(line, NULL, 10);
    cr_assert_gt(pid, 0);
    struct watch watch;
    return watch_open_proc(&watch, (pid_t)pid) && !watch_ended(&watch, 5000);
}

Test(fetch, has_a_limit_of_time_for_the_whole_group) {
    uint64_t start = ledger_now();
    cr_expect_not(run("sleep 60 & echo $! >pid; wait", 1000, -1));
    cr_expect_str_eq(fault, "timed out after 1 s");
    cr_expect_geq(ledger_now() - start, 1000000000u);
    cr_expect_lt(ledger_now() - start, 20000000000u);
    cr_expect_not(is_alive("pid"), "what it started goes on");
    cr_expect_not(run("echo $$ >pid; exec >&-; sleep 60", 1000, -1));
    cr_expect_str_eq(fault, "timed out after 1 s", "without an output: %s", fault);
    cr_expect_not(is_alive("pid"));
}

Test(fetch, is_stopped) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[1]); /* readable: its end */
    cr_expect_not(run("echo $$ >pid; sleep 60 & echo $! >pid; wait", FETCH_LIMIT_MS, ends[0]));
    cr_expect_str_eq(fault, "was stopped");
    close(ends[0]);
}

/* As nohup and some supervisors leave it. */
Test(fetch, works_where_children_are_ignored) {
    struct sigaction ignored = {.sa_handler = SIG_IGN}, after;
    sigaction(SIGCHLD, &ignored, NULL);
    cr_expect_not(run("exit 3", FETCH_LIMIT_MS, -1));
    cr_expect_str_eq(fault, "exit status 3");
    sigaction(SIGCHLD, NULL, &after);
    cr_expect_eq(after.sa_handler, SIG_IGN);
}

static struct settings *load(const char *command, const char *other) {
    char text[1000];
    struct settings_error error;
    snprintf(text, sizeof text,
             "endpoints:\n- {name: e, url: 'http://e.test', backends: [\n"
             "  {name: a, url: 'http://a.test', key_command: '%s'},\n"
             "  {name: b, url: 'http://b.test', key_command: '%s'},\n"
             "  {name: c, url: 'http://c.test', key: k}]}\n"
             "- {name: f, url: 'http://f.test', backends: [\n"
             "  {name: a, url: 'http://a.test', key_command: '%s'}]}\n",
             command, other, command);
    struct settings *settings = settings_load_text("test", text, strlen(text), &error);
    cr_assert_not_null(settings, "%u:%u %s", error.line, error.column, error.message);
    return settings;
}

static const char *keys_directory;

static const char *lookup(const char *name) {
    return strcmp(name, "SPILLWAY_KEYS") == 0 ? keys_directory : NULL;
}

/* What the shim makes of the file for that backend; NULL: nothing. */
static void expect_key(const struct settings *settings, size_t endpoint, size_t backend,
                       const char *expected) {
    const struct endpoint *e = &settings->endpoints[endpoint];
    struct key key;
    cr_assert(key_init(&key, e, &e->backends[backend], lookup));
    struct key_use use = key_take(&key);
    if (expected)
        cr_expect_str_eq(use.line, expected, "%s/%s", e->name, e->backends[backend].name);
    else
        cr_expect_null(use.line, "%s/%s: %s", e->name, e->backends[backend].name, use.line);
    cr_expect_eq(use.state, expected ? CREDENTIALS_READY : CREDENTIALS_MISSING);
    key_release(&use);
    key_clear(&key);
}

static struct keeper *make_keeper(const struct settings *settings) {
    char message[300];
    struct keeper *keeper = keeper_new(settings, message, sizeof message);
    cr_assert_not_null(keeper, "%s", message);
    keys_directory = keeper_directory(keeper);
    return keeper;
}

Test(keeper, writes_each_backends_file) {
    struct settings *settings = load("echo x >>times; echo tok-1", "echo tok-2");
    struct keeper *keeper = make_keeper(settings);
    struct stat status;
    char path[200], name[KEY_FILE_NAME_SIZE], parent[200];
    umask(0);
    cr_assert_eq(keeper_fetch(keeper, stderr), 0);
    expect_key(settings, 0, 0, "Authorization: Bearer tok-1");
    expect_key(settings, 0, 1, "Authorization: Bearer tok-2");
    expect_key(settings, 1, 0, "Authorization: Bearer tok-1");
    cr_assert_eq(stat("times", &status), 0);
    cr_expect_eq(status.st_size, 2, "the same command is run once");
    cr_assert_eq(stat(keys_directory, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    snprintf(parent, sizeof parent, "%s/spillway/keys-", directory);
    cr_expect_eq(strncmp(keys_directory, parent, strlen(parent)), 0, "%s", keys_directory);
    key_file_name(&settings->endpoints[0], &settings->endpoints[0].backends[0], name);
    snprintf(path, sizeof path, "%s/%s", keys_directory, name);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s", keys_directory);
    keeper_end(keeper);
    cr_expect_neq(access(path, F_OK), 0, "the directory is left");
    settings_free(settings);
}

Test(keeper, names_the_backends_that_failed) {
    char *text = NULL;
    size_t size = 0;
    struct settings *settings = load("echo sk-secret; exit 3", "true");
    struct keeper *keeper = make_keeper(settings);
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(keeper_fetch(keeper, out), 0);
    fclose(out);
    cr_expect_str_eq(text,
                     "spillway: key_command of backend a of endpoint e failed: exit status 3\n"
                     "spillway: key_command of backend b of endpoint e failed: printed nothing\n"
                     "spillway: key_command of backend a of endpoint f failed: exit status 3\n");
    expect_key(settings, 0, 0, NULL);
    free(text);
    keeper_end(keeper);
    settings_free(settings);
}

Test(keeper, is_interrupted) {
    struct sigaction after;
    struct settings *settings = load("kill -TERM $PPID; sleep 60", "echo x >second");
    struct keeper *keeper = make_keeper(settings);
    cr_expect_eq(keeper_fetch(keeper, stderr), SIGTERM);
    sigaction(SIGTERM, NULL, &after);
    cr_expect_eq(after.sa_handler, SIG_DFL);
    cr_expect_neq(access("second", F_OK), 0, "the next command is run");
    keeper_end(keeper);
    settings_free(settings);
}

Test(keeper, takes_another_directory_if_the_first_is_not_private) {
    char path[100];
    struct settings *settings = load("echo tok", "echo tok");
    snprintf(path, sizeof path, "%s/spillway", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(chmod(path, 0755), 0);
    struct keeper *keeper = make_keeper(settings);
    cr_expect_eq(strncmp(keys_directory, "/tmp/spillway-", 14), 0, "%s", keys_directory);
    cr_expect_null(strstr(keys_directory, directory));
    keeper_end(keeper);
    settings_free(settings);
}

/* Only what nobody else can have written is taken for a key. */
Test(keeper, files_of_others_are_no_keys) {
    struct settings *settings = load("echo tok", "echo tok");
    struct keeper *keeper = make_keeper(settings);
    const struct endpoint *e = &settings->endpoints[0];
    char path[200], other[200], name[KEY_FILE_NAME_SIZE];
    cr_assert_eq(keeper_fetch(keeper, stderr), 0);
    key_file_name(e, &e->backends[0], name);
    snprintf(path, sizeof path, "%s/%s", keys_directory, name);
    snprintf(other, sizeof other, "%s/other", directory);
    expect_key(settings, 0, 0, "Authorization: Bearer tok");
    static const mode_t modes[] = {0640, 0620, 0604, 0602, 0610};
    for (size_t i = 0; i < COUNT(modes); i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        expect_key(settings, 0, 0, NULL);
    }
    cr_assert_eq(chmod(path, 0400), 0);
    expect_key(settings, 0, 0, "Authorization: Bearer tok");
    cr_assert_eq(rename(path, other), 0);
    cr_assert_eq(symlink(other, path), 0);
    expect_key(settings, 0, 0, NULL);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_key(settings, 0, 0, NULL);
    keys_directory = NULL;
    expect_key(settings, 0, 0, NULL);
    keeper_end(keeper);
    settings_free(settings);
}

Test(keeper, distrusts_what_others_can_write) {
    struct stat status = {.st_uid = geteuid(), .st_mode = S_IFREG | 0644};
    cr_expect_null(keeper_distrusts(&status));
    status.st_mode = S_IFREG | 0664;
    cr_expect_not_null(keeper_distrusts(&status));
    status.st_mode = S_IFREG | 0602;
    cr_expect_not_null(keeper_distrusts(&status));
    status = (struct stat){.st_uid = geteuid() + 1, .st_mode = S_IFREG | 0600};
    cr_expect_not_null(keeper_distrusts(&status));
    status.st_uid = 0;
    cr_expect_null(keeper_distrusts(&status), "root may");
}

static void expect_end_is_seen(bool (*watch_process)(struct watch *, pid_t)) {
    int ends[2];
    char byte;
    struct watch watch;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    cr_assert(watch_process(&watch, child));
    cr_expect_not(watch_ended(&watch, 0));
    cr_expect_not(watch_ended(&watch, -1));
    cr_expect_not(watch_ended(&watch, 30));
    close(ends[1]);
    cr_expect(watch_ended(&watch, 20000), "a zombie has ended");
    waitpid(child, NULL, 0);
    cr_expect(watch_ended(&watch, 0), "and who is gone, too");
    close(watch.fd);
}

Test(watch, sees_the_end_of_a_process) {
    expect_end_is_seen(watch_open);
}

Test(watch, sees_the_end_of_a_process_by_proc) {
    expect_end_is_seen(watch_open_proc);
}
