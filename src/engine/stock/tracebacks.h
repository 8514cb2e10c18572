/**
 * Tracebacks of CPython's tracemalloc, each added to the pool once. CPython keeps a hash in each: only if that is the
 * hash of its frames is it accepted, so a wrong pointer, a wrong layout or reused memory does not pass for a
 * traceback.
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

/** The answer for one address. */
struct tm_stock_traceback {
    uint64_t address;
    const struct tm_traceback *traceback; // NULL: it cannot be read, and
    bool unreadable;                      // its memory is missing, else it makes no sense
};

struct tm_error *tm_stock_tracebacks_init(struct tm_stock_tracebacks *tracebacks, struct tm_heap_cache *heap,
                                          const struct tm_stock_layout *layout, struct tm_pool *pool,
                                          uint64_t unknown_name);
void tm_stock_tracebacks_deinit(struct tm_stock_tracebacks *tracebacks);
/** Fails only if interrupted or if there is no memory. */
struct tm_error *tm_stock_traceback_get(struct tm_stock_tracebacks *tracebacks, uint64_t address,
                                        const struct tm_stock_traceback **result);

#endif
