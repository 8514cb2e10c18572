/**
 * The shadow map: one 32-bit slot for each 16 bytes of address space, found by the address itself.
 *
 * Reading and writing a slot takes no lock: whoever owns a block owns its slots. Only making a leaf does; what leads to it
 * is read without order, for the processor keeps that of a pointer and what it points to.
 */
#ifndef TRACEMORTEM_TRACER_SHADOW_H
#define TRACEMORTEM_TRACER_SHADOW_H

#include "table.h"

enum { SLOT_BYTES = 1 << TM_SLOT_SHIFT };

/** The branch's entry for an address, or NULL if the branch is not there. */
static inline uint64_t *shadow_entry(uintptr_t address)
{
    if (__builtin_expect(address >> TM_ADDRESS_BITS != 0, 0))
        return NULL;
    const uint64_t *directory = (const uint64_t *)(uintptr_t)table->directory;
    uint64_t *branch = (uint64_t *)(uintptr_t)__atomic_load_n(&directory[address >> TM_BRANCH_SHIFT], __ATOMIC_RELAXED);
    if (__builtin_expect(branch == NULL, 0))
        return NULL;
    return &branch[address >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)];
}

/** The slot of an address in the leaf to which an entry leads. */
static inline uint32_t *shadow_slot_of(uint64_t entry, uintptr_t address)
{
    uint32_t *leaf = (uint32_t *)(uintptr_t)(entry & ~TM_LEAF_PARTS_MASK);
    return &leaf[address >> TM_SLOT_SHIFT & (TM_LEAF_SLOTS - 1)];
}

static inline uint64_t shadow_part_bit(uintptr_t address)
{
    return UINT64_C(1) << (address >> TM_LEAF_PART_SHIFT & (TM_LEAF_PARTS - 1));
}

/** The slot of an address, or NULL if its leaf is not there. */
static inline uint32_t *shadow_slot(uintptr_t address)
{
    const uint64_t *entry = shadow_entry(address);
    uint64_t leaf = entry == NULL ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    return leaf == 0 ? NULL : shadow_slot_of(leaf, address);
}

/** The slot of an address whose part of the leaf may hold a start, or else NULL. */
static inline uint32_t *shadow_slot_in_use(uintptr_t address)
{
    const uint64_t *entry = shadow_entry(address);
    uint64_t leaf = __builtin_expect(entry == NULL, 0) ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    return __builtin_expect(!(leaf & shadow_part_bit(address)), 0) ? NULL : shadow_slot_of(leaf, address);
}

/** The same, making what is missing on the way. NULL: no memory, or no address of this map. Takes the lock. */
uint32_t *shadow_slot_create(uintptr_t address);
/** The same for a caller who holds the lock. */
uint32_t *shadow_slot_create_locked(uintptr_t address);

/** Whether the two slots after `slot` lie in the same leaf (leaves are aligned to their size). */
static inline bool shadow_has_room(const uint32_t *slot)
{
    return ((uintptr_t)slot / sizeof *slot & (TM_LEAF_SLOTS - 1)) < TM_LEAF_SLOTS - 2;
}

/** The size of a block whose size does not fit beside its start: more than 1 GiB, or at a leaf's end. */
size_t shadow_size_far(uintptr_t address);

/** A block of this size covers parts of leaves: nothing starts in them now. Their bits are cleared and their memory
 * given back, so that a search from inside the block does not read what is left there of earlier blocks. */
enum { SHADOW_LARGE = 2 << TM_LEAF_PART_SHIFT };

/** Whether the map has slots for an address: others are kept as tracked blocks. */
static inline bool shadow_is_key(uintptr_t address)
{
    return (address & ~(((UINT64_C(1) << TM_ADDRESS_BITS) - 1) & -(uint64_t)SLOT_BYTES)) == 0;
}

/** shadow_store() of a block which makes work: a new leaf or part, a large one, one at a leaf's end. */
bool shadow_store_slowly(uintptr_t address, size_t size, uint32_t site);

/** Publish a live block of at least 1 slot: from the last store on a reader sees it. False: no memory. */
static inline bool shadow_store(uintptr_t address, size_t size, uint32_t site)
{
    uint32_t *slot = shadow_slot_in_use(address);
    if (__builtin_expect(slot == NULL || size >= SHADOW_LARGE || !shadow_has_room(slot), 0))
        return shadow_store_slowly(address, size, site);
    uint32_t start = TM_SLOT_START | site;
    if (size <= TM_SLOT_SMALL_LIMIT)
        start |= (uint32_t)(size + 1) << TM_SLOT_SMALL_SHIFT;
    else
        slot[1] = (uint32_t)size;
    __atomic_store_n(slot, start, __ATOMIC_RELEASE);
    return true;
}

/** A block of more than 1 GiB ends: its escape must not be taken for a mark later. */
void shadow_erase_escape(uintptr_t address);

/** The size of the live block whose start is `slot` with this value. */
static inline size_t shadow_size(const uint32_t *slot, uint32_t value, uintptr_t address)
{
    uint32_t small = value >> TM_SLOT_SMALL_SHIFT & TM_SLOT_SMALL_MASK;
    if (small != 0)
        return small - 1;
    if (__builtin_expect(shadow_has_room(slot) && !(slot[1] & TM_SIZE_ESCAPE), 1))
        return slot[1];
    return shadow_size_far(address);
}

/**
 * The slot of the nearest start at or before an address, and in *block the address where that block begins. Looked at are the
 * slot in which the address is, and those of `most` bytes before it. NULL: no block starts there.
 */
static inline uint32_t *shadow_find_start(uintptr_t address, uintptr_t most, uintptr_t *block)
{
    uintptr_t first = address & -(uintptr_t)SLOT_BYTES;
    for (uintptr_t before = 0; before <= most; before += SLOT_BYTES) {
        uint32_t *slot = shadow_slot(first - before);
        *block = first - before;
        if (__builtin_expect(slot != NULL, 1) && __atomic_load_n(slot, __ATOMIC_RELAXED) & TM_SLOT_START)
            return slot;
    }
    return NULL;
}

/** Call `visit` for every leaf, the first address it stands for, and the branch's entry for it, in ascending order. */
void shadow_walk(void (*visit)(void *context, uintptr_t address, uint32_t *leaf, uint64_t *entry), void *context);

/** Forget every slot, and give their memory back. */
void shadow_reset(void);

/** Forget the slots of a range of addresses which was given back to the system, whole parts at a time. */
void shadow_discard(uintptr_t address, size_t size);

#endif
