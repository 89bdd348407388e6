/*
 * Memory that is taken in many small pieces and given back at once.
 *
 * Not thread-safe: an arena belongs to one thread while it grows.
 */
#ifndef SPILLWAY_CONFIG_ARENA_H
#define SPILLWAY_CONFIG_ARENA_H

#include <stddef.h>

struct arena_block;

/* Start with all bytes zero. */
struct arena {
    struct arena_block *blocks;
};

/* SIZE zeroed bytes, aligned for anything, or NULL if there is no memory. They live until
 * arena_release. */
void *arena_take(struct arena *arena, size_t size);

/* A terminated copy of the LENGTH bytes at TEXT, or NULL if there is no memory. */
char *arena_text(struct arena *arena, const char *text, size_t length);

/* Gives everything back; the arena can be used again. */
void arena_release(struct arena *arena);

#endif
