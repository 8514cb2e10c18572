/**
 * Fragmentation of CPython's object allocator: how full the pools of each size of blocks are, and which blocks keep pools and
 * arenas that are mostly free. Knows no text.
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_FRAGMENTATION_H
#define TRACEMORTEM_ENGINE_ACCOUNT_FRAGMENTATION_H

#include "engine/account/survey.h"
#include "engine/model/snapshot.h"

#define TM_POOL_CLASSES 32

/** The pools in use for blocks of one size. */
struct tm_pool_class {
    uint32_t block_size;
    uint64_t pools;
    uint64_t half_empty; // pools of which at most half is in use
    uint64_t used, room; // blocks in use, and that there is room for
    uint64_t free;       // resident bytes of free blocks
};

struct tm_fragmentation {
    struct tm_pool_class classes[TM_POOL_CLASSES]; // by size; those without pools, too
    uint64_t arenas, arena_size;
    uint64_t resident; // bytes of all arenas
    uint64_t used;     // bytes of blocks in use, and of the heads of their pools
    uint64_t free;     // resident bytes of free blocks in pools in use
    uint64_t unused;   // resident bytes of free pools
    uint64_t pools, unused_pools;
    uint64_t untraced; // of `free` and `unused`, what blocks keep that are not traced
    uint64_t nothing;  // of `unused`, what is in arenas without any block in use
};

/**
 * `kept` gets a group for each site that has blocks in pools. Its size is how much free memory they keep: of the free bytes
 * of its pool, and of the free pools of its arena, each block in use keeps an equal part. Its churn.allocated is how much the
 * blocks themselves take.
 */
struct tm_error *tm_fragmentation_take(struct tm_fragmentation *fragmentation, struct tm_survey *survey,
                                       struct tm_snapshot *kept);

#endif
