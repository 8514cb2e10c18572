/**
 * The source for our own table: the trace table which our tracer writes (src/layout/trace_table.h).
 *
 * Knows what records mean together. Does not know how they are verified: open.c attaches that.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TABLE_H
#define TRACEMORTEM_ENGINE_TABLE_TABLE_H

#include "engine/model/source_ops.h"
#include "engine/table/records.h"
#include "engine/table/root.h"

struct tm_table {
    struct tm_source source; // first
    struct tm_target *target;
    struct tm_root_place place;
    struct tm_records bytes;
    struct tm_records strings;
    struct tm_records codes;
    struct tm_records nodes;
    struct tm_records sites;
    struct tm_records tracked;
};

/** Finds the table and checks its root; the errors are those of tm_source_open(). */
struct tm_error *tm_table_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

/** The greatest number of sites, as the table says; 0: it does not say, or something absurd. */
uint64_t tm_table_record_limit(const struct tm_table *table);
/** Which arrays have no more room: TM_FULL_*. */
uint32_t tm_table_full(const struct tm_table *table);

/** The table behind a source of tm_table_open(), with all its records loaded. The source owns it. */
struct tm_error *tm_table_load(struct tm_source *source, const struct tm_host *host, const struct tm_table **result);

#endif
