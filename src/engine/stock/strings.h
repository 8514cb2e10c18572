/**
 * Names of files as CPython's tracemalloc has them: str objects of every kind, or from 3.15 on UTF-8 with a NUL behind.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_STRINGS_H
#define TRACEMORTEM_ENGINE_STOCK_STRINGS_H

#include "engine/model/pool.h"
#include "engine/stock/layout.h"
#include "engine/target/heap_cache.h"

/** Longer names are taken for damaged: no system has paths of this length. */
#define TM_STOCK_NAME_LIMIT 65536u // characters

struct tm_stock_name {
    const struct tm_name *name; // NULL: it cannot be told, and
    bool unreadable;            // its memory is missing, else it makes no sense
    uint64_t hash;              // what a traceback's hash has of it
};

/** Fails only if interrupted or for want of memory. */
struct tm_error *tm_stock_name_read(struct tm_heap_cache *heap, const struct tm_stock_layout *layout, uint64_t address,
                                    struct tm_pool *pool, struct tm_stock_name *result);

#endif
