// Snapshots: each site with live blocks is a group.

#include "engine/table/answers.h"
#include "engine/table/sites.h"

// The group of one site, if it has live blocks or, with `ever`, had some; a flaw if something is wrong with it.
static struct tm_error *make_group(struct tm_tracebacks *tracebacks, const struct tm_site_cursor *cursor, bool ever,
                                   struct tm_flight *flight, struct tm_group *group, struct tm_flaw *flaw)
{
    const struct tm_site *site = &cursor->site;
    uint64_t address = tm_records_address(cursor->sites, cursor->id);
    *group = (struct tm_group){.domain = site->domain,
                               .shortened = site->flags & TM_SITE_SHORTENED,
                               .churn = {site->allocated, site->allocations, site->freed, site->frees}};
    enum tm_liveness liveness = tm_site_liveness(cursor->id, site, &group->count, &group->size);
    tm_flight_note(flight, liveness, group->size, address);
    switch (liveness) {
    case TM_SITE_DEAD:
        if (!ever || site->allocations == 0)
            return NULL;
        // fall through
    case TM_SITE_LIVE:
        return tm_site_traceback(tracebacks, site, &group->traceback, flaw);
    case TM_SITE_IMPLAUSIBLE:
        tm_flaw_corrupt(flaw, address);
        return NULL;
    default:
        return NULL;
    }
}

static struct tm_error *collect_groups(struct tm_table *table, const struct tm_host *host,
                                       struct tm_tracebacks *tracebacks, bool ever, struct tm_snapshot *snapshot)
{
    struct tm_site_cursor cursor = {.sites = &table->sites, .host = host};
    struct tm_flight flight = {0};
    while (!cursor.error && tm_site_next(&cursor)) {
        struct tm_group group;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        cursor.error = make_group(tracebacks, &cursor, ever, &flight, &group, &flaw);
        tm_damage_add(&snapshot->damage, &flaw, 1);
        if (!cursor.error && group.traceback)
            cursor.error = tm_snapshot_add(snapshot, &group);
    }
    snapshot->in_flight = tm_flight_end(table, &flight, &snapshot->damage);
    return cursor.error;
}

struct tm_error *tm_table_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   bool ever, struct tm_snapshot *result)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_tracebacks tracebacks;
    struct tm_error *error = tm_table_load_sites(table, host);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    result->has_functions = result->has_churn = true;
    result->codes_full = tm_table_full(table) & (TM_FULL_CODES | TM_FULL_STRINGS | TM_FULL_BYTES);
    result->table_bytes = tm_table_own_bytes(table);
    // What is missing from the other arrays matters only where a site needs it, and is counted with the site.
    result->damage = table->sites.damage;
    error = tm_table_tracebacks(table, pool, host, &tracebacks);
    if (!error)
        error = collect_groups(table, host, &tracebacks, ever, result);
    tm_damage_explain(&result->damage, table->target);
    tm_tracebacks_deinit(&tracebacks);
    return error;
}
