/**
 * Births. A birth is an object that CPython creates in memory which one of its free lists kept, so that no allocator is
 * called. tracemalloc gives the block the traceback of its latest object, and so do we: at a birth the block moves to the
 * site of the birth. birth_events.h is how CPython reports births.
 */
#ifndef TRACEMORTEM_TRACER_BIRTHS_H
#define TRACEMORTEM_TRACER_BIRTHS_H

#include "birth_events.h"
#include "blocks.h"

/** The latest object block of this thread, until its object is created. That object's block has its site already. */
struct fresh_block {
    uintptr_t address;
    size_t size; // 0: there is none
};
extern __thread struct fresh_block fresh_block;

/** The block of an object, if it is in a grid. */
struct born {
    uint64_t word;  // the grid's
    uint32_t *slot; // NULL: the block is in no grid
    uint32_t value; // the slot's
};

/** What CPython has before an object: its GC header, and sometimes more before that. */
enum { OWN_HEADERS = 2 * GRAIN };

/** The block of an object, if it is in a grid and begins at most OWN_HEADERS before the object. */
static ALWAYS_INLINE struct born find_born(facts_t facts, uintptr_t object)
{
    const struct tm_unit *unit = map_unit(facts->pool_shift, object);
    struct born born = {.word = LIKELY(unit != NULL) ? unit->grid : 0};
    uintptr_t block;
    born.slot = grid_slot_before(facts->pool_shift, born.word, object, &block);
    born.value = LIKELY(born.slot != NULL) ? __atomic_load_n(born.slot, __ATOMIC_RELAXED) : 0;
    bool holds = born.value != 0 && object - block <= OWN_HEADERS && object - block < slot_size(born.word, born.value);
    return LIKELY(holds) ? born : (struct born){0};
}

/** The same by the object's type alone: without a lock, what is before the object may be another thread's. */
struct born find_born_without_lock(uintptr_t object);

/** From now on we do not know of each block whether its traceback is the latest. */
void births_are_missed(void);

/** Move a block of a grid to another site. */
static ALWAYS_INLINE void move_born(profile_t profile, struct born born, uint32_t site, bool shared)
{
    uint32_t old = born.value & TM_SLOT_SITE_MASK, value = born.value;
    if (old == site)
        return;
    if (UNLIKELY(shared) && profile->counts_sites && !site_is_shared(old)) {
        births_are_missed(); // the block came from another interpreter, whose counters we must not touch
        return;
    }
    size_t size = slot_size(born.word, born.value);
    count_in_site(profile, site, size, shared);
    if (LIKELY(!shared)) {
        __atomic_store_n(born.slot, (value & ~TM_SLOT_SITE_MASK) | site, __ATOMIC_RELEASE);
    } else if (!__atomic_compare_exchange_n(born.slot, &value, (value & ~TM_SLOT_SITE_MASK) | site, false,
                                            __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        count_in_site_undo(profile, site, size, shared); // a thread that clears all traces was faster
        return;
    }
    count_out_of_site(profile, old, size, shared);
}

/**
 * The address of an object's block that is in no grid: it is in a list, or a tracked one. 0: it is older than tracing, or
 * somewhere unexpected.
 */
uintptr_t find_born_elsewhere(uintptr_t object);
/** Move a block that is in no grid to another site. */
void move_elsewhere(uintptr_t block, uint32_t site, bool shared);

/** After a new site was made, which is seldom: check whether births are still reported. The caller has an interpreter's
 * lock, where there is one. */
void births_check(void);

/** Have births reported, where that is possible and wanted; while tracing. */
void births_watch(birth_callback on_birth);
/** Births missed until now do not matter: there are no blocks, or no objects. */
void births_forget_missed(void);

#endif
