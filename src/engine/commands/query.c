// From a target to its statistics or traces. The session's filters apply first, then the command's.

#include "engine/commands/query.h"

#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/look.h"
#include "engine/commands/sift.h"
#include "engine/open.h"

static struct tm_error *open_source(const struct tm_host *host, struct tm_target *target, struct tm_source **result)
{
    struct tm_error *error = tm_source_open(target, host, result);
    if (!error)
        error = tm_source_require_tracing(*result);
    return error;
}

static struct tm_error *take_snapshot(const struct tm_request *request, struct tm_target *target, struct tm_pool *pool,
                                      bool ever, struct tm_snapshot *result)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;

    memset(result, 0, sizeof(*result));
    struct tm_error *error = open_source(host, target, &source);
    if (!error && ever)
        error = tm_source_history(source, host, pool, result);
    else if (!error)
        error = tm_source_snapshot(source, host, pool, result);
    return error;
}

static bool wants_types(const struct tm_request *request)
{
    return tm_key_has_type(request->key) || request->settings.type;
}

// Puts the groups by type in the place of the snapshot's groups.
static struct tm_error *take_census(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                                    struct tm_pool *pool, struct tm_snapshot *snapshot)
{
    struct tm_look look;
    struct tm_error *error = tm_look_init(&look, request, target, pool);
    if (!error)
        error = tm_census_take(&look.objects, &look.nodes, look.type, snapshot, &query->census);
    tm_look_deinit(&look);
    return error;
}

// The error if the request is about facts which the source does not record.
static struct tm_error *require_facts(const struct tm_request *request, const struct tm_snapshot *snapshot)
{
    if (tm_request_wants_history(request) && wants_types(request))
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "what was allocated and freed is counted by line only, and not by type\n"
                               "Type \"%s --sort size\", or leave out the type",
                               request->command->name);
    if (tm_request_wants_history(request) && snapshot->sample_period)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "what was allocated and freed is not counted here: the process was traced in the "
                               "sampled profile, which records a few live blocks only\n"
                               "Type \"%s --sort size\", or run the program with TRACEMORTEM_DETAIL=full",
                               request->command->name);
    if (tm_request_wants_history(request) && snapshot->lean)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "what was allocated and freed is not counted here: the process was traced in the lean "
                               "profile, which counts live blocks only\n"
                               "Type \"%s --sort size\", or run the program with TRACEMORTEM_DETAIL=full",
                               request->command->name);
    if (tm_request_wants_history(request) && !snapshot->has_churn)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "what was allocated and freed is not counted here: only tracemortem's tracer counts it, "
                               "and neither CPython's own tracemalloc nor a snapshot file has it\n"
                               "Type \"%s --sort size\", or run the program under the tracer",
                               request->command->name);
    if (request->key != TM_KEY_FUNCTION || snapshot->has_functions)
        return NULL;
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "no functions are recorded here: only tracemortem's tracer records them, and neither "
                           "CPython's own tracemalloc nor a snapshot file has them\n"
                           "Type \"%s lineno\", or run the program under the tracer",
                           request->command->name);
}

// An empty snapshot says nothing about patterns.
static struct tm_error *find_fits(struct tm_fits *fits, const struct tm_request *request,
                                  const struct tm_snapshot *snapshot)
{
    const struct tm_host *host = &request->session->host;

    if (snapshot->count == 0)
        return NULL;
    struct tm_error *error = tm_fits_add_filters(fits, &request->session->filters, host, snapshot);
    if (!error)
        error = tm_fits_add_filters(fits, &request->settings.filters, host, snapshot);
    if (!error)
        error = tm_fits_add_mine(fits, &request->settings.mine, host, snapshot);
    return error;
}

static struct tm_error *select_groups(struct tm_query *query, const struct tm_request *request, struct tm_pool *pool,
                                      struct tm_snapshot *snapshot)
{
    const struct tm_host *host = &request->session->host;

    struct tm_error *error = find_fits(&query->fits, request, snapshot);
    if (!error)
        error = tm_filter_list_apply(&request->session->filters, host, snapshot);
    if (!error)
        error = tm_filter_list_apply(&request->settings.filters, host, snapshot);
    if (!error)
        error = tm_mine_apply(&request->settings.mine, host, pool, snapshot, &query->unmatched);
    return error;
}

static struct tm_error *measure(struct tm_query *query, const struct tm_target *target,
                                const struct tm_snapshot *snapshot)
{
    uint64_t traced = 0;

    for (size_t i = 0; i < snapshot->count; i++)
        traced = tm_add_saturating(traced, snapshot->groups[i].size);
    struct tm_error *error = tm_footprint_init(&query->footprint, target, traced, snapshot->table_bytes);
    query->footprint.estimated = snapshot->sample_period != 0;
    return error;
}

static void add_unmatched(struct tm_query *query)
{
    struct tm_statistics *statistics = &query->statistics;
    tm_estimate_sum(&statistics->total_size, &statistics->total_count, &statistics->total_estimate,
                    query->unmatched.size, query->unmatched.count, &query->unmatched.estimate);
}

// What the filters keep, and what the answer says of the whole.
static struct tm_error *filter_groups(struct tm_query *query, const struct tm_request *request, struct tm_pool *pool,
                                      struct tm_snapshot *groups)
{
    struct tm_error *error = require_facts(request, groups);
    if (!error)
        error = select_groups(query, request, pool, groups);
    query->damage = groups->damage;
    query->in_flight = groups->in_flight;
    query->sample_period = groups->sample_period;
    query->frame_limit = groups->frame_limit;
    query->has_churn = groups->has_churn;
    query->codes_full = groups->codes_full;
    return error;
}

static struct tm_error *add_statistics(struct tm_query *query, const struct tm_request *request,
                                       const struct tm_snapshot *groups)
{
    struct tm_error *error = tm_statistics_init(&query->statistics, &request->session->host, groups, request->key,
                                                request->settings.cumulative);
    if (!error)
        add_unmatched(query);
    return error;
}

struct tm_error *tm_query_statistics(struct tm_query *query, const struct tm_request *request, struct tm_pool *pool,
                                     struct tm_snapshot *groups)
{
    struct tm_error *error = filter_groups(query, request, pool, groups);
    return error ? error : add_statistics(query, request, groups);
}

struct tm_error *tm_query_groups(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                                 struct tm_pool *pool, bool ever, struct tm_snapshot *groups)
{
    memset(query, 0, sizeof(*query));
    struct tm_error *error = take_snapshot(request, target, pool, ever, groups);
    if (error)
        return error;
    error = measure(query, target, groups);
    if (!error && wants_types(request))
        error = take_census(query, request, target, pool, groups);
    if (!error)
        error = filter_groups(query, request, pool, groups);
    if (error) {
        tm_query_deinit(query);
        tm_snapshot_deinit(groups);
    }
    return error;
}

struct tm_error *tm_query_init(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                               struct tm_pool *pool)
{
    struct tm_snapshot groups;

    struct tm_error *error = tm_query_groups(query, request, target, pool, tm_request_wants_history(request), &groups);
    if (error)
        return error;
    error = add_statistics(query, request, &groups);
    tm_snapshot_deinit(&groups);
    if (error)
        tm_query_deinit(query);
    return error;
}

void tm_query_deinit(struct tm_query *query)
{
    tm_statistics_deinit(&query->statistics);
    tm_fits_deinit(&query->fits);
}

struct tm_error *tm_query_name_operand(const struct tm_request *request, size_t index, struct tm_error *error)
{
    if (!error || request->unresolved[index].kind != TM_OPERAND_CORE || tm_error_code(error) == TM_ERROR_INTERRUPTED ||
        tm_error_code(error) == TM_ERROR_NO_MEMORY)
        return error;

    struct tm_text name = TM_TEXT_EMPTY;
    const char *text = request->unresolved[index].text;
    tm_text_escape(&name, text, strlen(text));
    struct tm_error *named =
        tm_error_create(tm_error_code(error), "%s: %s", tm_text_string(&name), tm_error_message(error));
    tm_text_deinit(&name);
    tm_error_destroy(error);
    return named;
}

// ---------------------------------------------------------------------------------------------------------------
// Traces

struct typed {
    tm_trace_visitor visit;
    void *context;
};

static struct tm_error *visit_typed(void *context, const struct tm_trace *trace, const struct tm_heap_node *node)
{
    const struct typed *typed = context;
    (void)node;
    return typed->visit(typed->context, trace);
}

// Visits the blocks of the objects whose type --type matches, with their parts.
static struct tm_error *visit_type(const struct tm_request *request, struct tm_target *target, struct tm_pool *pool,
                                   tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    struct typed typed = {visit, context};
    struct tm_look look;
    struct tm_error *error = tm_look_init(&look, request, target, pool);
    *result = look.nodes.traces;
    if (!error)
        error = tm_look_visit(&look, request, pool, visit_typed, &typed);
    tm_look_deinit(&look);
    return error;
}

struct tm_error *tm_query_traces(const struct tm_request *request, struct tm_target *target, struct tm_pool *pool,
                                 tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    const struct tm_host *host = &request->session->host;
    struct tm_sifter sifter;
    struct tm_source *source;

    memset(result, 0, sizeof(*result));
    if (request->settings.type)
        return visit_type(request, target, pool, visit, context, result);
    struct tm_error *error = tm_sifter_init(&sifter, request, pool, visit, context);
    if (!error)
        error = open_source(host, target, &source);
    if (!error)
        error = tm_source_traces(source, host, pool, tm_sift, &sifter, result);
    tm_sifter_deinit(&sifter);
    return error;
}
