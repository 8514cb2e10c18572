// Sources: each question goes to the source's own operation.

#include "engine/model/source.h"

#include <string.h>

#include "engine/model/source_ops.h"

void tm_source_destroy(struct tm_source *source)
{
    source->ops->destroy(source);
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

static struct tm_error *take_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                      bool ever, struct tm_snapshot *result)
{
    memset(result, 0, sizeof(*result));
    struct tm_error *error = source->ops->snapshot(source, host, pool, ever, result);
    if (error)
        tm_snapshot_deinit(result);
    return error;
}

struct tm_error *tm_source_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                    struct tm_snapshot *result)
{
    return take_snapshot(source, host, pool, false, result);
}

struct tm_error *tm_source_history(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   struct tm_snapshot *result)
{
    return take_snapshot(source, host, pool, true, result);
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
    if (!source->verify)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "there is no trace table of tracemortem's tracer here: only that can be verified");
    return source->verify(source, host, request, result);
}

struct tm_error *tm_source_save(struct tm_source *source, const struct tm_host *host, const struct tm_save *save,
                                struct tm_saved *result)
{
    memset(result, 0, sizeof(*result));
    if (!source->ops->save)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "only the trace table of tracemortem's tracer can be saved as a core: CPython's own "
                               "tracemalloc has its tables all over the heap, and a snapshot has no memory\nSave a "
                               "snapshot (tm-save FILE), or make a core of the whole process: gcore PID");
    return source->ops->save(source, host, save, result);
}

struct tm_error *tm_source_memory(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                                  void *context)
{
    return source->ops->memory ? source->ops->memory(source, host, visit, context) : NULL;
}

uint64_t tm_source_started(const struct tm_source *source)
{
    return source->ops->started(source);
}

uint64_t tm_source_sample_period(const struct tm_source *source)
{
    return source->ops->sample_period ? source->ops->sample_period(source) : 0;
}

uint32_t tm_source_python(const struct tm_source *source, bool *free_threaded)
{
    *free_threaded = false;
    return source->ops->python ? source->ops->python(source, free_threaded) : 0;
}
