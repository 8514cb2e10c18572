/**
 * The counters: of sites, and of traced memory as a whole.
 *
 * A site is either the lock holder's, and counts with plain additions, or shared, and counts atomically.
 *
 * A block is counted in two steps, between which it is published: first by its site, then in the whole; when it goes, first
 * the whole is less, then the site. So while an update is in flight, and only then, the sites together count more bytes than
 * the whole, and whoever looks from outside knows how many. In the midst of it a site may show bytes of which the block is
 * not counted yet, or not any more.
 */
#ifndef TRACEMORTEM_TRACER_COUNTERS_H
#define TRACEMORTEM_TRACER_COUNTERS_H

#include "table.h"

static inline void atomic_add(uint64_t *counter, uint64_t amount)
{
    __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static inline uint64_t atomic_load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline bool count_is_shared(const struct tm_site *site)
{
    return __builtin_expect(site->flags & TM_SITE_SHARED, 0);
}

/** The compiler may not move what counts a block to the other side of what publishes it. Costs nothing. */
static inline void count_fence(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void count_in_whole_shared(uint64_t size)
{
    uint64_t whole =
        __atomic_add_fetch(&table->shared.traced, size, __ATOMIC_RELAXED) + atomic_load(&table->owned.traced);
    uint64_t peak = atomic_load(&table->shared.peak);
    // One side's total may lag for an instant and make the whole look negative: no peak.
    while ((int64_t)whole > (int64_t)peak &&
           !__atomic_compare_exchange_n(&table->shared.peak, &peak, whole, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/** An allocation, first step: the block is not published yet. */
static inline void count_in_site(struct tm_site *site, uint64_t size)
{
    if (count_is_shared(site)) {
        atomic_add(&site->allocated, size);
        atomic_add(&site->allocations, 1);
    } else {
        site->allocated += size;
        count_fence();
        site->allocations++;
    }
    count_fence();
}

/** It could not be published. */
static inline void count_in_site_undo(struct tm_site *site, uint64_t size)
{
    atomic_add(&site->allocations, (uint64_t)-1);
    atomic_add(&site->allocated, -size);
}

/** Second step: it is. */
static inline void count_in_whole(const struct tm_site *site, uint64_t size)
{
    count_fence();
    if (count_is_shared(site)) {
        count_in_whole_shared(size);
        return;
    }
    table->owned.traced += size;
    uint64_t whole = table->owned.traced + atomic_load(&table->shared.traced);
    if ((int64_t)whole > (int64_t)table->owned.peak)
        table->owned.peak = whole;
}

/** A block goes, first step: it is still published. `-size`, as it were, takes it back. */
static inline void count_out_of_whole(const struct tm_site *site, uint64_t size)
{
    if (count_is_shared(site))
        atomic_add(&table->shared.traced, -size);
    else
        table->owned.traced -= size;
    count_fence();
}

/** Second step: it is not any more. */
static inline void count_out_of_site(struct tm_site *site, uint64_t size)
{
    count_fence();
    if (count_is_shared(site)) {
        atomic_add(&site->frees, 1);
        atomic_add(&site->freed, size);
    } else {
        site->frees++;
        count_fence();
        site->freed += size;
    }
}

#endif
