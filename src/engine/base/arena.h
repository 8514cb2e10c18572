/**
 * Arena: many small pieces of memory which are freed together. Knows nothing of what they hold.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_ARENA_H
#define TRACEMORTEM_ENGINE_BASE_ARENA_H

#include <stddef.h>

struct tm_arena_block;

/** All zero is an empty arena. */
struct tm_arena {
    struct tm_arena_block *blocks; // newest first; the first one is being filled
    size_t used;                   // bytes of it
};

/** `size` bytes, aligned for any field; NULL: no memory. */
void *tm_arena_allocate(struct tm_arena *arena, size_t size);
void tm_arena_deinit(struct tm_arena *arena);

#endif
