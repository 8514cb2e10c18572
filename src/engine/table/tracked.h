/**
 * Tracked blocks: which blocks outside of the map contain an address.
 *
 * Knows the array `tracked` and its index, and nothing of sites but their ids.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TRACKED_H
#define TRACEMORTEM_ENGINE_TABLE_TRACKED_H

#include "engine/base/host.h"
#include "engine/table/block.h"
#include "engine/table/records.h"

/** Live blocks that contain an address, one for each domain. */
struct tm_tracked_blocks {
    struct tm_recorded_block *blocks;
    size_t capacity;
    size_t count;
};

/**
 * Add the blocks that contain `address`. A small array is read whole. Of a large one, a part is read to learn the
 * domains, and then the index is searched in each domain for a block with exactly this address. Only if `thorough`,
 * and if that finds nothing, the rest is read too, for blocks that begin before the address. Fails only if
 * interrupted or if there is no memory.
 */
struct tm_error *tm_tracked_find(struct tm_target *target, const struct tm_host *host, const struct tm_records *tracked,
                                 uint64_t index, uint64_t address, bool thorough, struct tm_tracked_blocks *result,
                                 struct tm_damage *damage);

#endif
