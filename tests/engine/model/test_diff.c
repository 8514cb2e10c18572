/**
 * Differences: what is in one side only, signs, order and totals. test_against_tracemalloc.py compares random
 * snapshots with tracemalloc's own compare_to().
 */
#include "support/harness.h"

#include <string.h>

// OLD is `other`, NEW the current target.
static void test_rows_and_totals(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->other, "gone.py", 1, 100, 1);
    fake_add(harness->other, "gone.py", 2, 3000, 3);
    fake_add(harness->other, "gone.py", 3, 50, 5);
    fake_add(harness->fake, "gone.py", 1, 400, 4);
    fake_add(harness->fake, "gone.py", 3, 50, 5);
    fake_add(harness->fake, "gone.py", 4, 20480, 2);
    assert_string_equal(harness_run(harness, "tm-diff", "old.core"),
                        "gone.py:4: size=20.0 KiB (+20.0 KiB), count=2 (+2), average=10.0 KiB\n"
                        "gone.py:2: size=0 B (-3000 B), count=0 (-3)\n"
                        "gone.py:1: size=400 B (+300 B), count=4 (+3), average=100 B\n"
                        "gone.py:3: size=50 B (+0 B), count=5 (+0), average=10 B\n"
                        "Total allocated size: 20.4 KiB (+17.4 KiB)\n");
    assert_string_equal(harness_run(harness, "tm-diff", "old.core -n 1"),
                        "gone.py:4: size=20.0 KiB (+20.0 KiB), count=2 (+2), average=10.0 KiB\n"
                        "3 other: 0.4 KiB (-2.6 KiB)\n"
                        "Total allocated size: 20.4 KiB (+17.4 KiB)\n");
}

static void test_order_of_equal_sizes(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->other, "gone.py", 1, 100, 1);
    fake_add(harness->other, "gone.py", 2, 100, 4);
    fake_add(harness->fake, "gone.py", 2, 100, 1);
    fake_add(harness->fake, "gone.py", 3, 100, 1);
    fake_add(harness->fake, "gone.py", 4, 100, 1);
    assert_string_equal(harness_run(harness, "tm-diff", "a b"),
                        "gone.py:4: size=100 B (+100 B), count=1 (+1), average=100 B\n"
                        "gone.py:3: size=100 B (+100 B), count=1 (+1), average=100 B\n"
                        "gone.py:1: size=0 B (-100 B), count=0 (-1)\n"
                        "gone.py:2: size=100 B (+0 B), count=1 (-3), average=100 B\n"
                        "Total allocated size: 0.3 KiB (+0.1 KiB)\n");
}

static void test_filters_and_keys_apply_to_both_sides(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->other, "gone.py", 1, 100, 1);
    fake_add(harness->other, "other.py", 1, 5000, 1);
    fake_add(harness->fake, "gone.py", 2, 300, 1);
    fake_add(harness->fake, "other.py", 1, 1, 1);
    assert_string_equal(harness_run(harness, "tm-diff", "old.core filename --include gone.py"),
                        "gone.py:0: size=300 B (+200 B), count=1 (+0), average=300 B\n"
                        "Total allocated size: 0.3 KiB (+0.2 KiB)\n"
                        "filters: include gone.py\n");
}

static void test_json_has_the_same_facts(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->other, "a.py", 1, UINT64_MAX, 9);
    fake_add(harness->fake, "b.py", 2, 10, 1);
    fake_set_damage(harness->other, 1, 4096, 0, 0x1000);
    assert_string_equal(
        harness_run(harness, "tm-diff", "old.core -n 1 --json"),
        "{\"command\": \"tm-diff\", \"key\": \"lineno\", \"cumulative\": false, \"limit\": 1, \"sort\": \"size\", "
        "\"filters\": [], "
        "\"statistics\": [{\"traceback\": [{\"filename\": \"a.py\", \"lineno\": 1}], \"filename\": \"a.py\", "
        "\"lineno\": 1, \"size\": 0, \"size_diff\": -18446744073709551615, \"count\": 0, \"count_diff\": -9}], "
        "\"other\": {\"statistics\": 1, \"size\": 10, \"size_diff\": 10, \"count\": 1, \"count_diff\": 1}, "
        "\"total_size\": 10, \"total_size_diff\": -18446744073709551605, \"total_count\": 1, "
        "\"total_count_diff\": -8, \"not_recorded\": {\"size\": 0, \"count\": 0}, \"shortened\": {\"size\": 0, "
        "\"count\": 0}, \"in_flight\": 0, \"in_flight_old\": 0, \"missing\": {\"unreadable_records\": 0, "
        "\"unreadable_bytes\": 0, "
        "\"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": null}, \"missing_old\": "
        "{\"unreadable_records\": 1, "
        "\"unreadable_bytes\": 4096, \"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": 4096}}\n");
}

static void test_damage_says_of_which_side_and_what_it_means(void **state)
{
    struct harness *harness = *state;
    fake_set_damage(harness->other, 1, 4096, 0, 0x1000);
    fake_set_damage(harness->fake, 0, 0, 2, 0x2000);
    assert_string_equal(harness_run(harness, "tm-diff", "old.core"),
                        "Total allocated size: 0.0 KiB (+0.0 KiB)\n"
                        "OLD: 1 record unreadable (4096 bytes of memory missing), the first at 0x1000: "
                        "differences may be too large, and what seems to have grown may not have\n"
                        "NEW: 2 records corrupt, the first at 0x2000: sizes may be too small, and what seems to have "
                        "shrunk may not have\n");
}

static void test_errors_name_the_core(void **state)
{
    struct harness *harness = *state;
    fake_set_open_error(harness->other, TM_ERROR_NO_TABLE, "no table");
    assert_fails(harness, "tm-diff", "'a b.core'", TM_ERROR_NO_TABLE, "a b.core: no table");
    fake_set_open_error(harness->other, 0, "");
    fake_set_tracing(harness->fake, false);
    assert_fails(harness, "tm-diff", "a.core b.core", TM_ERROR_NOT_TRACING, "b.core: tracing is off");
    assert_fails(harness, "tm-diff", "a.core", TM_ERROR_NOT_TRACING, "tracing is off");
    assert_null(strstr(harness->message, "a.core"));
}

static void test_current_target_is_needed_only_for_one_core(void **state)
{
    struct harness *harness = *state;
    harness->no_target = true;
    assert_fails(harness, "tm-diff", "a.core", TM_ERROR_NO_TARGET, "no process and no core");
    assert_non_null(harness_run(harness, "tm-diff", "a.core b.core"));
}

static void test_cores_must_be_given_and_opened(void **state)
{
    struct harness *harness = *state;
    struct tm_request *request;
    assert_fails(harness, "tm-diff", "", TM_ERROR_USAGE, "tm-diff OLD [NEW] [KEY]");
    assert_fails(harness, "tm-diff", "lineno", TM_ERROR_USAGE, "tm-diff OLD [NEW] [KEY]");
    assert_fails(harness, "tm-diff", "a b linen", TM_ERROR_USAGE, "did you mean lineno?");
    assert_fails(harness, "tm-diff", "a b lineno d", TM_ERROR_USAGE, "unexpected operand \"d\"");

    assert_null(tm_request_create(harness->session, "tm-diff", "a.core", &request));
    tm_request_set_address(request, 0, 1); // of the wrong kind
    struct tm_error *error = tm_request_run(request, fake_target(harness->fake));
    assert_int_equal(tm_error_code(error), TM_ERROR_USAGE);
    assert_contains(tm_error_message(error), "a.core");
    tm_error_destroy(error);
    tm_request_destroy(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_and_totals),
        TEST(test_order_of_equal_sizes),
        TEST(test_filters_and_keys_apply_to_both_sides),
        TEST(test_json_has_the_same_facts),
        TEST(test_damage_says_of_which_side_and_what_it_means),
        TEST(test_errors_name_the_core),
        TEST(test_current_target_is_needed_only_for_one_core),
        TEST(test_cores_must_be_given_and_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
