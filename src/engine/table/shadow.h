/**
 * The shadow map: which block contains an address, and how a block's slots are read. (All blocks in turn: walk.h.)
 *
 * Knows the radix tree and its slots, and nothing of sites but their ids.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_SHADOW_H
#define TRACEMORTEM_ENGINE_TABLE_SHADOW_H

#include "engine/base/host.h"
#include "engine/table/block.h"
#include "engine/table/records.h"

struct tm_shadow_answer {
    bool found;
    bool gave_up;    // no block's start was met in as much as is searched: see `lowest`
    uint64_t lowest; // address down to which it may have searched
    struct tm_recorded_block block;
};

/**
 * The block that contains `address`: the nearest start at or before it, if that block reaches so far. No block is
 * larger than `largest` bytes, as far as the caller knows. Pages that cannot be read are skipped and counted in
 * `damage`, as are slots that contradict themselves. Fails only if interrupted.
 */
struct tm_error *tm_shadow_find(struct tm_target *target, const struct tm_host *host, uint64_t directory,
                                uint64_t address, uint64_t largest, struct tm_shadow_answer *answer,
                                struct tm_damage *damage);

/** The size in the two slots after a start slot; `high` counts only if `low` says so. False: they contain no size. */
static inline bool tm_shadow_decode_size(uint64_t address, uint32_t low, uint32_t high, uint64_t *size)
{
    bool goes_on = low & TM_SIZE_ESCAPE;
    *size = (uint64_t)(goes_on ? high : 0) << TM_SIZE_BITS | (low & TM_SIZE_MASK);
    // Smaller sizes need no size slot, or no second one; larger ones would leave the map.
    return !(low & TM_SLOT_START) && !(goes_on && (high == 0 || high & ~TM_SIZE_MASK)) && *size > TM_SLOT_SMALL_LIMIT &&
           *size <= (UINT64_C(1) << TM_ADDRESS_BITS) - address;
}

/** The size in a start slot itself, if its SMALL is not 0. False: there is no such size. */
static inline bool tm_shadow_small_size(uint32_t start, uint64_t *size)
{
    uint32_t small = start >> TM_SLOT_SMALL_SHIFT & TM_SLOT_SMALL_MASK;
    *size = small ? small - 1 : 0;
    return small <= TM_SLOT_SMALL_LIMIT + 1;
}
#define TM_SHADOW_IS_SMALL(start) (((start) >> TM_SLOT_SMALL_SHIFT & TM_SLOT_SMALL_MASK) != 0)

/** Read one slot, by its number: its address >> TM_SLOT_SHIFT. */
bool tm_shadow_read_slot(struct tm_target *target, uint64_t directory, uint64_t number, uint32_t *value,
                         struct tm_flaw *flaw);

/** The size of the block at `address`, whose start slot has this value. Reads the other slots one by one. */
bool tm_shadow_read_size(struct tm_target *target, uint64_t directory, uint64_t address, uint32_t start, uint64_t *size,
                         struct tm_flaw *flaw);

#endif
