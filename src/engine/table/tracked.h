/**
 * Tracked blocks: which blocks outside of the shadow map hold an address.
 *
 * Knows the array `tracked` and its index; a site is a mere number here.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TRACKED_H
#define TRACEMORTEM_ENGINE_TABLE_TRACKED_H

#include "engine/base/host.h"
#include "engine/table/block.h"
#include "engine/table/records.h"

/** Live blocks which hold an address, one a domain. */
struct tm_tracked_blocks {
    struct tm_recorded_block *blocks;
    size_t capacity;
    size_t count;
};

/**
 * Add the blocks which hold `address`. A small array is read whole. Of a large one a part is read, for the domains
 * there are, and then each domain is asked for a block with exactly this address; only if `thorough` and if nothing was
 * found so, the rest is read too, for blocks which begin before the address. Fails only if interrupted or for want of
 * memory.
 */
struct tm_error *tm_tracked_find(struct tm_target *target, const struct tm_host *host, const struct tm_records *tracked,
                                 uint64_t index, uint64_t address, bool thorough, struct tm_tracked_blocks *result,
                                 struct tm_damage *damage);

#endif
