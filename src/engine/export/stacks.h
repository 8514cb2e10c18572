/**
 * Stacks: the tracebacks of a snapshot, or of two that are compared, as paths of small numbers in one order. Equal ones of
 * one domain are one stack. Knows no format of an export.
 *
 * A frame has the same number wherever its file, line and function are the same. Numbers are given in the order of the
 * snapshot, so the same target gives the same numbers in each debugger.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_STACKS_H
#define TRACEMORTEM_ENGINE_EXPORT_STACKS_H

#include "engine/base/arena.h"
#include "engine/base/host.h"
#include "engine/base/set.h"
#include "engine/model/snapshot.h"

/** The two sides of a comparison. What is not compared has the new side only, and zeros in the old one. */
enum { TM_SIDE_NEW, TM_SIDE_OLD, TM_SIDES };

struct tm_amount {
    uint64_t size[TM_SIDES], count[TM_SIDES];
};
void tm_amount_add(struct tm_amount *amount, const struct tm_amount *more);
/** The larger of both sides' bytes: what a stack weighs where there is no room for all. */
uint64_t tm_amount_weight(const struct tm_amount *amount);

/** The distinct frames, by their numbers. All zero is empty. */
struct tm_frames {
    const struct tm_frame **items; // the pool's
    size_t count;
    size_t capacity;
    struct tm_set numbers; // of each frame
    struct tm_arena arena; // of the set's items
};
struct tm_error *tm_frames_number(struct tm_frames *frames, const struct tm_frame *frame, uint32_t *result);
void tm_frames_deinit(struct tm_frames *frames);

/** A path: its newest frame, and the path of its older ones. Those that begin alike share these. */
struct tm_stack_node {
    uint32_t older; // node 0 has no frame: the root of all
    uint32_t frame;
};

struct tm_stack {
    uint32_t node;
    uint32_t domain;
    struct tm_amount amount;
    struct tm_estimate *estimates; // of both sides, where blocks are sampled; else NULL
};

struct tm_stacks {
    struct tm_frames frames;
    struct tm_stack_node *nodes; // a node comes after its older one, and before those that are greater than both
    size_t node_count;
    uint32_t *path;         // room for the longest one
    uint32_t depth;         // of it
    struct tm_stack *items; // in the order of their nodes: stacks with the same oldest frames are together
    size_t count;
    struct tm_amount total;
    const struct tm_name *types; // the file name of frames that are types, which the caller sets; NULL: there are none
    struct tm_arena arena;       // of the stacks' estimates
};

/** Whether the frame is the type of the objects, below the frame that allocated them. */
static inline bool tm_stacks_is_type(const struct tm_stacks *stacks, uint32_t frame)
{
    const struct tm_frame *found = stacks->frames.items[frame];
    return stacks->types && found->file_name == stacks->types && found->line == 0;
}

/**
 * `old` may be NULL. The groups of both snapshots are freed on the way, so that they and the stacks are never in memory
 * together. The snapshots' pool must outlive the result.
 */
struct tm_error *tm_stacks_init(struct tm_stacks *stacks, const struct tm_host *host, struct tm_snapshot *now,
                                struct tm_snapshot *old);
void tm_stacks_deinit(struct tm_stacks *stacks);
/** The numbers of its frames, oldest first: *depth of them, valid until the next call. */
const uint32_t *tm_stack_frames(const struct tm_stacks *stacks, const struct tm_stack *stack, uint32_t *depth);
/** That of the newest frame. */
uint32_t tm_stack_newest(const struct tm_stacks *stacks, const struct tm_stack *stack);

#endif
