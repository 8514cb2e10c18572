// The counters of sites, and what is in flight.

#include "engine/table/sites.h"

#include "engine/base/host.h"
#include "layout/hash.h"

#define SITES_BETWEEN_CHECKS 4096u

// Whether a site's hash fits: it covers all but the counters.
static bool is_as_written(uint64_t id, const struct tm_site *site)
{
    return site->hash == tm_site_hash(id, site);
}

enum tm_liveness tm_site_liveness(uint64_t id, const struct tm_site *site, uint64_t *count, uint64_t *size)
{
    *count = site->allocations - site->frees;
    *size = site->allocated - site->freed;
    if (!is_as_written(id, site))
        return TM_SITE_IMPLAUSIBLE;
    if (*count == 0 && *size == 0)
        return TM_SITE_DEAD;
    if (*count > TM_COUNTER_LIMIT || *size > TM_COUNTER_LIMIT)
        return TM_SITE_IMPLAUSIBLE;
    return *count == 0 ? TM_SITE_TORN : TM_SITE_LIVE;
}

void tm_flight_note(struct tm_flight *flight, enum tm_liveness liveness, uint64_t size, uint64_t address)
{
    if (liveness == TM_SITE_LIVE || liveness == TM_SITE_TORN)
        flight->bytes += size;
    if (liveness != TM_SITE_TORN)
        return;
    flight->torn_bytes += size;
    if (flight->torn++ == 0)
        flight->torn_address = address;
}

uint64_t tm_root_traced(const struct tm_root *root)
{
    return root->owned.traced + root->shared.traced;
}

// Adds what no update explains to the damage.
uint64_t tm_flight_end(const struct tm_table *table, const struct tm_flight *flight, struct tm_damage *damage)
{
    const struct tm_root *root = &table->place.root;
    uint64_t traced = tm_root_traced(root), bytes = flight->bytes - traced;
    // While traces are cleared, or where sites are missing, the two counts cannot be compared.
    if (root->state != TM_STATE_TRACING || damage->unreadable_records || damage->corrupt_records)
        return 0;
    // The root never counts more than the sites do.
    bool possible = bytes <= TM_COUNTER_LIMIT || (int64_t)traced < 0;
    if (!possible || (flight->torn && bytes < flight->torn_bytes)) {
        struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = table->place.address};
        if (flight->torn)
            flaw.address = flight->torn_address;
        tm_damage_add(damage, &flaw, flight->torn ? flight->torn : 1);
    }
    return possible ? bytes : 0;
}

bool tm_site_next(struct tm_site_cursor *cursor)
{
    for (;;) {
        struct tm_flaw ignored = {.kind = TM_FLAW_NONE};
        cursor->id = tm_records_skip(cursor->sites, cursor->id + 1);
        if (cursor->id >= cursor->sites->count)
            return false;
        if (cursor->id % SITES_BETWEEN_CHECKS == 0) {
            cursor->error = tm_host_check(cursor->host);
            if (cursor->error)
                return false;
        }
        if (tm_records_get(cursor->sites, cursor->id, &cursor->site, sizeof(cursor->site), &ignored))
            return true;
    }
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

bool tm_site_get(const struct tm_records *sites, uint64_t id, struct tm_site *site, struct tm_flaw *flaw)
{
    return tm_records_get(sites, id, site, sizeof(*site), flaw) &&
           (is_as_written(id, site) || tm_flaw_corrupt(flaw, tm_records_address(sites, id)));
}
