/**
 * Statistics: what is one statistic and what are two, what counts how often, and the order.
 * test_against_tracemalloc.py compares random snapshots with tracemalloc's own statistics.
 */
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/order.h"
#include "engine/model/statistics.h"

// A stack "main.py:1 > app.py:LINE", of which the most recent frame is the last.
static void add_stack(struct fake *fake, uint32_t line, uint32_t total, uint64_t size, uint64_t count)
{
    const char *names[] = {"main.py", "app.py"};
    const uint32_t lengths[] = {7, 6}, lines[] = {1, line};
    fake_add_group(fake, 0, size, count, total, 2, names, lengths, lines);
}

static void test_rows_are_sorted_by_size_count_and_place(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "b.py", 1, 100, 2);
    fake_add(harness->fake, "a.py", 2, 100, 2);
    fake_add(harness->fake, "a.py", 10, 100, 2); // lines are numbers
    fake_add(harness->fake, "a.pyx", 1, 100, 2);
    fake_add(harness->fake, "c.py", 1, 100, 1);
    fake_add(harness->fake, "d.py", 1, 101, 1);
    fake_add(harness->fake, "\xef\xbf\xbd.py", 1, 100, 2);     // U+FFFD is below
    fake_add(harness->fake, "\xf0\x9f\x90\x8d.py", 1, 100, 2); // U+1F40D
    assert_string_equal(harness_run(harness, "tm-top", "filename"),
                        "a.py:0: size=200 B, count=4, average=50 B\n"
                        "d.py:0: size=101 B, count=1, average=101 B\n"
                        "\xf0\x9f\x90\x8d.py:0: size=100 B, count=2, average=50 B\n"
                        "\xef\xbf\xbd.py:0: size=100 B, count=2, average=50 B\n"
                        "b.py:0: size=100 B, count=2, average=50 B\n"
                        "a.pyx:0: size=100 B, count=2, average=50 B\n"
                        "c.py:0: size=100 B, count=1, average=100 B\n"
                        "Total allocated size: 0.8 KiB\n");
}

static void test_lines_are_ordered_as_numbers(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 2, 100, 2);
    fake_add(harness->fake, "gone.py", 10, 100, 2);
    assert_string_equal(harness_run(harness, "tm-top", ""), "gone.py:10: size=100 B, count=2, average=50 B\n"
                                                            "gone.py:2: size=100 B, count=2, average=50 B\n"
                                                            "Total allocated size: 0.2 KiB\n");
}

static void test_tracebacks_with_equal_frames_are_one(void **state)
{
    struct harness *harness = *state;
    add_stack(harness->fake, 200, 2, 10, 1);
    add_stack(harness->fake, 200, 9, 20, 1); // cut differently
    add_stack(harness->fake, 201, 2, 40, 1);
    assert_contains(harness_run(harness, "tm-top", "traceback --json"),
                    "\"statistics\": [{\"traceback\": [{\"filename\": \"main.py\", \"lineno\": 1}, {\"filename\": "
                    "\"app.py\", \"lineno\": 201}], \"size\": 40, \"count\": 1}, {\"traceback\": [{\"filename\": "
                    "\"main.py\", \"lineno\": 1}, {\"filename\": \"app.py\", \"lineno\": 200}], \"size\": 30, "
                    "\"count\": 2}], \"other\": {\"statistics\": 0, ");
}

static void test_only_the_most_recent_frame_counts(void **state)
{
    struct harness *harness = *state;
    add_stack(harness->fake, 200, 2, 10, 1);
    add_stack(harness->fake, 201, 2, 20, 1);
    assert_string_equal(harness_run(harness, "tm-top", "filename"),
                        "app.py:0: size=30 B, count=2, average=15 B\nTotal allocated size: 0.0 KiB\n");
}

static void test_cumulative_counts_each_frame(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"gone.py", "gone.py", "gone.py"};
    const uint32_t lengths[] = {7, 7, 7}, lines[] = {1, 2, 1};
    fake_add_group(harness->fake, 0, 10, 2, 3, 3, names, lengths, lines);
    assert_string_equal(harness_run(harness, "tm-top", "--cumulative"), "gone.py:1: size=20 B, count=4, average=5 B\n"
                                                                        "gone.py:2: size=10 B, count=2, average=5 B\n"
                                                                        "Total allocated size: 0.0 KiB (the rows "
                                                                        "overlap: a block is in the row of each of its "
                                                                        "frames, and once in this total)\n");
    assert_contains(harness_run(harness, "tm-top", "filename -c"), "gone.py:0: size=30 B, count=6, average=5 B\n");
}

static void test_groups_without_blocks_are_no_division(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 10, 0);
    assert_string_equal(harness_run(harness, "tm-top", ""),
                        "gone.py:1: size=10 B, count=0\nTotal allocated size: 0.0 KiB\n");
}

static void test_sums_saturate(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, UINT64_MAX, UINT64_MAX);
    fake_add(harness->fake, "gone.py", 1, UINT64_MAX, UINT64_MAX);
    fake_add(harness->fake, "gone.py", 2, 1, 1);
    assert_contains(harness_run(harness, "tm-top", "--json -n 1"),
                    "\"size\": 18446744073709551615, \"count\": 18446744073709551615}], \"other\": {\"statistics\": 1, "
                    "\"size\": 1, \"count\": 1}, \"total_size\": 18446744073709551615, \"total_count\": "
                    "18446744073709551615,");
}

static int compare_numbers(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)a, right = (uintptr_t)b;
    return (left > right) - (left < right);
}

static void test_the_greatest_come_first_for_any_limit(void **state)
{
    enum { MOST = 40 };
    (void)state;
    srand(3);
    for (int round = 0; round < 3000; round++) {
        void *items[MOST];
        bool seen[MOST + 1] = {false};
        size_t count = (size_t)rand() % (MOST + 1), limit = (size_t)rand() % (MOST + 3);
        for (size_t i = 0; i < count; i++)
            items[i] = (void *)(uintptr_t)(i + 1);
        for (size_t i = count; i > 1; i--) {
            size_t other = (size_t)rand() % i;
            void *item = items[i - 1];
            items[i - 1] = items[other];
            items[other] = item;
        }
        assert_null(tm_order_greatest(items, count, limit, compare_numbers, NULL));
        for (size_t i = 0; i < count; i++) {
            if (i < limit)
                assert_int_equal((uintptr_t)items[i], count - i);
            assert_false(seen[(uintptr_t)items[i]]); // nothing is lost or doubled
            seen[(uintptr_t)items[i]] = true;
        }
    }
}

static void test_grouping_and_sorting_can_be_interrupted(void **state)
{
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 50000; i++)
        fake_add(harness->fake, "gone.py", i, i, 1);
    assert_non_null(harness_run(harness, "tm-top", "-n 50000"));
    int questions = harness->asked;
    assert_true(questions > 50);
    for (int stop = 1; stop <= questions; stop += questions / 20) {
        harness->stop_after = stop;
        assert_fails(harness, "tm-top", "-n 50000", TM_ERROR_INTERRUPTED, "interrupted");
        assert_int_equal(harness->asked, stop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_are_sorted_by_size_count_and_place),
        TEST(test_lines_are_ordered_as_numbers),
        TEST(test_tracebacks_with_equal_frames_are_one),
        TEST(test_only_the_most_recent_frame_counts),
        TEST(test_cumulative_counts_each_frame),
        TEST(test_groups_without_blocks_are_no_division),
        TEST(test_sums_saturate),
        cmocka_unit_test(test_the_greatest_come_first_for_any_limit),
        TEST(test_grouping_and_sorting_can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
