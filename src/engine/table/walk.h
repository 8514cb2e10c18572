/**
 * The walk: all blocks of the map, in ascending order of their addresses.
 *
 * Knows leaves, units, grids and lists, and nothing of sites but their ids. Time and memory are bounded by what the target
 * really has: no part of it is used twice, however often the map leads there.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_WALK_H
#define TRACEMORTEM_ENGINE_TABLE_WALK_H

#include "engine/table/gather.h"
#include "engine/table/map.h"

struct tm_walk_leaf;

/** So often a grid is read again that other grids replace while it is read. */
#define TM_WALK_ROUNDS 3

enum tm_walk_flaw {
    TM_WALK_UNREADABLE, // a part of a leaf's units, of a grid or of a list
    TM_WALK_MENDED,     // words of units that lead nowhere, and have a copy
    TM_WALK_MISPLACED,  // a word that leads where nothing can be, or has a wrong check
    TM_WALK_STRAY,      // a grid whose head is that of another one
    TM_WALK_MET_BEFORE, // a grid or a chunk which overlaps something that was read already
    TM_WALK_TOO_LONG,   // a list which goes on where it has to end
    TM_WALK_BAD_SLOT,   // a slot whose size is impossible
    TM_WALK_BAD_ENTRY,  // an entry whose start or size is impossible
    TM_WALK_OVERLAP,    // a block inside which another one begins
};

/** For a caller that wants to see each thing the walk meets. */
struct tm_walk_observer {
    void *context;
    /** The units of a leaf, a grid's array, a chunk of a list, or buckets; each that can be used. */
    void (*memory)(void *context, const char *what, uint64_t address, uint64_t size);
    /** `address` is a block's, or a unit's, or the missing memory's; the flaw concerns `records` of them. */
    void (*flaw)(void *context, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records);
};

struct tm_walk {
    const struct tm_map *map;
    const struct tm_host *host;
    struct tm_damage *damage;
    const struct tm_walk_observer *observer; // NULL at first; set it before the first tm_walk_next()
    /**
     * Of a running process; false at first. Set it before the first tm_walk_next(). Grids are then read again if they were
     * replaced while they were read. `leaf_read` may be NULL; it is called when a leaf was read, before its blocks are given.
     */
    bool running;
    struct tm_error *(*leaf_read)(void *context);
    void *context;
    struct tm_gather gather;
    struct tm_gather again[TM_WALK_ROUNDS]; // what was read again of the leaf
    struct tm_walk_leaf *leaf;              // the one that was read
    size_t leaf_next;
    bool has_pending;
    struct tm_recorded_block pending; // found, but the next one might begin inside it
};

/** `damage` counts what cannot be read or contradicts itself; it and the map must outlive the walk. */
struct tm_error *tm_walk_init(struct tm_walk *walk, const struct tm_map *map, const struct tm_host *host,
                              struct tm_damage *damage);
void tm_walk_deinit(struct tm_walk *walk);

/**
 * The next block, or *found false at the end. A block inside which another one begins has a wrong size and is left
 * out. Fails only if interrupted or if there is no memory.
 */
struct tm_error *tm_walk_next(struct tm_walk *walk, bool *found, struct tm_recorded_block *block);

/** The live blocks of a site. */
struct tm_count {
    uint64_t blocks;
    uint64_t bytes;
};

/** Counts by site. */
struct tm_counts {
    struct tm_count *of; // by site id; [0]: of blocks without a site; [read]: of sites that could not be read
    uint32_t read;       // one past the last id whose record could be read
    uint32_t limit;      // one past the greatest id
};

static inline struct tm_count *tm_counts_of(const struct tm_counts *counts, uint32_t site)
{
    if (site < counts->read)
        return &counts->of[site];
    return &counts->of[site < counts->limit ? counts->read : 0];
}

/** Count all blocks by their sites, instead of tm_walk_next(): the same blocks, in a fraction of the time. */
struct tm_error *tm_walk_count(struct tm_walk *walk, const struct tm_counts *counts);

#endif
