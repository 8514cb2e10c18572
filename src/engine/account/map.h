/**
 * The memory map: all mapped memory of a target, cut into ranges of one kind each. First regions give every range the kind that
 * the system knows; then what is found in anonymous memory takes its part of it. Knows no block and no sum.
 *
 *     tm_memory_map_init()  ▶  _add() … _settle()  ▶  _visit_gaps()  ▶  _add() … _settle()
 */
#ifndef TRACEMORTEM_ENGINE_ACCOUNT_MAP_H
#define TRACEMORTEM_ENGINE_ACCOUNT_MAP_H

#include "engine/target/target.h"

/** Where two claim the same memory, the first of these has it. */
enum tm_place_kind {
    TM_PLACE_TRACER,
    TM_PLACE_ARENA, // pools of CPython's object allocator
    TM_PLACE_FRAMES,
    TM_PLACE_DATA, // of programs and libraries
    TM_PLACE_HEAP,
    TM_PLACE_STACK,
    TM_PLACE_MAPPED, // a chunk of glibc with a mapping of its own
    TM_PLACE_SHARED, // shared memory
    TM_PLACE_FILE,
    TM_PLACE_OTHER, // anonymous memory of which nothing is known
};

struct tm_place_range {
    uint64_t start;
    uint64_t end;
    uint32_t kind;  // enum tm_place_kind
    uint32_t index; // the adder's own
};

struct tm_memory_map {
    struct tm_region *regions; // ascending; no two overlap
    size_t region_count;
    struct tm_place_range *found; // what was added
    size_t found_count;
    size_t found_capacity;
    struct tm_place_range *ranges; // once settled: everything, ascending
    size_t count;
    size_t capacity;
    uint64_t mapped; // bytes of all regions that can be read, and of those that are absent
    uint64_t absent_files;
    uint64_t absent; // other memory that a core leaves out
};

struct tm_error *tm_memory_map_init(struct tm_memory_map *map, struct tm_target *target);
void tm_memory_map_deinit(struct tm_memory_map *map);
struct tm_error *tm_memory_map_add(struct tm_memory_map *map, uint64_t start, uint64_t end, enum tm_place_kind kind,
                                   uint32_t index);
/** Make the ranges. Can be repeated after more was added. */
struct tm_error *tm_memory_map_settle(struct tm_memory_map *map, struct tm_target *target);

/** Called for writable memory of kind TM_PLACE_OTHER that can be read; adjacent ranges are one. */
typedef struct tm_error *(*tm_gap_visitor)(void *context, uint64_t start, uint64_t end);
struct tm_error *tm_memory_map_visit_gaps(const struct tm_memory_map *map, tm_gap_visitor visit, void *context);

/** The range that contains the address, or NULL. *cursor is 0 at first and makes ascending addresses cheap. */
const struct tm_place_range *tm_memory_map_find(const struct tm_memory_map *map, size_t *cursor, uint64_t address);

#endif
