/**
 * The table's answers, each with a file of its own: the operations that table.c offers as a source. source_ops.h says
 * what each of them does.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_ANSWERS_H
#define TRACEMORTEM_ENGINE_TABLE_ANSWERS_H

#include "engine/table/table.h"
#include "engine/table/tracebacks.h"

struct tm_error *tm_table_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result);
struct tm_error *tm_table_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   bool ever, struct tm_snapshot *result);
struct tm_error *tm_table_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                               uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                               struct tm_damage *damage);
struct tm_error *tm_table_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                 tm_trace_visitor visit, void *context, struct tm_traces *result);

struct tm_error *tm_table_save(struct tm_source *source, const struct tm_host *host, const struct tm_save *save,
                               struct tm_saved *result);
struct tm_error *tm_table_memory(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                                 void *context);

/** The table behind a source of tm_table_open(). */
static inline struct tm_table *tm_table_of(struct tm_source *source)
{
    return (struct tm_table *)source;
}

/** How many bytes of memory the whole table takes: its arrays and the map. Once sites are loaded. */
struct tm_error *tm_table_own_bytes(struct tm_table *table, const struct tm_host *host, uint64_t *result);

/** Load all that tracebacks are made of. */
struct tm_error *tm_table_load_texts(struct tm_table *table, const struct tm_host *host);

/** Prepare tracebacks of the table's nodes. The caller calls tm_tracebacks_deinit(), even if this fails. */
struct tm_error *tm_table_tracebacks(const struct tm_table *table, struct tm_pool *pool, const struct tm_host *host,
                                     struct tm_tracebacks *tracebacks);

#endif
