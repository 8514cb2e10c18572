// What is not on the fast path of blocks: those in lists, tracked ones, code objects, and those with shared counters.
// Knows the table; nothing of hooks.

#include "blocks.h"

#include "caller.h"
#include "filter.h"
#include "stack.h"
#include "watched.h"

/** A block is about to be in the table. */
static void note(uintptr_t address)
{
    if (profile_now->picks)
        filter_add(address);
}

/** A block is no longer in the table. */
static void forget(uintptr_t address)
{
    if (profile_now->picks)
        filter_remove(address);
}

/** A block has taken the place of another one, whose free was not seen. */
static void forget_replaced(uintptr_t address, uint64_t size, uint32_t site, bool shared)
{
    if (site == 0)
        return;
    forget(address);
    count_out_of_whole(size, shared);
    count_out_of_site(profile_now, site, size, shared);
}

bool block_store_tracked(uint32_t domain, uintptr_t address, struct block block, bool shared)
{
    struct tracked_block replaced;
    note(address);
    bool stored =
        tracked_put(domain, address, (struct tracked_block){.size = block.size, .site = block.site}, shared, &replaced);
    if (replaced.site != 0) {
        forget(address);
        count_out_of_site(profile_now, replaced.site, replaced.size, shared);
    }
    if (!stored)
        forget(address);
    return stored;
}

bool block_store(uintptr_t address, struct block block, bool gridded, bool shared)
{
    struct map_block replaced;
    if (!map_has_room_for(address, block.size))
        return block_store_tracked(0, address, block, shared);
    note(address);
    // A grid for a few picked blocks would be larger than a list of them.
    bool stored = map_store(address, (struct map_block){block.size, block.site, false}, gridded && !profile_now->picks,
                            &replaced);
    forget_replaced(address, replaced.size, replaced.site, shared);
    if (!stored)
        forget(address);
    return stored;
}

/** A code object dies, or moves, which is the same to us. */
static void code_dies(uintptr_t block, bool recorded)
{
    struct watched_range range = watched_end(block, recorded);
    if (range.size != 0 && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget_code(range.address, range.size);
}

struct taken_block block_take_tracked(uint32_t domain, uintptr_t address, bool shared)
{
    struct tracked_block block = {0};
    if ((domain == 0 && !tracked_any_in_domain_0()) || !tracked_take(domain, address, shared, &block))
        return (struct taken_block){0};
    forget(address);
    return (struct taken_block){.block = {block.size, block.site}, .tracked = true, .shared = shared};
}

struct taken_block block_take_elsewhere(uintptr_t address, bool shared)
{
    uint64_t *entry = map_plain_entry(cpython.facts->pool_shift, address);
    uint64_t value = entry == NULL ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    if (UNLIKELY(value == 0) || UNLIKELY(value & TM_ENTRY_WATCHED))
        return block_take_slowly(address, shared);
    struct block block = {.size = entry_size(value), .site = (uint32_t)(value & TM_ENTRY_SITE_MASK)};
    count_out_of_whole(block.size, shared);
    // A thread that clears all traces may be faster.
    if (!__atomic_compare_exchange_n(entry, &value, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        count_out_of_whole_undo(block.size, shared);
        return (struct taken_block){0};
    }
    forget(address);
    return (struct taken_block){.block = block, .shared = shared};
}

struct taken_block block_take_slowly(uintptr_t address, bool shared)
{
    struct map_place place;
    bool recorded = map_find(address, &place);
    if (recorded ? place.block.watched : watched_any_unrecorded())
        code_dies(address, recorded);
    if (!recorded)
        return block_take_tracked(0, address, shared);
    struct block block = {place.block.size, place.block.site};
    count_out_of_whole(block.size, shared);
    // A thread that clears all traces may be faster.
    if (!map_remove(&place)) {
        count_out_of_whole_undo(block.size, shared);
        return (struct taken_block){0};
    }
    forget(address);
    return (struct taken_block){.block = block, .shared = shared};
}
