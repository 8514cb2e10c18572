// Snapshots: each site with live blocks is a group.

#include "engine/table/answers.h"
#include "engine/table/sites.h"

// The group of one site, if it has live blocks; a flaw if something is wrong with it.
static struct tm_error *make_group(struct tm_tracebacks *tracebacks, const struct tm_site_cursor *cursor,
                                   struct tm_flight *flight, struct tm_group *group, struct tm_flaw *flaw)
{
    const struct tm_site *site = &cursor->site;
    uint64_t address = tm_records_address(cursor->sites, cursor->id);
    *group = (struct tm_group){.domain = site->domain};
    enum tm_liveness liveness = tm_site_liveness(cursor->id, site, &group->count, &group->size);
    tm_flight_note(flight, liveness, group->size, address);
    switch (liveness) {
    case TM_SITE_LIVE:
        return tm_tracebacks_get(tracebacks, site->node, site->total_frames, &group->traceback, flaw);
    case TM_SITE_IMPLAUSIBLE:
        tm_flaw_corrupt(flaw, address);
        return NULL;
    default:
        return NULL;
    }
}

static struct tm_error *collect_groups(struct tm_table *table, const struct tm_host *host,
                                       struct tm_tracebacks *tracebacks, struct tm_snapshot *snapshot)
{
    struct tm_site_cursor cursor = {.sites = &table->sites, .host = host};
    struct tm_flight flight = {0};
    while (!cursor.error && tm_site_next(&cursor)) {
        struct tm_group group;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        cursor.error = make_group(tracebacks, &cursor, &flight, &group, &flaw);
        tm_damage_add(&snapshot->damage, &flaw, 1);
        if (!cursor.error && group.traceback)
            cursor.error = tm_snapshot_add(snapshot, &group);
    }
    snapshot->in_flight = tm_flight_end(table, &flight, &snapshot->damage);
    return cursor.error;
}

struct tm_error *tm_table_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   struct tm_snapshot *result)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_tracebacks tracebacks;
    struct tm_error *error = tm_table_load_sites(table, host);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    result->table_bytes = tm_table_own_bytes(table);
    // What is missing from the other arrays matters only where a site needs it, and is counted with the site.
    result->damage = table->sites.damage;
    error = tm_table_tracebacks(table, pool, host, &tracebacks);
    if (!error)
        error = collect_groups(table, host, &tracebacks, result);
    tm_damage_explain(&result->damage, table->target);
    tm_tracebacks_deinit(&tracebacks);
    return error;
}
