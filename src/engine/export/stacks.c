// Numbering of frames, and the order of stacks: a quicksort that looks at one frame of each stack at a time, since most
// stacks begin alike.

#include "engine/export/stacks.h"

#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

// Steps between two questions whether the user wants to stop.
enum { STEPS = 4096 };

// ---------------------------------------------------------------------------------------------------------------
// Amounts

void tm_amount_add(struct tm_amount *amount, const struct tm_amount *more)
{
    for (unsigned side = 0; side < TM_SIDES; side++) {
        amount->size[side] = tm_add_saturating(amount->size[side], more->size[side]);
        amount->count[side] = tm_add_saturating(amount->count[side], more->count[side]);
    }
}

uint64_t tm_amount_weight(const struct tm_amount *amount)
{
    uint64_t now = amount->size[TM_SIDE_NEW], old = amount->size[TM_SIDE_OLD];
    return now > old ? now : old;
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

struct numbered {
    const struct tm_frame *frame;
    uint32_t number;
};

static bool is_same_frame(const struct tm_frame *a, const struct tm_frame *b)
{
    return a->file_name == b->file_name && a->line == b->line && a->function == b->function &&
           a->not_recorded == b->not_recorded;
}

static struct tm_error *add_frame(struct tm_frames *frames, const struct tm_frame *frame, uint64_t hash,
                                  struct tm_set_entry *entry)
{
    struct numbered *made = tm_arena_allocate(&frames->arena, sizeof(*made));
    if (!made || frames->count == UINT32_MAX || !TM_GROW(&frames->items, frames->count + 1, &frames->capacity))
        return tm_error_no_memory();
    *made = (struct numbered){frame, (uint32_t)frames->count};
    frames->items[frames->count++] = frame;
    tm_set_put(&frames->numbers, entry, hash, made);
    return NULL;
}

struct tm_error *tm_frames_number(struct tm_frames *frames, const struct tm_frame *frame, uint32_t *result)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name ^ (uint64_t)frame->line << 40);
    hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->function);

    if (!tm_set_reserve(&frames->numbers))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_first(&frames->numbers, hash);
    while (entry->item && !(entry->hash == hash && is_same_frame(((struct numbered *)entry->item)->frame, frame)))
        entry = tm_set_next(&frames->numbers, entry);
    if (!entry->item) {
        struct tm_error *error = add_frame(frames, frame, hash, entry);
        if (error)
            return error;
    }
    *result = ((const struct numbered *)entry->item)->number;
    return NULL;
}

void tm_frames_deinit(struct tm_frames *frames)
{
    free(frames->items);
    tm_set_deinit(&frames->numbers);
    tm_arena_deinit(&frames->arena);
    *frames = (struct tm_frames){0};
}

// ---------------------------------------------------------------------------------------------------------------
// Collecting

// The group before: mostly the next one has the same oldest frames.
struct last {
    const struct tm_traceback *traceback;
    const uint32_t *frames;
};

static struct tm_error *number_frames(struct tm_stacks *stacks, const struct last *last,
                                      const struct tm_traceback *traceback, uint32_t *frames)
{
    uint32_t i = 0;
    if (last->traceback)
        for (; i < traceback->count && i < last->traceback->count &&
               is_same_frame(&traceback->frames[i], &last->traceback->frames[i]);
             i++)
            frames[i] = last->frames[i];
    for (; i < traceback->count; i++) {
        struct tm_error *error = tm_frames_number(&stacks->frames, &traceback->frames[i], &frames[i]);
        if (error)
            return error;
    }
    return NULL;
}

static struct tm_error *add_group(struct tm_stacks *stacks, struct last *last, const struct tm_group *group,
                                  unsigned side)
{
    const struct tm_traceback *traceback = group->traceback;
    struct tm_stack *stack = tm_arena_allocate(&stacks->arena, sizeof(*stack));
    const uint32_t *numbers = last->frames;

    if (!stack)
        return tm_error_no_memory();
    if (last->traceback != traceback) {
        uint32_t *made = tm_arena_allocate(&stacks->arena, traceback->count * sizeof(*made));
        struct tm_error *error = made ? number_frames(stacks, last, traceback, made) : tm_error_no_memory();
        if (error)
            return error;
        numbers = made;
    }
    *stack = (struct tm_stack){.frames = numbers, .depth = traceback->count, .domain = group->domain};
    if (group->estimate.samples) {
        stack->estimates = tm_arena_allocate(&stacks->arena, TM_SIDES * sizeof(*stack->estimates));
        if (!stack->estimates)
            return tm_error_no_memory();
        memset(stack->estimates, 0, TM_SIDES * sizeof(*stack->estimates));
        stack->estimates[side] = group->estimate;
    }
    stack->amount.size[side] = group->size;
    stack->amount.count[side] = group->count;
    tm_amount_add(&stacks->total, &stack->amount);
    stacks->items[stacks->count++] = stack;
    *last = (struct last){traceback, numbers};
    return NULL;
}

static struct tm_error *add_side(struct tm_stacks *stacks, const struct tm_host *host,
                                 const struct tm_snapshot *snapshot, unsigned side)
{
    struct last last = {NULL, NULL};

    for (size_t i = 0; i < snapshot->count; i++) {
        struct tm_error *error = i % (STEPS / 4) == 0 ? tm_host_check(host) : NULL;
        if (!error)
            error = add_group(stacks, &last, &snapshot->groups[i], side);
        if (error)
            return error;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Order

// Of the frame at this depth; a stack that ends there comes before those that continue. After the end: the domain.
static uint64_t key_at(const struct tm_stack *stack, uint32_t depth)
{
    if (depth < stack->depth)
        return (uint64_t)stack->frames[depth] + 1;
    return depth == stack->depth ? 0 : stack->domain;
}

static void swap(struct tm_stack **a, struct tm_stack **b)
{
    struct tm_stack *kept = *a;
    *a = *b;
    *b = kept;
}

// A range of stacks that are equal above this depth.
struct range {
    struct tm_stack **items;
    size_t count;
    uint32_t depth;
};

struct sorter {
    struct range *ranges; // still to sort
    size_t count;
    size_t capacity;
};

static struct tm_error *add_range(struct sorter *sorter, struct tm_stack **items, size_t count, uint32_t depth)
{
    if (count < 2)
        return NULL;
    if (!TM_GROW(&sorter->ranges, sorter->count + 1, &sorter->capacity))
        return tm_error_no_memory();
    sorter->ranges[sorter->count++] = (struct range){items, count, depth};
    return NULL;
}

// Moves what is less than a key to the front and what is greater to the end. A key of the middle, so that a list that is
// in order already stays quick.
static struct tm_error *split(struct sorter *sorter, const struct range *range)
{
    struct tm_stack **items = range->items;
    uint64_t pivot = key_at(items[range->count / 2], range->depth);
    size_t less = 0, at = 0, greater = range->count;
    bool ended = items[range->count / 2]->depth < range->depth; // these keys are domains: then equal ones are equal

    while (at < greater) {
        uint64_t key = key_at(items[at], range->depth);
        if (key < pivot)
            swap(&items[less++], &items[at++]);
        else if (key > pivot)
            swap(&items[at], &items[--greater]);
        else
            at++;
    }
    struct tm_error *error = add_range(sorter, items, less, range->depth);
    if (!error)
        error = add_range(sorter, items + greater, range->count - greater, range->depth);
    if (!error && !ended)
        error = add_range(sorter, items + less, greater - less, range->depth + 1);
    return error;
}

static struct tm_error *sort(struct tm_stacks *stacks, const struct tm_host *host)
{
    struct sorter sorter = {NULL, 0, 0};
    size_t steps = 0;

    struct tm_error *error = add_range(&sorter, stacks->items, stacks->count, 0);
    while (!error && sorter.count > 0) {
        struct range range = sorter.ranges[--sorter.count];
        steps += range.count;
        if (steps >= STEPS) {
            steps = 0;
            error = tm_host_check(host);
        }
        if (!error)
            error = split(&sorter, &range);
    }
    free(sorter.ranges);
    return error;
}

bool tm_stacks_same_frames(const struct tm_stack *a, const struct tm_stack *b)
{
    return a->depth == b->depth &&
           (a->frames == b->frames || memcmp(a->frames, b->frames, a->depth * sizeof(*a->frames)) == 0);
}

static void merge(struct tm_stack *stack, const struct tm_stack *more)
{
    tm_amount_add(&stack->amount, &more->amount);
    if (!stack->estimates) {
        stack->estimates = more->estimates;
    } else if (more->estimates) {
        for (unsigned side = 0; side < TM_SIDES; side++)
            tm_estimate_add(&stack->estimates[side], &more->estimates[side]);
    }
}

static void merge_equal(struct tm_stacks *stacks)
{
    size_t kept = 0;

    for (size_t i = 0; i < stacks->count; i++) {
        struct tm_stack *stack = stacks->items[i], *before = kept > 0 ? stacks->items[kept - 1] : NULL;
        if (before && before->domain == stack->domain && tm_stacks_same_frames(before, stack))
            merge(before, stack);
        else
            stacks->items[kept++] = stack;
    }
    stacks->count = kept;
}

struct tm_error *tm_stacks_init(struct tm_stacks *stacks, const struct tm_host *host, const struct tm_snapshot *now,
                                const struct tm_snapshot *old)
{
    memset(stacks, 0, sizeof(*stacks));
    stacks->items = calloc(now->count + (old ? old->count : 0) + 1, sizeof(struct tm_stack *));
    struct tm_error *error = stacks->items ? add_side(stacks, host, now, TM_SIDE_NEW) : tm_error_no_memory();
    if (!error && old)
        error = add_side(stacks, host, old, TM_SIDE_OLD);
    if (!error)
        error = sort(stacks, host);
    if (error)
        tm_stacks_deinit(stacks);
    else
        merge_equal(stacks);
    return error;
}

void tm_stacks_deinit(struct tm_stacks *stacks)
{
    free(stacks->items);
    tm_frames_deinit(&stacks->frames);
    tm_arena_deinit(&stacks->arena);
    memset(stacks, 0, sizeof(*stacks));
}
