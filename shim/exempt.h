/*
 * Code whose connections are left alone: each libcurl whose transfers the program makes through
 * our hooks. What it resolves and connects to, on its resolver thread too, was aimed already.
 */
#ifndef SPILLWAY_SHIM_EXEMPT_H
#define SPILLWAY_SHIM_EXEMPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exempt {
    uintptr_t start, size;
    const struct exempt *next;
};

/* Entries are added in front and never change or go away. */
extern const struct exempt *_Atomic exempt_list __attribute__((visibility("hidden")));

/*
 * Takes note of the object in the SIZE bytes from START on, which must stay loaded; one that is
 * noted already costs a few instructions. If memory runs out nothing is noted. Thread-safe; errno
 * is kept.
 */
void exempt_add(uintptr_t start, size_t size);

/* Whether the code at ADDRESS is noted. Async-signal-safe: it only reads. */
static inline bool exempt_has(const void *address) {
    const struct exempt *at = atomic_load_explicit(&exempt_list, memory_order_acquire);
    for (; at; at = at->next)
        if ((uintptr_t)address - at->start < at->size)
            return true;
    return false;
}

#endif
