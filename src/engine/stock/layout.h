/**
 * Layouts of CPython's own tracemalloc: what its tables look like in memory, one row for each kind of CPython.
 *
 * All numbers are little-endian, and pointers have 8 bytes. What is the same in all versions:
 *
 *     frame_t      12 bytes, packed: name (pointer), u32 line; the most recent frame of a traceback comes first
 *     traceback_t  u64 hash, 4 bytes of frame counts, frames from byte 12
 *     trace_t      u64 size, traceback_t *
 *
 * The hash table of 3.8 has its traces in the entries, and one table for all domains once there are several:
 *
 *     table        nbuckets, nentries, buckets, key size, data size, hash, compare, malloc, free
 *     entry        next, key hash, key (u64, or packed u64 + u32 domain), trace_t
 *
 * From 3.9 on entries hold pointers, and each domain has its table:
 *
 *     table        nentries, nbuckets, buckets, get_entry, hash, compare, key_destroy, value_destroy, malloc, free
 *     entry        next, key hash, key, trace_t *
 *
 * Up to 3.11 the variables are static ones of _tracemalloc.c, in an order that the linker chose. From 3.12 on they
 * are together in _PyRuntime, at offsets that are the same up to 3.15. Knows no target.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_LAYOUT_H
#define TRACEMORTEM_ENGINE_STOCK_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define TM_STOCK_FRAME_SIZE 12u
#define TM_STOCK_FRAMES 12u // where a traceback's frames begin

/** Where the variables are from 3.12 on, from the start of _PyRuntime.tracemalloc. */
enum {
    TM_STOCK_INITIALIZED = 0, // int
    TM_STOCK_TRACING = 4,     // int
    TM_STOCK_MAX_NFRAME = 8,  // int
    TM_STOCK_MEM_MALLOC = 24, // allocators.mem.malloc: set since tracing was first started
    TM_STOCK_LOCK = 136,
    TM_STOCK_TRACED = 144,
    TM_STOCK_PEAK = 152,
    TM_STOCK_FILENAMES = 160,
    TM_STOCK_TRACEBACKS = 176,
    TM_STOCK_TRACES = 184,
    TM_STOCK_DOMAINS = 192,
    TM_STOCK_EMPTY_TRACEBACK = 200, // 3.15: a pointer
    TM_STOCK_STATE_SIZE = 208,      // so much of it is read
};

/** Fields of a str object, from its start. */
struct tm_stock_string {
    uint8_t length;
    uint8_t hash;
    uint8_t state;
    uint8_t kind_shift; // in the state: three bits of kind, then compact, ascii
    uint8_t ascii;      // characters of a compact ASCII string
    uint8_t compact;    // characters of another compact string
    uint8_t pointer;    // to the characters of a string that is not compact
};

enum tm_stock_shape {
    TM_STOCK_SHAPE_3_8,
    TM_STOCK_SHAPE_3_9,
};

struct tm_stock_layout {
    uint8_t first_minor; // of the versions 3.x with this layout
    uint8_t last_minor;
    bool free_threaded;
    enum tm_stock_shape shape;
    bool in_runtime; // the variables are in _PyRuntime
    bool mutex;      // the lock is a PyMutex; else a pointer to a semaphore
    bool utf8_names; // names are UTF-8 with a NUL at the end; else str objects
    struct tm_stock_string string;
};

/** The row for a version, or NULL. */
const struct tm_stock_layout *tm_stock_layout_of(unsigned minor, bool free_threaded);
/** "3.11", "3.9 to 3.11". */
void tm_stock_layout_versions(const struct tm_stock_layout *layout, char *buffer, unsigned capacity);

#endif
