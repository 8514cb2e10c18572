/**
 * What the sampled profile asks before a free looks for a block: whether anything near that address is recorded.
 *
 * Nearly no block is, so the answer is one byte, of the 16 KiB around the address: how many recorded blocks and watched code
 * objects begin there. Some 16 GiB of address space have bytes of their own, beyond that they share them. A byte may say more
 * than there is, and then a look into the map is in vain. It never says less: who records a block adds it before the block
 * can be freed, and takes it away after it has left the map.
 */
#ifndef TRACEMORTEM_TRACER_FILTER_H
#define TRACEMORTEM_TRACER_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "likely.h"

enum { FILTER_SHIFT = 14, FILTER_BITS = 20 };

/** Part of the tracer's own data, and not of a mapping that is made when sampling starts: other threads may call our hooks before
 * they see what was stored then. */
extern uint8_t filter_bytes[1u << FILTER_BITS];

/** Nothing is recorded. */
void filter_reset(void);

static ALWAYS_INLINE uint8_t *filter_byte(uintptr_t address)
{
    return &filter_bytes[address >> FILTER_SHIFT & ((1u << FILTER_BITS) - 1)];
}

/** Whether a recorded block or a watched code object may begin at an address. */
static ALWAYS_INLINE bool filter_has(uintptr_t address)
{
    return UNLIKELY(__atomic_load_n(filter_byte(address), __ATOMIC_RELAXED) != 0);
}

void filter_add(uintptr_t address);
void filter_remove(uintptr_t address);

#endif
