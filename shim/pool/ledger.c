#include "shim/pool/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/private.h"

#define LAYOUT 2
#define NAME   "ledger"
static const char magic[8] = "spillway";

struct header {
    char magic[8];
    uint32_t layout;
    uint32_t size;
    char boot_id[48];
    _Alignas(64) _Atomic uint64_t swept; /* when dead processes' claims were last looked for */
};

struct shared {
    struct header header;
    struct ledger_slot slots[LEDGER_SLOTS];
    /* pid << 32 | slot number + 1; 0: free. */
    _Atomic uint64_t claims[LEDGER_CLAIMS];
};

struct ledger {
    struct shared *shared;
    const char *problem;
};

const char *ledger_problem(const struct ledger *ledger) {
    return ledger->problem;
}

uint64_t ledger_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Deadlines mean nothing after a reboot: CLOCK_BOOTTIME starts again. */
static void read_boot_id(char *out, size_t size) {
    memset(out, 0, size);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, out, size - 1);
    if (length <= 0)
        out[0] = '\0';
    close(fd);
}

static void write_header(struct header *header) {
    memcpy(header->magic, magic, sizeof magic);
    header->layout = LAYOUT;
    header->size = sizeof(struct shared);
    read_boot_id(header->boot_id, sizeof header->boot_id);
}

static bool header_is_ours(const struct header *header) {
    struct header want;
    memset(&want, 0, sizeof want);
    write_header(&want);
    return memcmp(header->magic, want.magic, sizeof want.magic) == 0 &&
           header->layout == want.layout && header->size == want.size &&
           memcmp(header->boot_id, want.boot_id, sizeof want.boot_id) == 0;
}

static struct shared *map(int fd) {
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Maps the file as it is, or NULL with *SEEN set to its inode if there is one of no use. */
static struct shared *open_existing(int directory, ino_t *seen) {
    *seen = 0;
    int fd = openat(directory, NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0) {
        if (fstatat(directory, NAME, &status, AT_SYMLINK_NOFOLLOW) == 0)
            *seen = status.st_ino;
        return NULL;
    }
    struct shared *shared = NULL;
    if (fstat(fd, &status) == 0) {
        *seen = status.st_ino;
        if (private_is(&status, S_IFREG) && status.st_size == (off_t)sizeof(struct shared))
            shared = map(fd);
    }
    close(fd);
    if (shared && !header_is_ours(&shared->header)) {
        munmap(shared, sizeof *shared);
        return NULL;
    }
    return shared;
}

/* Makes a complete file under a name of its own, then gives it the real one if that is free. */
static bool create(int directory) {
    char name[64];
    snprintf(name, sizeof name, NAME ".%ld.%llx", (long)getpid(), (unsigned long long)ledger_now());
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    struct header header;
    memset(&header, 0, sizeof header);
    write_header(&header);
    /* blocks are reserved now: a write to a mapped hole of a full file system is a SIGBUS */
    bool made = posix_fallocate(fd, 0, (off_t)sizeof(struct shared)) == 0 &&
                pwrite(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
                (linkat(directory, name, directory, NAME, 0) == 0 || errno == EEXIST);
    unlinkat(directory, name, 0);
    close(fd);
    return made;
}

/* For a moment, while the file is made or replaced; not waited for long, as whoever holds the lock
 * may be a stopped process. */
static bool lock_directory(int directory) {
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < 100; i++) {
        if (flock(directory, LOCK_EX | LOCK_NB) == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Makes the file, in place of one of no use. Under the lock nobody else does. */
static struct shared *replace(int directory) {
    ino_t seen;
    struct shared *shared = open_existing(directory, &seen);
    if (shared)
        return shared;
    if (seen)
        unlinkat(directory, NAME, 0);
    return create(directory) ? open_existing(directory, &seen) : NULL;
}

static struct shared *open_shared(const char *path, const char **problem) {
    int directory = private_open_directory(path);
    if (directory < 0) {
        *problem = "the state directory can't be had, or is not this user's alone (mode 0700)";
        return NULL;
    }
    ino_t seen;
    struct shared *shared = open_existing(directory, &seen);
    if (!shared && lock_directory(directory))
        shared = replace(directory);
    close(directory); /* and with it the lock */
    if (!shared)
        *problem = "the ledger's file can't be made in the state directory";
    return shared;
}

struct ledger *ledger_open(const char *directory) {
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    if (directory)
        ledger->shared = open_shared(directory, &ledger->problem);
    if (!ledger->shared) {
        void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            free(ledger);
            return NULL;
        }
        ledger->shared = memory;
    }
    return ledger;
}

void ledger_close(struct ledger *ledger) {
    if (!ledger)
        return;
    munmap(ledger->shared, sizeof *ledger->shared);
    free(ledger);
}

/* FNV-1a, 64 bits, over the terminated strings: where one ends and the next begins counts. */
uint64_t ledger_key(const char *a, const char *b, const char *c) {
    const char *const parts[] = {a, b, c ? c : ""};
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < 3; i++)
        for (const char *p = parts[i];; p++) {
            hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
            if (!*p)
                break;
        }
    return hash ? hash : 1;
}

struct ledger_slot *ledger_slot(struct ledger *ledger, uint64_t key) {
    for (unsigned i = 0; i < LEDGER_SLOTS; i++) {
        struct ledger_slot *slot = &ledger->shared->slots[(key + i) % LEDGER_SLOTS];
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&slot->key, &found, key) || found == key)
            return slot;
    }
    return NULL;
}

/* The number of SLOT plus one; 0 for a slot that is not in this ledger. */
static uint32_t slot_number(const struct ledger *ledger, const struct ledger_slot *slot) {
    uintptr_t first = (uintptr_t)ledger->shared->slots, at = (uintptr_t)slot;
    if (at < first || at >= first + sizeof ledger->shared->slots)
        return 0;
    return (uint32_t)((at - first) / sizeof *slot) + 1;
}

int ledger_claim(struct ledger *ledger, const struct ledger_slot *slot) {
    uint32_t number = slot_number(ledger, slot);
    uint64_t pid = (uint64_t)getpid();
    if (!number)
        return -1;
    unsigned start = (unsigned)(pid * 61 + ((uintptr_t)&number >> 12)); /* by thread's stack */
    for (unsigned i = 0; i < LEDGER_CLAIMS; i++) {
        unsigned at = (start + i) % LEDGER_CLAIMS;
        uint64_t free_claim = 0;
        if (atomic_compare_exchange_strong(&ledger->shared->claims[at], &free_claim,
                                           pid << 32 | number))
            return (int)at;
    }
    return -1;
}

void ledger_release(struct ledger *ledger, int claim) {
    if (claim >= 0)
        atomic_store_explicit(&ledger->shared->claims[claim], 0, memory_order_release);
}

static void sweep(struct ledger *ledger) {
    for (unsigned i = 0; i < LEDGER_CLAIMS; i++) {
        uint64_t claim = atomic_load_explicit(&ledger->shared->claims[i], memory_order_relaxed);
        pid_t pid = (pid_t)(claim >> 32);
        if (claim && (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH)))
            atomic_compare_exchange_strong(&ledger->shared->claims[i], &claim, 0);
    }
}

void ledger_in_flight(struct ledger *ledger, struct ledger_slot *const *slots, unsigned n,
                      uint64_t now, unsigned *counts) {
    int saved = errno; /* kill() below */
    uint64_t swept = atomic_load(&ledger->shared->header.swept);
    if ((swept > now || now - swept >= 1000000000u) &&
        atomic_compare_exchange_strong(&ledger->shared->header.swept, &swept, now))
        sweep(ledger);
    errno = saved;
    uint32_t numbers[LEDGER_SLOTS];
    if (n > LEDGER_SLOTS)
        n = LEDGER_SLOTS;
    for (unsigned i = 0; i < n; i++) {
        numbers[i] = slot_number(ledger, slots[i]);
        counts[i] = 0;
    }
    for (unsigned c = 0; c < LEDGER_CLAIMS; c++) {
        uint32_t number =
            (uint32_t)atomic_load_explicit(&ledger->shared->claims[c], memory_order_relaxed);
        for (unsigned i = 0; number && i < n; i++)
            counts[i] += numbers[i] == number;
    }
}
