/**
 * The counters: of sites, and of traced memory as a whole.
 *
 * A site is either the lock holder's, and counts with plain additions, or shared, and counts atomically.
 */
#ifndef TRACEMORTEM_TRACER_COUNT_H
#define TRACEMORTEM_TRACER_COUNT_H

#include "table.h"

static inline void atomic_add(uint64_t *counter, uint64_t amount)
{
    __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static inline uint64_t atomic_load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void count_shared_allocation(struct tm_site *site, uint64_t size)
{
    atomic_add(&site->allocations, 1);
    atomic_add(&site->allocated, size);
    uint64_t whole =
        __atomic_add_fetch(&table->shared.traced, size, __ATOMIC_RELAXED) + atomic_load(&table->owned.traced);
    uint64_t peak = atomic_load(&table->shared.peak);
    // One side's total may lag for an instant and make the whole look negative: no peak.
    while ((int64_t)whole > (int64_t)peak &&
           !__atomic_compare_exchange_n(&table->shared.peak, &peak, whole, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static inline void count_allocation(struct tm_site *site, uint64_t size)
{
    if (__builtin_expect(site->flags & TM_SITE_SHARED, 0)) {
        count_shared_allocation(site, size);
        return;
    }
    site->allocations++;
    site->allocated += size;
    table->owned.traced += size;
    uint64_t whole = table->owned.traced + atomic_load(&table->shared.traced);
    if ((int64_t)whole > (int64_t)table->owned.peak)
        table->owned.peak = whole;
}

static inline void count_free(struct tm_site *site, uint64_t size)
{
    if (__builtin_expect(site->flags & TM_SITE_SHARED, 0)) {
        atomic_add(&site->frees, 1);
        atomic_add(&site->freed, size);
        atomic_add(&table->shared.traced, -size);
        return;
    }
    site->frees++;
    site->freed += size;
    table->owned.traced -= size;
}

#endif
