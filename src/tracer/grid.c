// Making grids and giving up their arrays.

#include "grid.h"

#include <string.h>

#include "layout/hash.h"

#define RECIPROCAL(i) ((1u << (GRID_FRACTION_BITS - TM_GRAIN_SHIFT)) / (i) + 1)
#define FOUR_RECIPROCALS(i) RECIPROCAL(i), RECIPROCAL(i + 1), RECIPROCAL(i + 2), RECIPROCAL(i + 3)
const uint32_t grid_reciprocals[GRID_STRIDES] = {
    0,
    FOUR_RECIPROCALS(1),
    FOUR_RECIPROCALS(5),
    FOUR_RECIPROCALS(9),
    FOUR_RECIPROCALS(13),
    FOUR_RECIPROCALS(17),
    FOUR_RECIPROCALS(21),
    FOUR_RECIPROCALS(25),
    FOUR_RECIPROCALS(29),
};

// ---------------------------------------------------------------------------------------------------------------
// Arrays. An array that is given up serves the next grid of its length.

enum {
    LINE = 64,
    MOST_LINES = (TM_GRID_HEAD + (sizeof(uint32_t) << (TM_UNIT_SHIFT_MOST - TM_GRAIN_SHIFT))) / LINE + 1
};

struct free_array {
    struct free_array *next;
};
static struct free_array *free_arrays[MOST_LINES + 1]; // by length in lines; under the lock

static size_t slot_count(unsigned unit_shift, uint64_t word)
{
    return TM_GRID_SLOTS(unit_shift, grid_stride(word), grid_phase(word));
}

static size_t array_lines(size_t slots)
{
    return (TM_GRID_HEAD + slots * sizeof(uint32_t) + LINE - 1) / LINE;
}

static void *array_create(size_t slots)
{
    size_t lines = array_lines(slots);
    struct free_array *array = free_arrays[lines];
    if (array == NULL)
        return table_allocate(lines * LINE);
    free_arrays[lines] = array->next;
    return array;
}

/** All its slots are 0. */
static void array_delete(void *memory, size_t slots)
{
    struct free_array *array = memory, **all = &free_arrays[array_lines(slots)];
    array->next = *all; // in place of the head
    *all = array;
}

static void *array_of(uint64_t word)
{
    return (char *)grid_slots(word) - TM_GRID_HEAD;
}

static void clear_slots(unsigned unit_shift, uint64_t word)
{
    memset(grid_slots(word), 0, slot_count(unit_shift, word) * sizeof(uint32_t));
}

// ---------------------------------------------------------------------------------------------------------------
// Fitting

/** The stride and phase of a grid with a start at this distance from the unit's start; without an array. */
static uint64_t shape(size_t offset, size_t stride)
{
    return stride / GRAIN | (offset % stride) / GRAIN << TM_GRID_PHASE_SHIFT;
}

/** The least stride that a block of this size may have. */
static size_t least_stride(size_t size)
{
    return size == 0 ? GRAIN : (size + GRAIN - 1) & -(size_t)GRAIN;
}

/** Whether all live blocks of the old grid have a place in a grid of this shape. */
static bool holds_all(unsigned unit_shift, uint64_t old, uint64_t new)
{
    const uint32_t *slots = grid_slots(old);
    for (size_t i = 0, count = slot_count(unit_shift, old); i < count; i++) {
        size_t start = grid_phase(old) + i * grid_stride(old);
        if (slots[i] != 0 && (!grid_takes(new, slot_size(old, slots[i])) || start < grid_phase(new) ||
                              (start - grid_phase(new)) % grid_stride(new) != 0))
            return false;
    }
    return true;
}

/** A pool that changes its class has no live block, and this is all that it costs: so it is quick. */
static bool any_live(unsigned unit_shift, uint64_t old)
{
    typedef uint64_t line_part __attribute__((vector_size(16), may_alias));
    const line_part *parts = array_of(old),
                    *end = parts + array_lines(slot_count(unit_shift, old)) * LINE / sizeof *parts;
    line_part any = *parts & (line_part){0, UINT64_MAX}; // without the head
    for (parts++; parts < end; parts++)
        any |= *parts;
    return (any[0] | any[1]) != 0;
}

/** The shape of a grid for the block and all that are live in the old grid, if there is one; 0: there is no such grid. */
static uint64_t find_shape(unsigned unit_shift, uint64_t old, size_t offset, size_t size)
{
    size_t stride = least_stride(size);
    if (old == 0)
        return shape(offset, stride);
    for (; stride <= TM_GRID_SIZE_MOST; stride += GRAIN) {
        uint64_t new = shape(offset, stride);
        if (grid_takes(new, size) && holds_all(unit_shift, old, new))
            return new;
    }
    return 0;
}

static void copy_slots(unsigned unit_shift, uint64_t old, uint64_t new, uint32_t *slots)
{
    for (size_t i = 0, count = slot_count(unit_shift, old); i < count; i++)
        if (grid_slots(old)[i] != 0) {
            size_t start = grid_phase(old) + i * grid_stride(old);
            // The size of a block is written as its stride asks.
            uint32_t value = grid_slots(old)[i];
            slots[(start - grid_phase(new)) / grid_stride(new)] =
                (value & TM_SLOT_WATCHED) | slot_value(slot_size(old, value), value & TM_SLOT_SITE_MASK);
        }
}

uint32_t *grid_fit(unsigned unit_shift, uint64_t *word, uintptr_t address, size_t size)
{
    uint64_t old = *word, unit = address >> unit_shift;
    bool live = old != 0 && any_live(unit_shift, old);
    uint64_t new = find_shape(unit_shift, live ? old : 0, address & ((UINT64_C(1) << unit_shift) - 1), size);
    uint64_t *array = new == 0 ? NULL : array_create(slot_count(unit_shift, new));
    if (array == NULL)
        return NULL;
    if (live)
        copy_slots(unit_shift, old, new, (uint32_t *)((char *)array + TM_GRID_HEAD));
    new |= (uint64_t)(uintptr_t)array << TM_GRID_ADDRESS_SHIFT;
    new |= tm_grid_check(unit, new) << TM_GRID_CHECK_SHIFT;
    *array = tm_grid_head(unit, new);
    unit_word_store(word, new);
    if (live)
        clear_slots(unit_shift, old);
    if (old != 0)
        array_delete(array_of(old), slot_count(unit_shift, old));
    return grid_slot(unit_shift, new, address);
}

void grid_drop(unsigned unit_shift, uint64_t *word)
{
    uint64_t old = *word;
    if (old == 0)
        return;
    __atomic_store_n(unit_word_copy(word), 0, __ATOMIC_RELEASE);
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    clear_slots(unit_shift, old);
    array_delete(array_of(old), slot_count(unit_shift, old));
}
