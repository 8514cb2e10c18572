// The census: one pass over the map, then over the tracked blocks.

#include "engine/table/census.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/table/table.h"
#include "engine/table/tracked.h"
#include "layout/hash.h"

#define BETWEEN_CHECKS 4096u

static void count_block(struct tm_census *census, const struct tm_recorded_block *block)
{
    struct tm_count *count = tm_counts_of(&census->counts, block->site);
    count->blocks++;
    count->bytes = tm_add_saturating(count->bytes, block->size);
    if (census->estimates) {
        const struct tm_estimate estimate = tm_estimate_of(census->sample_period, block->size);
        tm_estimate_add(&census->estimates[count - census->counts.of], &estimate);
    }
}

// Of samples each block counts for itself; there are few.
static struct tm_error *count_samples(struct tm_census *census, struct tm_walk *walk)
{
    for (;;) {
        struct tm_recorded_block block;
        bool found;
        struct tm_error *error = tm_walk_next(walk, &found, &block);
        if (error || !found)
            return error;
        count_block(census, &block);
    }
}

static struct tm_error *count_map(struct tm_census *census, const struct tm_table *table, const struct tm_host *host)
{
    struct tm_walk walk;
    struct tm_error *error = tm_walk_init(&walk, &table->map, host, &census->damage);
    walk.running = table->running;
    if (!error)
        error = census->estimates ? count_samples(census, &walk) : tm_walk_count(&walk, &census->counts);
    for (uint32_t id = 0; !error && id <= census->counts.read; id++)
        census->bytes = tm_add_saturating(census->bytes, census->counts.of[id].bytes);
    census->map_bytes = walk.gather.bytes;
    tm_walk_deinit(&walk);
    return error;
}

static struct tm_error *count_tracked(struct tm_census *census, const struct tm_table *table,
                                      const struct tm_host *host)
{
    const struct tm_records *tracked = &table->tracked;
    for (uint64_t id = 1; (id = tm_records_skip(tracked, id)) < tracked->count; id++) {
        struct tm_error *error = id % BETWEEN_CHECKS ? NULL : tm_host_check(host);
        const void *bytes = tm_records_peek(tracked, id);
        struct tm_tracked record;
        if (error)
            return error;
        if (!bytes)
            continue;
        memcpy(&record, bytes, sizeof(record));
        if (record.site == 0)
            continue;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        if (record.hash != tm_tracked_hash(id, &record)) {
            tm_flaw_corrupt(&flaw, tm_records_address(tracked, id));
            tm_damage_add(&census->damage, &flaw, 1);
            continue;
        }
        struct tm_recorded_block block = tm_tracked_block(&record);
        count_block(census, &block);
        census->bytes = tm_add_saturating(census->bytes, block.size);
    }
    return NULL;
}

// Whether a block of CPython's domain is recorded that starts there.
static struct tm_error *is_recorded(const struct tm_table *table, const struct tm_host *host, uint64_t address,
                                    bool *result)
{
    struct tm_map_answer answer;
    struct tm_damage ignored = {0};
    struct tm_error *error = tm_map_find(&table->map, host, address, &answer, &ignored);
    *result = !error && answer.found && answer.block.address == address;
    if (error || *result)
        return error;
    struct tm_recorded_block blocks[4];
    struct tm_tracked_blocks found = {.blocks = blocks, .capacity = sizeof(blocks) / sizeof(blocks[0])};
    error = tm_tracked_find(table->target, host, &table->tracked, table->place.root.tracked_index, address, false,
                            &found, &ignored);
    for (size_t i = 0; !error && i < found.count; i++)
        *result = *result || (blocks[i].domain == 0 && blocks[i].address == address);
    return error;
}

struct tm_error *tm_table_resize(const struct tm_table *table, const struct tm_host *host, unsigned index, bool *valid,
                                 struct tm_recorded_block *block)
{
    const struct tm_resize *record = &table->place.root.resize[index];
    bool recorded;
    *block = tm_resize_block(record);
    *valid = false;
    if (record->state != TM_RESIZE_BUSY)
        return NULL;
    // Once realloc() has returned, the block is at `moved`, and its old place may be another block's.
    struct tm_error *error = is_recorded(table, host, record->moved ? record->moved : record->address, &recorded);
    if (error || recorded)
        return error;
    *valid = true;
    if (record->moved)
        error = is_recorded(table, host, record->address, &recorded);
    if (recorded)
        block->address = record->moved;
    return error;
}

struct tm_error *tm_census_init(struct tm_census *census, const struct tm_table *table, const struct tm_host *host)
{
    // No more memory than there are records, whatever the root says.
    *census = (struct tm_census){
        .counts = {.read = (uint32_t)tm_records_end(&table->sites), .limit = (uint32_t)table->sites.count}};
    struct tm_error *error = tm_table_sample_period(table, &census->sample_period);
    if (error)
        return error;
    census->counts.of = calloc(census->counts.read + 1, sizeof(*census->counts.of));
    if (census->sample_period)
        census->estimates = calloc(census->counts.read + 1, sizeof(*census->estimates));
    if (!census->counts.of || (census->sample_period && !census->estimates))
        return tm_error_no_memory();
    census->damage = table->leaves.damage;
    tm_damage_merge(&census->damage, &table->map.damage);
    tm_damage_merge(&census->damage, &table->tracked.damage);
    error = count_map(census, table, host);
    if (!error)
        error = count_tracked(census, table, host);
    for (unsigned i = 0; i < TM_RESIZES && !error; i++) {
        struct tm_recorded_block block;
        bool valid;
        error = tm_table_resize(table, host, i, &valid, &block);
        if (!error && valid)
            count_block(census, &block);
    }
    return error;
}

void tm_census_deinit(struct tm_census *census)
{
    free(census->counts.of);
    free(census->estimates);
    census->counts.of = NULL;
    census->estimates = NULL;
}
