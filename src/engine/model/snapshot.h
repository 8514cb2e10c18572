/**
 * Snapshots: all live blocks in groups of those with the same traceback and domain. Knows no source and no statistic.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SNAPSHOT_H
#define TRACEMORTEM_ENGINE_MODEL_SNAPSHOT_H

#include "engine/base/arena.h"
#include "engine/model/damage.h"
#include "engine/model/estimate.h"
#include "engine/model/pool.h"

/** What was ever allocated and freed since tracing began or traces were cleared: bytes, and how many blocks. */
struct tm_churn {
    uint64_t allocated, allocations;
    uint64_t freed, frees;
};
void tm_churn_add(struct tm_churn *churn, const struct tm_churn *more);

/** Live blocks with the same traceback, domain and allocator: what one allocation site has. */
struct tm_group {
    const struct tm_traceback *traceback;
    uint32_t domain;
    bool shortened;               // the table had no room for the oldest frames of the traceback
    uint64_t size;                // bytes live, greater than 0 or count is; but see tm_source_history()
    uint64_t count;               // blocks live
    struct tm_estimate *estimate; // of these two, where blocks are sampled: they are its whole numbers; else NULL
    const struct tm_churn *churn; // of tm_source_history(); NULL: none, or not counted
    const struct tm_name *type;   // of the objects in the blocks; NULL: nobody looked
};

/** All zero is an empty snapshot. The tracebacks belong to the pool of the request. */
struct tm_snapshot {
    struct tm_group *groups;
    size_t count;
    size_t capacity;
    struct tm_arena arena; // of the groups' churn
    uint32_t frame_limit;
    bool has_functions;     // frames have the names of their functions
    bool has_churn;         // the source counts what was ever allocated and freed
    bool lean;              // our tracer could count that, but was not asked to
    bool codes_full;        // the table has no room for more code objects
    uint64_t sample_period; // blocks are sampled, and sizes and counts are estimates; 0: all are there
    uint64_t table_bytes;   // that the table takes of the target's memory, at most; 0: not known
    uint64_t in_flight; // bytes of blocks which were being stored, freed or moved: sizes and counts may be off by them
    struct tm_damage damage;
};
void tm_snapshot_deinit(struct tm_snapshot *snapshot);

/** A copy that lives as long as the snapshot; NULL: no memory. */
const struct tm_churn *tm_snapshot_churn(struct tm_snapshot *snapshot, const struct tm_churn *churn);
/** An estimate that lives as long as the snapshot: a copy, or of nothing yet if `estimate` is NULL. NULL: no memory. */
struct tm_estimate *tm_snapshot_estimate(struct tm_snapshot *snapshot, const struct tm_estimate *estimate);

/** Add a group, which is copied. Fails if there is no memory. */
struct tm_error *tm_snapshot_add(struct tm_snapshot *snapshot, const struct tm_group *group);

#endif
