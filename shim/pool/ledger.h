/*
 * The ledger: the live state of backends in memory that all processes of one user on one host
 * share, so that what one of them learns serves the next.
 *
 * It is a file of fixed size, mapped shared, with no lock in it: each field is one atomic word,
 * and any value of any field is acceptable to readers. All-zero is the state in which nothing
 * is known. What can't be had from the file system is had from private memory instead.
 */
#ifndef SPILLWAY_POOL_LEDGER_H
#define SPILLWAY_POOL_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEDGER_SLOTS  1024
#define LEDGER_CLAIMS 1024

/* What became of an attempt, for counting. */
enum ledger_outcome {
    LEDGER_ANSWERED,     /* the program got the response */
    LEDGER_THROTTLED,    /* 429 */
    LEDGER_SERVER_ERROR, /* 5xx */
    LEDGER_CONNECT,
    LEDGER_RESET,
    LEDGER_TIMEOUT,
    LEDGER_REJECTED, /* another response that the program did not get */
    LEDGER_OUTCOMES
};

/* Durations are counted in ten classes per decade from 1 ms to 1000 s; the last is for longer. */
#define LEDGER_CLASSES 62

/* One backend of one endpoint, or one tier's cursor. Many read the first cache line, and it changes
 * rarely; the others change with every request. */
struct ledger_slot {
    _Alignas(64) _Atomic uint64_t key; /* 0: free. Written once. */
    _Atomic uint64_t until;     /* CLOCK_BOOTTIME in ns: not to be used before; 0: never cooled */
    _Atomic uint64_t probing;   /* who tries it after its cooldown: a mark; 0: nobody */
    _Atomic uint32_t reason;    /* see pool.h */
    _Atomic uint32_t failures;  /* in a row */
    _Atomic uint32_t doublings; /* probes in a row that failed */
    _Atomic uint32_t drained;   /* not 0: taken out by hand */
    _Alignas(64) _Atomic uint64_t cursor; /* turns taken, of a tier */
    _Atomic uint64_t outcomes[LEDGER_OUTCOMES];
    _Alignas(64) _Atomic uint64_t duration_us; /* the sum of what `classes` count */
    _Atomic uint64_t last_at;                  /* CLOCK_BOOTTIME in ns: see pool.h */
    _Atomic uint32_t last_status;
    _Atomic uint32_t classes[LEDGER_CLASSES]; /* answered attempts by their duration */
};

struct ledger;

/* Why a ledger is private though it was to be shared; NULL if it is what was asked for. */
const char *ledger_problem(const struct ledger *ledger);

/*
 * Opens, or makes, the ledger in DIRECTORY (made too, mode 0700, if only its last component is
 * missing). The directory and the file must be this user's own and closed to others, and not
 * symbolic links. A file that is foreign, of another layout, from before the last boot or full is
 * replaced. If that can't be done, or DIRECTORY is NULL, the ledger is private to the process.
 * Keeps no file descriptor. Returns NULL only if memory ran out. errno is not preserved.
 */
struct ledger *ledger_open(const char *directory);

/*
 * What the ledger in DIRECTORY says at this moment, to look at: nothing is made or replaced, and
 * what is written to it reaches nobody. It is all-zero if there is no directory, no file or one
 * that ledger_open would replace; then, and after a write, it does not follow what others do, so
 * that another look needs another call. ledger_problem tells of a directory that ledger_open would
 * refuse. Keeps no file descriptor. Returns NULL only if memory ran out. errno is not preserved.
 */
struct ledger *ledger_peek(const char *directory);

/*
 * Whether LEDGER, of ledger_open(DIRECTORY), is still what processes that begin now share. False
 * if its file was removed, replaced, cut or written over, so that another ledger_open gives another
 * one, and for one with a problem, which may have gone. What can't be told is true. The memory of a
 * file that was found to be cut is not touched. Thread-safe; errno is not preserved.
 */
bool ledger_is_current(const struct ledger *ledger, const char *directory);

/* One ledger_close more is needed then. Returns LEDGER. Thread-safe. */
struct ledger *ledger_hold(struct ledger *ledger);

/* Unmaps LEDGER, unless somebody else holds it; NULL is allowed. Thread-safe. */
void ledger_close(struct ledger *ledger);

/*
 * The slot for KEY, taken into use if there is none yet; NULL if all are in use, and then a
 * ledger_open after ten minutes makes a new ledger. KEY is not 0.
 * The slot lives as long as the ledger. Thread- and process-safe.
 */
struct ledger_slot *ledger_slot(struct ledger *ledger, uint64_t key);

/* A key for strings A, B and C (C may be NULL), never 0. */
uint64_t ledger_key(const char *a, const char *b, const char *c);

/*
 * Notes that an attempt of this process runs on SLOT since NOW. Returns a claim to hand to
 * ledger_release, or -1 if the table is full (the attempt then doesn't count). A claim of a
 * process that died is cleared by the others. A child of this process can't release it.
 * Thread- and process-safe.
 */
int ledger_claim(struct ledger *ledger, const struct ledger_slot *slot, uint64_t now);
void ledger_release(struct ledger *ledger, int claim);

/*
 * Counts the running attempts of all processes per slot: COUNTS[i] for SLOTS[i], N of them.
 * NOW is CLOCK_BOOTTIME in ns; at most once a second dead processes' claims are cleared first.
 */
void ledger_in_flight(struct ledger *ledger, struct ledger_slot *const *slots, unsigned n,
                      uint64_t now, unsigned *counts);

/*
 * A mark of this process at NOW, never 0: its process number and the time in eighths of a second.
 * Whether the process that made a mark still lives (not one that has got its number since, and not
 * as a zombie) says ledger_lives, with system calls; false for what is no mark. When the mark was
 * made says ledger_mark_time, in ns: NOW if that is up to LEDGER_AHEAD after NOW, since the clock
 * is read before the ledger is, and 0 for a later time.
 */
#define LEDGER_AHEAD 60000000000u /* ns */
uint64_t ledger_mark(uint64_t now);
bool ledger_lives(uint64_t mark, uint64_t now);
uint64_t ledger_mark_time(uint64_t mark, uint64_t now);

/* Whether this process made MARK. */
bool ledger_is_mine(uint64_t mark);

/* Counts an answered attempt that took DURATION ns. Thread- and process-safe. */
void ledger_count_duration(struct ledger_slot *slot, uint64_t duration);

/* The upper bound of class I of durations in microseconds; UINT64_MAX for the last. */
uint64_t ledger_class_bound(unsigned i);

/* CLOCK_BOOTTIME in nanoseconds: the clock of the ledger. Async-signal-safe. */
uint64_t ledger_now(void);

#endif
