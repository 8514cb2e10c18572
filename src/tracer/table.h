/**
 * The trace table's root and arrays: making them, and appending to them.
 *
 * Who may write: table_lock() protects all appending (arrays, leaves, grids, lists). Slots and entries belong to the owner
 * of the block. Counters are plain or atomic as tm_site.flags says.
 */
#ifndef TRACEMORTEM_TRACER_TABLE_H
#define TRACEMORTEM_TRACER_TABLE_H

#include <stdbool.h>

#include "cpython.h"
#include "layout/trace_table.h"

/** The exported variable by which a debugger finds the table: the root's address. Its name is TM_ROOT_SYMBOL. */
extern uint64_t tracemortem_root;

/** The one table of this process. Never NULL in the hooks. */
extern struct tm_root *table;

/** Both do nothing while this thread is inside fork(), between our handlers: it has the lock already, and so has its child. */
void table_lock(void);
void table_unlock(void);

/** Make the table, in state TM_STATE_LOADED. NULL, or why not. Again is no error. */
const char *table_create(void);

/** Zeroed memory, aligned to 64 bytes, never given back; from the root's own mapping while that lasts. NULL: no memory.
 * Holding the lock. */
void *table_allocate(size_t size);
/** Zeroed memory in a mapping of its own, which the table lists. NULL: no memory. Holding the lock. */
void *table_map(size_t size, enum tm_own_kind kind);
/** Give such memory back. Holding the lock. */
void table_unmap(void *memory, size_t size);

/** The place of one more record at the end of `array`, to be filled in; NULL: no memory or no room. Holding the lock. */
void *table_append(struct tm_array *array);
/** Publish the record that table_append() gave, and its copy. Returns its id. Holding the lock. */
uint32_t table_publish(struct tm_array *array);
/** A record has changed: so does its copy, if there is one. Holding the lock. */
void table_copy(struct tm_array *array, uint64_t id);
/** Copy bytes to the end of `bytes`, where they take a multiple of `step`. False: no memory. Holding the lock. */
bool table_append_bytes(const void *bytes, uint32_t length, unsigned step, tm_position *position);
/** Copy bytes to a place that nothing refers to. Holding the lock. */
void table_write_bytes(tm_position position, const void *bytes, uint32_t length);

/** log2 of the number of records in the first chunk. First chunks are small, so that small programs touch little memory. */
enum {
    BYTES_SHIFT = 14,
    STRINGS_SHIFT = 8,
    CODES_SHIFT = 7,
    NODES_SHIFT = 9,
    SITES_SHIFT = 8,
    COUNTERS_SHIFT = 7,
    LEAVES_SHIFT = 6,
    TRACKED_SHIFT = 5,
    ARENAS_SHIFT = 6,
    OWN_SHIFT = 6,
};

/** The least, default and greatest limit for the number of sites; TRACEMORTEM_RECORDS in the environment sets it. */
enum { RECORDS_LEAST = 1 << 10, RECORDS_DEFAULT = 1 << 21, RECORDS_MOST = 4000000 };
_Static_assert(RECORDS_MOST < TM_SITE_LIMIT, "a few sites more are made when there is no room");

/** The address of record `id` < count of an array of records of `size` bytes. */
static ALWAYS_INLINE void *table_record(const struct tm_array *array, uint64_t id, unsigned first_shift, size_t size)
{
    uint64_t index = id + (UINT64_C(1) << first_shift);
    unsigned log = 63 ^ (unsigned)__builtin_clzll(index);
    return (char *)array->chunk[log - first_shift] + (index - (UINT64_C(1) << log)) * size;
}

#define TABLE_SITE(id) ((struct tm_site *)table_record(&table->sites, (id), SITES_SHIFT, sizeof(struct tm_site)))
#define TABLE_COUNTERS(id) \
    ((struct tm_counters *)table_record(&table->counters, (id), COUNTERS_SHIFT, sizeof(struct tm_counters)))
#define TABLE_LEAF(id) ((struct tm_leaf *)table_record(&table->leaves, (id), LEAVES_SHIFT, sizeof(struct tm_leaf)))
#define TABLE_ARENA(id) \
    ((struct tm_python_arena *)table_record(&table->arenas, (id), ARENAS_SHIFT, sizeof(struct tm_python_arena)))
#define TABLE_OWN(id) ((struct tm_own *)table_record(&table->own, (id), OWN_SHIFT, sizeof(struct tm_own)))
#define TABLE_NODE(id) ((struct tm_node *)table_record(&table->nodes, (id), NODES_SHIFT, sizeof(struct tm_node)))
#define TABLE_CODE(id) ((struct tm_code *)table_record(&table->codes, (id), CODES_SHIFT, sizeof(struct tm_code)))
#define TABLE_STRING(id) \
    ((struct tm_string *)table_record(&table->strings, (id), STRINGS_SHIFT, sizeof(struct tm_string)))
#define TABLE_TRACKED(id) \
    ((struct tm_tracked *)table_record(&table->tracked, (id), TRACKED_SHIFT, sizeof(struct tm_tracked)))

static inline const char *table_bytes(tm_position position)
{
    return table_record(&table->bytes, position, BYTES_SHIFT, 1);
}

static inline void table_lost_block(void)
{
    __atomic_fetch_add(&table->lost_blocks, 1, __ATOMIC_RELAXED);
}

static inline void table_lost_frame(void)
{
    __atomic_fetch_add(&table->lost_frames, 1, __ATOMIC_RELAXED);
}

/** Nanoseconds since 1970. */
uint64_t table_now(void);

#endif
