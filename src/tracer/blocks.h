/**
 * Putting blocks into the table and taking them out. The fast path is here; blocks.c has the rest.
 */
#ifndef TRACEMORTEM_TRACER_BLOCKS_H
#define TRACEMORTEM_TRACER_BLOCKS_H

#include "counters.h"
#include "shadow.h"
#include "tracked.h"

/** Put a block into the tracked ones, replacing one with the same key. False: no memory. */
bool block_store_tracked(uint32_t domain, uintptr_t address, struct tracked_block block);

/** Put a block into the table. Without a site, or without memory, it is lost, and counted as lost. */
static ALWAYS_INLINE void block_publish(profile_t profile, uintptr_t address, size_t size, uint32_t site)
{
    if (UNLIKELY(site == 0)) {
        table_lost_block();
        return;
    }
    struct tm_site *counters = TABLE_SITE(site);
    bool stored;
    count_in_site(profile, counters, size);
    if (LIKELY(shadow_is_key(address)))
        stored = shadow_store(address, size, site);
    else
        stored = block_store_tracked(0, address, (struct tracked_block){.size = size, .site = site});
    if (LIKELY(stored)) {
        count_in_whole(counters, size);
    } else {
        count_in_site_undo(profile, counters, size);
        table_lost_block();
    }
}

/** A block that is out of the table and out of the whole. Its site still counts it, until block_end(). */
struct taken_block {
    struct tm_site *counters; // its site's; NULL: the block was not in the table
    uint64_t size;
    uint32_t site;
    bool tracked; // it was not in the map
};

/** block_take() from the tracked ones. */
struct taken_block block_take_tracked(uint32_t domain, uintptr_t address);
/** block_take() for code objects, for blocks outside the map, and for those of threads without the lock. */
struct taken_block block_take_slowly(uintptr_t address);

/** Take a block of domain 0 out of the table. */
static ALWAYS_INLINE struct taken_block block_take(uintptr_t address)
{
    uint32_t *slot = LIKELY(shadow_is_key(address)) ? shadow_slot(address) : NULL;
    uint32_t value = LIKELY(slot != NULL) ? __atomic_load_n(slot, __ATOMIC_RELAXED) : 0;
    if (UNLIKELY((value & (TM_SLOT_START | TM_SLOT_WATCHED)) != TM_SLOT_START))
        return block_take_slowly(address);
    struct taken_block block = {.site = value & TM_SLOT_SITE_MASK, .size = shadow_size(slot, value, address)};
    block.counters = TABLE_SITE(block.site);
    if (counters_are_shared(block.counters) || UNLIKELY(block.size > TM_SIZE_MASK))
        return block_take_slowly(address);
    count_out_of_whole(block.counters, block.size);
    __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
    return block;
}

/** A block that was taken is gone. */
static ALWAYS_INLINE void block_end(profile_t profile, const struct taken_block *block)
{
    if (LIKELY(block->counters != NULL))
        count_out_of_site(profile, block->counters, block->size);
}

#endif
