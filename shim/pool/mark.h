/*
 * Marks, by which the ledger tells who holds something in it: the other half of what ledger.h says
 * of them, for the ledger alone.
 */
#ifndef SPILLWAY_POOL_MARK_H
#define SPILLWAY_POOL_MARK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A claim is a mark and, in its lowest bits, the slot's number plus one. A mark is a process number
 * (22 bits: PID_MAX_LIMIT of Linux) and the time in eighths of a second (31 bits: 8 years).
 */
#define SLOT_BITS 11
#define TIME_BITS 31
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define TIME_MASK ((1ull << TIME_BITS) - 1)
#define EIGHTH    125000000u

/* A process that was looked up. */
struct process {
    pid_t pid;      /* 0: none yet */
    bool there;     /* it can still give back what it took */
    uint64_t start; /* CLOCK_BOOTTIME in ns; 0 if that can't be told */
};

/* The number of the process that made MARK; any number, 0 too, for what is no mark. */
pid_t mark_pid(uint64_t mark);

/* Looks PID up, with system calls; any number is allowed. Changes errno. */
struct process process_look_up(pid_t pid);

/* Whether PROCESS made MARK, rather than an earlier one of the same number, and lives, at NOW. */
bool process_made(const struct process *process, uint64_t mark, uint64_t now);

#endif
