/**
 * Grids: the slots of the small blocks in one unit of address space. Knows a unit's word and its array; nothing of leaves,
 * and nothing of who calls.
 *
 * CPython's object allocator cuts a pool into blocks of one size. So the distance from the pool's start leads to the slot by
 * a division, which is a multiplication here. A slot belongs to the owner of its block, and the word to the holder of
 * table_lock.
 */
#ifndef TRACEMORTEM_TRACER_GRID_H
#define TRACEMORTEM_TRACER_GRID_H

#include "table.h"

enum { GRAIN = 1 << TM_GRAIN_SHIFT, GRID_STRIDES = TM_GRID_SIZE_MOST / GRAIN + 1, GRID_FRACTION_BITS = 24 };

/**
 * By stride / 16: 2^24 / stride + 1, so that a distance times it is the number of strides, with 24 bits of fraction. The
 * distance is a multiple of the stride if, and only if, the fraction is less than this. 0: no distance is one.
 */
extern const uint32_t grid_reciprocals[GRID_STRIDES];

/** Where the copy of a unit's word is: the units of a leaf are there twice. */
static inline uint64_t *unit_word_copy(uint64_t *word)
{
    return word + TM_LEAF_UNITS * (sizeof(struct tm_unit) / sizeof *word);
}

/** Let a unit's word, which was 0 or another one, lead to something that is complete. */
static inline void unit_word_store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    __atomic_store_n(unit_word_copy(word), value, __ATOMIC_RELEASE);
}

static ALWAYS_INLINE unsigned grid_stride(uint64_t word)
{
    return (word & TM_GRID_STRIDE_MASK) * GRAIN;
}

static ALWAYS_INLINE unsigned grid_phase(uint64_t word)
{
    return (word >> TM_GRID_PHASE_SHIFT & TM_GRID_PHASE_MASK) * GRAIN;
}

static ALWAYS_INLINE uint32_t *grid_slots(uint64_t word)
{
    return (uint32_t *)(uintptr_t)((word >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK) + TM_GRID_HEAD);
}

static ALWAYS_INLINE uint64_t grid_offset(unsigned unit_shift, uint64_t word, uintptr_t address)
{
    return (address & ((UINT64_C(1) << unit_shift) - 1)) - grid_phase(word);
}

/** The slot of a block that starts at an address; NULL: the grid has no start there. */
static ALWAYS_INLINE uint32_t *grid_slot(unsigned unit_shift, uint64_t word, uintptr_t address)
{
    uint64_t reciprocal = grid_reciprocals[word & TM_GRID_STRIDE_MASK];
    uint64_t product = grid_offset(unit_shift, word, address) * reciprocal;
    if (UNLIKELY((product & ((1u << GRID_FRACTION_BITS) - 1)) >= reciprocal))
        return NULL;
    return &grid_slots(word)[product >> GRID_FRACTION_BITS];
}

/** The slot of the start at or before an address, and in *start where that is. NULL: the grid has none so low. */
static ALWAYS_INLINE uint32_t *grid_slot_before(unsigned unit_shift, uint64_t word, uintptr_t address, uintptr_t *start)
{
    uint64_t reciprocal = grid_reciprocals[word & TM_GRID_STRIDE_MASK];
    uint64_t offset = grid_offset(unit_shift, word, address), index = offset * reciprocal >> GRID_FRACTION_BITS;
    if (UNLIKELY(reciprocal == 0) || UNLIKELY((int64_t)offset < 0))
        return NULL;
    *start = address - (offset - index * grid_stride(word));
    return &grid_slots(word)[index];
}

/** Whether a block of this size may be in a grid of this word. Its start is another question. */
static ALWAYS_INLINE bool grid_takes(uint64_t word, size_t size)
{
    return size <= grid_stride(word) && (LIKELY(size != 0) || grid_stride(word) != TM_GRID_SIZE_MOST);
}

static ALWAYS_INLINE uint32_t slot_value(size_t size, uint32_t site)
{
    return site | (uint32_t)(size & TM_SLOT_SIZE_MASK) << TM_SLOT_SIZE_SHIFT;
}

/** The size of the live block whose slot has this value. */
static ALWAYS_INLINE size_t slot_size(uint64_t word, uint32_t value)
{
    size_t size = value >> TM_SLOT_SIZE_SHIFT & TM_SLOT_SIZE_MASK;
    return LIKELY(size != 0) || grid_stride(word) != TM_GRID_SIZE_MOST ? size : TM_GRID_SIZE_MOST;
}

/**
 * Make the unit's grid one that has room for this block, and return its slot. Blocks of the old grid that are live go with
 * it, if one grid can hold all of them. NULL: none can, or there is no memory. Holding the lock.
 */
uint32_t *grid_fit(unsigned unit_shift, uint64_t *word, uintptr_t address, size_t size);
/** Forget the grid and its blocks. Its array serves another one. Holding the lock. */
void grid_drop(unsigned unit_shift, uint64_t *word);

#endif
