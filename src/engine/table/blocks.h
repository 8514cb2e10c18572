/**
 * Blocks: all live blocks of a table in ascending order of their addresses: those of the map, tracked ones,
 * and those inside realloc(). Knows where blocks are recorded, and nothing of sites but their ids.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_BLOCKS_H
#define TRACEMORTEM_ENGINE_TABLE_BLOCKS_H

#include "engine/table/walk.h"

struct tm_table;
struct tm_tracked_run;

struct tm_blocks {
    struct tm_table *table;
    const struct tm_records *tracked;
    struct tm_walk walk;
    bool has_mapped; // `mapped` is the next block of the walk
    struct tm_recorded_block mapped;
    struct tm_tracked_run *runs; // a heap: the run with the lowest address first
    size_t run_count;
    size_t run_capacity;
    struct tm_recorded_block resizes[TM_RESIZES]; // ascending
    unsigned resize_count;
    unsigned resize_next;
};

/**
 * Tracked blocks and the map must be loaded. Everything passed must outlive the blocks. Damage is counted as blocks are
 * read. If the process runs, sites that changed meanwhile are forgotten: tm_sites_confirm().
 */
struct tm_error *tm_blocks_init(struct tm_blocks *blocks, struct tm_table *table, const struct tm_host *host,
                                struct tm_damage *damage);
void tm_blocks_deinit(struct tm_blocks *blocks);

/** The next block, or *found false at the end. Fails only if interrupted or if there is no memory. */
struct tm_error *tm_blocks_next(struct tm_blocks *blocks, bool *found, struct tm_recorded_block *block);

#endif
