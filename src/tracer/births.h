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

/** The block of an object. */
struct born {
    uintptr_t block;
    uint32_t *slot; // NULL: the block is not in the map
};

enum {
    OWN_HEADERS = 2 * SLOT_BYTES
}; // what CPython has before an object: its GC header, and sometimes more before that

/** The block of an object; it begins at most `headers` bytes before the object. */
static ALWAYS_INLINE struct born find_born(uintptr_t object, uintptr_t headers)
{
    struct born born;
    born.slot = shadow_find_start(object, headers, &born.block);
    bool holds = born.slot != NULL && object - born.block < shadow_size(born.slot, *born.slot, born.block);
    return holds ? born : (struct born){0};
}

/** The same by the object's type alone: without a lock, what is before the object may be another thread's. */
struct born find_born_without_lock(uintptr_t object);

/** The block of an object if it is a tracked one; 0: it is older than tracing, or somewhere unexpected. */
uintptr_t find_born_elsewhere(uintptr_t object);

/** From now on we do not know of each block whether its traceback is the latest. */
void births_are_missed(void);

/** Move a block of the map to another site. */
static ALWAYS_INLINE void move_born(profile_t profile, struct born born, uint32_t site, bool owns_lock)
{
    uint32_t value = *born.slot;
    struct tm_site *old = TABLE_SITE(value & TM_SLOT_SITE_MASK), *new = TABLE_SITE(site);
    if (old == new)
        return;
    if (UNLIKELY(!owns_lock) && !counters_are_shared(old)) {
        births_are_missed(); // the block came from another interpreter, whose counters we must not touch
        return;
    }
    size_t size = shadow_size(born.slot, value, born.block);
    uint32_t moved = (value & ~TM_SLOT_SITE_MASK) | site;
    count_in_site(profile, new, size);
    if (LIKELY(owns_lock)) {
        __atomic_store_n(born.slot, moved, __ATOMIC_RELEASE);
    } else if (!__atomic_compare_exchange_n(born.slot, &value, moved, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        count_in_site_undo(profile, new, size); // a thread that clears all traces was faster
        return;
    }
    count_out_of_site(profile, old, size);
    if (UNLIKELY(counters_are_shared(old) != counters_are_shared(new))) {
        count_out_of_whole(old, size);
        count_in_whole(new, size);
    }
}

/** Move a tracked block to another site. */
void move_tracked(uintptr_t block, uint32_t site);

/** After a new site was made, which is seldom: check whether births are still reported. The caller has an interpreter's
 * lock, where there is one. */
void births_check(void);

/** Have births reported, where that is possible and wanted; while tracing. */
void births_watch(birth_callback on_birth);
/** Births missed until now do not matter: there are no blocks, or no objects. */
void births_forget_missed(void);

#endif
