/*
 * What it costs to keep the state of four backends that processes share: choose one, note that an
 * attempt begins, that it succeeded, how long it took, and that it is over.
 *
 *   pool ledger|mutex DIRECTORY [beside]
 *   pool redis SOCKET [beside]
 *
 *   ledger   the shim's pool in its ledger
 *   mutex    the same in plain fields of shared memory, under a robust mutex of pthreads, which is
 *            held three times: choose and begin; succeeded; took and over
 *   redis    one GET of a key of 64 bytes and nothing else
 *
 * For each line of stdin it does that OPERATIONS times and prints the nanoseconds that they took.
 * With "beside" another process does the same at the same time, on another CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shim/pool/pool.h"

#define BACKENDS   4
#define OPERATIONS 1000
#define DURATION   20000000 /* ns, of an attempt */

struct plain_slot {
    _Alignas(64) uint64_t until, probing;
    uint32_t failures, drained;
    uint64_t outcomes[LEDGER_OUTCOMES], duration_us, last_at;
    uint32_t last_status, classes[LEDGER_CLASSES];
};

static struct memory {
    _Alignas(64) _Atomic int together; /* whether the other process is at it */
    pthread_mutex_t mutex;
    uint64_t cursor;
    struct plain_slot slots[BACKENDS];
    uint64_t claims[LEDGER_CLAIMS];
} * memory; /* shared with the other process */

static struct endpoint endpoint = {.strategy = STRATEGY_ROUND_ROBIN,
                                   .failure_threshold = 1,
                                   .cooldown_ns = 1000000000,
                                   .backend_count = BACKENDS};
static struct pool *pool;
static redisContext *redis;

static void die(const char *what) {
    fprintf(stderr, "pool: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void with_ledger(uint64_t now) {
    struct pool_turn turn = {0};
    int backend = pool_choose(pool, &turn, now, 0);
    if (backend < 0)
        die("no backend");
    int claim = pool_begin(pool, backend, now);
    pool_succeeded(pool, &turn, backend, 200, now);
    pool_end(pool, claim);
    pool_took(pool, backend, DURATION);
}

static void lock(void) {
    if (pthread_mutex_lock(&memory->mutex) == EOWNERDEAD)
        pthread_mutex_consistent(&memory->mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&memory->mutex);
}

static int choose_plainly(uint64_t now) {
    int available[BACKENDS] = {0}, count = 0;
    for (int i = 0; i < BACKENDS; i++) {
        const struct plain_slot *slot = &memory->slots[i];
        if (slot->until <= now && !slot->probing && !slot->drained)
            available[count++] = i;
    }
    return count ? available[memory->cursor++ % (unsigned)count] : -1;
}

static int claim_plainly(int backend, uint64_t now) {
    for (int i = 0; i < LEDGER_CLAIMS; i++)
        if (!memory->claims[i]) {
            memory->claims[i] = now << 8 | (unsigned)backend;
            return i;
        }
    return -1;
}

static void count_plainly(struct plain_slot *slot, uint64_t duration) {
    unsigned low = 0, high = LEDGER_CLASSES - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (duration / 1000 <= ledger_class_bound(middle))
            high = middle;
        else
            low = middle + 1;
    }
    slot->classes[low]++;
    slot->duration_us += duration / 1000;
}

static void with_mutex(uint64_t now) {
    lock();
    int backend = choose_plainly(now);
    int claim = backend < 0 ? -1 : claim_plainly(backend, now);
    unlock();
    if (claim < 0)
        die("no backend");
    struct plain_slot *slot = &memory->slots[backend];
    lock();
    slot->outcomes[LEDGER_ANSWERED]++;
    slot->last_at = now;
    slot->last_status = 200;
    slot->failures = 0;
    slot->until = 0;
    unlock();
    lock();
    memory->claims[claim] = 0;
    count_plainly(slot, DURATION);
    unlock();
}

static void with_redis(uint64_t now) {
    (void)now;
    redisReply *reply = redisCommand(redis, "GET key");
    if (!reply || reply->type != REDIS_REPLY_STRING)
        die("GET");
    freeReplyObject(reply);
}

static void open_pool(const char *directory) {
    static struct backend backends[BACKENDS];
    static char names[BACKENDS][8], name[] = "bench", url[] = "http://llm.test";
    for (int i = 0; i < BACKENDS; i++) {
        snprintf(names[i], sizeof names[i], "b%d", i);
        backends[i] = (struct backend){.name = names[i], .url = url, .weight = 1};
    }
    endpoint.name = name;
    endpoint.backends = backends;
    struct ledger *ledger = ledger_open(directory);
    pool = ledger && !ledger_problem(ledger) ? pool_new(&endpoint, ledger) : NULL;
    if (!pool)
        die("ledger");
}

static void open_mutex(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (pthread_mutex_init(&memory->mutex, &attributes) != 0)
        die("mutex");
}

static void open_redis(const char *path) {
    redis = redisConnectUnix(path);
    if (!redis || redis->err)
        die(path);
    redisReply *reply = redisCommand(
        redis, "SET key 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    if (!reply)
        die("SET");
    freeReplyObject(reply);
}

/* The CPU at PLACE of those that there are, from the last one on. */
static void use_cpu(int place) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1 - place, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("sched_setaffinity");
}

/* Another process that works while `together` is set, until this one ends. */
static void start_other(void (*operation)(uint64_t now), const char *path) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    use_cpu(1);
    if (operation == with_redis)
        open_redis(path);
    for (;;)
        if (atomic_load_explicit(&memory->together, memory_order_relaxed))
            operation(ledger_now());
        else
            usleep(100);
}

int main(int argc, char **argv) {
    char line[64];
    void (*operation)(uint64_t now) = with_ledger;
    if (argc < 3) {
        fprintf(stderr, "usage: pool ledger|mutex|redis PATH [beside]\n");
        return 2;
    }
    memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    if (strcmp(argv[1], "mutex") == 0) {
        operation = with_mutex;
        open_mutex();
    } else if (strcmp(argv[1], "redis") == 0) {
        operation = with_redis;
    } else {
        open_pool(argv[2]);
    }
    if (argc > 3)
        start_other(operation, argv[2]);
    if (operation == with_redis)
        open_redis(argv[2]);
    else
        use_cpu(0);
    while (fgets(line, sizeof line, stdin)) {
        atomic_store(&memory->together, 1);
        if (argc > 3)
            usleep(500); /* until the other one is awake */
        uint64_t begin = ledger_now();
        for (int i = 0; i < OPERATIONS; i++)
            operation(begin);
        printf("%llu\n", (unsigned long long)(ledger_now() - begin));
        fflush(stdout);
        atomic_store(&memory->together, 0);
    }
    return 0;
}
