/**
 * The counters: of sites, and of traced memory as a whole.
 *
 * Of all counters there are two kinds: those of holders of the main interpreter's lock, changed by plain additions, and those
 * of all other threads, changed atomically (`shared`). The whole is the sum of both. A thread counts on its own side, also
 * when it frees a block that another side has allocated. A site is of one kind. Only the full profile counts in sites.
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

/** Whether a thread without the lock is inside an update. */
static inline bool counter_any_in_flight(void)
{
    for (unsigned i = 0; i < COUNTER_NOTES; i++)
        if (__atomic_load_n(&counter_notes[i].in_flight, __ATOMIC_SEQ_CST) != 0)
            return true;
    return false;
}

/** Whether what is allocated from a site belongs to threads without the main interpreter's lock. */
static inline bool site_is_shared(uint32_t site)
{
    return TABLE_SITE(site)->flags & TM_SITE_SHARED;
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
static ALWAYS_INLINE void count_in_site(profile_t profile, uint32_t site, uint64_t size, bool shared)
{
    struct tm_counters *counters = profile->counts_sites ? TABLE_COUNTERS(site) : NULL;
    if (UNLIKELY(shared)) {
        counter_note(1);
        if (counters != NULL) {
            counter_add(&counters->allocated, size);
            counter_add(&counters->allocations, 1);
        }
    } else if (counters != NULL) {
        counters->allocated += size;
        counter_fence();
        counters->allocations++;
    }
    counter_fence();
}

/** The block could not be published. */
static inline void count_in_site_undo(profile_t profile, uint32_t site, uint64_t size, bool shared)
{
    if (profile->counts_sites) {
        counter_add(&TABLE_COUNTERS(site)->allocations, (uint64_t)-1);
        counter_add(&TABLE_COUNTERS(site)->allocated, -size);
    }
    if (shared)
        counter_note(-1);
}

/** Second step: the block is published. */
static ALWAYS_INLINE void count_in_whole(uint64_t size, bool shared)
{
    counter_fence();
    if (UNLIKELY(shared)) {
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
static ALWAYS_INLINE void count_out_of_whole(uint64_t size, bool shared)
{
    if (UNLIKELY(shared)) {
        counter_note(1);
        counter_add(&table->shared.traced, -size);
    } else {
        table->owned.traced -= size;
    }
    counter_fence();
}

/** Take that step back. */
static inline void count_out_of_whole_undo(uint64_t size, bool shared)
{
    if (shared) {
        counter_add(&table->shared.traced, size);
        counter_note(-1);
    } else {
        table->owned.traced += size;
    }
    counter_fence();
}

/** Second step: the block is no longer published. */
static ALWAYS_INLINE void count_out_of_site(profile_t profile, uint32_t site, uint64_t size, bool shared)
{
    struct tm_counters *counters = profile->counts_sites ? TABLE_COUNTERS(site) : NULL;
    counter_fence();
    // A thread with the lock frees blocks of other threads, too.
    if (counters != NULL && UNLIKELY(shared || site_is_shared(site))) {
        counter_add(&counters->frees, 1);
        counter_add(&counters->freed, size);
    } else if (counters != NULL) {
        counters->frees++;
        counter_fence();
        counters->freed += size;
    }
    if (UNLIKELY(shared))
        counter_note(-1);
}

#endif
