/**
 * Putting blocks into the table and taking them out. The fast path is here; blocks.c has the rest.
 */
#ifndef TRACEMORTEM_TRACER_BLOCKS_H
#define TRACEMORTEM_TRACER_BLOCKS_H

#include "counters.h"
#include "map.h"
#include "tracked.h"

/** A block as the table has it. */
struct block {
    uint64_t size;
    uint32_t site; // 0: there is no block
};

/** Put a block into the tracked ones, replacing one with the same key. `shared`: the side of the calling thread. False: no
 * memory. */
bool block_store_tracked(uint32_t domain, uintptr_t address, struct block block, bool shared);
/** Put a block of domain 0 into its grid, or where else it belongs. False: no memory. */
bool block_store(uintptr_t address, struct block block, bool gridded, bool shared);

/** Put a block into the table. Without a site, or without memory, it is lost, and counted as lost. */
static ALWAYS_INLINE void block_publish(facts_t facts, profile_t profile, unsigned allocator, uintptr_t address,
                                        struct block block, bool shared)
{
    if (UNLIKELY(block.site == 0)) {
        table_lost_block();
        return;
    }
    const bool gridded = allocator != TM_ALLOCATOR_RAW && !profile->picks;
    count_in_site(profile, block.site, block.size, shared);
    if ((gridded && LIKELY(map_store_in_grid(facts->pool_shift, address, block.size, block.site))) ||
        LIKELY(block_store(address, block, gridded, shared))) {
        count_in_whole(block.size, shared);
    } else {
        count_in_site_undo(profile, block.site, block.size, shared);
        table_lost_block();
    }
}

/** A block that is out of the table and out of the whole. Its site still counts it, until block_end(). */
struct taken_block {
    struct block block; // without a site: it was not in the table
    bool tracked;       // it was not in the map
    bool in_grid;       // it was in a grid
    bool shared;        // the side of the thread that took it
};

/** block_take() from the tracked ones. */
struct taken_block block_take_tracked(uint32_t domain, uintptr_t address, bool shared);
/** block_take() for code objects, for tracked blocks, and for threads without the lock. */
struct taken_block block_take_slowly(uintptr_t address, bool shared);
/** block_take() for blocks that are in no grid. */
struct taken_block block_take_elsewhere(uintptr_t address, bool shared);

/** Take a block of domain 0 out of the table. */
static ALWAYS_INLINE struct taken_block block_take(facts_t facts, unsigned allocator, uintptr_t address, bool shared)
{
    uint64_t word = 0;
    uint32_t *slot = allocator == TM_ALLOCATOR_RAW ? NULL : map_plain_slot(facts->pool_shift, address, &word);
    if (UNLIKELY(slot == NULL) || UNLIKELY(shared))
        return block_take_elsewhere(address, shared);
    uint32_t value = *slot;
    struct block block = {.size = slot_size(word, value), .site = value & TM_SLOT_SITE_MASK};
    count_out_of_whole(block.size, false);
    __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
    return (struct taken_block){.block = block, .in_grid = true};
}

/** A block that was taken is gone. */
static ALWAYS_INLINE void block_end(profile_t profile, const struct taken_block *taken)
{
    if (LIKELY(taken->block.site != 0))
        count_out_of_site(profile, taken->block.site, taken->block.size, taken->shared);
}

#endif
