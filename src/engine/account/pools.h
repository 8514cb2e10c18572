/**
 * The pools of CPython's object allocator: how much of each is in use, and how much of that is traced. Knows no site.
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_POOLS_H
#define TRACEMORTEM_ENGINE_ACCOUNT_POOLS_H

#include "engine/account/map.h"
#include "engine/heap/pymalloc.h"
#include "engine/target/residency.h"

/** Memory of the size of a pool, in an arena. */
struct tm_pool_use {
    uint64_t address;
    uint32_t arena;        // its number in `arenas`
    uint32_t block_size;   // 0: it is in use for nothing
    uint32_t count;        // blocks in use, as the pool says
    uint32_t traced;       // of them in the table
    uint32_t traced_size;  // bytes that these were asked for
    uint32_t traced_there; // of these bytes, those that are resident
    uint32_t resident;     // of all the pool's bytes
    uint32_t shared;       // of these, with other processes
};

struct tm_pools {
    struct tm_pymalloc pymalloc;
    struct tm_pool_use *items; // those of an arena one behind the other
    size_t count;
    size_t capacity;
    struct tm_place_range *arenas; // `index` is the number of their first pool
    size_t arena_count;
    size_t arena_capacity;
};

/** The most bytes of blocks that the pool has room for. */
uint64_t tm_pool_room(const struct tm_pools *pools, const struct tm_pool_use *pool);

/** `minor`: of CPython 3.minor; 0: not known, then the pools that are there say it. */
struct tm_error *tm_pools_init(struct tm_pools *pools, struct tm_heap_cache *cache, const struct tm_memory_map *map,
                               const struct tm_residency *residency, unsigned minor);
void tm_pools_deinit(struct tm_pools *pools);

/** An arena that is known. It becomes part of the map. */
struct tm_error *tm_pools_add_arena(struct tm_pools *pools, struct tm_memory_map *map,
                                    const struct tm_residency *residency, uint64_t start, uint64_t end);
/** Look for pools in memory that belongs to nothing else. The map must be settled before, and again afterwards. */
struct tm_error *tm_pools_search(struct tm_pools *pools, struct tm_memory_map *map,
                                 const struct tm_residency *residency, const struct tm_host *host);
/** The pool that contains an address of the range, which is of kind TM_PLACE_ARENA; NULL: none. */
struct tm_pool_use *tm_pools_of(const struct tm_pools *pools, const struct tm_place_range *range, uint64_t address);

#endif
