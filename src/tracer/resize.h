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

/** Before realloc(): the block leaves the table. */
static ALWAYS_INLINE struct resize resize_begin(uintptr_t address, struct caller caller)
{
    struct resize resize = {.address = address};
    uint32_t *slot = shadow_slot(address);
    uint32_t value = slot == NULL || address % SLOT_BYTES != 0 ? 0 : __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (LIKELY(value & TM_SLOT_START) && (resize.record = resize_claim(caller)) != NULL) {
        resize.record->address = address;
        resize.record->size = shadow_size(slot, value, address);
        resize.record->site = value & TM_SLOT_SITE_MASK;
        __atomic_store_n(&resize.record->state, TM_RESIZE_BUSY, __ATOMIC_RELEASE);
    }
    resize.old = block_take(address);
    return resize;
}

/** realloc() has succeeded: the old block is gone. */
static ALWAYS_INLINE void resize_commit(profile_t profile, const struct resize *resize)
{
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
