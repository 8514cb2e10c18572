// Arenas by what the table says, others by the shape of pools: their heads have two numbers that belong together.

#include "engine/account/pools.h"

#include <stdlib.h>

#include "engine/base/grow.h"

enum { HEAD = 48, NEW_MINOR = 10, OLD_MINOR = 9, BETWEEN_CHECKS = 4096, FEW_POOLS = 4096 };
#define MOST_POOLS ((size_t)UINT32_MAX - 1)

uint64_t tm_pool_room(const struct tm_pools *pools, const struct tm_pool_use *pool)
{
    return pool->block_size ? (pools->pymalloc.pool_size - HEAD) / pool->block_size * pool->block_size : 0;
}

static struct tm_error *add_pool(struct tm_pools *pools, const struct tm_residency *residency, size_t *cursor,
                                 uint64_t address, uint64_t end)
{
    struct tm_pymalloc_pool found;
    const struct tm_resident there = tm_residency_of(residency, cursor, address, end);
    struct tm_pool_use pool = {
        .address = address,
        .arena = (uint32_t)(pools->arena_count - 1),
        .resident = (uint32_t)there.size,
        .shared = (uint32_t)there.shared,
    };
    // (What is not resident is not read: reading would make the system give it memory.)
    if (there.size > 0 && tm_pymalloc_pool_read(&pools->pymalloc, address, &found) && found.count > 0) {
        pool.block_size = found.block_size;
        pool.count = found.count;
    }
    if (pools->count >= MOST_POOLS)
        return NULL;
    if (!TM_GROW(&pools->items, pools->count + 1, &pools->capacity))
        return tm_error_no_memory();
    pools->items[pools->count++] = pool;
    return NULL;
}

struct tm_error *tm_pools_add_arena(struct tm_pools *pools, struct tm_memory_map *map,
                                    const struct tm_residency *residency, uint64_t start, uint64_t end)
{
    uint64_t size = pools->pymalloc.pool_size;
    uint64_t first = (start + size - 1) & ~(size - 1);
    size_t cursor = 0;
    // (A damaged table may list more arenas than there is memory.)
    bool resident = tm_residency_of(residency, &cursor, start, end).size > 0;
    if (pools->arena_count >= MOST_POOLS || pools->count > residency->size / size * 4 + FEW_POOLS)
        return NULL;
    if (!TM_GROW(&pools->arenas, pools->arena_count + 1, &pools->arena_capacity))
        return tm_error_no_memory();
    pools->arenas[pools->arena_count++] = (struct tm_place_range){start, end, TM_PLACE_ARENA, (uint32_t)pools->count};
    struct tm_error *error = tm_memory_map_add(map, start, end, TM_PLACE_ARENA, (uint32_t)(pools->arena_count - 1));
    for (uint64_t address = first; !error && resident && address < end && end - address >= size; address += size)
        error = add_pool(pools, residency, &cursor, address, address + size);
    return error ? error : tm_heap_cache_error(pools->pymalloc.heap);
}

struct tm_pool_use *tm_pools_of(const struct tm_pools *pools, const struct tm_place_range *range, uint64_t address)
{
    const struct tm_place_range *arena = &pools->arenas[range->index];
    size_t first = arena->index;
    size_t end = range->index + 1 < pools->arena_count ? pools->arenas[range->index + 1].index : pools->count;
    if (first >= end || address < pools->items[first].address)
        return NULL;
    uint64_t number = first + (address - pools->items[first].address) / pools->pymalloc.pool_size;
    return number < end ? &pools->items[number] : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// By shape

struct search {
    struct tm_pools *pools;
    struct tm_memory_map *map;
    const struct tm_residency *residency;
    const struct tm_host *host;
    size_t cursor;
    uint64_t found;  // pools
    bool only_count; // the gaps' pools are counted, and nothing is added
    uint64_t looked; // places
};

// Pools of one arena that lie one behind the other. What is between them and is not resident was never used.
static struct tm_error *search_gap(void *context, uint64_t start, uint64_t end)
{
    struct search *search = context;
    const struct tm_pymalloc *pymalloc = &search->pools->pymalloc;
    uint64_t size = pymalloc->pool_size, arena_start = 0, arena_end = 0;
    uint32_t arena = 0;
    struct tm_error *error = NULL;
    for (uint64_t at = (start + size - 1) & ~(size - 1); !error && at < end && end - at >= size; at += size) {
        struct tm_pymalloc_pool pool;
        if (search->looked++ % BETWEEN_CHECKS == 0 && (error = tm_host_check(search->host)))
            break;
        if (tm_residency_of(search->residency, &search->cursor, at, at + size).size == 0 ||
            !tm_pymalloc_pool_read(pymalloc, at, &pool))
            continue;
        search->found++;
        bool same = arena_end && pool.arena == arena && at + size - arena_start <= pymalloc->arena_size;
        if (!same && arena_end && !search->only_count)
            error = tm_pools_add_arena(search->pools, search->map, search->residency, arena_start, arena_end);
        arena_start = same ? arena_start : at;
        arena_end = at + size;
        arena = pool.arena;
    }
    if (!error && arena_end && !search->only_count)
        error = tm_pools_add_arena(search->pools, search->map, search->residency, arena_start, arena_end);
    return error;
}

struct tm_error *tm_pools_search(struct tm_pools *pools, struct tm_memory_map *map,
                                 const struct tm_residency *residency, const struct tm_host *host)
{
    struct search search = {.pools = pools, .map = map, .residency = residency, .host = host};
    struct tm_error *error = tm_memory_map_visit_gaps(map, search_gap, &search);
    return error ? error : tm_heap_cache_error(pools->pymalloc.heap);
}

struct tm_error *tm_pools_init(struct tm_pools *pools, struct tm_heap_cache *cache, const struct tm_memory_map *map,
                               const struct tm_residency *residency, unsigned minor)
{
    uint64_t found[2] = {0, 0};
    struct tm_error *error = NULL;
    *pools = (struct tm_pools){0};
    for (unsigned i = 0; !error && minor == 0 && i < 2; i++) {
        struct search search = {.pools = pools, .residency = residency, .only_count = true};
        tm_pymalloc_init(&pools->pymalloc, cache, i ? OLD_MINOR : NEW_MINOR);
        error = tm_memory_map_visit_gaps(map, search_gap, &search);
        found[i] = search.found;
    }
    // (In an old arena every fourth pool could also be a new one, so the greater number decides.)
    tm_pymalloc_init(&pools->pymalloc, cache, minor ? minor : found[1] > found[0] ? OLD_MINOR : NEW_MINOR);
    return error;
}

void tm_pools_deinit(struct tm_pools *pools)
{
    free(pools->items);
    free(pools->arenas);
    *pools = (struct tm_pools){0};
}
