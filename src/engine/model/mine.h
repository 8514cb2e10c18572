/**
 * Whose line: the most recent frame of a traceback that is in the user's own files. Blocks are then grouped as if that
 * line had allocated them: the frames of libraries that it called are cut off. Knows no target and no text.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_MINE_H
#define TRACEMORTEM_ENGINE_MODEL_MINE_H

#include "engine/model/filter.h"

/** The patterns of own files. All zero: none. */
struct tm_mine {
    struct tm_filter_list filters; // for each pattern two: the pattern, and what is below the folder that it names
};

/** Add what a filter says: its pattern and line. Takes ownership of the filter if it succeeds. */
struct tm_error *tm_mine_add(struct tm_mine *mine, struct tm_filter *filter);
void tm_mine_deinit(struct tm_mine *mine);
size_t tm_mine_count(const struct tm_mine *mine);
/** The filter as it was added; the one for what is below a folder of this name follows it in memory. */
const struct tm_filter *tm_mine_get(const struct tm_mine *mine, size_t index);

/** Blocks whose traceback has no own frame. All zero: none. */
struct tm_unmatched {
    uint64_t size, count;
    struct tm_estimate estimate;  // of these two, where blocks are sampled
    uint64_t cut_size, cut_count; // of these, the ones whose traceback lacks its oldest frames: one of them may match
};

/** Cut each group's traceback to end with its own frame. Groups without one are left out and counted. */
struct tm_error *tm_mine_apply(const struct tm_mine *mine, const struct tm_host *host, struct tm_pool *pool,
                               struct tm_snapshot *snapshot, struct tm_unmatched *unmatched);

/** The same for one traceback after the other. The pool and the patterns must outlive it. */
struct tm_cutter {
    struct tm_sieve sieve;
    struct tm_pool *pool;
};
struct tm_error *tm_cutter_init(struct tm_cutter *cutter, const struct tm_mine *mine, struct tm_pool *pool);
void tm_cutter_deinit(struct tm_cutter *cutter);
/** NULL in *result: no frame is an own one. */
struct tm_error *tm_cutter_cut(struct tm_cutter *cutter, const struct tm_traceback *traceback,
                               const struct tm_traceback **result);

#endif
