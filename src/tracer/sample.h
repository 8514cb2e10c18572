/**
 * Which allocations the sampled profile records. Each byte that a thread allocates is picked with the same chance,
 * independently of all others, and a block with a picked byte is recorded.
 *
 * So the distance from one picked byte to the next has a geometric distribution. A thread draws it beforehand and counts
 * down, and that is all the work on a block that is not picked. What happens between two draws cannot be biased: however much
 * of the distance is left, what comes after has the distribution of a new one. A block of 0 bytes counts as one byte.
 *
 * Knows nothing of blocks or of the table.
 */
#ifndef TRACEMORTEM_TRACER_SAMPLE_H
#define TRACEMORTEM_TRACER_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "likely.h"

/** Mean distances, in bytes; TRACEMORTEM_SAMPLE in the environment sets it. */
#define SAMPLE_PERIOD_DEFAULT (UINT64_C(512) << 10)
#define SAMPLE_PERIOD_MOST (UINT64_C(1) << 40)

/** How many more bytes this thread allocates before the next picked one. Below 0: see sample_picks(). */
extern __thread int64_t sample_left;

/** Count the bytes of a block. Mostly none is picked; if this is false, sample_picks() says whether one is. */
static ALWAYS_INLINE bool sample_passes(size_t size)
{
    int64_t left = sample_left - (int64_t)size - (size == 0);
    sample_left = left;
    return LIKELY(left >= 0);
}

/** Whether a byte of a block that did not pass is picked. From here on the next block counts. */
bool sample_picks(size_t size);

/** The next block of this thread does not pass. It may be picked. */
static inline void sample_stop_next(void)
{
    sample_left = -1;
}

/** To be called before anything is counted. The first call of a process sets the mean distance, and the seed, where 0 is a
 * seed by chance. Later ones change nothing: other threads are on their way to what they have drawn. */
void sample_begin(uint64_t period, uint64_t seed);
/** The mean distance; 0: it is not set. */
uint64_t sample_period(void);

/** Around fork(): the child draws other distances than its parent. */
void sample_before_fork(void);
void sample_after_fork_in_child(void);

#endif
