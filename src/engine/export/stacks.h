/**
 * Stacks: the tracebacks of a snapshot, or of two that are compared, as rows of small numbers in one order. Equal ones of
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

struct tm_stack {
    const uint32_t *frames; // oldest first
    uint32_t depth;
    uint32_t domain;
    struct tm_amount amount;
    struct tm_estimate *estimates; // of both sides, where blocks are sampled; else NULL
};

struct tm_stacks {
    struct tm_frames frames;
    struct tm_arena arena;   // of the stacks and their frames
    struct tm_stack **items; // in the order of their frames' numbers: stacks with the same oldest frames are together
    size_t count;
    struct tm_amount total;
};

/** `old` may be NULL. The snapshots' pool must outlive the result. */
struct tm_error *tm_stacks_init(struct tm_stacks *stacks, const struct tm_host *host, const struct tm_snapshot *now,
                                const struct tm_snapshot *old);
void tm_stacks_deinit(struct tm_stacks *stacks);
/** Whether both have the same frames. */
bool tm_stacks_same_frames(const struct tm_stack *a, const struct tm_stack *b);

#endif
