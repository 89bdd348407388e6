#include "shim/pool/ledger.h"

/* The preferred numbers of ISO 3's series R10, in microseconds. */
#define DECADE(unit)                                                                               \
    10 * (unit), 125 * (unit) / 10, 16 * (unit), 20 * (unit), 25 * (unit), 32 * (unit),            \
        40 * (unit), 50 * (unit), 63 * (unit), 80 * (unit)
static const uint32_t bounds[] = {DECADE(100),     DECADE(1000),     DECADE(10000), DECADE(100000),
                                  DECADE(1000000), DECADE(10000000), 1000000000};
_Static_assert(sizeof bounds / sizeof *bounds == LEDGER_CLASSES - 1, "the last class has none");

uint64_t ledger_class_bound(unsigned i) {
    return i < LEDGER_CLASSES - 1 ? bounds[i] : UINT64_MAX;
}

void ledger_count_duration(struct ledger_slot *slot, uint64_t duration) {
    uint64_t us = duration / 1000;
    unsigned low = 0, high = LEDGER_CLASSES - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (us <= bounds[middle])
            high = middle;
        else
            low = middle + 1;
    }
    atomic_fetch_add_explicit(&slot->classes[low], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->duration_us, us, memory_order_relaxed);
}
