/**
 * The walk: all blocks of the shadow map, in ascending order of their addresses.
 *
 * Knows the radix tree and its slots, and nothing of sites but their ids. Time and memory are bounded by what the
 * target really has: no part of it is read twice, however often the tree leads there.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_WALK_H
#define TRACEMORTEM_ENGINE_TABLE_WALK_H

#include "engine/base/set.h"
#include "engine/table/shadow.h"

struct tm_walk_buffers;

enum tm_walk_flaw {
    TM_WALK_UNREADABLE, // a part of the directory, of a branch or of a leaf
    TM_WALK_MISPLACED,  // a branch or a leaf where none can be
    TM_WALK_MET_BEFORE, // a branch or a leaf which overlaps one that was read already
    TM_WALK_BAD_SIZE,   // a block whose slots contradict themselves
    TM_WALK_NO_SIZE,    // a block whose size cannot be read
    TM_WALK_OVERLAP,    // a block inside which another one begins
    TM_WALK_HIDDEN,     // starts in a part of a leaf that is not marked as used
};

/** For a caller that wants to see each thing the walk meets. With one, the unused parts of leaves are checked too. */
struct tm_walk_observer {
    void *context;
    /** A branch or a leaf at this address, valid or not. */
    void (*table)(void *context, uint64_t address, uint64_t size);
    /** `address` is a block's, or the table's in the target; the flaw concerns `records` of them. */
    void (*flaw)(void *context, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records);
};

struct tm_walk {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_damage *damage;
    const struct tm_walk_observer *observer; // NULL at first; set it before the first tm_walk_next()
    uint64_t directory;
    uint64_t leaves; // as the root counts them; for the progress
    uint64_t leaves_read;
    struct tm_walk_buffers *buffers;
    unsigned directory_next; // the next entry of the directory
    unsigned branch_next;    // and of the branch
    unsigned slot_next;      // and of the leaf
    uint64_t branch_number;  // of the one in the buffer
    uint64_t leaf_number;
    bool has_pending;
    struct tm_recorded_block pending; // found, but the next one might begin inside it
    unsigned failures;                // reads which failed
    unsigned unused_failures;         // those of unused parts, which need not be there
    bool stopped;
    struct tm_set branches; // what was read, by where it is
    struct tm_set leaf_set;
};

/** `damage` counts what cannot be read or contradicts itself; it must outlive the walk. */
struct tm_error *tm_walk_init(struct tm_walk *walk, struct tm_target *target, const struct tm_host *host,
                              uint64_t directory, uint64_t leaves, struct tm_damage *damage);
void tm_walk_deinit(struct tm_walk *walk);

/**
 * The next block, or *found false at the end. A block inside which another one begins has a wrong size and is left
 * out. Fails only if interrupted or if there is no memory.
 */
struct tm_error *tm_walk_next(struct tm_walk *walk, bool *found, struct tm_recorded_block *block);

#endif
