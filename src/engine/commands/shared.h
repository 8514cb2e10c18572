/**
 * Shared samples: those that both sides of a comparison have. A process keeps its samples, and a forked child has its
 * parent's. So what did not change between two cores has the same samples in both, and its estimates are off by the same:
 * they cancel out in a difference, and its standard error must not count them.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_SHARED_H
#define TRACEMORTEM_ENGINE_COMMANDS_SHARED_H

#include "engine/commands/query.h"

/** One side of a comparison: its target and what was asked of it. */
struct tm_side {
    struct tm_target *target;
    struct tm_query *query;
};

/**
 * Note in the statistics of both sides how much of their variances they share. Nothing is shared if they were not traced
 * from one start on. A sample is the same if its address, size and traceback are: of two samples that only look the same,
 * the second is at an address where a sample was freed, which is rare.
 */
struct tm_error *tm_shared_find(const struct tm_request *request, struct tm_pool *pool, const struct tm_side *old,
                                const struct tm_side *now);

#endif
