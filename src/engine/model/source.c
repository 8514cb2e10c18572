/**
 * Sources: finding one in a target, and handing each question to the one found. Knows no layout.
 */
#include "engine/model/source.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/source_ops.h"
#include "engine/snapshot/source.h"
#include "engine/stock/stock.h"
#include "engine/table/table.h"
#include "engine/target/target.h"

// Whether what CPython's tables have to say matters, be it only why they are of no use.
static bool ask_stock(enum tm_error_code native)
{
    return native == TM_ERROR_NO_TABLE || native == TM_ERROR_NOT_TRACING || native == TM_ERROR_INCOMPLETE;
}

// Who of the two is nearer to the user: our tracer is there, or may be; or nothing is known of any tracemalloc.
static bool native_is_nearer(enum tm_error_code native, enum tm_error_code stock)
{
    switch (stock) {
    case TM_ERROR_INTERRUPTED:
        return false;
    case TM_ERROR_NO_TABLE:
        return true;
    case TM_ERROR_UNSUPPORTED:
    case TM_ERROR_CORRUPT: // there are tables
        return native == TM_ERROR_NOT_TRACING;
    default:
        return native != TM_ERROR_NO_TABLE;
    }
}

// Our tracer's table, or else those of CPython's own tracemalloc, which our tracer may have to be there and empty.
static struct tm_error *open_memory(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct tm_error *error = tm_native_open(target, host, result);
    if (!error || !ask_stock(tm_error_code(error)))
        return error;
    bool may_be_ours = tm_error_code(error) == TM_ERROR_INCOMPLETE;
    struct tm_error *stock_error = tm_stock_open(target, host, may_be_ours, result);
    bool nearer = stock_error && native_is_nearer(tm_error_code(error), tm_error_code(stock_error));
    tm_error_destroy(nearer ? stock_error : error);
    return nearer ? error : stock_error;
}

struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    if (!tm_target_source(target)) {
        struct tm_source *source = NULL;
        struct tm_error *error =
            tm_target_is_file(target) ? tm_snapshot_file_open(target, &source) : open_memory(target, host, &source);
        if (error)
            return error;
        tm_target_set_source(target, source);
    }
    *result = tm_target_source(target);
    return NULL;
}

struct tm_error *tm_source_require_tracing(const struct tm_source *source)
{
    return source->ops->require_tracing(source);
}

struct tm_error *tm_source_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    memset(result, 0, sizeof(*result));
    return source->ops->info(source, host, result);
}

struct tm_error *tm_source_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    struct tm_snapshot *result)
{
    memset(result, 0, sizeof(*result));
    struct tm_error *error = source->ops->snapshot(source, host, pool, result);
    if (error)
        tm_snapshot_deinit(result);
    return error;
}

void tm_snapshot_deinit(struct tm_snapshot *snapshot)
{
    free(snapshot->groups);
    snapshot->groups = NULL;
    snapshot->count = 0;
}

struct tm_error *tm_source_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                struct tm_damage *damage)
{
    memset(damage, 0, sizeof(*damage));
    *count = 0;
    return source->ops->find(source, host, pool, address, blocks, capacity, count, damage);
}

struct tm_error *tm_source_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                  tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    memset(result, 0, sizeof(*result));
    return source->ops->traces(source, host, pool, visit, context, result);
}

struct tm_error *tm_source_verify(struct tm_source *source, const struct tm_host *host,
                                  const struct tm_verify_request *request, struct tm_verification *result)
{
    if (!source->ops->verify)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "there is no trace table of tracemortem's tracer here: nothing else can be verified");
    return source->ops->verify(source, host, request, result);
}

uint64_t tm_source_started(const struct tm_source *source)
{
    return source->ops->started(source);
}
