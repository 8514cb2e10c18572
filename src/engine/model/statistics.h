/**
 * Statistics: the groups of a snapshot, grouped as Snapshot.statistics() of tracemalloc does. Knows no target and no
 * text.
 *
 * Names are interned in one pool (pool.h), so two places are equal if their pointers and lines are.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_STATISTICS_H
#define TRACEMORTEM_ENGINE_MODEL_STATISTICS_H

#include "engine/base/arena.h"
#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/base/set.h"
#include "engine/model/snapshot.h"

enum tm_key {
    TM_KEY_LINENO,
    TM_KEY_FILENAME,
    TM_KEY_TRACEBACK,
    TM_KEY_FUNCTION, // file name and function; tracemalloc has no such key
    TM_KEY_TYPE,     // the type of the object in a block; nor has it these
    TM_KEY_TYPE_LINENO,
    TM_KEY_TYPE_TRACEBACK,
};
#define TM_KEYS 7

/** "lineno", "filename", "traceback", as tracemalloc calls them; "function", "type", "type,lineno". */
const char *tm_key_name(enum tm_key key);
/** Whether blocks are grouped by type, alone or beside a place. */
bool tm_key_has_type(enum tm_key key);
/** The key without the type: lineno for "type,lineno". TM_KEY_TYPE has no such key, and is returned as it is. */
enum tm_key tm_key_place(enum tm_key key);
bool tm_key_from_name(const char *name, enum tm_key *result);

/** What a statistic is about: Statistic.traceback. */
struct tm_place {
    const struct tm_traceback *traceback; // for the key traceback; else NULL, and
    struct tm_frame frame;                // the only frame (line 0 for the keys filename and function)
    bool by_function;                     // for the key function: the function counts when places are compared
    const struct tm_name *type; // for keys with a type; else NULL. For the key type it is the frame's file name too
};
/** Whether the place is a type alone, and no place in a file. */
static inline bool tm_place_is_type(const struct tm_place *place)
{
    return place->type && !place->traceback && place->frame.file_name == place->type;
}
/** The place that a block with this traceback and type counts for, if it is not cumulative. */
struct tm_place tm_place_of(const struct tm_traceback *traceback, const struct tm_name *type, enum tm_key key);
/** The most recent frame of a traceback, or the only one. */
const struct tm_frame *tm_place_newest(const struct tm_place *place);
uint64_t tm_place_hash(const struct tm_place *place);
/** Of two equal places: whether the functions of their frames are the same too. */
bool tm_places_same_functions(const struct tm_place *a, const struct tm_place *b);
bool tm_places_equal(const struct tm_place *a, const struct tm_place *b);
int tm_places_compare(const struct tm_place *a, const struct tm_place *b);

/** Blocks whose answer lacks something, and their bytes. */
struct tm_lack {
    uint64_t size, count;
};

/** What rows are ordered by; each begins with tracemalloc's own order where what is asked for is equal. */
enum tm_order {
    TM_ORDER_SIZE,      // bytes live: tracemalloc's order
    TM_ORDER_COUNT,     // blocks live
    TM_ORDER_ALLOCATED, // bytes ever allocated
    TM_ORDER_FREED,     // bytes ever freed
};
#define TM_ORDERS 4
/** "size", "count", "allocated", "freed". */
const char *tm_order_name(enum tm_order order);

/** Sums saturate at 2^64 - 1; only a corrupt target gets there. */
struct tm_statistic {
    struct tm_place place;
    uint64_t size;
    uint64_t count;
    struct tm_estimate estimate; // of these two, where blocks are sampled
    const struct tm_group *last; // the group that was added last, and how often: once for each of its frames
    uint32_t times;
    uint64_t largest; // bytes of the greatest group in it: the place has this group's functions
    bool mixed;       // its groups have different functions at the same lines
    struct tm_churn churn;
    struct tm_lack not_recorded; // "<unknown>": the table had no room for the code objects
    struct tm_lack shortened;    // the table had no room for the oldest frames; for the key traceback
};

struct tm_statistics {
    struct tm_arena arena; // of the statistics
    struct tm_set set;     // by place
    void **items;          // struct tm_statistic *
    size_t count;
    uint64_t total_size; // of all groups. With `cumulative` the items overlap, and here each block counts once
    uint64_t total_count;
    uint64_t sample_period; // the snapshot's
    struct tm_estimate total_estimate;
    struct tm_churn total_churn;
    struct tm_lack not_recorded; // of blocks with a place that is not known, each block once
    struct tm_lack shortened;    // of blocks whose traceback matters for the key and lacks frames
};

/** In no order. `cumulative` is for all keys but traceback. The snapshot's pool must outlive the result. */
struct tm_error *tm_statistics_init(struct tm_statistics *statistics, const struct tm_host *host,
                                    const struct tm_snapshot *snapshot, enum tm_key key, bool cumulative);
void tm_statistics_deinit(struct tm_statistics *statistics);

/**
 * Note that a block with this traceback (NULL: one that no row counts) is a sample of the other side of a comparison, too:
 * so much variance of its places is shared. Key and `cumulative` are those of the statistics; a key without types.
 */
void tm_statistics_share(struct tm_statistics *statistics, const struct tm_traceback *traceback, enum tm_key key,
                         bool cumulative, const struct tm_pair *variance);

/** The statistic of a place, or NULL. */
const struct tm_statistic *tm_statistics_find(const struct tm_statistics *statistics, const struct tm_place *place);
/** tracemalloc's order of two struct tm_statistic: negative, 0, positive. */
int tm_statistics_compare(const void *a, const void *b);

/** The greatest `limit` first, by size in tracemalloc's order (size, count, traceback); the others in no order. */
struct tm_error *tm_statistics_sort(struct tm_statistics *statistics, const struct tm_host *host, enum tm_order order,
                                    size_t limit);

#endif
