/**
 * The survey: what is found in a target's memory before a single block is looked at: residency, the tracer's own memory, the
 * arenas of CPython, module data, glibc's heaps, stacks. Account and fragmentation both begin with it.
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_SURVEY_H
#define TRACEMORTEM_ENGINE_ACCOUNT_SURVEY_H

#include "engine/account/map.h"
#include "engine/account/pools.h"
#include "engine/heap/glibc.h"
#include "engine/model/source.h"
#include "engine/target/residency.h"

struct tm_survey {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_pool *names;
    struct tm_source *source; // NULL: the process has no table
    bool traced;              // the table has traces
    struct tm_heap_cache *cache;
    struct tm_memory_map map; // settled
    struct tm_residency residency;
    struct tm_pools pools;
    struct tm_glibc glibc;
    struct tm_range *data; // of modules
    size_t data_count;
};

/** `source` may be NULL, and need not have traces. Call tm_survey_deinit() in any case. */
struct tm_error *tm_survey_init(struct tm_survey *survey, struct tm_target *target, struct tm_source *source,
                                bool traced, const struct tm_host *host, struct tm_pool *names);
void tm_survey_deinit(struct tm_survey *survey);

#endif
