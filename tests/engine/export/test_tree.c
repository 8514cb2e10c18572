/**
 * Stacks, trees and places of made-up snapshots, compared with sums that are made the simple way: whatever is left out of a
 * tree, nothing is lost of its sums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/export/places.h"
#include "engine/export/tree.h"

struct made {
    struct tm_pool *pool;
    struct tm_snapshot now, old;
};

static uint32_t drawn = 20260101;
static uint32_t draw(uint32_t limit)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) % limit;
}

static int setup(void **state)
{
    struct made *made = calloc(1, sizeof(*made));
    assert_null(tm_pool_create(&made->pool));
    *state = made;
    return 0;
}

static int teardown(void **state)
{
    struct made *made = *state;
    tm_snapshot_deinit(&made->now);
    tm_snapshot_deinit(&made->old);
    tm_pool_destroy(made->pool);
    free(made);
    return 0;
}

// A group whose frames are in one file, at these lines, oldest first.
static void add_group(struct made *made, struct tm_snapshot *snapshot, const uint32_t *lines, uint32_t count,
                      uint32_t domain, uint64_t size)
{
    struct tm_frame *frames = calloc(count, sizeof(*frames));
    struct tm_group group = {.domain = domain, .size = size, .count = 1};
    for (uint32_t i = 0; i < count; i++) {
        assert_null(
            tm_pool_name(made->pool, lines[i] % 2 ? "odd.py" : "even.py", lines[i] % 2 ? 6 : 7, &frames[i].file_name));
        frames[i].line = lines[i];
    }
    assert_null(tm_pool_traceback(made->pool, frames, count, count, &group.traceback));
    assert_null(tm_snapshot_add(snapshot, &group));
    free(frames);
}

static void add_random(struct made *made, struct tm_snapshot *snapshot, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t lines[8], depth = 1 + draw(8);
        for (uint32_t j = 0; j < depth; j++)
            lines[j] = 1 + draw(3);
        add_group(made, snapshot, lines, depth, draw(2), 1 + (draw(4) == 0 ? draw(1 << 20) : draw(64)));
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Stacks

struct frames {
    uint32_t items[8], depth;
};

static struct frames frames_of(const struct tm_stacks *stacks, size_t index)
{
    struct frames frames;
    const uint32_t *numbers = tm_stack_frames(stacks, &stacks->items[index], &frames.depth);
    assert_in_range(frames.depth, 1, 8);
    memcpy(frames.items, numbers, frames.depth * sizeof(*numbers));
    assert_int_equal(frames.items[frames.depth - 1], tm_stack_newest(stacks, &stacks->items[index]));
    return frames;
}

static int compare_stacks(const struct tm_stacks *stacks, size_t left, size_t right)
{
    const struct frames a = frames_of(stacks, left), b = frames_of(stacks, right);
    uint32_t a_domain = stacks->items[left].domain, b_domain = stacks->items[right].domain;
    for (uint32_t i = 0; i < a.depth && i < b.depth; i++)
        if (a.items[i] != b.items[i])
            return a.items[i] < b.items[i] ? -1 : 1;
    if (a.depth != b.depth)
        return a.depth < b.depth ? -1 : 1;
    return a_domain < b_domain ? -1 : a_domain > b_domain;
}

static uint64_t total_of(const struct tm_snapshot *snapshot)
{
    uint64_t total = 0;
    for (size_t i = 0; i < snapshot->count; i++)
        total += snapshot->groups[i].size;
    return total;
}

static void test_stacks_are_in_order_and_equal_ones_are_one(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_amount sum = {{0}, {0}};
    add_random(made, &made->now, 3000);
    add_random(made, &made->old, 2000);
    uint64_t now = total_of(&made->now), old = total_of(&made->old);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, &made->old));
    for (size_t i = 0; i < stacks.count; i++) {
        tm_amount_add(&sum, &stacks.items[i].amount);
        if (i > 0)
            assert_true(compare_stacks(&stacks, i - 1, i) < 0);
    }
    assert_true(stacks.count > 1000 && stacks.count < 5000);
    assert_int_equal(stacks.frames.count, 3);
    assert_int_equal(sum.size[TM_SIDE_NEW], now);
    assert_int_equal(sum.size[TM_SIDE_OLD], old);
    assert_int_equal(sum.count[TM_SIDE_NEW] + sum.count[TM_SIDE_OLD], 5000);
    assert_memory_equal(&sum, &stacks.total, sizeof(sum));
    tm_stacks_deinit(&stacks);
}

// Many that are equal, many that are in order, and a deep one: none takes long.
static void test_stacks_of_bad_shapes(void **state)
{
    enum { COUNT = 20000, DEEP = 30000 };
    struct made *made = *state;
    struct tm_stacks stacks;
    uint32_t *lines = calloc(DEEP, sizeof(*lines));
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t same = 1, descending = COUNT - i + 10;
        add_group(made, &made->now, &same, 1, 0, 1);
        add_group(made, &made->now, &descending, 1, 0, 1);
    }
    for (uint32_t i = 0; i < DEEP; i++)
        lines[i] = 7;
    add_group(made, &made->now, lines, DEEP, 0, 1);
    add_group(made, &made->now, lines, DEEP, 1, 1);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, NULL));
    assert_int_equal(stacks.count, 1 + COUNT + 2);
    assert_int_equal(stacks.items[0].amount.count[TM_SIDE_NEW], COUNT);
    tm_stacks_deinit(&stacks);
    free(lines);
}

// ---------------------------------------------------------------------------------------------------------------
// Trees

// Each node has what its children have, what is cut below it, and what is its own; and so has the whole.
static void check_sums(const struct tm_tree *tree, const struct tm_stacks *stacks, bool all)
{
    struct tm_amount top = tree->cut;
    uint64_t cut_stacks = tree->cut_stacks;
    for (size_t i = 0; i < tree->count; i++) {
        const struct tm_tree_node *node = &tree->nodes[i];
        struct tm_amount below = node->cut;
        for (size_t j = i + 1; j < tree->count && tree->nodes[j].depth > node->depth; j++)
            if (tree->nodes[j].depth == node->depth + 1)
                tm_amount_add(&below, &tree->nodes[j].amount);
        for (unsigned side = 0; side < TM_SIDES; side++)
            assert_true(below.size[side] <= node->amount.size[side]);
        if (node->depth == 0)
            tm_amount_add(&top, &node->amount);
        else
            assert_true(i > 0 && tree->nodes[i - 1].depth + 1 >= node->depth);
        cut_stacks += node->cut_stacks;
    }
    assert_memory_equal(&top, &stacks->total, sizeof(top));
    assert_int_equal(tree->whole_stacks + cut_stacks, tree->stacks);
    assert_true(!all || cut_stacks == 0);
}

static void test_nothing_is_lost_of_the_sums_of_a_tree(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_tree tree;
    size_t before = 0;
    add_random(made, &made->now, 3000);
    add_random(made, &made->old, 1000);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, &made->old));
    for (size_t limit = 0; limit < 20000; limit += 1 + limit / 2) {
        assert_null(tm_tree_init(&tree, NULL, &stacks, limit));
        assert_true(tree.count <= 2 * limit); // with the nodes above those that are kept
        assert_true(tree.count >= before);
        before = tree.count;
        check_sums(&tree, &stacks, limit > 10000);
        tm_tree_deinit(&tree);
    }
    assert_true(before > 1000);
    tm_stacks_deinit(&stacks);
}

static void test_the_heaviest_are_kept(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_tree tree;
    for (uint32_t i = 0; i < 1000; i++)
        add_group(made, &made->now, &i, 1, 0, i < 990 ? 1 + i % 7 : 1000 + i);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, NULL));
    assert_null(tm_tree_init(&tree, NULL, &stacks, 10));
    assert_int_equal(tree.count, 10);
    for (size_t i = 0; i < tree.count; i++)
        assert_true(tree.nodes[i].amount.size[TM_SIDE_NEW] > 1000);
    assert_int_equal(tree.cut_stacks, 990);
    tm_tree_deinit(&tree);
    tm_stacks_deinit(&stacks);
}

// Equal weights: as many as there is room for.
static void test_of_equal_ones_the_first_are_kept(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_tree tree;
    for (uint32_t i = 0; i < 1000; i++)
        add_group(made, &made->now, &i, 1, 0, 64);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, NULL));
    assert_null(tm_tree_init(&tree, NULL, &stacks, 100));
    assert_int_equal(tree.count, 100);
    assert_int_equal(tree.whole_stacks, 100);
    tm_tree_deinit(&tree);
    tm_stacks_deinit(&stacks);
}

static void test_a_deep_stack_is_cut(void **state)
{
    enum { DEEP = 5000 };
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_tree tree;
    uint32_t *lines = calloc(DEEP, sizeof(*lines));
    add_group(made, &made->now, lines, DEEP, 0, 64);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, NULL));
    assert_null(tm_tree_init(&tree, NULL, &stacks, 30000));
    assert_int_equal(tree.count, TM_TREE_DEPTH);
    assert_int_equal(tree.whole_stacks, 0);
    assert_int_equal(tree.nodes[TM_TREE_DEPTH - 1].cut_stacks, 1);
    check_sums(&tree, &stacks, false);
    tm_tree_deinit(&tree);
    tm_stacks_deinit(&stacks);
    free(lines);
}

// ---------------------------------------------------------------------------------------------------------------
// Places

// What stacks have at a line, made the simple way.
static struct tm_spot sum_at(const struct tm_stacks *stacks, uint32_t frame)
{
    struct tm_spot spot = {.frame = frame};
    for (size_t i = 0; i < stacks->count; i++) {
        const struct tm_stack *stack = &stacks->items[i];
        const struct frames frames = frames_of(stacks, i);
        bool found = false;
        for (uint32_t j = 0; j < frames.depth; j++)
            found = found || frames.items[j] == frame;
        if (found)
            tm_amount_add(&spot.below, &stack->amount);
        if (frames.items[frames.depth - 1] == frame)
            tm_amount_add(&spot.own, &stack->amount);
    }
    return spot;
}

static void test_places_count_each_stack_once(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_spots spots;
    add_random(made, &made->now, 2000);
    add_random(made, &made->old, 1000);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, &made->old));
    assert_null(tm_spots_init(&spots, NULL, &stacks, TM_KEY_LINENO));
    tm_spots_choose(&spots, 100);
    assert_int_equal(spots.count, 3);
    for (size_t i = 0; i < spots.count; i++) {
        struct tm_spot expected = sum_at(&stacks, spots.items[i].frame);
        assert_memory_equal(&spots.items[i], &expected, sizeof(expected));
        if (i > 0)
            assert_true(tm_amount_weight(&spots.items[i].own) <= tm_amount_weight(&spots.items[i - 1].own));
    }
    tm_spots_deinit(&spots);
    assert_null(tm_spots_init(&spots, NULL, &stacks, TM_KEY_FILENAME));
    assert_int_equal(spots.all, 2);
    tm_spots_deinit(&spots);
    tm_stacks_deinit(&stacks);
}

static void test_places_that_are_not_chosen_are_summed(void **state)
{
    struct made *made = *state;
    struct tm_stacks stacks;
    struct tm_spots spots;
    const uint32_t pair[] = {500, 3}; // line 500 allocates nothing itself
    for (uint32_t i = 0; i < 100; i++)
        add_group(made, &made->now, &i, 1, 0, 10 + i);
    add_group(made, &made->now, pair, 2, 0, 100000);
    assert_null(tm_stacks_init(&stacks, NULL, &made->now, NULL));
    assert_null(tm_spots_init(&spots, NULL, &stacks, TM_KEY_LINENO));
    tm_spots_choose(&spots, 2);
    // By what they have: lines 3 and 99. By what is below them: line 500, then line 98.
    assert_int_equal(spots.count, 4);
    assert_int_equal(stacks.frames.items[spots.items[0].frame]->line, 3);
    assert_int_equal(stacks.frames.items[spots.items[1].frame]->line, 99);
    assert_int_equal(stacks.frames.items[spots.items[2].frame]->line, 98);
    assert_int_equal(stacks.frames.items[spots.items[3].frame]->line, 500);
    struct tm_amount sum = spots.other;
    for (size_t i = 0; i < spots.count; i++)
        tm_amount_add(&sum, &spots.items[i].own);
    assert_memory_equal(&sum, &stacks.total, sizeof(sum));
    tm_spots_deinit(&spots);
    tm_stacks_deinit(&stacks);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_stacks_are_in_order_and_equal_ones_are_one),
        CASE(test_stacks_of_bad_shapes),
        CASE(test_nothing_is_lost_of_the_sums_of_a_tree),
        CASE(test_the_heaviest_are_kept),
        CASE(test_of_equal_ones_the_first_are_kept),
        CASE(test_a_deep_stack_is_cut),
        CASE(test_places_count_each_stack_once),
        CASE(test_places_that_are_not_chosen_are_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
