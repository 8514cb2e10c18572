// Finding the blocks that contain an address: in the shadow map, among tracked blocks, inside realloc().

#include <inttypes.h>
#include <stdlib.h>

#include "engine/table/answers.h"
#include "engine/table/shadow.h"
#include "engine/table/sites.h"
#include "engine/table/tracked.h"

// A block is at most as large as all blocks together, but while it is being counted it may be larger than that count.
#define LARGEST_AT_LEAST (UINT64_C(1) << 30)

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
    tm_damage_add(finder->damage, &flaw, 1);
    if (!error && block.traceback && finder->count < finder->capacity)
        finder->blocks[finder->count++] = block;
    return error;
}

static uint64_t largest_block(const struct tm_root *root)
{
    const uint64_t sizes[] = {tm_root_traced(root), root->owned.peak, root->shared.peak};
    uint64_t largest = LARGEST_AT_LEAST;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        largest = sizes[i] > largest ? sizes[i] : largest;
    return largest;
}

// The block inside realloc() that contains the address, as it was before. Its size may be anything: it is only
// compared.
static const struct tm_resize *find_resize(const struct tm_root *root, uint64_t address)
{
    for (size_t i = 0; i < TM_RESIZES; i++) {
        const struct tm_resize *resize = &root->resize[i];
        struct tm_recorded_block block = tm_resize_block(resize);
        if (resize->state == TM_RESIZE_BUSY && tm_recorded_block_contains(&block, address))
            return resize;
    }
    return NULL;
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
        // CPython's domain has one block at an address: the shadow map's, if it has one there.
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
    const struct tm_root *root = &table->place.root;
    struct tm_shadow_answer answer;
    struct tm_error *error = tm_shadow_find(table->target, finder->host, root->directory, finder->address,
                                            largest_block(root), &answer, finder->damage);
    if (!error && answer.found)
        error = add_block(finder, &answer.block);
    bool has_core_domain = answer.found;
    const struct tm_resize *resize = has_core_domain ? NULL : find_resize(root, finder->address);
    if (!error)
        error = find_tracked(finder, !answer.found && !resize, &has_core_domain);
    if (!error && resize && !has_core_domain) {
        struct tm_recorded_block found = tm_resize_block(resize);
        error = add_block(finder, &found);
    }
    if (!error && answer.gave_up && finder->count == 0)
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
