// From a target to its statistics or traces. The session's filters apply first, then the command's.

#include "engine/commands/query.h"

#include <string.h>

#include "engine/commands/command.h"
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

// The error if the request is about facts which the source does not record.
static struct tm_error *require_facts(const struct tm_request *request, const struct tm_snapshot *snapshot)
{
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
    return tm_footprint_init(&query->footprint, target, traced, snapshot->table_bytes);
}

static void add_unmatched(struct tm_query *query)
{
    struct tm_statistics *statistics = &query->statistics;
    statistics->total_size = tm_add_saturating(statistics->total_size, query->unmatched.size);
    statistics->total_count = tm_add_saturating(statistics->total_count, query->unmatched.count);
}

struct tm_error *tm_query_groups(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                                 struct tm_pool *pool, bool ever, struct tm_snapshot *groups)
{
    memset(query, 0, sizeof(*query));
    struct tm_error *error = take_snapshot(request, target, pool, ever, groups);
    if (error)
        return error;
    error = require_facts(request, groups);
    if (!error)
        error = measure(query, target, groups);
    if (!error)
        error = select_groups(query, request, pool, groups);
    query->damage = groups->damage;
    query->in_flight = groups->in_flight;
    query->frame_limit = groups->frame_limit;
    query->has_churn = groups->has_churn;
    query->codes_full = groups->codes_full;
    if (error) {
        tm_query_deinit(query);
        tm_snapshot_deinit(groups);
    }
    return error;
}

struct tm_error *tm_query_init(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                               struct tm_pool *pool)
{
    const struct tm_host *host = &request->session->host;
    struct tm_snapshot groups;

    struct tm_error *error = tm_query_groups(query, request, target, pool, tm_request_wants_history(request), &groups);
    if (error)
        return error;
    error = tm_statistics_init(&query->statistics, host, &groups, request->key, request->settings.cumulative);
    if (!error)
        add_unmatched(query);
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

enum { VERDICT_UNKNOWN, VERDICT_KEEP, VERDICT_DROP };

struct sifter {
    struct tm_sieve session;
    struct tm_sieve own;
    struct tm_cutter cutter;
    tm_trace_visitor visit;
    void *context;
};

static struct tm_error *judge(struct sifter *sifter, struct tm_origin *origin)
{
    bool keep;
    struct tm_error *error = tm_sieve_keeps(&sifter->session, origin->domain, origin->traceback, &keep);
    if (!error && keep)
        error = tm_sieve_keeps(&sifter->own, origin->domain, origin->traceback, &keep);
    if (!error && keep)
        error = tm_cutter_cut(&sifter->cutter, origin->traceback, &origin->mine);
    if (!error)
        origin->verdict = keep ? VERDICT_KEEP : VERDICT_DROP;
    return error;
}

static struct tm_error *sift(void *context, const struct tm_trace *trace)
{
    struct sifter *sifter = context;
    if (trace->origin->verdict == VERDICT_UNKNOWN) {
        struct tm_error *error = judge(sifter, trace->origin);
        if (error)
            return error;
    }
    return trace->origin->verdict == VERDICT_KEEP ? sifter->visit(sifter->context, trace) : NULL;
}

struct tm_error *tm_query_traces(const struct tm_request *request, struct tm_target *target, struct tm_pool *pool,
                                 tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    const struct tm_host *host = &request->session->host;
    struct sifter sifter = {.visit = visit, .context = context};
    struct tm_source *source;

    memset(result, 0, sizeof(*result));
    struct tm_error *error = open_source(host, target, &source);
    if (!error)
        error = tm_sieve_init(&sifter.session, &request->session->filters);
    if (!error)
        error = tm_sieve_init(&sifter.own, &request->settings.filters);
    if (!error)
        error = tm_cutter_init(&sifter.cutter, &request->settings.mine, pool);
    if (!error)
        error = tm_source_traces(source, host, pool, sift, &sifter, result);
    tm_sieve_deinit(&sifter.session);
    tm_sieve_deinit(&sifter.own);
    tm_cutter_deinit(&sifter.cutter);
    return error;
}
