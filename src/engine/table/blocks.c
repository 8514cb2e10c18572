/**
 * Blocks: three ascending sequences, merged. The walk is ascending; tracked records are sorted in runs, and a heap
 * gives the lowest of them; blocks inside realloc() are few.
 */
#include "engine/table/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/table/census.h"
#include "engine/table/sites.h"
#include "layout/hash.h"

// Records sorted at once: this takes a few milliseconds, during which the user cannot interrupt.
#define RUN_LIMIT 16384u

struct tm_tracked_run {
    struct tm_tracked head; // the next block
    uint32_t *ids;          // live records, ascending by address
    uint32_t count;
    uint32_t next; // in `ids`, after the head
};

static int compare_tracked(const struct tm_tracked *a, const struct tm_tracked *b)
{
    int order = tm_compare_numbers(a->address, b->address);
    return order ? order : tm_compare_numbers(a->domain, b->domain);
}

static void get_tracked(const struct tm_records *tracked, uint32_t id, struct tm_tracked *block)
{
    const void *bytes = tm_records_peek(tracked, id);
    if (bytes) // as when the id was listed
        memcpy(block, bytes, sizeof(*block));
    else
        memset(block, 0, sizeof(*block));
}

// A live record while its run is being sorted.
struct listed {
    uint64_t address;
    uint32_t domain;
    uint32_t id;
};

static int compare_listed(const void *left, const void *right)
{
    const struct listed *a = left, *b = right;
    int order = tm_compare_numbers(a->address, b->address);
    if (order == 0)
        order = tm_compare_numbers(a->domain, b->domain);
    return order ? order : tm_compare_numbers(a->id, b->id);
}

// ---------------------------------------------------------------------------------------------------------------
// Runs of tracked blocks

// Restore the heap below `at`.
static void sink(struct tm_blocks *blocks, size_t at)
{
    struct tm_tracked_run run = blocks->runs[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= blocks->run_count)
            break;
        if (child + 1 < blocks->run_count &&
            compare_tracked(&blocks->runs[child + 1].head, &blocks->runs[child].head) < 0)
            child++;
        if (compare_tracked(&run.head, &blocks->runs[child].head) <= 0)
            break;
        blocks->runs[at] = blocks->runs[child];
        at = child;
    }
    blocks->runs[at] = run;
}

static struct tm_error *add_run(struct tm_blocks *blocks, struct listed *listed, uint32_t count)
{
    if (!TM_GROW(&blocks->runs, blocks->run_count + 1, &blocks->run_capacity))
        return tm_error_no_memory();
    uint32_t *ids = malloc(count * sizeof(*ids));
    if (!ids)
        return tm_error_no_memory();
    qsort(listed, count, sizeof(*listed), compare_listed);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = listed[i].id;
    struct tm_tracked_run *run = &blocks->runs[blocks->run_count++];
    *run = (struct tm_tracked_run){.ids = ids, .count = count, .next = 1};
    get_tracked(blocks->tracked, ids[0], &run->head);
    return NULL;
}

// The live records from *id on, as far as one run goes. *id moves on to the first one after them.
static struct tm_error *make_run(struct tm_blocks *blocks, struct listed *listed, uint64_t *id,
                                 struct tm_damage *damage)
{
    const struct tm_records *tracked = blocks->tracked;
    uint32_t count = 0;
    for (uint64_t end = *id + RUN_LIMIT; *id < tracked->count && *id < end; ++*id) {
        const void *bytes = tm_records_peek(tracked, *id);
        struct tm_tracked block;
        if (!bytes)
            continue;
        memcpy(&block, bytes, sizeof(block));
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        if (block.site == 0)
            continue;
        if (block.hash == tm_tracked_hash(*id, &block))
            listed[count++] = (struct listed){block.address, block.domain, (uint32_t)*id};
        else
            tm_flaw_corrupt(&flaw, tm_records_address(tracked, *id));
        tm_damage_add(damage, &flaw, 1);
    }
    *id = tm_records_skip(tracked, *id);
    return count ? add_run(blocks, listed, count) : NULL;
}

static struct tm_error *make_runs(struct tm_blocks *blocks, const struct tm_host *host, struct tm_damage *damage)
{
    uint64_t id = tm_records_skip(blocks->tracked, 1);
    if (id >= blocks->tracked->count)
        return NULL;
    struct listed *listed = malloc(RUN_LIMIT * sizeof(*listed));
    struct tm_error *error = listed ? NULL : tm_error_no_memory();
    while (!error && id < blocks->tracked->count) {
        error = tm_host_check(host);
        if (!error)
            error = make_run(blocks, listed, &id, damage);
    }
    free(listed);
    if (error)
        return error;
    for (size_t i = blocks->run_count / 2; i-- > 0;)
        sink(blocks, i);
    return NULL;
}

static void take_tracked(struct tm_blocks *blocks, struct tm_recorded_block *block)
{
    struct tm_tracked_run *run = &blocks->runs[0];
    *block = tm_tracked_block(&run->head);
    if (run->next < run->count) {
        get_tracked(blocks->tracked, run->ids[run->next++], &run->head);
    } else {
        free(run->ids);
        *run = blocks->runs[--blocks->run_count];
        if (blocks->run_count == 0)
            return;
    }
    sink(blocks, 0);
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *list_resizes(struct tm_blocks *blocks, const struct tm_table *table, const struct tm_host *host)
{
    for (unsigned i = 0; i < TM_RESIZES; i++) {
        struct tm_recorded_block block;
        bool valid;
        struct tm_error *error = tm_table_resize(table, host, i, &valid, &block);
        if (error)
            return error;
        if (!valid)
            continue;
        unsigned at = blocks->resize_count++;
        for (; at > 0 && blocks->resizes[at - 1].address > block.address; at--)
            blocks->resizes[at] = blocks->resizes[at - 1];
        blocks->resizes[at] = block;
    }
    return NULL;
}

// Of a running process: whether the sites are still those which the slots mean.
static struct tm_error *confirm(void *context)
{
    const struct tm_blocks *blocks = context;
    return tm_sites_confirm(blocks->table, blocks->walk.host);
}

struct tm_error *tm_blocks_init(struct tm_blocks *blocks, struct tm_table *table, const struct tm_host *host,
                                struct tm_damage *damage)
{
    memset(blocks, 0, sizeof(*blocks));
    blocks->table = table;
    blocks->tracked = &table->tracked;
    struct tm_error *error = list_resizes(blocks, table, host);
    if (!error)
        error = make_runs(blocks, host, damage);
    if (!error)
        error = tm_walk_init(&blocks->walk, &table->map, host, damage);
    blocks->walk.running = table->running;
    blocks->walk.leaf_read = table->running ? confirm : NULL;
    blocks->walk.context = blocks;
    if (!error && table->running) // where there is no leaf, or only what was read before the first one
        error = tm_sites_confirm(table, host);
    if (!error)
        error = tm_walk_next(&blocks->walk, &blocks->has_mapped, &blocks->mapped);
    return error;
}

void tm_blocks_deinit(struct tm_blocks *blocks)
{
    for (size_t i = 0; i < blocks->run_count; i++)
        free(blocks->runs[i].ids);
    free(blocks->runs);
    tm_walk_deinit(&blocks->walk);
    memset(blocks, 0, sizeof(*blocks));
}

struct tm_error *tm_blocks_next(struct tm_blocks *blocks, bool *found, struct tm_recorded_block *block)
{
    const struct tm_tracked *tracked = blocks->run_count ? &blocks->runs[0].head : NULL;
    const struct tm_recorded_block *resize =
        blocks->resize_next < blocks->resize_count ? &blocks->resizes[blocks->resize_next] : NULL;
    *found = true;
    if (blocks->has_mapped && (!tracked || blocks->mapped.address <= tracked->address) &&
        (!resize || blocks->mapped.address <= resize->address)) {
        *block = blocks->mapped;
        return tm_walk_next(&blocks->walk, &blocks->has_mapped, &blocks->mapped);
    }
    if (tracked && (!resize || tracked->address <= resize->address)) {
        take_tracked(blocks, block);
    } else if (resize) {
        *block = *resize;
        blocks->resize_next++;
    } else {
        *found = false;
    }
    return NULL;
}
