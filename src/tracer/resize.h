/**
 * Blocks inside realloc().
 *
 * Such a block belongs to the allocator, which may give its address to another thread before realloc() returns. So the block
 * leaves the table first, and a resize record shows it meanwhile.
 */
#ifndef TRACEMORTEM_TRACER_RESIZE_H
#define TRACEMORTEM_TRACER_RESIZE_H

#include "blocks.h"
#include "caller.h"

struct resize {
    struct tm_resize *record; // NULL: all are in use, or the block is not in the map
    struct taken_block old;
    uintptr_t address;
    bool gridded; // the block's allocator may keep to grids
};

/** A record for the caller; NULL: all are in use. */
static ALWAYS_INLINE struct tm_resize *resize_claim(struct caller caller)
{
    if (caller.owns_lock)
        return &table->resize[0];
    for (unsigned i = 1; i < TM_RESIZES; i++) {
        uint32_t expected = TM_RESIZE_FREE;
        if (__atomic_compare_exchange_n(&table->resize[i].state, &expected, TM_RESIZE_CLAIMED, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return &table->resize[i];
    }
    return NULL;
}

/** The live block of the map that starts at an address. */
static ALWAYS_INLINE struct block resize_look(facts_t facts, unsigned allocator, uintptr_t address)
{
    uint64_t word;
    const uint32_t *slot = allocator == TM_ALLOCATOR_RAW ? NULL : map_plain_slot(facts->pool_shift, address, &word);
    struct map_place place;
    if (LIKELY(slot != NULL))
        return (struct block){.size = slot_size(word, *slot), .site = *slot & TM_SLOT_SITE_MASK};
    if (map_find(address, &place))
        return (struct block){.size = place.block.size, .site = place.block.site};
    return (struct block){0};
}

/** Before realloc(): the block leaves the table. */
static ALWAYS_INLINE struct resize resize_begin(facts_t facts, unsigned allocator, uintptr_t address,
                                                struct caller caller)
{
    struct resize resize = {.address = address, .gridded = allocator != TM_ALLOCATOR_RAW};
    struct block block = resize_look(facts, allocator, address);
    if (LIKELY(block.site != 0) && (resize.record = resize_claim(caller)) != NULL) {
        resize.record->address = address;
        resize.record->size = block.size;
        resize.record->site = block.site;
        resize.record->moved = 0;
        __atomic_store_n(&resize.record->state, TM_RESIZE_BUSY, __ATOMIC_RELEASE);
    }
    resize.old = block_take(facts, allocator, address, caller_is_shared(caller, allocator));
    return resize;
}

/** realloc() has succeeded: the old block is gone, and the new one is at `moved`. */
static ALWAYS_INLINE void resize_commit(profile_t profile, const struct resize *resize, uintptr_t moved)
{
    if (LIKELY(resize->record != NULL))
        __atomic_store_n(&resize->record->moved, moved, __ATOMIC_RELEASE);
    block_end(profile, &resize->old);
}

/** realloc() has failed: the old block goes back into the table. */
void resize_undo(const struct resize *resize);

/** The table shows what is there now: the new block, or the old one again. */
static ALWAYS_INLINE void resize_end(const struct resize *resize)
{
    if (LIKELY(resize->record != NULL))
        __atomic_store_n(&resize->record->state, TM_RESIZE_FREE, __ATOMIC_RELEASE);
}

#endif
