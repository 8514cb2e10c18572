// Pools are found in the arenas that the table knows, by the traced blocks in them, and from there to both sides; chunks of glibc by its heaps.

#include "engine/objects/untraced.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/heap/pymalloc.h"

enum { BETWEEN_CHECKS = 4096 };

struct search {
    struct tm_pymalloc pymalloc;
    struct tm_untraced *untraced;
    struct tm_nodes *nodes;
    size_t traced;      // how many nodes there were before
    struct tm_set seen; // pools, by address
};

static int compare_ranges(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_range *)a)->start, ((const struct tm_range *)b)->start);
}

static int compare_nodes(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_heap_node *)a)->address, ((const struct tm_heap_node *)b)->address);
}

static struct tm_error *add_pool(struct search *search, const struct tm_pymalloc_pool *pool)
{
    struct tm_untraced *untraced = search->untraced;
    if (!tm_set_add_number(&search->seen, pool->address) ||
        !TM_GROW(&untraced->pools, untraced->pool_count + 1, &untraced->pool_capacity))
        return tm_error_no_memory();
    untraced->pools[untraced->pool_count++] =
        (struct tm_range){pool->address, pool->address + search->pymalloc.pool_size};
    return NULL;
}

static bool is_seen(const struct search *search, uint64_t address)
{
    return search->seen.count && tm_set_find_number(&search->seen, address)->item;
}

// The pools beside a known one, of the same arena.
static struct tm_error *add_neighbours(struct search *search, const struct tm_pymalloc_pool *known, bool up)
{
    uint64_t step = search->pymalloc.pool_size, limit = search->pymalloc.arena_size / step;
    struct tm_pymalloc_pool pool;
    uint64_t address = known->address;
    for (uint64_t i = 1; i < limit; i++) {
        address = up ? address + step : address - step;
        if (is_seen(search, address) || !tm_pymalloc_pool_read(&search->pymalloc, address, &pool) ||
            pool.arena != known->arena)
            break;
        struct tm_error *error = add_pool(search, &pool);
        if (error)
            return error;
    }
    return NULL;
}

// The pools of an arena that the table knows. (Python's frames are in memory of the same kind, but of other sizes.)
static struct tm_error *add_arena(void *context, enum tm_memory_kind kind, uint64_t start, uint64_t end)
{
    struct search *search = context;
    uint64_t step = search->pymalloc.pool_size, first = (start + step - 1) & ~(step - 1);
    struct tm_error *error = NULL;
    struct tm_pymalloc_pool pool;
    if (kind != TM_MEMORY_ARENA || end - start != search->pymalloc.arena_size || first < start)
        return NULL;
    for (uint64_t at = first; !error && at < end && end - at >= step; at += step)
        if (!is_seen(search, at) && tm_pymalloc_pool_read(&search->pymalloc, at, &pool))
            error = add_pool(search, &pool);
    return error;
}

static struct tm_error *find_pools(struct search *search, const struct tm_host *host)
{
    struct tm_error *error = NULL;
    struct tm_pymalloc_pool pool;
    for (size_t i = 0; !error && i < search->traced; i++) {
        const struct tm_heap_node *node = &search->nodes->items[i];
        if (i % BETWEEN_CHECKS == 0 && (error = tm_host_check(host)))
            break;
        if (node->size > TM_PYMALLOC_LARGEST || search->nodes->origins[node->origin].domain != 0 ||
            is_seen(search, node->address & ~(search->pymalloc.pool_size - 1)) ||
            !tm_pymalloc_pool_of(&search->pymalloc, node->address, node->size, &pool))
            continue;
        error = add_pool(search, &pool);
        if (!error)
            error = add_neighbours(search, &pool, true);
        if (!error)
            error = add_neighbours(search, &pool, false);
    }
    return error;
}

// The number of the first traced block from this address on. Those are in ascending order.
static size_t first_from(const struct search *search, uint64_t address)
{
    size_t low = 0, high = search->traced;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->nodes->items[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Whether memory has a traced block. It need not begin with it: other hooks may keep data of their own there, as those of
// PYTHONMALLOC=debug do.
static bool has_traced(const struct search *search, uint64_t address, uint64_t size)
{
    size_t at = first_from(search, address);
    return (at < search->traced && search->nodes->items[at].address - address < size) ||
           (at > 0 && address - search->nodes->items[at - 1].address < search->nodes->items[at - 1].size);
}

static struct tm_error *add_block(void *context, uint64_t block, uint64_t size)
{
    struct search *search = context;
    struct tm_nodes *nodes = search->nodes;
    if (has_traced(search, block, size) || nodes->count >= UINT32_MAX - 1)
        return NULL;
    if (!TM_GROW(&nodes->items, nodes->count + 1, &nodes->capacity))
        return tm_error_no_memory();
    nodes->items[nodes->count++] = (struct tm_heap_node){.address = block, .size = size, .origin = TM_UNTRACED};
    search->untraced->count++;
    search->untraced->size += size;
    return NULL;
}

static struct tm_error *add_blocks(struct search *search, const struct tm_host *host)
{
    struct tm_untraced *untraced = search->untraced;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < untraced->pool_count; i++) {
        struct tm_pymalloc_pool pool;
        bool sound = false;
        if (tm_pymalloc_pool_read(&search->pymalloc, untraced->pools[i].start, &pool))
            error = tm_pymalloc_pool_visit(&search->pymalloc, &pool, add_block, search, &sound);
        untraced->unsound += !sound;
        if (!error && i % 64 == 0)
            error = tm_host_check(host);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks of C

static struct tm_error *add_chunk(void *context, const struct tm_glibc_chunk *chunk)
{
    struct search *search = context;
    struct tm_nodes *nodes = search->nodes;
    if (chunk->state != TM_GLIBC_IN_USE || nodes->count >= UINT32_MAX - 1 ||
        has_traced(search, chunk->address, chunk->size))
        return NULL;
    if (!TM_GROW(&nodes->items, nodes->count + 1, &nodes->capacity))
        return tm_error_no_memory();
    // CPython asks malloc() for large blocks only. A smaller one is C's, and what it may have from before is no object.
    nodes->items[nodes->count++] = (struct tm_heap_node){.address = chunk->address,
                                                         .size = chunk->size,
                                                         .origin = TM_UNTRACED,
                                                         .no_object = chunk->size <= TM_PYMALLOC_LARGEST};
    search->untraced->count++;
    search->untraced->size += chunk->size;
    return NULL;
}

static int compare_regions(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_region *)a)->start, ((const struct tm_region *)b)->start);
}

static struct tm_error *add_chunks(struct search *search, const struct tm_objects *objects)
{
    struct tm_glibc *glibc = &search->untraced->glibc;
    struct tm_region *regions;
    size_t count;
    struct tm_error *error = tm_target_regions(objects->target, &regions, &count);
    if (!error && count > 0)
        qsort(regions, count, sizeof(*regions), compare_regions);
    if (!error)
        error = tm_glibc_find(glibc, objects->heap, objects->host, regions, count, objects->data, objects->data_count);
    free(regions);
    for (size_t i = 0; !error && i < glibc->heap_count; i++)
        error = tm_glibc_visit(glibc, &glibc->heaps[i], add_chunk, search);
    return error;
}

struct tm_error *tm_untraced_add(struct tm_untraced *untraced, struct tm_objects *objects, struct tm_nodes *nodes)
{
    struct search search = {.untraced = untraced, .nodes = nodes, .traced = nodes->count};
    memset(untraced, 0, sizeof(*untraced));
    tm_pymalloc_init(&search.pymalloc, objects->heap, objects->cpython->minor);
    struct tm_error *error = tm_source_memory(objects->source, objects->host, add_arena, &search);
    if (!error)
        error = find_pools(&search, objects->host);
    if (!error && untraced->pool_count > 0)
        qsort(untraced->pools, untraced->pool_count, sizeof(*untraced->pools), compare_ranges);
    if (!error)
        error = add_blocks(&search, objects->host);
    if (!error)
        error = add_chunks(&search, objects);
    if (!error && nodes->count > search.traced)
        qsort(nodes->items, nodes->count, sizeof(*nodes->items), compare_nodes);
    tm_set_deinit(&search.seen);
    return error ? error : tm_objects_check(objects);
}

void tm_untraced_deinit(struct tm_untraced *untraced)
{
    free(untraced->pools);
    tm_glibc_deinit(&untraced->glibc);
    *untraced = (struct tm_untraced){0};
}
