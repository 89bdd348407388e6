#include "shim/socket/spot.h"

#include <string.h>

#define TRIES 100

enum { HAS_V4 = 1, HAS_V6 = 2 };

bool spot_write(struct spot *spot, const struct spot_addresses *addresses) {
    uint32_t version = atomic_load_explicit(&spot->version, memory_order_relaxed);
    uint32_t words[6] = {(addresses->has_v4 ? HAS_V4 : 0u) | (addresses->has_v6 ? HAS_V6 : 0u),
                         addresses->v4.s_addr};
    memcpy(&words[2], &addresses->v6, sizeof addresses->v6);
    if (version % 2 || !atomic_compare_exchange_strong(&spot->version, &version, version + 1))
        return false;
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < 6; i++)
        atomic_store_explicit(&spot->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&spot->version, version + 2, memory_order_release);
    return true;
}

bool spot_read(const struct spot *spot, struct spot_addresses *addresses) {
    uint32_t words[6];
    for (unsigned tries = 0; tries < TRIES; tries++) {
        uint32_t version = atomic_load_explicit(&spot->version, memory_order_acquire);
        for (unsigned i = 0; i < 6; i++)
            words[i] = atomic_load_explicit(&spot->words[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (version % 2 || atomic_load_explicit(&spot->version, memory_order_relaxed) != version)
            continue;
        addresses->has_v4 = words[0] & HAS_V4;
        addresses->has_v6 = words[0] & HAS_V6;
        addresses->v4.s_addr = words[1];
        memcpy(&addresses->v6, &words[2], sizeof addresses->v6);
        return words[0] != 0;
    }
    return false;
}
