// Heads of pools say how much is free; one pass over the traced blocks says who keeps it.

#include "engine/account/fragmentation.h"

#include <stdlib.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

enum { POOL_HEAD = 48, ALIGNMENT = 16, FRACTION = 8 }; // shares are counted in 256ths of bytes

/** What each block in use of an arena keeps of its free pools. */
struct arena_use {
    uint64_t unused; // bytes
    uint64_t count;  // blocks in use
};

/** What the blocks of an origin keep. */
struct keeper {
    struct tm_origin origin;
    uint64_t kept; // in 256ths of bytes
    uint64_t size, count;
};

struct pass {
    struct tm_fragmentation *fragmentation;
    struct tm_survey *survey;
    struct arena_use *arenas;
    struct keeper *keepers;
    size_t count;
    size_t capacity;
    uint64_t kept; // by all, in 256ths of bytes
    size_t cursor;
};

static uint64_t free_bytes(const struct tm_pool_use *pool)
{
    uint64_t used = POOL_HEAD + (uint64_t)pool->count * pool->block_size;
    return pool->resident > used ? pool->resident - used : 0;
}

static void count_pool(struct pass *pass, const struct tm_pool_use *pool)
{
    struct tm_fragmentation *fragmentation = pass->fragmentation;
    fragmentation->resident += pool->resident;
    if (pool->block_size == 0) {
        fragmentation->unused += pool->resident;
        fragmentation->unused_pools += pool->resident > 0;
        pass->arenas[pool->arena].unused += pool->resident;
        return;
    }
    struct tm_pool_class *class = &fragmentation->classes[pool->block_size / ALIGNMENT - 1];
    uint64_t room = tm_pool_room(&pass->survey->pools, pool) / pool->block_size;
    class->block_size = pool->block_size;
    class->pools++;
    class->half_empty += 2 * (uint64_t)pool->count <= room;
    class->used += pool->count;
    class->room += room;
    class->free += free_bytes(pool);
    fragmentation->pools++;
    fragmentation->free += free_bytes(pool);
    fragmentation->used += pool->resident - free_bytes(pool);
    pass->arenas[pool->arena].count += pool->count;
}

static struct tm_error *keeper_of(struct pass *pass, struct tm_origin *origin, struct keeper **result)
{
    if (!origin->mark) {
        if (!TM_GROW(&pass->keepers, pass->count + 1, &pass->capacity))
            return tm_error_no_memory();
        pass->keepers[pass->count++] = (struct keeper){.origin = *origin};
        origin->mark = (const void *)(uintptr_t)pass->count;
    }
    *result = &pass->keepers[(uintptr_t)origin->mark - 1];
    return NULL;
}

static struct tm_error *count_block(void *context, const struct tm_trace *trace)
{
    struct pass *pass = context;
    const struct tm_survey *survey = pass->survey;
    const struct tm_place_range *range = tm_memory_map_find(&survey->map, &pass->cursor, trace->address);
    if (!range || range->kind != TM_PLACE_ARENA || trace->origin->domain != 0)
        return NULL;
    const struct tm_pool_use *pool = tm_pools_of(&survey->pools, range, trace->address);
    struct keeper *keeper = NULL;
    if (!pool || pool->block_size == 0 || pool->count == 0)
        return NULL;
    struct tm_error *error = keeper_of(pass, trace->origin, &keeper);
    if (error)
        return error;
    const struct arena_use *arena = &pass->arenas[pool->arena];
    uint64_t kept = (free_bytes(pool) << FRACTION) / pool->count;
    kept += (arena->unused << FRACTION) / (arena->count ? arena->count : 1);
    keeper->kept += kept;
    keeper->size = tm_add_saturating(keeper->size, trace->size);
    keeper->count++;
    pass->kept += kept;
    return NULL;
}

static struct tm_error *report(const struct pass *pass, struct tm_snapshot *kept)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < pass->count; i++) {
        const struct keeper *keeper = &pass->keepers[i];
        const struct tm_churn own = {.allocated = keeper->size};
        const struct tm_group group = {
            .traceback = keeper->origin.traceback,
            .domain = keeper->origin.domain,
            .size = keeper->kept >> FRACTION,
            .count = keeper->count,
            .churn = tm_snapshot_churn(kept, &own),
        };
        if (!group.churn)
            return tm_error_no_memory();
        kept->has_functions = kept->has_functions || group.traceback->newest->function;
        error = tm_snapshot_add(kept, &group);
    }
    return error;
}

static struct tm_error *take(struct pass *pass, struct tm_snapshot *kept)
{
    struct tm_survey *survey = pass->survey;
    struct tm_fragmentation *fragmentation = pass->fragmentation;
    struct tm_traces traces = {0};
    struct tm_error *error = NULL;
    for (size_t i = 0; i < survey->pools.count; i++)
        count_pool(pass, &survey->pools.items[i]);
    if (survey->traced)
        error = tm_source_traces(survey->source, survey->host, survey->names, count_block, pass, &traces);
    kept->damage = traces.damage;
    kept->frame_limit = traces.frame_limit;
    for (size_t i = 0; i < survey->pools.arena_count; i++)
        fragmentation->nothing += pass->arenas[i].count ? 0 : pass->arenas[i].unused;
    uint64_t free = fragmentation->free + fragmentation->unused - fragmentation->nothing,
             known = pass->kept >> FRACTION;
    fragmentation->untraced = free > known ? free - known : 0;
    return error ? error : report(pass, kept);
}

struct tm_error *tm_fragmentation_take(struct tm_fragmentation *fragmentation, struct tm_survey *survey,
                                       struct tm_snapshot *kept)
{
    struct pass pass = {.fragmentation = fragmentation, .survey = survey};
    *fragmentation =
        (struct tm_fragmentation){.arenas = survey->pools.arena_count, .arena_size = survey->pools.pymalloc.arena_size};
    pass.arenas = calloc(survey->pools.arena_count + 1, sizeof(*pass.arenas));
    struct tm_error *error = pass.arenas ? take(&pass, kept) : tm_error_no_memory();
    free(pass.arenas);
    free(pass.keepers);
    return error ? error : tm_heap_cache_error(survey->cache);
}
