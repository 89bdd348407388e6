#include "shim/exempt.h"

#include <errno.h>
#include <stdlib.h>

const struct exempt *_Atomic exempt_list;

void exempt_add(uintptr_t start, size_t size) {
    if (!size || exempt_has((const void *)start))
        return;
    int saved = errno;
    struct exempt *entry = malloc(sizeof *entry);
    errno = saved;
    if (!entry)
        return;
    /* two threads may both add it, which harms nobody */
    const struct exempt *first = atomic_load_explicit(&exempt_list, memory_order_relaxed);
    do
        *entry = (struct exempt){start, size, first};
    while (!atomic_compare_exchange_weak_explicit(&exempt_list, &first, entry, memory_order_release,
                                                  memory_order_relaxed));
}
