/**
 * What every kind of source provides behind source.h. For the sources and for open.c; commands do not include it.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_SOURCE_OPS_H
#define TRACEMORTEM_ENGINE_MODEL_SOURCE_OPS_H

#include "engine/model/source.h"

/** Each as the function tm_source_… of the same name in source.h. Results are all zero when an operation is called. */
struct tm_source_ops {
    void (*destroy)(struct tm_source *source);
    struct tm_error *(*require_tracing)(const struct tm_source *source);
    struct tm_error *(*info)(struct tm_source *source, const struct tm_host *host, struct tm_info *result);
    /** `ever`: as tm_source_history(). */
    struct tm_error *(*snapshot)(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool, bool ever,
                                 struct tm_snapshot *result);
    struct tm_error *(*find)(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                             uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                             struct tm_damage *damage);
    struct tm_error *(*traces)(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                               tm_trace_visitor visit, void *context, struct tm_traces *result);
    struct tm_error *(*save)(struct tm_source *source, const struct tm_host *host, const struct tm_save *save,
                             struct tm_saved *result); // NULL: its memory is not known
    struct tm_error *(*memory)(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                               void *context); // NULL: not known
    uint64_t (*started)(const struct tm_source *source);
    uint64_t (*sample_period)(const struct tm_source *source);               // NULL: 0
    uint32_t (*python)(const struct tm_source *source, bool *free_threaded); // NULL: not known
};

/** The head of every source's own struct. */
struct tm_source {
    const struct tm_source_ops *ops;
    /** As tm_source_verify(). open.c sets it, since checking a table needs more than reading one; NULL: no check. */
    struct tm_error *(*verify)(struct tm_source *source, const struct tm_host *host,
                               const struct tm_verify_request *request, struct tm_verification *result);
};

void tm_source_destroy(struct tm_source *source);

#endif
