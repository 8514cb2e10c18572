// One step after the other: later ones look only at what earlier ones left.

#include "engine/account/survey.h"

#include <stdlib.h>

#include "engine/account/thread_stacks.h"
#include "engine/objects/stacks.h"
#include "engine/target/module_data.h"

enum { MOST_CHUNKS = 1 << 16, CHUNK_HEAD = 24 };
// The tracer asks for memory from here on, where the system puts nothing by itself.
#define TRACER_FIRST UINT64_C(0x400000000000)
#define TRACER_END (TRACER_FIRST + (UINT64_C(1) << 41))

// ---------------------------------------------------------------------------------------------------------------
// What the table knows

static struct tm_error *add_known(void *context, enum tm_memory_kind kind, uint64_t start, uint64_t end)
{
    struct tm_survey *survey = context;
    if (kind == TM_MEMORY_TRACER)
        return tm_memory_map_add(&survey->map, start, end, TM_PLACE_TRACER, 0);
    // Python's frames come from the same place, in pieces of other sizes.
    if (end - start != survey->pools.pymalloc.arena_size)
        return tm_memory_map_add(&survey->map, start, end, TM_PLACE_FRAMES, 0);
    return tm_pools_add_arena(&survey->pools, &survey->map, &survey->residency, start, end);
}

// Not everything that the tracer has is in its list: some caches are not.
static struct tm_error *add_tracers(void *context, uint64_t start, uint64_t end)
{
    struct tm_survey *survey = context;
    return start >= TRACER_FIRST && end <= TRACER_END ? tm_memory_map_add(&survey->map, start, end, TM_PLACE_TRACER, 0)
                                                      : NULL;
}

static bool has_tracer(const struct tm_survey *survey)
{
    for (size_t i = 0; i < survey->map.found_count; i++)
        if (survey->map.found[i].kind == TM_PLACE_TRACER && survey->map.found[i].start >= TRACER_FIRST &&
            survey->map.found[i].end <= TRACER_END)
            return true;
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// Python's frames

struct frames {
    struct tm_survey *survey;
    struct tm_objects *objects;
    size_t chunks; // seen
};

static struct tm_error *add_chunk(void *context, uint64_t start, uint64_t top, uint64_t end)
{
    struct frames *frames = context;
    (void)top;
    frames->chunks++;
    return tm_memory_map_add(&frames->survey->map, start - CHUNK_HEAD, end, TM_PLACE_FRAMES, 0);
}

static struct tm_error *add_thread(void *context, const struct tm_python_thread *thread)
{
    struct frames *frames = context;
    return tm_stack_chunks_visit(frames->objects, thread, MOST_CHUNKS - frames->chunks, add_chunk, frames);
}

static struct tm_error *stop_at_frame(void *context, const struct tm_python_frame *frame)
{
    (void)context;
    (void)frame;
    return NULL;
}

// What this CPython does not say is left to where its memory came from.
static struct tm_error *add_frames(struct tm_survey *survey)
{
    struct tm_objects objects;
    struct frames frames = {survey, &objects, 0};
    const struct tm_stack_visitor visitor = {add_thread, stop_at_frame, &frames};
    bool incomplete;
    if (!survey->source)
        return NULL;
    struct tm_error *error = tm_objects_init(&objects, survey->target, survey->source, survey->host, survey->names);
    if (!error) {
        error = tm_stacks_visit(&objects, &visitor, &incomplete);
        tm_objects_deinit(&objects);
    }
    if (error && tm_error_code(error) != TM_ERROR_NO_MEMORY && tm_error_code(error) != TM_ERROR_INTERRUPTED) {
        tm_error_destroy(error);
        error = NULL;
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All

static unsigned minor_of(const struct tm_survey *survey, bool *free_threaded)
{
    *free_threaded = false;
    uint32_t version = survey->source ? tm_source_python(survey->source, free_threaded) : 0;
    return version >> 16 & 0xff;
}

static struct tm_error *add_data_and_heaps(struct tm_survey *survey)
{
    struct tm_memory_map *map = &survey->map;
    struct tm_error *error =
        tm_module_data_find(survey->target, survey->host, survey->cache, &survey->data, &survey->data_count);
    for (size_t i = 0; !error && i < survey->data_count; i++)
        error = tm_memory_map_add(map, survey->data[i].start, survey->data[i].end, TM_PLACE_DATA, 0);
    if (!error)
        error = tm_glibc_find(&survey->glibc, survey->cache, survey->host, map->regions, map->region_count,
                              survey->data, survey->data_count);
    for (size_t i = 0; !error && i < survey->glibc.heap_count; i++)
        error = tm_memory_map_add(map, survey->glibc.heaps[i].start, survey->glibc.heaps[i].end, TM_PLACE_HEAP,
                                  (uint32_t)i);
    return error;
}

static struct tm_error *look_at_all(struct tm_survey *survey)
{
    bool free_threaded;
    unsigned minor = minor_of(survey, &free_threaded);
    struct tm_error *error = add_data_and_heaps(survey);
    if (!error)
        error = tm_memory_map_settle(&survey->map, survey->target);
    if (!error)
        error = tm_pools_init(&survey->pools, survey->cache, &survey->map, &survey->residency, minor);
    if (!error && survey->source)
        error = tm_source_memory(survey->source, survey->host, add_known, survey);
    if (!error)
        error = add_frames(survey);
    if (!error)
        error = tm_memory_map_settle(&survey->map, survey->target);
    if (!error && has_tracer(survey))
        error = tm_memory_map_visit_gaps(&survey->map, add_tracers, survey);
    if (!error && !free_threaded)
        error = tm_pools_search(&survey->pools, &survey->map, &survey->residency, survey->host);
    if (!error)
        error = tm_memory_map_settle(&survey->map, survey->target);
    if (!error)
        error = tm_thread_stacks_add(&survey->map, survey->target, survey->cache, &survey->residency, survey->host);
    return error ? error : tm_memory_map_settle(&survey->map, survey->target);
}

struct tm_error *tm_survey_init(struct tm_survey *survey, struct tm_target *target, struct tm_source *source,
                                bool traced, const struct tm_host *host, struct tm_pool *names)
{
    *survey = (struct tm_survey){.target = target, .host = host, .names = names, .source = source, .traced = traced};
    if (tm_target_is_file(target))
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "a snapshot file has no memory: only a process and a core have it\n"
                               "Open the core, or type \"tm-top\"");
    struct tm_error *error = tm_memory_map_init(&survey->map, target);
    if (!error)
        error = tm_residency_init(&survey->residency, target, host, survey->map.regions, survey->map.region_count);
    if (!error)
        error = tm_heap_cache_create(target, host, &survey->cache);
    return error ? error : look_at_all(survey);
}

void tm_survey_deinit(struct tm_survey *survey)
{
    tm_glibc_deinit(&survey->glibc);
    tm_pools_deinit(&survey->pools);
    tm_memory_map_deinit(&survey->map);
    tm_residency_deinit(&survey->residency);
    tm_heap_cache_destroy(survey->cache);
    free(survey->data);
    *survey = (struct tm_survey){0};
}
