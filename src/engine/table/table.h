/**
 * The source for our own table: the trace table which our tracer writes (src/layout/trace_table.h).
 *
 * Knows what records mean together. Does not know how they are verified: open.c attaches that.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TABLE_H
#define TRACEMORTEM_ENGINE_TABLE_TABLE_H

#include "engine/model/source_ops.h"
#include "engine/table/map.h"
#include "engine/table/records.h"
#include "engine/table/root.h"

struct tm_census;

struct tm_table {
    struct tm_source source; // first
    struct tm_target *target;
    bool running;    // the process may run meanwhile
    uint64_t reuses; // root.reuses, before anything else was read
    struct tm_root_place place;
    struct tm_records bytes;
    struct tm_records strings;
    struct tm_records codes;
    struct tm_records nodes;
    struct tm_records sites;
    struct tm_records counters;
    struct tm_records leaves;
    struct tm_records tracked;
    struct tm_records arenas;
    struct tm_records own;
    bool has_map; // `map` was made of the leaves
    struct tm_map map;
    struct tm_census *census; // what was counted in the map; NULL: it was not needed so far
};

/** All arrays of the table, in the order of the root. */
#define TM_TABLE_ARRAYS 10
#define TM_TABLE_EACH_ARRAY(table)                                                                                 \
    {                                                                                                              \
        &(table)->bytes, &(table)->strings, &(table)->codes, &(table)->nodes, &(table)->sites, &(table)->counters, \
            &(table)->leaves, &(table)->tracked, &(table)->arenas, &(table)->own                                   \
    }

/** Whether it was written in the lean profile: nothing is counted but in the map. */
static inline bool tm_table_is_lean(const struct tm_table *table)
{
    return table->place.root.flags & TM_ROOT_LEAN;
}

/** Where only some blocks are recorded (TM_ROOT_SAMPLED), the mean distance of picked bytes; else 0. */
struct tm_error *tm_table_sample_period(const struct tm_table *table, uint64_t *result);

/** Finds the table and checks its root; the errors are those of tm_source_open(). */
struct tm_error *tm_table_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

/** The greatest number of sites, as the table says; 0: it does not say, or something absurd. */
uint64_t tm_table_record_limit(const struct tm_table *table);
/** How many records of an array are in use, the placeholder included, if so many are free as the root says. */
uint64_t tm_table_in_use(const struct tm_records *records, uint64_t free);
/** Which arrays have no more room: TM_FULL_*. */
uint32_t tm_table_full(const struct tm_table *table);

/**
 * Of a running process, after its sites were loaded: read the root again. What sites lead to is then below the counts of the
 * arrays that are not loaded yet.
 */
void tm_table_refresh(struct tm_table *table);
/** Of a process that moved while it was read: what contradicts the layout was probably read in the middle of a change. */
void tm_table_excuse(const struct tm_table *table, struct tm_damage *damage);

/** Load the leaves, so that `map` can be used. */
struct tm_error *tm_table_load_map(struct tm_table *table, const struct tm_host *host);
/** The table behind a source of tm_table_open(), with all its records loaded. The source owns it. */
struct tm_error *tm_table_load(struct tm_source *source, const struct tm_host *host, const struct tm_table **result);

#endif
