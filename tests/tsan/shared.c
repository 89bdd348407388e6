/*
 * What the threads of a process share, used by all of them at once, for ThreadSanitizer: the pool
 * and its ledger, the runtime and its settings, keys in files.
 *
 *   SPILLWAY_CONFIG=DIRECTORY/settings.yaml shared THREADS MILLISECONDS DIRECTORY
 *
 * These settings, and a key in DIRECTORY, change all the time; the ledger is taken away now and
 * then. Exit status 0 if all went as it
 * should; what the sanitizer finds is its own business.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/runtime.h"

#define THREADS_MAX 64
#define SECOND      1000000000u

static atomic_bool over;
static atomic_ulong turns, failures;
static char directory[256];

static void expect(bool true_one, const char *what) {
    if (true_one)
        return;
    fprintf(stderr, "shared: %s\n", what);
    exit(1);
}

/* In one step, as anybody may read it at any time. */
static void write_file(const char *name, const char *text) {
    char path[300], new[310];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(new, sizeof new, "%s.new", path);
    FILE *file = fopen(new, "w");
    expect(file != NULL, new);
    expect(fputs(text, file) >= 0 && fclose(file) == 0 && rename(new, path) == 0, path);
}

static void write_settings(unsigned round) {
    static const char *const strategies[] = {"round_robin", "random", "least_busy", "first"};
    char text[1024];
    snprintf(text, sizeof text,
             "state: {directory: %s/state}\n"
             "endpoints:\n"
             "  - url: http://llm.test/v1\n"
             "    cooldown: 1ms\n"
             "    strategy: %s\n"
             "    backends:\n"
             "      - {name: a, url: http://a.test, key_file: %s/key}\n"
             "      - {name: b, url: http://b.test, weight: %u}\n"
             "      - {name: c, url: http://c.test, priority: %u}\n",
             directory, strategies[round % 4], directory, 1 + round % 3, 1 + round % 2);
    write_file("settings.yaml", text);
    snprintf(text, sizeof text, "key-%u\n", round);
    write_file("key", text);
}

static void take_ledger_away(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/state/ledger", directory);
    unlink(path);
}

/* One attempt on the pool of ENDPOINT, as a transfer has it. */
static void attempt(const struct runtime_endpoint *endpoint, uint64_t now, uint64_t random) {
    struct pool *pool = endpoint->pool;
    struct pool_turn turn = {0};
    int backend = pool_choose(pool, &turn, now, random);
    if (backend < 0)
        return;
    int claim = pool_begin(pool, backend, now);
    if (random % 7 == 0)
        pool_failed(pool, &turn, backend, 503, 0, 1000000, ledger_now());
    else if (random % 11 == 0)
        pool_give_up(pool, &turn, backend);
    else
        pool_succeeded(pool, &turn, backend, 200, now);
    pool_end(pool, claim);
    pool_took(pool, backend, ledger_now() - now);
    if (random % 13 == 0)
        pool_drain(pool, backend, random % 2);
    if (random % 17 == 0)
        pool_reset(pool, backend);
}

static void *work(void *unused) {
    const struct runtime *held = NULL;
    struct pool_view views[BACKENDS_MAX];
    while (!atomic_load(&over)) {
        /* faster than real time, so that every turn may find the settings changed */
        uint64_t now = ledger_now() + atomic_fetch_add(&turns, 1) * (SECOND / 100);
        uint64_t random = runtime_random(now);
        const struct runtime *active = runtime_renew(held, now);
        expect(active != NULL, "there is no runtime");
        if (active != held)
            runtime_release(held);
        held = active;
        const struct runtime_endpoint *endpoint = &held->endpoints[0];
        attempt(endpoint, ledger_now(), random);
        struct key_use key = key_take(&endpoint->keys[0]);
        if (!key.line || !strstr(key.line, "key-"))
            atomic_fetch_add(&failures, 1);
        key_release(&key);
        if (random % 19 == 0)
            pool_view(endpoint->pool, now, views);
    }
    runtime_release(held);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS_MAX];
    int count = argc == 4 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: shared THREADS MILLISECONDS DIRECTORY\n");
        return 2;
    }
    snprintf(directory, sizeof directory, "%s", argv[3]);
    write_settings(0);
    uint64_t end = ledger_now() + strtoull(argv[2], NULL, 10) * 1000000;
    for (int i = 0; i < count; i++)
        expect(pthread_create(&threads[i], NULL, work, NULL) == 0, "pthread_create");
    for (unsigned round = 1; ledger_now() < end; round++) {
        write_settings(round);
        if (round % 16 == 0)
            take_ledger_away();
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    atomic_store(&over, true);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%lu turns of %d threads\n", atomic_load(&turns), count);
    expect(atomic_load(&failures) == 0, "a key was not whole");
    return 0;
}
