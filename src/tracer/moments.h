/**
 * The last moments of a process that runs out of memory: TRACEMORTEM_AT, and allocations that fail. The root says when they
 * were (tm_root.recorder).
 *
 * Memory is looked at while the program gets more of it: where its object allocator takes an arena, and where a block is too
 * large for a grid. How much it may get until the next look depends on how far the limit is, so looking costs little.
 */
#ifndef TRACEMORTEM_TRACER_MOMENTS_H
#define TRACEMORTEM_TRACER_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "likely.h"

/** Bytes that the program may get until we look again. Threads change it without care: a look may come late by what they
 * get at the same time. */
extern int64_t moments_left;

/** Look, and mark the moment if it has come: once. */
void moments_look(void);

/** The program has got so much memory. */
static inline void moments_count(size_t size)
{
    int64_t left = __atomic_load_n(&moments_left, __ATOMIC_RELAXED) - (int64_t)size;
    __atomic_store_n(&moments_left, left, __ATOMIC_RELAXED);
    if (UNLIKELY(left < 0))
        moments_look();
}

/** Find out what the environment asks for. Once a process. */
void moments_begin(void);

/** In a forked child: no other thread is looking. */
void moments_after_fork(void);

/** An allocator had no memory for the program. */
void moments_allocation_failed(size_t size);

#endif
