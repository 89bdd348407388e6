/*
 * What the shim holds for the whole process: the settings, a pool and the keys per endpoint.
 *
 * It is made at the first call that needs it, never at start-up, and is constant from then on, but
 * for what a pool and a key know of the present. When the settings file changes another one takes
 * its place, and the old one goes when nobody holds it any more.
 */
#ifndef SPILLWAY_SHIM_RUNTIME_H
#define SPILLWAY_SHIM_RUNTIME_H

#include <stdatomic.h>
#include <stdint.h>

#include "config/settings.h"
#include "shim/fault/drill.h"
#include "shim/pool/pool.h"
#include "shim/request/keys.h"

struct runtime_endpoint {
    struct pool *pool;
    struct key *keys;    /* one per backend */
    uint64_t translates; /* bit per backend: it may need the request in another form */
};

struct runtime {
    struct settings *settings;
    struct runtime_endpoint *endpoints; /* one per endpoint of the settings */
    struct ledger *ledger;              /* which their pools have their state in */
    const struct drill *drill;          /* NULL: no drill, as in all of real life */
    unsigned holders;                   /* private to runtime.c */
};

/* The runtime in force; NULL before the first call that needs it, and if there is none. */
extern const struct runtime *_Atomic runtime_active __attribute__((visibility("hidden")));

/* Makes the first runtime, if that was not done yet. Returns whether there is one: false if there
 * are no settings, if they are bad or belong to a drill that can't be held (one line in the log
 * says so, if there is a log), or if this program is not meant. Thread-safe; errno is kept. */
bool runtime_load(void);

/* The same in a few instructions when it was made already. */
static inline bool runtime_exists(void) {
    return atomic_load_explicit(&runtime_active, memory_order_acquire) || runtime_load();
}

/* Whether any backend of the runtime in force needs requests in another form; false before it is
 * made. Thread-safe. */
bool runtime_translates(void);

/*
 * The runtime in force at NOW (CLOCK_BOOTTIME in ns), NULL if there is none. HELD is what the
 * caller holds from an earlier call, or NULL; if it is another one it is held as well, until
 * runtime_release.
 *
 * At most once a second, by one thread of the process, the settings file is looked at; if it has
 * changed it is loaded. A file that can't be used leaves the runtime that was good, and a line in
 * the log (event=settings) says so once for each change of the file. What counts of a new file is
 * its endpoints; log, programs and state stay as they were. With the same look it goes over to the
 * ledger that other processes share, if that is another one by now. Thread-safe, also around a
 * fork; errno is kept. A few instructions if nothing has changed.
 */
const struct runtime *runtime_renew(const struct runtime *held, uint64_t now);

/* Gives HELD back; NULL is allowed. Thread-safe. */
void runtime_release(const struct runtime *held);

/* The value of an environment variable, or NULL: ours as they were when the program began. */
const char *runtime_environment(const char *name);

/*
 * A random number, uniform over 64 bits; not for secrets. SALT, such as the time, tells processes
 * apart that were forked from one another. Thread-safe.
 */
uint64_t runtime_random(uint64_t salt);

#endif
