/**
 * Hash tables of CPython's tracemalloc: their heads, single keys, and a walk over all entries of one that may have
 * been stopped in the middle of a change. Knows what entries contain, and not what a traceback is.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_TABLE_H
#define TRACEMORTEM_ENGINE_STOCK_TABLE_H

#include "engine/model/source.h"
#include "engine/stock/layout.h"
#include "engine/target/heap_cache.h"

#define TM_STOCK_TABLE_SIZE 80u // bytes of a table's head, or more than it has

/** A table's head. Functions are addresses in the target; 0: 3.8 does not have it. */
struct tm_stock_table {
    enum tm_stock_shape shape;
    uint64_t address;
    uint64_t entries; // as it claims
    uint64_t buckets; // address of the array of heads of chains
    uint64_t bucket_count;
    uint64_t key_size, data_size; // 3.8
    uint64_t hash, compare, key_destroy, value_destroy, allocate, release;
    uint64_t lookup; // the function that finds an entry
};

/** Whether these bytes can be the head of a table of this shape. */
bool tm_stock_table_decode(enum tm_stock_shape shape, uint64_t address, const unsigned char *bytes,
                           struct tm_stock_table *table);
/** The same, read from the target. */
bool tm_stock_table_read(struct tm_target *target, enum tm_stock_shape shape, uint64_t address,
                         struct tm_stock_table *table);

/** What the keys are. */
enum tm_stock_keys {
    TM_STOCK_KEYS_BLOCKS, // addresses of blocks (in 3.8 with domains, once there are several)
    TM_STOCK_KEYS_DOMAINS // numbers of domains; the value is the table of each
};

/** A trace. For a table of domains: the domain, and the address of its table as `size`. */
struct tm_stock_trace {
    uint64_t address;
    uint64_t size;
    uint64_t traceback; // address of the traceback_t
    uint32_t group;     // for the caller: 0 at first
    uint32_t domain;
};

struct tm_stock_traces {
    struct tm_stock_trace *items;
    size_t count;
    size_t capacity;
};

/**
 * Add all entries of a table to `traces`, in no order, each key once. `busy`: a thread may have been changing the
 * table, so what looks torn is not trusted. What is left out is added to `damage`.
 */
struct tm_error *tm_stock_walk(struct tm_heap_cache *heap, const struct tm_host *host,
                               const struct tm_stock_table *table, enum tm_stock_keys keys, uint32_t domain, bool busy,
                               struct tm_stock_traces *traces, struct tm_damage *damage);

/** Ascending by address, those of one address by domain. */
struct tm_error *tm_stock_sort(struct tm_stock_traces *traces);

/** Find a single block without the walk. False: it is not there, or cannot be read. */
bool tm_stock_lookup(struct tm_target *target, const struct tm_stock_table *table, uint64_t address, uint32_t domain,
                     struct tm_stock_trace *trace);

#endif
