/*
 * What the shim holds for the whole process: the settings, a pool and the keys per endpoint.
 *
 * It is made at the first call that needs it, never at start-up, and is constant from then on, but
 * for what a pool and a key know of the present.
 */
#ifndef SPILLWAY_SHIM_RUNTIME_H
#define SPILLWAY_SHIM_RUNTIME_H

#include <stdatomic.h>
#include <stdint.h>

#include "config/settings.h"
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
    bool translates;                    /* any backend of any endpoint does */
};

/*
 * The process's runtime, loaded by the first call; NULL if there are no settings, if they are
 * bad (one line in the log says so, if there is a log), or if this program is not meant.
 * Thread-safe; errno is kept.
 */
const struct runtime *runtime_load(void);

/* What runtime_load has made; NULL before that, and if there is none. */
extern const struct runtime *_Atomic runtime_active __attribute__((visibility("hidden")));

/* The same as runtime_load, in a few instructions when it was made already. */
static inline const struct runtime *runtime_get(void) {
    const struct runtime *runtime = atomic_load_explicit(&runtime_active, memory_order_acquire);
    return runtime ? runtime : runtime_load();
}

/* The value of an environment variable, or NULL: ours as they were when the program began. */
const char *runtime_environment(const char *name);

/*
 * A random number, uniform over 64 bits; not for secrets. SALT, such as the time, tells processes
 * apart that were forked from one another. Thread-safe.
 */
uint64_t runtime_random(uint64_t salt);

#endif
