/**
 * Census: how many live blocks each site has, counted in the map, in `tracked` and in the resize records.
 *
 * In the lean profile nothing else says so. In the full one the counters do, and this is for where they are missing. Knows
 * blocks, and nothing of sites but their ids.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_CENSUS_H
#define TRACEMORTEM_ENGINE_TABLE_CENSUS_H

#include "engine/model/estimate.h"
#include "engine/table/walk.h"

struct tm_table;

struct tm_census {
    struct tm_counts counts;
    uint64_t sample_period;        // 0: all blocks are recorded
    struct tm_estimate *estimates; // if they are sampled: by site, as `counts`
    uint64_t bytes;                // of all blocks but those inside realloc(), which the root does not count
    uint64_t map_bytes;            // that grids and lists take
    struct tm_damage damage;       // what of the map is not in it
};

/** Leaves and tracked blocks must be loaded. The caller calls tm_census_deinit(), even if this fails. */
struct tm_error *tm_census_init(struct tm_census *census, const struct tm_table *table, const struct tm_host *host);
void tm_census_deinit(struct tm_census *census);

/** The block of a resize record, as it was before, unless the record is not in use, or void: *valid. */
struct tm_error *tm_table_resize(const struct tm_table *table, const struct tm_host *host, unsigned index, bool *valid,
                                 struct tm_recorded_block *block);

#endif
