/**
 * Sites: what a site's record counts, and the loop over all of them. Knows no block.
 *
 * A site counts blocks by additions which are not one step with the rest of an update. So a core may be taken between two of
 * them; what one update explains is *in flight* and no damage.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_SITES_H
#define TRACEMORTEM_ENGINE_TABLE_SITES_H

#include "engine/table/table.h"
#include "engine/table/tracebacks.h"

/** No program has so many live blocks or bytes: counters beyond are damaged, or were read between two stores. */
#define TM_COUNTER_LIMIT (UINT64_C(1) << 60)

enum tm_liveness {
    TM_SITE_DEAD,        // no live block
    TM_SITE_LIVE,        //
    TM_SITE_TORN,        // bytes without a block: in the middle of an update, or damaged
    TM_SITE_IMPLAUSIBLE, // damaged
};

/** Of the site with this id and record; *count and *size are its live blocks and their bytes. */
enum tm_liveness tm_site_liveness(uint64_t id, const struct tm_site *site, uint64_t *count, uint64_t *size);

/** The record of a site. False with `flaw` set: it cannot be read, or is not what was written. */
bool tm_site_get(const struct tm_records *sites, uint64_t id, struct tm_site *site, struct tm_flaw *flaw);

/** The traceback of a site, as tm_tracebacks_get(); its one frame is marked where the table had no room for any. */
struct tm_error *tm_site_traceback(struct tm_tracebacks *tracebacks, const struct tm_site *site,
                                   const struct tm_traceback **result, struct tm_flaw *flaw);

/** A loop over all sites that can be read. What cannot be read is in the damage of the loaded array already. */
struct tm_site_cursor {
    const struct tm_records *sites; // loaded
    const struct tm_host *host;
    uint64_t id; // of the current site, as `site` is its record; 0 before the first
    struct tm_site site;
    struct tm_error *error; // of the host: ends the loop, and is the caller's
};

/** On to the next site. False: there is none, or the cursor has an error. */
bool tm_site_next(struct tm_site_cursor *cursor);

/**
 * Bytes in live blocks, as the root counts them. (int64_t) < 0, less than nothing, where threads without the interpreter's
 * lock allocated while tracing stopped and started: then it may be off for good.
 */
uint64_t tm_root_traced(const struct tm_root *root);

/** What is in flight: its site counts an update first, the root last. All zero at first. */
struct tm_flight {
    uint64_t bytes;      // of all sites
    uint64_t torn_bytes; // of the torn ones among them
    uint64_t torn;
    uint64_t torn_address; // of the first
};

/** For each site of a loop; `address` is its record's. */
void tm_flight_note(struct tm_flight *flight, enum tm_liveness liveness, uint64_t size, uint64_t address);
/** After the loop: how many bytes are in flight. What no update explains is added to the damage. */
uint64_t tm_flight_end(const struct tm_table *table, const struct tm_flight *flight, struct tm_damage *damage);

#endif
