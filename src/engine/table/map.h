/**
 * The map: its leaves, how its words are decoded, and which block contains an address. (All blocks in turn: walk.h.)
 *
 * Knows leaves, units, grids and lists, and nothing of sites but their ids.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_MAP_H
#define TRACEMORTEM_ENGINE_TABLE_MAP_H

#include "engine/base/host.h"
#include "engine/table/block.h"
#include "engine/table/records.h"

/** No block in the map is larger. */
#define TM_MAP_LARGEST TM_ENTRY_SIZE_MASK

struct tm_map_leaf {
    uint64_t number; // of all leaves of the address space
    uint64_t units;  // address
    uint64_t id;     // of its record
};

struct tm_map {
    struct tm_target *target;
    unsigned unit_shift;
    struct tm_map_leaf *leaves; // ascending, and no two of them overlap
    size_t leaf_count;
    size_t leaf_records;     // those that can be read, good or not
    struct tm_damage damage; // the other leaves' records
};

/** `leaves` must be loaded. Reads nothing else. The caller calls tm_map_deinit(), even if this fails. */
struct tm_error *tm_map_init(struct tm_map *map, struct tm_target *target, unsigned unit_shift,
                             const struct tm_records *leaves);
void tm_map_deinit(struct tm_map *map);

/** Why a leaf's record cannot be used, in a few words; NULL: it can. */
const char *tm_leaf_check(uint64_t id, const struct tm_leaf *leaf, unsigned unit_shift);

/** How many bytes the arrays of all grids have, by their words; what cannot be read counts nothing. */
struct tm_error *tm_map_grid_bytes(const struct tm_map *map, const struct tm_host *host, uint64_t *result);

struct tm_map_answer {
    bool found;
    bool gave_up; // no block's start was met in as much as is searched
    struct tm_recorded_block block;
};

/**
 * The block that contains `address`: the nearest start at or before it, if that block reaches so far. What cannot be read
 * or contradicts itself is skipped and counted in `damage`. Fails only if interrupted.
 */
struct tm_error *tm_map_find(const struct tm_map *map, const struct tm_host *host, uint64_t address,
                             struct tm_map_answer *answer, struct tm_damage *damage);

/** log2 of a bucket's part of a unit, in bytes. */
static inline unsigned tm_part_shift(unsigned unit_shift)
{
    _Static_assert(TM_LIST_BUCKET_COUNT == 1u << 6, "the parts of a unit");
    return unit_shift - 6;
}

// ---------------------------------------------------------------------------------------------------------------
// Words. `unit` is the number of a unit: the address of its start >> unit_shift.

struct tm_grid {
    uint64_t unit;
    uint64_t start; // of the unit
    uint64_t word;
    uint64_t array;  // address of the head
    uint32_t stride; // bytes
    uint32_t phase;  // bytes
    uint32_t slots;
};
/** How many bytes a grid's array has. */
static inline uint32_t tm_grid_bytes(const struct tm_grid *grid)
{
    return TM_GRID_HEAD + grid->slots * (uint32_t)sizeof(uint32_t);
}

/** Decode the word of a grid. False: it has no stride, an impossible one, no array, or a wrong check. */
bool tm_grid_decode(unsigned unit_shift, uint64_t unit, uint64_t word, struct tm_grid *grid);
/** The block of a slot that is not 0. False: its size is impossible. */
static inline bool tm_slot_decode(const struct tm_grid *grid, uint32_t index, uint32_t slot,
                                  struct tm_recorded_block *block)
{
    uint32_t size = slot >> TM_SLOT_SIZE_SHIFT & TM_SLOT_SIZE_MASK;
    if (size == 0 && grid->stride == TM_GRID_SIZE_MOST)
        size = TM_GRID_SIZE_MOST;
    *block = (struct tm_recorded_block){.address = grid->start + grid->phase + (uint64_t)index * grid->stride,
                                        .size = size,
                                        .site = slot & TM_SLOT_SITE_MASK,
                                        .watched = (slot & TM_SLOT_WATCHED) != 0};
    return size <= grid->stride;
}

/** Decode a word that leads to a chunk of a list, or to its buckets. False: no address, or a wrong check. */
bool tm_list_decode(uint64_t unit, uint64_t word, uint64_t *address, bool *buckets);
/**
 * The block of an entry that is not 0, in the list of bucket `part` of the unit (TM_LIST_BUCKET_COUNT: in none). False: it
 * does not start in that part, or leaves the map.
 */
bool tm_entry_decode(unsigned unit_shift, uint64_t unit, unsigned part, uint64_t entry,
                     struct tm_recorded_block *block);

#endif
