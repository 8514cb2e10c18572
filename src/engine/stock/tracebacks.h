/**
 * Tracebacks of CPython's tracemalloc, each made into one of the pool once. One is believed if its hash, which CPython keeps
 * in it, is that of its frames: so a wrong pointer, a wrong layout or memory used anew does not pass for a traceback.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_TRACEBACKS_H
#define TRACEMORTEM_ENGINE_STOCK_TRACEBACKS_H

#include "engine/base/arena.h"
#include "engine/base/set.h"
#include "engine/model/source.h"
#include "engine/stock/strings.h"

struct tm_stock_tracebacks {
    struct tm_heap_cache *heap;
    const struct tm_stock_layout *layout;
    struct tm_pool *pool;
    uint64_t unknown_name; // 3.15: the address of "<unknown>", which is in the executable; 0: not known
    struct tm_arena arena;
    struct tm_set names;      // by address
    struct tm_set tracebacks; // by address
    struct tm_frame *frames;
    unsigned char *bytes;
};

/** One that was asked for. */
struct tm_stock_traceback {
    uint64_t address;
    const struct tm_traceback *traceback; // NULL: it cannot be told, and
    bool unreadable;                      // memory is missing, else it makes no sense
};

struct tm_error *tm_stock_tracebacks_init(struct tm_stock_tracebacks *tracebacks, struct tm_heap_cache *heap,
                                          const struct tm_stock_layout *layout, struct tm_pool *pool,
                                          uint64_t unknown_name);
void tm_stock_tracebacks_deinit(struct tm_stock_tracebacks *tracebacks);
/** Fails only if interrupted or for want of memory. */
struct tm_error *tm_stock_traceback_get(struct tm_stock_tracebacks *tracebacks, uint64_t address,
                                        const struct tm_stock_traceback **result);

#endif
