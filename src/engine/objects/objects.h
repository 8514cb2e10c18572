/**
 * The objects of a target: what all files of this room share. Made once for each command, it knows the running CPython,
 * its type `type`, where modules have their data, and keeps every type that was looked at.
 *
 * Every fact here comes from the target and may be a lie: each read is checked and each length bounded, and what does not
 * fit together is called unknown. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_OBJECTS_H
#define TRACEMORTEM_ENGINE_OBJECTS_OBJECTS_H

#include "engine/base/arena.h"
#include "engine/base/set.h"
#include "engine/model/source.h"
#include "engine/objects/cpython.h"
#include "engine/target/heap_cache.h"
#include "engine/target/range.h"

struct tm_nodes;
struct tm_type;

struct tm_objects {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_pool *pool;
    struct tm_source *source;
    struct tm_heap_cache *heap;
    const struct tm_cpython *cpython;
    uint64_t runtime;             // _PyRuntime; 0: not known
    struct tm_range *data;        // the writable data of modules, ascending: static types are there
    size_t data_count;            // 0: not known
    struct tm_arena arena;        // of the types
    struct tm_set types;          // struct tm_type by address, and what turned out to be no type
    struct tm_type **list;        // the types that are some, by their numbers
    size_t type_count;            //
    size_t type_capacity;         //
    uint64_t type_type;           // the address of `type`
    uint64_t unnamed;             // types whose name cannot be read
    bool symbols_asked;           // for the names of types that cannot be read
    struct tm_set symbols;        // names by address
    const struct tm_nodes *nodes; // all live blocks, once they are listed; NULL before
};

/**
 * Fails with TM_ERROR_UNSUPPORTED where objects of this CPython cannot be read. The source's target, the host and the
 * pool must outlive it.
 */
struct tm_error *tm_objects_init(struct tm_objects *objects, struct tm_target *target, struct tm_source *source,
                                 const struct tm_host *host, struct tm_pool *pool);
void tm_objects_deinit(struct tm_objects *objects);

/** Reads of the target, which all may fail. */
static inline bool tm_objects_read(struct tm_objects *objects, uint64_t address, void *buffer, uint64_t length)
{
    return tm_heap_cache_read(objects->heap, address, buffer, length);
}
bool tm_objects_word(struct tm_objects *objects, uint64_t address, uint64_t *result);
bool tm_objects_int(struct tm_objects *objects, uint64_t address, uint32_t *result);
/** The error of a read, if there was one, or TM_ERROR_INTERRUPTED. */
struct tm_error *tm_objects_check(struct tm_objects *objects);

/** Whether the address is in the data of a module, or may be: where that is not known, every address may. */
bool tm_objects_in_data(const struct tm_objects *objects, uint64_t address);

/** Whether the first word of an object has a reference count that a live object can have. */
bool tm_objects_is_count(const struct tm_objects *objects, uint64_t word);
/** The reference count in the first word of an object. */
static inline uint64_t tm_objects_count(const struct tm_objects *objects, uint64_t word)
{
    return objects->cpython->counts_have_flags ? word & UINT32_MAX : word;
}
static inline bool tm_objects_is_immortal(const struct tm_objects *objects, uint64_t word)
{
    return objects->cpython->immortal && (word >> 31 & 1);
}

#endif
