// Old samples in a set, then a look at each new one.

#include "engine/commands/shared.h"

#include "engine/open.h"

struct sample {
    uint64_t address, size;
    uint32_t domain;
    const struct tm_traceback *traceback;
};

struct search {
    const struct tm_request *request;
    const struct tm_side *old, *now;
    struct tm_arena arena;
    struct tm_set samples;
};

static uint64_t hash_of(const struct sample *sample)
{
    return tm_hash_number(sample->address ^ (uint64_t)sample->domain << 48);
}

// The entry of a sample in a set with room, or the free entry where it belongs.
static struct tm_set_entry *find_entry(const struct search *search, const struct sample *sample)
{
    uint64_t hash = hash_of(sample);
    struct tm_set_entry *entry = tm_set_first(&search->samples, hash);
    for (; entry->item; entry = tm_set_next(&search->samples, entry)) {
        const struct sample *item = entry->item;
        if (entry->hash == hash && item->address == sample->address && item->size == sample->size &&
            item->domain == sample->domain && item->traceback == sample->traceback)
            break;
    }
    return entry;
}

static struct sample sample_of(const struct tm_trace *trace)
{
    return (struct sample){trace->address, trace->size, trace->origin->domain, trace->origin->traceback};
}

static struct tm_error *add_old(void *context, const struct tm_trace *trace)
{
    struct search *search = context;
    const struct sample sample = sample_of(trace);
    struct sample *made = tm_arena_allocate(&search->arena, sizeof(*made));
    if (!made || !tm_set_reserve(&search->samples))
        return tm_error_no_memory();
    *made = sample;
    struct tm_set_entry *entry = find_entry(search, &sample);
    if (!entry->item)
        tm_set_put(&search->samples, entry, hash_of(&sample), made);
    return NULL;
}

static void share(const struct search *search, struct tm_query *query, const struct tm_trace *trace)
{
    const struct tm_settings *settings = &search->request->settings;
    const struct tm_estimate estimate = tm_estimate_of(query->sample_period, trace->size);
    const struct tm_traceback *traceback = trace->origin->traceback;
    if (tm_mine_count(&settings->mine) > 0)
        traceback = trace->origin->mine;
    tm_statistics_share(&query->statistics, traceback, search->request->key, settings->cumulative, &estimate.variance);
    if (!traceback) {
        query->unmatched.estimate.shared.size += estimate.variance.size;
        query->unmatched.estimate.shared.count += estimate.variance.count;
    }
}

static struct tm_error *look_up(void *context, const struct tm_trace *trace)
{
    struct search *search = context;
    const struct sample sample = sample_of(trace);
    if (search->samples.count == 0 || !find_entry(search, &sample)->item)
        return NULL;
    share(search, search->old->query, trace);
    share(search, search->now->query, trace);
    return NULL;
}

// Whether the sides may have samples in common: those of one period and one start of tracing.
static struct tm_error *may_share(const struct tm_request *request, const struct tm_side *old,
                                  const struct tm_side *now, bool *result)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *old_source, *source;
    *result = false;
    if (!old->query->sample_period || old->query->sample_period != now->query->sample_period ||
        tm_key_has_type(request->key) || request->settings.type)
        return NULL;
    struct tm_error *error = tm_source_open(old->target, host, &old_source);
    if (!error)
        error = tm_source_open(now->target, host, &source);
    if (!error)
        *result = tm_source_started(source) && tm_source_started(source) == tm_source_started(old_source);
    return error;
}

struct tm_error *tm_shared_find(const struct tm_request *request, struct tm_pool *pool, const struct tm_side *old,
                                const struct tm_side *now)
{
    struct search search = {.request = request, .old = old, .now = now};
    struct tm_traces ignored;
    bool may;

    struct tm_error *error = may_share(request, old, now, &may);
    if (error || !may)
        return error;
    error = tm_query_traces(request, old->target, pool, add_old, &search, &ignored);
    if (!error)
        error = tm_query_traces(request, now->target, pool, look_up, &search, &ignored);
    tm_set_deinit(&search.samples);
    tm_arena_deinit(&search.arena);
    return error;
}
