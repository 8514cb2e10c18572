// What is not on the fast path of blocks: tracked ones, code objects, and sites with shared counters.
// Knows the table; nothing of hooks.

#include "blocks.h"

#include "caller.h"
#include "stack.h"

bool block_store_tracked(uint32_t domain, uintptr_t address, struct tracked_block block)
{
    struct tracked_block replaced;
    bool stored = tracked_put(domain, address, block, &replaced);
    if (replaced.site != 0)
        count_out_of_site(profile_now, TABLE_SITE(replaced.site), replaced.size);
    return stored;
}

/** A code object dies, or moves, which is the same to us. */
static void code_dies(uintptr_t address)
{
    size_t size = code_forget(address);
    if (size != 0 && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget_code(address, size);
}

struct taken_block block_take_tracked(uint32_t domain, uintptr_t address)
{
    struct tracked_block block = {0};
    if ((domain == 0 && !tracked_any_in_domain_0()) || !tracked_take(domain, address, &block))
        return (struct taken_block){0};
    return (struct taken_block){
        .counters = TABLE_SITE(block.site), .size = block.size, .site = block.site, .tracked = true};
}

struct taken_block block_take_slowly(uintptr_t address)
{
    if (!shadow_is_key(address)) {
        code_dies(address);
        return block_take_tracked(0, address);
    }
    uint32_t *slot = shadow_slot(address), value = slot == NULL ? 0 : __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (value & TM_SLOT_WATCHED) {
        code_dies(address);
        value &= ~TM_SLOT_WATCHED;
    }
    if (!(value & TM_SLOT_START))
        return block_take_tracked(0, address);
    struct taken_block block = {.site = value & TM_SLOT_SITE_MASK, .size = shadow_size(slot, value, address)};
    block.counters = TABLE_SITE(block.site);
    count_out_of_whole(block.counters, block.size);
    // A thread that clears all traces may be faster.
    if (!__atomic_compare_exchange_n(slot, &value, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        count_out_of_whole_undo(block.counters, block.size);
        return (struct taken_block){0};
    }
    if (block.size > TM_SIZE_MASK)
        shadow_erase_escape(address);
    return block;
}
