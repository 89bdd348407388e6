/*
 * A drill as the drilled program sees it: which fault meets an attempt.
 */
#ifndef SPILLWAY_FAULT_DRILL_H
#define SPILLWAY_FAULT_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/fault.h"
#include "config/settings.h"
#include "shim/fault/page.h"

struct drill {
    struct drill_page *page; /* shared with the drill's other processes */
    struct fault *faults;
    size_t fault_count;
    uint64_t start, seed; /* as the page had them when it was mapped */
    bool against_mocks;
    char *directory;
};

/*
 * The drill that LOOKUP tells of: SPILLWAY_DRILL is its directory, SPILLWAY_FAULTS has a fault per
 * line. Returns a drill for drill_close, or NULL with what is wrong in ERROR. Keeps no file
 * descriptor. errno is not preserved.
 */
struct drill *drill_open(settings_lookup *lookup, char *error, size_t size);

/* Frees DRILL; NULL is allowed. */
void drill_close(struct drill *drill);

/*
 * The fault that meets an attempt on BACKEND of ENDPOINT that begins at NOW (CLOCK_BOOTTIME in
 * ns), or NULL: the first of the list that does. Counts the attempt for every fault that it is a
 * matter of: of this backend, at this time, and not met by one before. The counts belong to the
 * drill, not to the process, and whether a rate meets is a function of the drill's seed, the
 * fault's place and its count; so that the Nth such attempt fares the same in each drill with that
 * seed. Thread- and process-safe, without a lock.
 */
const struct fault *drill_choose(const struct drill *drill, const char *endpoint,
                                 const char *backend, uint64_t now);

#endif
