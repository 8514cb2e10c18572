/**
 * Snapshots: all live blocks in groups of those with the same traceback and domain. Knows no source and no statistic.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SNAPSHOT_H
#define TRACEMORTEM_ENGINE_MODEL_SNAPSHOT_H

#include "engine/model/damage.h"
#include "engine/model/pool.h"

/** Live blocks with the same traceback, domain and allocator: what one allocation site has. */
struct tm_group {
    const struct tm_traceback *traceback;
    uint32_t domain;
    uint64_t size;  // bytes live, greater than 0 or count is
    uint64_t count; // blocks live
};

/** All zero is an empty snapshot. The tracebacks belong to the pool of the request. */
struct tm_snapshot {
    struct tm_group *groups;
    size_t count;
    size_t capacity;
    uint32_t frame_limit;
    uint64_t table_bytes; // that the table takes of the target's memory, at most; 0: not known
    uint64_t in_flight; // bytes of blocks which were being stored, freed or moved: sizes and counts may be off by them
    struct tm_damage damage;
};
void tm_snapshot_deinit(struct tm_snapshot *snapshot);

/** Add a group, which is copied. Fails if there is no memory. */
struct tm_error *tm_snapshot_add(struct tm_snapshot *snapshot, const struct tm_group *group);

#endif
