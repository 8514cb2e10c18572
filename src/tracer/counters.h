/**
 * The counters: of sites, and of traced memory as a whole.
 *
 * A site's counters are either the lock holder's and changed by plain additions, or shared and changed atomically.
 *
 * A block is counted in two steps, and published between them: first its site counts it, then the whole. When a block goes,
 * first the whole gets less, then the site. So the sites together count more bytes than the whole while an update is in
 * flight, and only then; a reader from outside sees how many. During a step, a site may show the bytes of a block that it
 * does not count yet, or no longer counts.
 *
 * A forked child must know whether an update of another thread was in flight. Only threads without the lock change shared
 * counters while others run, so their updates are noted: in notes that many threads share, but few at a time.
 */
#ifndef TRACEMORTEM_TRACER_COUNTERS_H
#define TRACEMORTEM_TRACER_COUNTERS_H

#include "profile.h"
#include "table.h"

static inline void counter_add(uint64_t *counter, uint64_t amount)
{
    __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

enum { COUNTER_NOTES = 16 };

/** How many updates of shared counters have begun and not ended. */
struct counter_note {
    int64_t in_flight;
} __attribute__((aligned(64)));
extern struct counter_note counter_notes[COUNTER_NOTES];
extern __thread char counter_thread; // its address distinguishes threads

/** Note that an update of shared counters begins (1) or ends (-1). Without a global lock, writers.h knows. */
static inline void counter_note(int64_t change)
{
    if (cpython.facts->free_threaded)
        return;
    // The thread-local memory of two threads is pages apart.
    size_t note = (size_t)((uint64_t)((uintptr_t)&counter_thread >> 12) * UINT64_C(0x9E3779B97F4A7C15) >> 60);
    __atomic_fetch_add(&counter_notes[note].in_flight, change, __ATOMIC_SEQ_CST);
}

static inline bool counters_are_shared(const struct tm_site *site)
{
    return UNLIKELY(site->flags & TM_SITE_SHARED);
}

/** Keeps the compiler from moving a count to the other side of the publication. Costs nothing. */
static inline void counter_fence(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void count_in_whole_shared(uint64_t size)
{
    uint64_t whole =
        __atomic_add_fetch(&table->shared.traced, size, __ATOMIC_RELAXED) + counter_read(&table->owned.traced);
    uint64_t peak = counter_read(&table->shared.peak);
    // One side's total may lag for an instant, and the whole look negative: that is no peak.
    while ((int64_t)whole > (int64_t)peak &&
           !__atomic_compare_exchange_n(&table->shared.peak, &peak, whole, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/** An allocation, first step: the block is not published yet. */
static inline void count_in_site(profile_t profile, struct tm_site *site, uint64_t size)
{
    if (counters_are_shared(site)) {
        counter_note(1);
        if (profile->counts_sites) {
            counter_add(&site->allocated, size);
            counter_add(&site->allocations, 1);
        }
    } else if (profile->counts_sites) {
        site->allocated += size;
        counter_fence();
        site->allocations++;
    }
    counter_fence();
}

/** The block could not be published. */
static inline void count_in_site_undo(profile_t profile, struct tm_site *site, uint64_t size)
{
    if (profile->counts_sites) {
        counter_add(&site->allocations, (uint64_t)-1);
        counter_add(&site->allocated, -size);
    }
    if (counters_are_shared(site))
        counter_note(-1);
}

/** Second step: the block is published. */
static inline void count_in_whole(const struct tm_site *site, uint64_t size)
{
    counter_fence();
    if (counters_are_shared(site)) {
        count_in_whole_shared(size);
        counter_note(-1);
        return;
    }
    table->owned.traced += size;
    uint64_t whole = table->owned.traced + counter_read(&table->shared.traced);
    if ((int64_t)whole > (int64_t)table->owned.peak)
        table->owned.peak = whole;
}

/** A block goes, first step: it is still published. */
static inline void count_out_of_whole(const struct tm_site *site, uint64_t size)
{
    if (counters_are_shared(site)) {
        counter_note(1);
        counter_add(&table->shared.traced, -size);
    } else {
        table->owned.traced -= size;
    }
    counter_fence();
}

/** Take that step back. */
static inline void count_out_of_whole_undo(const struct tm_site *site, uint64_t size)
{
    if (counters_are_shared(site)) {
        counter_add(&table->shared.traced, size);
        counter_note(-1);
    } else {
        table->owned.traced += size;
    }
    counter_fence();
}

/** Second step: the block is no longer published. */
static inline void count_out_of_site(profile_t profile, struct tm_site *site, uint64_t size)
{
    counter_fence();
    if (counters_are_shared(site)) {
        if (profile->counts_sites) {
            counter_add(&site->frees, 1);
            counter_add(&site->freed, size);
        }
        counter_note(-1);
    } else if (profile->counts_sites) {
        site->frees++;
        counter_fence();
        site->freed += size;
    }
}

#endif
