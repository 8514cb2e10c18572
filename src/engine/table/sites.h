/**
 * Sites: which live blocks each site has, and the loop over all of them.
 *
 * In the full profile counters say so, in the lean one a census of the map does. An update changes them and the root by
 * several stores. A core may be taken between two of them: what one update explains is *in flight* and is no damage.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_SITES_H
#define TRACEMORTEM_ENGINE_TABLE_SITES_H

#include "engine/table/table.h"
#include "engine/table/tracebacks.h"

/** No program has so many live blocks or bytes: larger counters are damaged, or were read between two stores. */
#define TM_COUNTER_LIMIT (UINT64_C(1) << 60)

enum tm_liveness {
    TM_SITE_DEAD,        // no live block
    TM_SITE_LIVE,        // has live blocks
    TM_SITE_TORN,        // bytes without a block: in the middle of an update, or damaged
    TM_SITE_IMPLAUSIBLE, // damaged
};

/** The record of a site. False with `flaw` set: it cannot be read, is free, or has changed since it was written. */
bool tm_site_get(const struct tm_records *sites, uint64_t id, struct tm_site *site, struct tm_flaw *flaw);

/** The traceback of a site, as tm_tracebacks_get(); its one frame is marked where the table had no room for any. */
struct tm_error *tm_site_traceback(struct tm_tracebacks *tracebacks, const struct tm_site *site,
                                   const struct tm_traceback **result, struct tm_flaw *flaw);

/** Count the flaw of a traceback: what has it is left out, or, with a traceback, lacks its older frames. */
void tm_damage_add_traceback(struct tm_damage *damage, const struct tm_flaw *flaw,
                             const struct tm_traceback *traceback);

/**
 * Load sites and what counts their blocks. The census is taken in the lean profile, and in the full one where counters are
 * missing or do not agree with the root. `damage` is what is missing from the counts.
 */
struct tm_error *tm_sites_load(struct tm_table *table, const struct tm_host *host, struct tm_damage *damage);

/**
 * Of a running process: read the sites again, after all that they led to was read. Those that are not what they were are
 * forgotten. A site that is the same, with its generation, was so all the time: then so was all that it leads to, and a
 * slot that was read meanwhile and has its id means this site. For any other process nothing is done.
 */
struct tm_error *tm_sites_confirm(struct tm_table *table, const struct tm_host *host);

/** A loop over all sites in use, once loaded. The damage of tm_sites_load() counts those that cannot be read. */
struct tm_site_cursor {
    const struct tm_table *table;
    const struct tm_host *host;
    uint64_t id;      // of the current site; 0 before the first
    uint64_t address; // of its record
    struct tm_site site;
    struct tm_counters counters; // all 0 where there are none
    bool counters_lost;          // they are damaged
    enum tm_liveness liveness;
    uint64_t count, size;        // live, as recorded
    struct tm_estimate estimate; // of all live blocks, where these are samples
    struct tm_error *error;      // of the host: it ends the loop, and the caller owns it
};

/** Go on to the next site. False: that was the last one, or the cursor has an error. */
bool tm_site_next(struct tm_site_cursor *cursor);

/**
 * Bytes in live blocks, as the root counts them. It may be negative, as an int64_t: where threads without the
 * interpreter's lock allocate while tracing stops and starts, it can stay wrong.
 */
uint64_t tm_root_traced(const struct tm_root *root);

/** What is in flight: an update changes the site or the map while the root does not count it. All zero at first. */
struct tm_flight {
    uint64_t bytes;      // of all sites
    uint64_t torn_bytes; // of the torn ones among them
    uint64_t torn;
    uint64_t torn_address; // of the first
};

/** For each site of a loop. */
void tm_flight_note(struct tm_flight *flight, const struct tm_site_cursor *cursor);
/** After the loop: how many bytes are in flight. What no update explains is added to the damage. */
uint64_t tm_flight_end(const struct tm_table *table, const struct tm_flight *flight, struct tm_damage *damage);

#endif
