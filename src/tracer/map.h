/**
 * The map from addresses to live blocks: leaves of units, each with a grid for small blocks and a list for the others.
 *
 * The owner of a block owns its slot or entry, so reading and writing one takes no lock. Blocks of the allocators mem and
 * object are allocated and freed by holders of an interpreter's lock, and only these are in grids. Making a leaf, a grid or a
 * chunk takes table_lock. Pointers to leaves are read without ordering, since the processor orders a load after the load of
 * its address.
 *
 * The functions for the allocation path are inlined with the size of a unit as a constant. The others ask the root.
 */
#ifndef TRACEMORTEM_TRACER_MAP_H
#define TRACEMORTEM_TRACER_MAP_H

#include "list.h"

enum { LEAF_BITS = 13 };
_Static_assert(TM_LEAF_UNITS == 1u << LEAF_BITS, "units of a leaf");

/** By address >> (unit_shift + LEAF_BITS): the units of that leaf, or NULL. For the tracer alone: the array `leaves` says the
 * same to readers. */
extern struct tm_unit **map_directory;

/** Make the map of the table, if it has none yet. False: no memory. */
bool map_create(void);

static ALWAYS_INLINE struct tm_unit *map_unit(unsigned unit_shift, uintptr_t address)
{
    if (UNLIKELY(address >> TM_ADDRESS_BITS != 0))
        return NULL;
    struct tm_unit *units = __atomic_load_n(&map_directory[address >> (unit_shift + LEAF_BITS)], __ATOMIC_RELAXED);
    return UNLIKELY(units == NULL) ? NULL : &units[address >> unit_shift & (TM_LEAF_UNITS - 1)];
}

/** Whether a block can be in the map. Other blocks are tracked ones. */
static ALWAYS_INLINE bool map_has_room_for(uintptr_t address, size_t size)
{
    return (address & ~(((UINT64_C(1) << TM_ADDRESS_BITS) - 1) & -(uint64_t)GRAIN)) == 0 && size <= LIST_SIZE_MOST;
}

/** What is published of a block. */
struct map_block {
    uint64_t size;
    uint32_t site; // 0: there is no block
    bool watched;  // it holds a code object that the tracer knows
};

/**
 * Publish a live block, if its grid has a free slot for it: a reader sees it from the last store on. Only for blocks of
 * allocators that may keep to grids.
 */
static ALWAYS_INLINE bool map_store_in_grid(unsigned unit_shift, uintptr_t address, size_t size, uint32_t site)
{
    const struct tm_unit *unit = map_unit(unit_shift, address);
    if (UNLIKELY(unit == NULL))
        return false;
    uint64_t word = unit->grid;
    uint32_t *slot = grid_slot(unit_shift, word, address);
    if (UNLIKELY(slot == NULL) || UNLIKELY(!grid_takes(word, size)) || UNLIKELY(*slot != 0))
        return false;
    __atomic_store_n(slot, slot_value(size, site), __ATOMIC_RELEASE);
    return true;
}

/**
 * Publish a live block that the map has room for. `gridded`: its allocator may keep to grids. If a block was at this address
 * already, because its free was not seen, *replaced was that one; else its site is 0. False: no memory.
 */
bool map_store(uintptr_t address, struct map_block block, bool gridded, struct map_block *replaced);

/** The slot of the live block that starts at an address, if it is in a grid and holds no code object; else NULL. */
static ALWAYS_INLINE uint32_t *map_plain_slot(unsigned unit_shift, uintptr_t address, uint64_t *word)
{
    const struct tm_unit *unit = map_unit(unit_shift, address);
    *word = LIKELY(unit != NULL) ? unit->grid : 0;
    uint32_t *slot = grid_slot(unit_shift, *word, address);
    // Neither free nor watched: TM_SLOT_WATCHED is the sign.
    return LIKELY(slot != NULL) && LIKELY((int32_t)__atomic_load_n(slot, __ATOMIC_RELAXED) > 0) ? slot : NULL;
}
_Static_assert(TM_SLOT_WATCHED == 0x80000000u, "the sign of a slot");

/** The entry of the live block that starts at an address, if it is in a list and holds no code object; else NULL. */
static ALWAYS_INLINE uint64_t *map_plain_entry(unsigned unit_shift, uintptr_t address)
{
    struct tm_unit *unit = address % GRAIN == 0 ? map_unit(unit_shift, address) : NULL;
    uint64_t *entry = LIKELY(unit != NULL) && unit->list != 0 ? list_find(unit_shift, &unit->list, address) : NULL;
    return entry != NULL && LIKELY(!(__atomic_load_n(entry, __ATOMIC_RELAXED) & TM_ENTRY_WATCHED)) ? entry : NULL;
}

/** Where a block is recorded, and what is recorded. */
struct map_place {
    uintptr_t address;
    struct map_block block;
    uint32_t *slot;  // in a grid; or
    uint64_t *entry; // in a list
    uint64_t value;  // of either
};

/** The live block that starts at an address. False: the map has none. */
bool map_find(uintptr_t address, struct map_place *place);
/** The live block that starts at most `before` bytes before an address, and contains it. False: the map has none. */
bool map_find_holding(uintptr_t address, uintptr_t before, struct map_place *place);
/** Take a block out of the map. False: another thread has changed its place since it was found. */
bool map_remove(const struct map_place *place);
/** Give a block another site, or mark it as watched. False likewise. */
bool map_change(const struct map_place *place, uint32_t site, bool watched);

/** Call `visit` for every live block. */
void map_walk(void (*visit)(void *context, const struct map_place *place), void *context);
/** Forget all blocks. Nobody records. */
void map_reset(void);
/** Forget the blocks of a range of addresses, which the system has taken back or has given to CPython's object allocator. */
void map_discard(uintptr_t address, size_t size);

#endif
