/**
 * A query: the statistics of one target, or its single traces, filtered as the request says.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_QUERY_H
#define TRACEMORTEM_ENGINE_COMMANDS_QUERY_H

#include "engine/commands/request.h"
#include "engine/model/fit.h"
#include "engine/model/footprint.h"
#include "engine/objects/census.h"

struct tm_query {
    struct tm_statistics statistics; // with --mine the totals count the unmatched blocks too
    struct tm_unmatched unmatched;   // of --mine
    struct tm_fits fits;             // of all patterns: the session's filters, the command's, --mine
    struct tm_footprint footprint;   // of the process, whatever the filters are
    struct tm_census census;         // of the objects, where the request is about types
    struct tm_damage damage;
    uint64_t in_flight;     // tm_snapshot's
    uint64_t sample_period; // tm_snapshot's
    uint32_t frame_limit;
    bool has_churn; // tm_snapshot's
    bool codes_full;
};

/**
 * The groups that the filters keep, with --mine cut to own frames, and all of the query but its statistics. `ever`: with
 * the groups that have no live block any more, where they are counted. The caller frees both. The pool must outlive them.
 */
struct tm_error *tm_query_groups(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                                 struct tm_pool *pool, bool ever, struct tm_snapshot *groups);
/** The pool must outlive the query. */
struct tm_error *tm_query_init(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                               struct tm_pool *pool);
/** The statistics of a snapshot, filtered. The query is all zero; call tm_query_deinit() in any case. */
struct tm_error *tm_query_statistics(struct tm_query *query, const struct tm_request *request, struct tm_pool *pool,
                                     struct tm_snapshot *groups);
void tm_query_deinit(struct tm_query *query);

/** An error about the target that an operand names gets the name of its file. Of the current target it stays as it is. */
struct tm_error *tm_query_name_operand(const struct tm_request *request, size_t index, struct tm_error *error);

/**
 * Visit the traces that the filters keep, as tm_source_traces() does. With --mine each origin's `mine` is set: its
 * traceback up to the most recent own frame, or NULL if it has none.
 */
struct tm_error *tm_query_traces(const struct tm_request *request, struct tm_target *target, struct tm_pool *pool,
                                 tm_trace_visitor visit, void *context, struct tm_traces *result);

#endif
