// From a target to its statistics: snapshot, the session's filters, the command's, grouping.

#include "query.h"

#include <string.h>

static struct tm_error *take_snapshot(const struct tm_host *host, struct tm_target *target, struct tm_pool *pool,
                                      struct tm_snapshot *result)
{
    struct tm_source *source;

    struct tm_error *error = tm_source_open(target, host, &source);
    if (!error)
        error = tm_source_require_tracing(source);
    if (!error)
        error = tm_source_snapshot(source, host, pool, result);
    return error;
}

struct tm_error *tm_query_init(struct tm_query *query, const struct tm_request *request, struct tm_target *target,
                               struct tm_pool *pool)
{
    const struct tm_host *host = &request->session->host;
    struct tm_snapshot snapshot;

    memset(query, 0, sizeof(*query));
    struct tm_error *error = take_snapshot(host, target, pool, &snapshot);
    if (error)
        return error;
    error = tm_filter_list_apply(&request->session->filters, host, &snapshot);
    if (!error)
        error = tm_filter_list_apply(&request->settings.filters, host, &snapshot);
    if (!error)
        error = tm_statistics_init(&query->statistics, host, &snapshot, request->key, request->settings.cumulative);
    query->damage = snapshot.damage;
    query->frame_limit = snapshot.frame_limit;
    tm_snapshot_deinit(&snapshot);
    return error;
}

void tm_query_deinit(struct tm_query *query)
{
    tm_statistics_deinit(&query->statistics);
}
