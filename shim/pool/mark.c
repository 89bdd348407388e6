#include "shim/pool/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/pool/ledger.h"

_Static_assert(LEDGER_SLOTS < SLOT_MASK, "a slot's number fits into a claim");

/* getpid is a system call. 0: not known, also after a fork. */
static _Atomic pid_t own_pid;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void forget_pid(void) {
    atomic_store_explicit(&own_pid, 0, memory_order_relaxed);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_pid);
}

static uint64_t pid_here(void) {
    pid_t pid = atomic_load_explicit(&own_pid, memory_order_relaxed);
    if (pid)
        return (uint64_t)pid;
    pthread_once(&fork_once, watch_forks);
    pid = getpid();
    atomic_store_explicit(&own_pid, pid, memory_order_relaxed);
    return (uint64_t)pid;
}

uint64_t ledger_mark(uint64_t now) {
    return (pid_here() << TIME_BITS | (now / EIGHTH & TIME_MASK)) << SLOT_BITS;
}

uint64_t ledger_mark_time(uint64_t mark, uint64_t now) {
    uint64_t time = (mark >> SLOT_BITS & TIME_MASK) * EIGHTH;
    if (time <= now)
        return time;
    return time - now < LEDGER_AHEAD ? now : 0;
}

pid_t mark_pid(uint64_t mark) {
    return (pid_t)(mark >> (SLOT_BITS + TIME_BITS));
}

bool ledger_is_mine(uint64_t mark) {
    return mark && (uint64_t)mark_pid(mark) == pid_here();
}

/* The word at PLACE of TEXT, the first is 0; "" if there are not so many. */
static const char *word_at(const char *text, int place) {
    for (; place > 0 && *text; place--) {
        text += strcspn(text, " ");
        text += *text == ' ';
    }
    return text;
}

/* Of what is behind the name in /proc/PID/stat, see proc(5). A zombie is dead, but for one whose
 * main thread alone has ended. */
static void judge(struct process *process, const char *text) {
    char state = *text;
    uint64_t threads = strtoull(word_at(text, 17), NULL, 10);
    uint64_t ticks = strtoull(word_at(text, 19), NULL, 10);
    long per_second = sysconf(_SC_CLK_TCK);
    process->there = state != 'X' && (state != 'Z' || threads > 1);
    if (per_second > 0)
        process->start = ticks * (1000000000u / (unsigned long)per_second);
}

struct process process_look_up(pid_t pid) {
    struct process process = {.pid = pid};
    char path[32], text[1024];
    if (pid <= 0 || kill(pid, 0) != 0) /* EPERM: another user's by now */
        return process;
    process.there = true;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return process;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *name_end = strrchr(text, ')'); /* the name in parentheses may hold anything */
    if (name_end && name_end[1] == ' ')
        judge(&process, name_end + 2);
    return process;
}

/* Numbers of processes are given again; that takes a while. */
#define SETTLED 60000000000u

bool process_made(const struct process *process, uint64_t mark, uint64_t now) {
    uint64_t made = ledger_mark_time(mark, now);
    return made && process->there && (now - made < SETTLED || process->start <= made + 1000000000u);
}

bool ledger_lives(uint64_t mark, uint64_t now) {
    int saved = errno;
    struct process process = process_look_up(mark_pid(mark));
    errno = saved;
    return process_made(&process, mark, now);
}
