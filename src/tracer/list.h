/**
 * Lists: the blocks of one unit of address space that are in no grid. They are those of more than 512 bytes, those of the
 * raw domain, and those whose allocator keeps to no grid. Knows a unit's word and its chunks; nothing of leaves, and nothing
 * of who calls.
 *
 * Threads without the lock come here too. An entry is taken by a compare-and-swap and given up by one store, and never moves.
 * Chunks are appended under table_lock, and stay.
 */
#ifndef TRACEMORTEM_TRACER_LIST_H
#define TRACEMORTEM_TRACER_LIST_H

#include "grid.h"

/** No block in a list is larger. */
#define LIST_SIZE_MOST ((size_t)TM_ENTRY_SIZE_MASK)

static ALWAYS_INLINE uint64_t entry_start(unsigned unit_shift, uintptr_t address)
{
    return (address & ((UINT64_C(1) << unit_shift) - 1)) >> TM_GRAIN_SHIFT;
}

static ALWAYS_INLINE uint64_t entry_value(unsigned unit_shift, uintptr_t address, size_t size, uint32_t site)
{
    return site | (uint64_t)size << TM_ENTRY_SIZE_SHIFT | entry_start(unit_shift, address) << TM_ENTRY_START_SHIFT;
}

static ALWAYS_INLINE size_t entry_size(uint64_t entry)
{
    return entry >> TM_ENTRY_SIZE_SHIFT & TM_ENTRY_SIZE_MASK;
}

static ALWAYS_INLINE bool entry_starts_at(uint64_t entry, uint64_t start)
{
    return entry != 0 && (entry >> TM_ENTRY_START_SHIFT & TM_ENTRY_START_MASK) == start;
}

static ALWAYS_INLINE void *list_address(uint64_t word)
{
    return (void *)(uintptr_t)(word >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK);
}

/** Which of the buckets is for blocks that start there. */
static ALWAYS_INLINE size_t list_bucket(unsigned unit_shift, uintptr_t address)
{
    return (address & ((UINT64_C(1) << unit_shift) - 1)) * TM_LIST_BUCKET_COUNT >> unit_shift;
}

/** The word that leads on, for a block at this address: `word`, or that of its bucket. */
static ALWAYS_INLINE uint64_t *list_word(unsigned unit_shift, uint64_t *word, uintptr_t address)
{
    uint64_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (UNLIKELY(value & TM_LIST_BUCKETS))
        return (uint64_t *)list_address(value) + list_bucket(unit_shift, address);
    return word;
}

/** The entry of the block that starts at an address; NULL: there is none. */
static ALWAYS_INLINE uint64_t *list_find(unsigned unit_shift, uint64_t *word, uintptr_t address)
{
    uint64_t start = entry_start(unit_shift, address);
    for (;;) {
        word = list_word(unit_shift, word, address);
        struct tm_list_chunk *chunk = list_address(__atomic_load_n(word, __ATOMIC_ACQUIRE));
        if (chunk == NULL)
            return NULL;
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++)
            if (entry_starts_at(__atomic_load_n(&chunk->entry[i], __ATOMIC_RELAXED), start))
                return &chunk->entry[i];
        word = &chunk->next;
    }
}

/**
 * Put a block into the list. If there is an entry for this address already, whose free was not seen, it is replaced, and
 * *replaced was its value; else that becomes 0. False: no memory.
 */
bool list_put(unsigned unit_shift, uint64_t *word, uintptr_t address, uint64_t entry, uint64_t *replaced);

/** Call `visit` for every live entry of the list. */
void list_walk(uint64_t word, void (*visit)(void *context, uint64_t *entry), void *context);

#endif
