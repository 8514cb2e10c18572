// Finding the blocks that contain an address: in the map, among tracked blocks, inside realloc().

#include <inttypes.h>
#include <stdlib.h>

#include "engine/table/answers.h"
#include "engine/table/census.h"
#include "engine/table/sites.h"
#include "engine/table/tracked.h"

struct finder {
    struct tm_table *table;
    const struct tm_host *host;
    struct tm_tracebacks tracebacks;
    uint64_t address;
    struct tm_block *blocks;
    size_t capacity;
    size_t count;
    struct tm_damage *damage;
};

// Adds a recorded block with the traceback of its site; leaves it out, as damage, if that cannot be read.
static struct tm_error *add_block(struct finder *finder, const struct tm_recorded_block *found)
{
    const struct tm_records *sites = &finder->table->sites;
    struct tm_block block = {
        .address = found->address, .size = found->size, .domain = found->domain, .resizing = found->resizing};
    struct tm_site site;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    struct tm_error *error = NULL;
    bool good = tm_site_get(sites, found->site, &site, &flaw);
    if (good && site.domain != found->domain)
        good = tm_flaw_corrupt(&flaw, tm_records_address(sites, found->site));
    if (good)
        error = tm_site_traceback(&finder->tracebacks, &site, &block.traceback, &flaw);
    tm_damage_add_traceback(finder->damage, &flaw, block.traceback);
    if (!error && block.traceback && finder->count < finder->capacity)
        finder->blocks[finder->count++] = block;
    return error;
}

// The block inside realloc() that contains the address, as it was before. Its size may be anything: it is only
// compared.
static struct tm_error *find_resize(const struct finder *finder, bool *found, struct tm_recorded_block *block)
{
    struct tm_error *error = NULL;
    *found = false;
    for (unsigned i = 0; i < TM_RESIZES && !error && !*found; i++) {
        error = tm_table_resize(finder->table, finder->host, i, found, block);
        *found = *found && tm_recorded_block_contains(block, finder->address);
    }
    return error;
}

static struct tm_error *find_tracked(struct finder *finder, bool thorough, bool *has_core_domain)
{
    struct tm_table *table = finder->table;
    struct tm_tracked_blocks tracked = {.capacity = finder->capacity};
    if (finder->capacity == 0)
        return NULL;
    tracked.blocks = calloc(tracked.capacity, sizeof(*tracked.blocks));
    if (!tracked.blocks)
        return tm_error_no_memory();
    tm_damage_merge(finder->damage, &table->tracked.claimed);
    struct tm_error *error =
        tm_tracked_find(table->target, finder->host, &table->tracked, table->place.root.tracked_index, finder->address,
                        thorough, &tracked, finder->damage);
    for (size_t i = 0; i < tracked.count && !error; i++) {
        // CPython's domain has one block at an address: the map's, if it has one there.
        if (tracked.blocks[i].domain == 0 && *has_core_domain)
            continue;
        *has_core_domain = *has_core_domain || tracked.blocks[i].domain == 0;
        error = add_block(finder, &tracked.blocks[i]);
    }
    free(tracked.blocks);
    return error;
}

static struct tm_error *find_all(struct finder *finder)
{
    struct tm_table *table = finder->table;
    struct tm_map_answer answer = {.found = false};
    struct tm_recorded_block resizing;
    bool is_resizing = false;
    struct tm_error *error = tm_table_load_map(table, finder->host);
    if (error)
        return error;
    tm_damage_merge(finder->damage, &table->leaves.damage);
    tm_damage_merge(finder->damage, &table->map.damage);
    error = tm_map_find(&table->map, finder->host, finder->address, &answer, finder->damage);
    if (!error && answer.found)
        error = add_block(finder, &answer.block);
    bool has_core_domain = answer.found;
    if (!error && !has_core_domain)
        error = find_resize(finder, &is_resizing, &resizing);
    if (!error)
        error = find_tracked(finder, !answer.found && !is_resizing, &has_core_domain);
    if (!error && is_resizing && !has_core_domain)
        error = add_block(finder, &resizing);
    if (finder->count == 0) // it may be inside realloc()
        tm_damage_merge(finder->damage, &table->place.damage);
    // Of samples most blocks are missing, and the next one is far away: then there is nothing more to find.
    if (!error && answer.gave_up && finder->count == 0 && !(table->place.root.flags & TM_ROOT_SAMPLED))
        error =
            tm_error_create(TM_ERROR_NOT_FOUND,
                            "0x%" PRIx64 ": no block begins in a long range before it, and the search stopped there; "
                            "a larger block may contain it\nGive the address where the block begins.",
                            finder->address);
    return error;
}

struct tm_error *tm_table_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                               uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                               struct tm_damage *damage)
{
    struct tm_table *table = tm_table_of(source);
    struct finder finder = {
        .table = table, .host = host, .address = address, .blocks = blocks, .capacity = capacity, .damage = damage};
    struct tm_error *error = tm_table_tracebacks(table, pool, host, &finder.tracebacks);
    if (!error)
        error = find_all(&finder);
    tm_damage_explain(damage, table->target);
    tm_tracebacks_deinit(&finder.tracebacks);
    if (!error)
        *count = finder.count;
    return error;
}
