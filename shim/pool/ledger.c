#include "shim/pool/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/pool/mark.h"
#include "shim/private.h"

#define LAYOUT   3
#define NAME     "ledger"
#define UNBORN   "ledger.new" /* what is being made; by the holder of the lock alone */
#define FULL     0x66756c6cu
#define FULL_FOR 600000000000u /* ns that a full one is kept */
static const char magic[8] = "spillway";

struct header {
    char magic[8];
    uint32_t layout;
    uint32_t size;
    char boot_id[48];
    _Alignas(64) _Atomic uint64_t swept; /* when dead processes' claims were last looked for */
    _Atomic uint32_t top;                /* no claim stands at this place or behind it */
    _Atomic uint32_t full;               /* FULL: somebody has found no free slot */
    _Atomic uint64_t made;               /* when the file was, CLOCK_BOOTTIME in ns */
};

#define FIXED offsetof(struct header, swept) /* bytes that don't change */

struct shared {
    struct header header;
    struct ledger_slot slots[LEDGER_SLOTS];
    _Atomic uint64_t claims[LEDGER_CLAIMS]; /* a mark and the slot's number + 1; 0: free */
};

struct ledger {
    struct shared *shared;
    const char *problem;
    atomic_uint holders;
    /* By what a ledger in a file is told from another one: what it was opened with. */
    dev_t device;
    ino_t inode;
    struct header header;
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
    header->made = ledger_now();
    read_boot_id(header->boot_id, sizeof header->boot_id);
}

/* Whether the slots are used up, by backends of long ago perhaps. Settings that alone need more of
 * them than there are must not make every process begin anew. */
static bool is_full(const struct header *header) {
    uint64_t made = atomic_load_explicit(&header->made, memory_order_relaxed), now = ledger_now();
    /* a time to come was never written by us */
    return atomic_load_explicit(&header->full, memory_order_relaxed) == FULL &&
           (made > now || now - made > FULL_FOR);
}

static bool is_usable(const struct header *header) {
    struct header want;
    memset(&want, 0, sizeof want);
    write_header(&want);
    return !is_full(header) && memcmp(header->magic, want.magic, sizeof want.magic) == 0 &&
           header->layout == want.layout && header->size == want.size &&
           memcmp(header->boot_id, want.boot_id, sizeof want.boot_id) == 0;
}

static struct shared *map(int fd, int flags) {
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, flags, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool is_whole(const struct stat *status) {
    return private_is(status, S_IFREG) && status->st_size == (off_t)sizeof(struct shared);
}

/* Maps the file as it is into LEDGER, with FLAGS; false if it is of no use. */
static bool open_existing(struct ledger *ledger, int directory, int flags) {
    int access = flags == MAP_SHARED ? O_RDWR : O_RDONLY;
    int fd = openat(directory, NAME, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct shared *shared = NULL;
    struct stat status;
    if (fstat(fd, &status) == 0 && is_whole(&status))
        shared = map(fd, flags);
    close(fd);
    if (!shared)
        return false;
    if (!is_usable(&shared->header)) {
        munmap(shared, sizeof *shared);
        return false;
    }
    ledger->shared = shared;
    ledger->device = status.st_dev;
    ledger->inode = status.st_ino;
    memcpy(&ledger->header, &shared->header, FIXED);
    return true;
}

/* Makes a complete file under another name, then gives it the real one. Whoever is killed here
 * leaves at most what the next maker takes away first. */
static bool create(int directory) {
    unlinkat(directory, UNBORN, 0);
    int fd = openat(directory, UNBORN, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    struct header header;
    memset(&header, 0, sizeof header);
    write_header(&header);
    /* blocks are reserved now: a write to a mapped hole of a full file system is a SIGBUS */
    bool made = posix_fallocate(fd, 0, (off_t)sizeof(struct shared)) == 0 &&
                pwrite(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
                renameat(directory, UNBORN, directory, NAME) == 0;
    if (!made)
        unlinkat(directory, UNBORN, 0);
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
static void replace(struct ledger *ledger, int directory) {
    if (!open_existing(ledger, directory, MAP_SHARED) && create(directory))
        open_existing(ledger, directory, MAP_SHARED);
}

static const char no_directory[] =
    "the state directory can't be had, or is not this user's alone (mode 0700)";

static void open_shared(struct ledger *ledger, const char *path) {
    int directory = private_open_directory(path, true);
    if (directory < 0) {
        ledger->problem = no_directory;
        return;
    }
    if (!open_existing(ledger, directory, MAP_SHARED) && lock_directory(directory)) {
        replace(ledger, directory);
        flock(directory, LOCK_UN); /* a child that was forked meanwhile has the directory, too */
    }
    close(directory);
    if (!ledger->shared)
        ledger->problem = "the ledger's file can't be made in the state directory";
}

static void open_snapshot(struct ledger *ledger, const char *path) {
    int directory = private_open_directory(path, false);
    if (directory < 0) {
        ledger->problem = errno == ENOENT ? NULL : no_directory;
        return;
    }
    if (open_existing(ledger, directory, MAP_PRIVATE))
        atomic_store(&ledger->shared->header.swept,
                     0); /* in our copy: the dead count for nothing */
    close(directory);
}

static struct ledger *open_by(void (*open_at)(struct ledger *, const char *),
                              const char *directory) {
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    atomic_init(&ledger->holders, 1);
    if (directory)
        open_at(ledger, directory);
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

struct ledger *ledger_open(const char *directory) {
    return open_by(open_shared, directory);
}

struct ledger *ledger_peek(const char *directory) {
    return open_by(open_snapshot, directory);
}

struct ledger *ledger_hold(struct ledger *ledger) {
    atomic_fetch_add(&ledger->holders, 1);
    return ledger;
}

bool ledger_is_current(const struct ledger *ledger, const char *directory) {
    char path[PATH_MAX];
    struct stat status;
    if (ledger->problem)
        return false;
    int length = snprintf(path, sizeof path, "%s/%s", directory, NAME);
    if (length < 0 || (size_t)length >= sizeof path)
        return true;
    if (lstat(path, &status) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    /* in this order: the memory of a file that was cut must not be touched */
    return status.st_dev == ledger->device && status.st_ino == ledger->inode && is_whole(&status) &&
           memcmp(&ledger->shared->header, &ledger->header, FIXED) == 0;
}

void ledger_close(struct ledger *ledger) {
    if (!ledger || atomic_fetch_sub(&ledger->holders, 1) > 1)
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
    atomic_store_explicit(&ledger->shared->header.full, FULL, memory_order_relaxed);
    return NULL;
}

/* The number of SLOT plus one; 0 for a slot that is not in this ledger. */
static uint32_t slot_number(const struct ledger *ledger, const struct ledger_slot *slot) {
    uintptr_t first = (uintptr_t)ledger->shared->slots, at = (uintptr_t)slot;
    if (at < first || at >= first + sizeof ledger->shared->slots)
        return 0;
    return (uint32_t)((at - first) / sizeof *slot) + 1;
}

/*
 * Clears the claims of the dead, and lowers `top` to what is left. A claim that is made meanwhile
 * raises it, or is seen here: one of the two comes second.
 */
static void sweep(struct shared *shared, uint64_t now) {
    uint32_t top = atomic_load(&shared->header.top), used = 0;
    struct process process = {0};
    int saved = errno;
    for (unsigned i = 0; i < LEDGER_CLAIMS; i++) {
        uint64_t claim = atomic_load_explicit(&shared->claims[i], memory_order_relaxed);
        if (claim && (!process.pid || process.pid != mark_pid(claim)))
            process = process_look_up(mark_pid(claim));
        if (claim && !process_made(&process, claim, now) &&
            atomic_compare_exchange_strong(&shared->claims[i], &claim, 0))
            claim = 0;
        used = claim ? i + 1 : used;
    }
    errno = saved;
    if (!atomic_compare_exchange_strong(&shared->header.top, &top, used))
        return;
    for (unsigned i = used; i < LEDGER_CLAIMS; i++)
        if (atomic_load(&shared->claims[i]))
            used = i + 1;
    for (top = atomic_load(&shared->header.top); top < used;)
        if (atomic_compare_exchange_weak(&shared->header.top, &top, used))
            break;
}

/* The same, if nobody has done it for a second. Returns whether it was done. */
static bool sweep_in_time(struct shared *shared, uint64_t now) {
    uint64_t swept = atomic_load(&shared->header.swept);
    if ((swept <= now && now - swept < 1000000000u) ||
        !atomic_compare_exchange_strong(&shared->header.swept, &swept, now))
        return false;
    sweep(shared, now);
    return true;
}

/* Where this thread found a place last: mostly it is free again. */
static __thread unsigned last_place;

/* Puts CLAIM into a free place, which it returns; -1 if there is none. */
static int take_place(struct shared *shared, uint64_t claim) {
    for (unsigned i = 0; i <= LEDGER_CLAIMS; i++) {
        unsigned at = i ? i - 1 : last_place;
        uint64_t free_claim = 0;
        if (atomic_load_explicit(&shared->claims[at], memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&shared->claims[at], &free_claim, claim))
            continue;
        uint32_t top = atomic_load(&shared->header.top);
        while (top <= at && !atomic_compare_exchange_weak(&shared->header.top, &top, at + 1))
            ;
        last_place = at;
        return (int)at;
    }
    return -1;
}

int ledger_claim(struct ledger *ledger, const struct ledger_slot *slot, uint64_t now) {
    uint32_t number = slot_number(ledger, slot);
    if (!number)
        return -1;
    uint64_t claim = ledger_mark(now) | number;
    int place = take_place(ledger->shared, claim);
    return place < 0 && sweep_in_time(ledger->shared, now) ? take_place(ledger->shared, claim)
                                                           : place;
}

void ledger_release(struct ledger *ledger, int claim) {
    if (claim < 0)
        return;
    _Atomic uint64_t *place = &ledger->shared->claims[claim];
    if (ledger_is_mine(atomic_load_explicit(place, memory_order_relaxed)))
        atomic_store_explicit(place, 0, memory_order_release);
}

/* How many places may hold claims. Any value may stand in the file. */
static unsigned places(const struct shared *shared) {
    uint32_t top = atomic_load(&shared->header.top);
    return top < LEDGER_CLAIMS ? top : LEDGER_CLAIMS;
}

void ledger_in_flight(struct ledger *ledger, struct ledger_slot *const *slots, unsigned n,
                      uint64_t now, unsigned *counts) {
    struct shared *shared = ledger->shared;
    sweep_in_time(shared, now);
    uint32_t numbers[LEDGER_SLOTS];
    if (n > LEDGER_SLOTS)
        n = LEDGER_SLOTS;
    for (unsigned i = 0; i < n; i++) {
        numbers[i] = slot_number(ledger, slots[i]);
        counts[i] = 0;
    }
    unsigned top = places(shared);
    for (unsigned c = 0; c < top; c++) {
        uint64_t claim = atomic_load_explicit(&shared->claims[c], memory_order_relaxed);
        uint32_t number = (uint32_t)claim & SLOT_MASK;
        for (unsigned i = 0; claim && i < n; i++)
            counts[i] += numbers[i] == number;
    }
}
