// The live blocks of sites, and what is in flight.

#include "engine/table/sites.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/table/census.h"
#include "engine/target/target.h"
#include "layout/hash.h"

#define SITES_BETWEEN_CHECKS 4096u

static bool is_good(uint64_t id, const struct tm_site *site)
{
    return site->node != 0 && site->hash == tm_site_hash(id, site);
}

bool tm_site_get(const struct tm_records *sites, uint64_t id, struct tm_site *site, struct tm_flaw *flaw)
{
    return tm_records_get(sites, id, site, sizeof(*site), flaw) &&
           (is_good(id, site) || tm_flaw_corrupt(flaw, tm_records_address(sites, id)));
}

struct tm_error *tm_site_traceback(struct tm_tracebacks *tracebacks, const struct tm_site *site,
                                   const struct tm_traceback **result, struct tm_flaw *flaw)
{
    bool cut = site->flags & TM_SITE_CUT;
    // This node is also that of blocks which had no frame; those are not shortened.
    if (site->node == TM_NODE_UNKNOWN && site->flags & TM_SITE_SHORTENED) {
        const struct tm_frame frame = {.file_name = tracebacks->unknown, .not_recorded = true};
        uint32_t total = cut && site->total_frames == 1 ? TM_TOTAL_UNKNOWN : site->total_frames;
        return tm_pool_traceback(tracebacks->pool, &frame, 1, total, result);
    }
    return tm_tracebacks_get(tracebacks, site->node, site->total_frames, cut, result, flaw);
}

void tm_damage_add_traceback(struct tm_damage *damage, const struct tm_flaw *flaw, const struct tm_traceback *traceback)
{
    if (flaw->kind == TM_FLAW_NONE)
        return;
    if (!traceback) {
        tm_damage_add(damage, flaw, 1);
        return;
    }
    damage->partial_tracebacks = tm_add_saturating(damage->partial_tracebacks, 1);
    damage->unreadable_bytes = tm_add_saturating(damage->unreadable_bytes, flaw->bytes);
    if (damage->first_address == 0)
        damage->first_address = flaw->address;
}

// ---------------------------------------------------------------------------------------------------------------
// Counting

uint64_t tm_root_traced(const struct tm_root *root)
{
    return root->owned.traced + root->shared.traced;
}

// The root never counts more than the sites do, and than the map has.
static bool agrees(const struct tm_root *root, uint64_t bytes)
{
    uint64_t traced = tm_root_traced(root);
    return bytes - traced <= TM_COUNTER_LIMIT || (int64_t)traced < 0;
}

// Whether the counters of all sites are there, and are no less than the root's.
static bool counters_are_sound(const struct tm_table *table)
{
    const struct tm_root *root = &table->place.root;
    uint64_t sum = 0;
    if (table->counters.damage.unreadable_records || table->counters.damage.corrupt_records ||
        table->counters.count < table->sites.count)
        return false;
    if (root->state != TM_STATE_TRACING || table->sites.damage.unreadable_records)
        return true;
    for (uint64_t id = 1; (id = tm_records_skip(&table->counters, id)) < table->sites.count; id++) {
        struct tm_counters counters;
        const void *bytes = tm_records_peek(&table->counters, id);
        if (!bytes)
            continue;
        memcpy(&counters, bytes, sizeof(counters));
        if (counters.allocated - counters.freed <= TM_COUNTER_LIMIT)
            sum += counters.allocated - counters.freed;
    }
    return agrees(root, sum);
}

static struct tm_error *take_census(struct tm_table *table, const struct tm_host *host)
{
    struct tm_error *error = tm_records_load(&table->tracked, host, "reading tracked blocks");
    if (!error)
        error = tm_table_load_map(table, host);
    if (error || table->census)
        return error;
    struct tm_census *census = calloc(1, sizeof(*census));
    if (!census)
        return tm_error_no_memory();
    error = tm_census_init(census, table, host);
    if (error) { // nothing half counted is kept
        tm_census_deinit(census);
        free(census);
        return error;
    }
    table->census = census;
    return NULL;
}

struct tm_error *tm_sites_load(struct tm_table *table, const struct tm_host *host, struct tm_damage *damage)
{
    struct tm_error *error = tm_records_load(&table->sites, host, "reading allocation sites");
    tm_table_refresh(table);
    bool has_counters = !tm_table_is_lean(table);
    if (!error && has_counters)
        error = tm_records_load(&table->counters, host, "reading counters");
    if (!error && has_counters && table->running)
        error = tm_records_settle(&table->counters, host);
    if (!error && !(has_counters && counters_are_sound(table)))
        error = take_census(table, host);
    if (error)
        return error;
    tm_damage_merge(damage, &table->sites.damage);
    tm_damage_merge(damage, &table->place.damage);
    if (!table->census)
        return NULL;
    tm_damage_merge(damage, &table->census->damage);
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = table->sites.array_address};
    tm_damage_add(damage, &flaw, table->census->counts.of[0].blocks); // which have no site
    return NULL;
}

// A generation has 8 bits, and each collection makes another one: more collections than that, and it may be the same again.
#define COLLECTIONS_MOST 250u

struct tm_error *tm_sites_confirm(struct tm_table *table, const struct tm_host *host)
{
    struct tm_root_place now = table->place;
    uint64_t changed;
    if (!table->running)
        return NULL;
    struct tm_error *error = tm_records_confirm(&table->sites, host, &changed);
    if (error)
        return error;
    if (!tm_root_read_again(table->target, &now))
        return tm_error_create(TM_ERROR_FAULT, "the trace table cannot be read any more");
    if (now.root.reuses - table->reuses > COLLECTIONS_MOST)
        return tm_error_create(TM_ERROR_CORRUPT,
                               "the process used its records again so often while they were read that they cannot be "
                               "told apart\nHold it still: --stop");
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The loop

static enum tm_liveness liveness_of(const struct tm_site_cursor *cursor)
{
    bool good = is_good(cursor->id, &cursor->site);
    if (cursor->count == 0 && cursor->size == 0)
        return good || cursor->site.node == 0 ? TM_SITE_DEAD : TM_SITE_IMPLAUSIBLE;
    if (!good || cursor->count > TM_COUNTER_LIMIT || cursor->size > TM_COUNTER_LIMIT)
        return TM_SITE_IMPLAUSIBLE;
    return cursor->count == 0 ? TM_SITE_TORN : TM_SITE_LIVE;
}

static void count_current(struct tm_site_cursor *cursor)
{
    const struct tm_table *table = cursor->table;
    const void *bytes = tm_table_is_lean(table) ? NULL : tm_records_peek(&table->counters, cursor->id);
    cursor->counters = (struct tm_counters){0};
    if (bytes)
        memcpy(&cursor->counters, bytes, sizeof(cursor->counters));
    cursor->count = cursor->counters.allocations - cursor->counters.frees;
    cursor->size = cursor->counters.allocated - cursor->counters.freed;
    cursor->estimate = (struct tm_estimate){0};
    cursor->counters_lost = cursor->count > TM_COUNTER_LIMIT || cursor->size > TM_COUNTER_LIMIT;
    if (table->census) {
        cursor->count = table->census->counts.of[cursor->id].blocks;
        cursor->size = table->census->counts.of[cursor->id].bytes;
        if (table->census->estimates)
            cursor->estimate = table->census->estimates[cursor->id];
    }
    cursor->liveness = liveness_of(cursor);
}

bool tm_site_next(struct tm_site_cursor *cursor)
{
    const struct tm_records *sites = &cursor->table->sites;
    for (;;) {
        struct tm_flaw ignored = {.kind = TM_FLAW_NONE};
        cursor->id = tm_records_skip(sites, cursor->id + 1);
        if (cursor->id >= sites->count)
            return false;
        if (cursor->id % SITES_BETWEEN_CHECKS == 0) {
            cursor->error = tm_host_check(cursor->host);
            if (cursor->error)
                return false;
        }
        if (!tm_records_get(sites, cursor->id, &cursor->site, sizeof(cursor->site), &ignored))
            continue;
        cursor->address = tm_records_address(sites, cursor->id);
        count_current(cursor);
        if (cursor->site.node || cursor->liveness != TM_SITE_DEAD)
            return true; // a free record has no blocks
    }
}

// ---------------------------------------------------------------------------------------------------------------
// In flight

void tm_flight_note(struct tm_flight *flight, const struct tm_site_cursor *cursor)
{
    if (cursor->liveness == TM_SITE_LIVE || cursor->liveness == TM_SITE_TORN)
        flight->bytes += cursor->size;
    if (cursor->liveness != TM_SITE_TORN)
        return;
    flight->torn_bytes += cursor->size;
    if (flight->torn++ == 0)
        flight->torn_address = cursor->address;
}

// Adds what no update explains to the damage.
uint64_t tm_flight_end(const struct tm_table *table, const struct tm_flight *flight, struct tm_damage *damage)
{
    const struct tm_root *root = &table->place.root;
    uint64_t all = table->census ? table->census->bytes : flight->bytes, bytes = all - tm_root_traced(root);
    // While traces are cleared, or where sites or blocks are missing, the two counts cannot be compared. Nor can they where
    // they are of two moments.
    if (tm_target_is_moving(table->target) || root->state != TM_STATE_TRACING || damage->unreadable_records ||
        damage->corrupt_records)
        return 0;
    bool possible = agrees(root, all);
    if (!possible || (flight->torn && bytes < flight->torn_bytes)) {
        struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = table->place.address};
        if (flight->torn)
            flaw.address = flight->torn_address;
        tm_damage_add(damage, &flaw, flight->torn ? flight->torn : 1);
    }
    return possible && bytes <= TM_COUNTER_LIMIT ? bytes : 0;
}
