/**
 * Reading a pickle without running it: the plain shapes that make up a tracemalloc snapshot, and nothing else.
 *
 * It reads None, int, str, tuple, list, dict, and objects of the two classes below, in the opcodes of pickle's
 * protocols 2 to 5. Anything else is an error that names it; no class is looked up and nothing is called. Memory and
 * time are bounded by the file's size. Knows the format and no meaning: that is source.c's.
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_UNPICKLE_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_UNPICKLE_H

#include "engine/base/host.h"
#include "engine/model/pool.h"

/** A value: a small number, or a pointer into the unpickled data. Cheap to copy. */
typedef struct {
    uint64_t word; // its low bits are an enum tm_pickled_kind
} tm_pickled;

enum tm_pickled_kind {
    TM_PICKLED_NONE = 1, // 0 is no value
    TM_PICKLED_NUMBER,
    TM_PICKLED_BIG_NUMBER, // of 61 to 64 bits
    TM_PICKLED_NEGATIVE,
    TM_PICKLED_STRING,
    TM_PICKLED_TUPLE,
    TM_PICKLED_LIST,
    TM_PICKLED_DICT,
    TM_PICKLED_CLASS,
    TM_PICKLED_OBJECT,
};

enum tm_pickled_class {
    TM_CLASS_SNAPSHOT, // tracemalloc.Snapshot
    TM_CLASS_TRACES,   // tracemalloc._Traces
};

struct tm_unpickled;

/** Read the pickle in a file. Its strings become names of `pool`, which must outlive the result. */
struct tm_error *tm_unpickle(struct tm_target *file, const struct tm_host *host, struct tm_pool *pool,
                             struct tm_unpickled **result);
void tm_unpickled_destroy(struct tm_unpickled *unpickled);
/** The one value in the file. */
tm_pickled tm_unpickled_value(const struct tm_unpickled *unpickled);

static inline enum tm_pickled_kind tm_pickled_kind(tm_pickled value)
{
    return (enum tm_pickled_kind)(value.word & 15);
}

/** For errors: "a tuple". */
const char *tm_pickled_describe(tm_pickled value);

/** False: it is not a number, or negative. */
bool tm_pickled_number(tm_pickled value, uint64_t *result);
/** NULL: it is not a string. */
const struct tm_name *tm_pickled_string(tm_pickled value);
/** The items of a tuple, or of a list; false: it is not one. They live as long as the unpickled data. */
bool tm_pickled_tuple(tm_pickled value, const tm_pickled **items, uint64_t *count);
bool tm_pickled_list(tm_pickled value, const tm_pickled **items, uint64_t *count);
/** The attribute `name` of an object of this class. False: it is no such object, or has no such attribute. */
bool tm_pickled_attribute(tm_pickled value, enum tm_pickled_class class_, const char *name, tm_pickled *result);

/** The error for a file whose values are wrong, TM_ERROR_CORRUPT: it says that the file is not a snapshot, and why. */
struct tm_error *tm_not_a_snapshot(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
