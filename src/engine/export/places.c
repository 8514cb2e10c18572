// Sums for each place, and the choice of the largest.

#include "engine/export/places.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

// All places, and which one each frame is at.
struct summer {
    struct tm_spot *spots;
    size_t count;
    uint32_t *spot_of; // by the number of the frame
    size_t *seen;      // by the place: the stack that was counted last, plus 1
};

// Whether two frames are at the same place.
static bool is_same(const struct tm_frame *a, const struct tm_frame *b, enum tm_key key)
{
    return a->file_name == b->file_name && (key == TM_KEY_FILENAME || a->function == b->function) &&
           (key != TM_KEY_LINENO || (a->line == b->line && a->not_recorded == b->not_recorded));
}

static uint64_t hash_of(const struct tm_frame *frame, enum tm_key key)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name);
    if (key != TM_KEY_FILENAME)
        hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->function);
    return key == TM_KEY_LINENO ? tm_hash_number(hash ^ frame->line) : hash;
}

static struct tm_error *find_places(struct summer *summer, const struct tm_frames *frames, enum tm_key key)
{
    struct tm_set set = {NULL, 0, 0};

    for (size_t i = 0; i < frames->count; i++) {
        uint64_t hash = hash_of(frames->items[i], key);
        if (!tm_set_reserve(&set)) {
            tm_set_deinit(&set);
            return tm_error_no_memory();
        }
        struct tm_set_entry *entry = tm_set_first(&set, hash);
        while (entry->item && !(entry->hash == hash &&
                                is_same(frames->items[((struct tm_spot *)entry->item)->frame], frames->items[i], key)))
            entry = tm_set_next(&set, entry);
        if (!entry->item) {
            struct tm_spot *made = &summer->spots[summer->count++];
            made->frame = (uint32_t)i;
            tm_set_put(&set, entry, hash, made);
        }
        summer->spot_of[i] = (uint32_t)((struct tm_spot *)entry->item - summer->spots);
    }
    tm_set_deinit(&set);
    return NULL;
}

static void add_stack(struct summer *summer, const struct tm_stacks *stacks, const struct tm_stack *stack, size_t mark)
{
    uint32_t newest = stack->node;
    if (tm_stacks_is_type(stacks, stacks->nodes[newest].frame) && stacks->nodes[newest].older)
        newest = stacks->nodes[newest].older;
    tm_amount_add(&summer->spots[summer->spot_of[stacks->nodes[newest].frame]].own, &stack->amount);
    for (uint32_t node = newest; node; node = stacks->nodes[node].older) {
        uint32_t at = summer->spot_of[stacks->nodes[node].frame];
        if (summer->seen[at] == mark)
            continue;
        summer->seen[at] = mark;
        tm_amount_add(&summer->spots[at].below, &stack->amount);
    }
}

static struct tm_error *sum(struct summer *summer, const struct tm_host *host, const struct tm_stacks *stacks)
{
    for (size_t i = 0; i < stacks->count; i++) {
        struct tm_error *error = i % 1024 == 0 ? tm_host_check(host) : NULL;
        if (error)
            return error;
        add_stack(summer, stacks, &stacks->items[i], i + 1);
    }
    return NULL;
}

// A type is no place: what it has is at the frame above it.
static void leave_types_out(struct summer *summer, const struct tm_stacks *stacks)
{
    size_t kept = 0;

    for (size_t i = 0; i < summer->count; i++)
        if (!tm_stacks_is_type(stacks, summer->spots[i].frame))
            summer->spots[kept++] = summer->spots[i];
    summer->count = kept;
}

// ---------------------------------------------------------------------------------------------------------------
// Order

static int compare_own(const void *left, const void *right)
{
    const struct tm_spot *a = left, *b = right;
    int order = tm_compare_numbers(tm_amount_weight(&b->own), tm_amount_weight(&a->own));
    return order != 0 ? order : tm_compare_numbers(a->frame, b->frame);
}

static int compare_below(const void *left, const void *right)
{
    const struct tm_spot *a = left, *b = right;
    int order = tm_compare_numbers(tm_amount_weight(&b->below), tm_amount_weight(&a->below));
    return order != 0 ? order : compare_own(a, b);
}

void tm_spots_choose(struct tm_spots *spots, size_t limit)
{
    size_t own = spots->all < limit ? spots->all : limit, rest = spots->all - own;

    qsort(spots->items, spots->all, sizeof(*spots->items), compare_own);
    qsort(spots->items + own, rest, sizeof(*spots->items), compare_below);
    spots->count = own + (rest < limit ? rest : limit);
    spots->other = (struct tm_amount){{0}, {0}};
    for (size_t i = spots->count; i < spots->all; i++)
        tm_amount_add(&spots->other, &spots->items[i].own);
    qsort(spots->items, spots->count, sizeof(*spots->items), compare_own);
}

struct tm_error *tm_spots_init(struct tm_spots *spots, const struct tm_host *host, const struct tm_stacks *stacks,
                               enum tm_key key)
{
    size_t frames = stacks->frames.count;
    struct summer summer = {.spots = calloc(frames + 1, sizeof(*summer.spots)),
                            .spot_of = calloc(frames + 1, sizeof(*summer.spot_of)),
                            .seen = calloc(frames + 1, sizeof(*summer.seen))};

    memset(spots, 0, sizeof(*spots));
    struct tm_error *error = summer.spots && summer.spot_of && summer.seen ? find_places(&summer, &stacks->frames, key)
                                                                           : tm_error_no_memory();
    if (!error)
        error = sum(&summer, host, stacks);
    if (!error) {
        leave_types_out(&summer, stacks);
        spots->items = summer.spots;
        spots->all = summer.count;
        summer.spots = NULL;
    }
    free(summer.spots);
    free(summer.spot_of);
    free(summer.seen);
    return error;
}

void tm_spots_deinit(struct tm_spots *spots)
{
    free(spots->items);
    memset(spots, 0, sizeof(*spots));
}
