/**
 * The shadow map: one 32-bit slot for each 16 bytes of address space, found by the address itself.
 *
 * Reading and writing a slot takes no lock: the owner of a block owns its slots. Only making a leaf takes table_lock. The
 * pointers to a leaf are read without ordering, since the processor orders a load after the load of its address.
 */
#ifndef TRACEMORTEM_TRACER_SHADOW_H
#define TRACEMORTEM_TRACER_SHADOW_H

#include "table.h"

enum { SLOT_BYTES = 1 << TM_SLOT_SHIFT };

/** The branch's entry for an address; NULL: there is no branch. */
static inline uint64_t *shadow_entry(uintptr_t address)
{
    if (UNLIKELY(address >> TM_ADDRESS_BITS != 0))
        return NULL;
    const uint64_t *directory = (const uint64_t *)(uintptr_t)table->directory;
    uint64_t *branch = (uint64_t *)(uintptr_t)__atomic_load_n(&directory[address >> TM_BRANCH_SHIFT], __ATOMIC_RELAXED);
    if (UNLIKELY(branch == NULL))
        return NULL;
    return &branch[address >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)];
}

/** The slot of an address in the leaf of an entry. */
static inline uint32_t *shadow_slot_of(uint64_t entry, uintptr_t address)
{
    uint32_t *leaf = (uint32_t *)(uintptr_t)(entry & ~TM_LEAF_PARTS_MASK);
    return &leaf[address >> TM_SLOT_SHIFT & (TM_LEAF_SLOTS - 1)];
}

static inline uint64_t shadow_part_bit(uintptr_t address)
{
    return UINT64_C(1) << (address >> TM_LEAF_PART_SHIFT & (TM_LEAF_PARTS - 1));
}

/** The slot of an address; NULL: there is no leaf. */
static inline uint32_t *shadow_slot(uintptr_t address)
{
    const uint64_t *entry = shadow_entry(address);
    uint64_t leaf = entry == NULL ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    return leaf == 0 ? NULL : shadow_slot_of(leaf, address);
}

/** The slot of an address whose part of the leaf may hold a start; NULL: it may not. */
static inline uint32_t *shadow_slot_in_use(uintptr_t address)
{
    const uint64_t *entry = shadow_entry(address);
    uint64_t leaf = UNLIKELY(entry == NULL) ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    return UNLIKELY(!(leaf & shadow_part_bit(address))) ? NULL : shadow_slot_of(leaf, address);
}

/** The same, making the branch and the leaf if needed. NULL: no memory, or not an address of the map. Takes the lock. */
uint32_t *shadow_slot_create(uintptr_t address);
/** The same for a caller that holds the lock. */
uint32_t *shadow_slot_create_locked(uintptr_t address);

/** Whether the two slots after `slot` lie in the same leaf (leaves are aligned to their size). */
static inline bool shadow_has_room(const uint32_t *slot)
{
    return ((uintptr_t)slot / sizeof *slot & (TM_LEAF_SLOTS - 1)) < TM_LEAF_SLOTS - 2;
}

/** The size of a block whose size slots are not those beside its start, or not one: it is at a leaf's end, or over 1 GiB. */
size_t shadow_size_far(uintptr_t address);

/** A block of this size covers whole parts of leaves, in which nothing can start now. Their bits are cleared and their
 * memory is given back, so that a search from inside the block does not read what earlier blocks left there. */
enum { SHADOW_LARGE = 2 << TM_LEAF_PART_SHIFT };

/** Whether the map has a slot for an address. Blocks at other addresses are tracked ones. */
static inline bool shadow_is_key(uintptr_t address)
{
    return (address & ~(((UINT64_C(1) << TM_ADDRESS_BITS) - 1) & -(uint64_t)SLOT_BYTES)) == 0;
}

/** shadow_store() of a block that needs a new leaf or part, is large, or is at a leaf's end. */
bool shadow_store_slowly(uintptr_t address, size_t size, uint32_t site);

/** Publish a live block: a reader sees it from the last store on. False: no memory. */
static inline bool shadow_store(uintptr_t address, size_t size, uint32_t site)
{
    uint32_t *slot = shadow_slot_in_use(address);
    if (UNLIKELY(slot == NULL || size >= SHADOW_LARGE || !shadow_has_room(slot)))
        return shadow_store_slowly(address, size, site);
    uint32_t start = TM_SLOT_START | site;
    if (size <= TM_SLOT_SMALL_LIMIT)
        start |= (uint32_t)(size + 1) << TM_SLOT_SMALL_SHIFT;
    else
        slot[1] = (uint32_t)size;
    __atomic_store_n(slot, start, __ATOMIC_RELEASE);
    return true;
}

/** A block of more than 1 GiB ends: clear its escape, which looks like the mark of a code object. */
void shadow_erase_escape(uintptr_t address);

/** The size of the live block that starts in `slot`, which has this value. */
static inline size_t shadow_size(const uint32_t *slot, uint32_t value, uintptr_t address)
{
    uint32_t small = value >> TM_SLOT_SMALL_SHIFT & TM_SLOT_SMALL_MASK;
    if (small != 0)
        return small - 1;
    if (LIKELY(shadow_has_room(slot) && !(slot[1] & TM_SIZE_ESCAPE)))
        return slot[1];
    return shadow_size_far(address);
}

/**
 * The slot of the nearest start at or before an address, and in *block the address where that block begins. It looks at the
 * slot of the address, and at those of `most` bytes before it. NULL: no block starts there.
 */
static inline uint32_t *shadow_find_start(uintptr_t address, uintptr_t most, uintptr_t *block)
{
    uintptr_t first = address & -(uintptr_t)SLOT_BYTES;
    for (uintptr_t before = 0; before <= most; before += SLOT_BYTES) {
        uint32_t *slot = shadow_slot(first - before);
        *block = first - before;
        if (LIKELY(slot != NULL) && __atomic_load_n(slot, __ATOMIC_RELAXED) & TM_SLOT_START)
            return slot;
    }
    return NULL;
}

/** Call `visit` for every leaf in ascending order, with its first address and the branch's entry for it. */
void shadow_walk(void (*visit)(void *context, uintptr_t address, uint32_t *leaf, uint64_t *entry), void *context);

/** Forget all slots, and give their memory back. */
void shadow_reset(void);

/** Forget the slots of a range of addresses that was given back to the system, whole parts at a time. */
void shadow_discard(uintptr_t address, size_t size);

#endif
