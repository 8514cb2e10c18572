/**
 * File names as CPython's tracemalloc has them: str objects of every kind, or from 3.15 on UTF-8 with a NUL at the
 * end.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_STRINGS_H
#define TRACEMORTEM_ENGINE_STOCK_STRINGS_H

#include "engine/model/pool.h"
#include "engine/stock/layout.h"
#include "engine/target/heap_cache.h"

/** Longer names count as damaged: no system has paths of this length. */
#define TM_STOCK_NAME_LIMIT 65536u // characters

struct tm_stock_name {
    const struct tm_name *name; // NULL: it cannot be read, and
    bool unreadable;            // its memory is missing, else it makes no sense
    uint64_t hash;              // the name's part of a traceback's hash
};

/** Fails only if interrupted or if there is no memory. */
struct tm_error *tm_stock_name_read(struct tm_heap_cache *heap, const struct tm_stock_layout *layout, uint64_t address,
                                    struct tm_pool *pool, struct tm_stock_name *result);

#endif
