// Snapshots: each site with live blocks is a group.

#include "engine/table/answers.h"
#include "engine/table/sites.h"

// The group of one site, if it has live blocks or, with `ever`, had some; a flaw if something is wrong with it.
static struct tm_error *make_group(struct tm_tracebacks *tracebacks, const struct tm_site_cursor *cursor, bool ever,
                                   struct tm_group *group, struct tm_flaw *flaw)
{
    const struct tm_site *site = &cursor->site;
    const struct tm_counters *counters = &cursor->counters;
    *group = (struct tm_group){.domain = site->domain,
                               .shortened = site->flags & TM_SITE_SHORTENED,
                               .size = cursor->size,
                               .count = cursor->count};
    if (ever && cursor->counters_lost) {
        tm_flaw_corrupt(flaw, cursor->address);
        return NULL;
    }
    switch (cursor->liveness) {
    case TM_SITE_DEAD:
        if (!ever || counters->allocations == 0)
            return NULL;
        // fall through
    case TM_SITE_LIVE:
        return tm_site_traceback(tracebacks, site, &group->traceback, flaw);
    case TM_SITE_IMPLAUSIBLE:
        tm_flaw_corrupt(flaw, cursor->address);
        return NULL;
    default:
        return NULL;
    }
}

static struct tm_error *add_group(struct tm_snapshot *snapshot, const struct tm_site_cursor *cursor, bool ever,
                                  struct tm_group *group)
{
    const struct tm_counters *counters = &cursor->counters;
    if (cursor->estimate.samples) {
        group->estimate = tm_snapshot_estimate(snapshot, &cursor->estimate);
        if (!group->estimate)
            return tm_error_no_memory();
        group->size = tm_estimate_size(&cursor->estimate);
        group->count = tm_estimate_count(&cursor->estimate);
    }
    const struct tm_churn churn = {counters->allocated, counters->allocations, counters->freed, counters->frees};
    if (ever && (counters->allocations || counters->frees)) {
        group->churn = tm_snapshot_churn(snapshot, &churn);
        if (!group->churn)
            return tm_error_no_memory();
    }
    return tm_snapshot_add(snapshot, group);
}

static struct tm_error *collect_groups(struct tm_table *table, const struct tm_host *host,
                                       struct tm_tracebacks *tracebacks, bool ever, struct tm_snapshot *snapshot)
{
    struct tm_site_cursor cursor = {.table = table, .host = host};
    struct tm_flight flight = {0};
    while (!cursor.error && tm_site_next(&cursor)) {
        struct tm_group group;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        tm_flight_note(&flight, &cursor);
        cursor.error = make_group(tracebacks, &cursor, ever, &group, &flaw);
        tm_damage_add_traceback(&snapshot->damage, &flaw, group.traceback);
        if (!cursor.error && group.traceback)
            cursor.error = add_group(snapshot, &cursor, ever, &group);
    }
    snapshot->in_flight = tm_flight_end(table, &flight, &snapshot->damage);
    return cursor.error;
}

struct tm_error *tm_table_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   bool ever, struct tm_snapshot *result)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_tracebacks tracebacks;
    // What is missing from the other arrays matters only where a site needs it, and is counted with the site.
    struct tm_error *error = tm_table_sample_period(table, &result->sample_period);
    if (!error)
        error = tm_sites_load(table, host, &result->damage);
    if (!error)
        error = tm_table_load_texts(table, host);
    if (!error)
        error = tm_table_own_bytes(table, host, &result->table_bytes);
    if (error)
        return error;
    error = tm_sites_confirm(table, host);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    result->has_functions = true;
    result->has_churn = !tm_table_is_lean(table);
    result->lean = tm_table_is_lean(table);
    if (ever && result->has_churn)
        tm_damage_merge(&result->damage, &table->counters.damage);
    result->codes_full = tm_table_full(table) & (TM_FULL_CODES | TM_FULL_STRINGS | TM_FULL_BYTES);
    error = tm_table_tracebacks(table, pool, host, &tracebacks);
    if (!error)
        error = collect_groups(table, host, &tracebacks, ever, result);
    tm_table_excuse(table, &result->damage);
    tm_damage_explain(&result->damage, table->target);
    tm_tracebacks_deinit(&tracebacks);
    return error;
}
