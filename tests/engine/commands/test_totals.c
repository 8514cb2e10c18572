/**
 * Totals of rows that overlap, orders of rows, what was ever allocated and freed, and what the table had no room for.
 */
#include "support/harness.h"

#include <string.h>

// Two blocks of main.py:3, one of which comes through service.py:4.
static void add_overlapping(struct fake *fake)
{
    const char *names[] = {"gone.py", "lib.py"};
    const uint32_t lengths[] = {7, 6}, lines[] = {3, 0}, other_lines[] = {4, 0};
    fake_add_group(fake, 0, 1024, 1, 2, 2, names, lengths, lines);
    fake_add_group(fake, 0, 2048, 2, 2, 2, names, lengths, other_lines);
}

static void test_a_cumulative_total_has_each_block_once(void **state)
{
    struct harness *harness = *state;
    add_overlapping(harness->fake);
    const char *overlap = " (the rows overlap: a block is in the row of each of its frames, and once in this total)\n";
    const char *text = harness_run(harness, "tm-top", "-c -n 1");
    assert_contains(text, "lib.py:0: size=3072 B, count=3, average=1024 B\n2 other\nTotal allocated size: 3.0 KiB (");
    assert_contains(text, overlap);
    assert_contains(harness_run(harness, "tm-top", "-c -n 1 --plain"), "2 other\nTotal allocated size: 3.0 KiB\n");
    assert_contains(harness_run(harness, "tm-top", "-c -n 1 --json"),
                    "\"other\": {\"statistics\": 2, \"size\": null, \"count\": null}, \"total_size\": 3072, "
                    "\"total_count\": 3");
    text = harness_run(harness, "tm-diff", "old -c -n 1");
    assert_contains(text, "2 other\nTotal allocated size: 3.0 KiB (+3.0 KiB) (");
    assert_contains(text, overlap);
    assert_contains(
        harness_run(harness, "tm-diff", "old -c -n 1 --json"),
        "\"size\": null, \"size_diff\": null, \"count\": null, \"count_diff\": null}, \"total_size\": 3072, "
        "\"total_size_diff\": 3072");
    assert_contains(harness_run(harness, "tm-top", "-n 1"), "\nTotal allocated size: 3.0 KiB\n");
}

static void test_an_answer_of_a_process_that_ran_says_so(void **state)
{
    struct harness *harness = *state;
    const char *line = "\nRead while the process ran: lines and sizes are right, but counts and totals may be off by "
                       "what it allocated or freed meanwhile\n";
    add_overlapping(harness->fake);
    assert_null(strstr(harness_run(harness, "tm-top", ""), line));
    fake_set_moving(harness->fake, true);
    const char *text = harness_run(harness, "tm-top", "");
    assert_string_equal(text + strlen(text) - strlen(line), line);
    assert_contains(harness_run(harness, "tm-top", "--json"), ", \"read_while_running\": true}\n");
    assert_contains(harness_run(harness, "tm-diff", "old"), line);
    assert_null(strstr(harness_run(harness, "tm-top", "--help"), line));
    fake_set_moving(harness->fake, false);
    fake_set_moving(harness->other, true);
    assert_contains(harness_run(harness, "tm-diff", "old --json"), "\"read_while_running\": true");
}

static void add_churn(struct fake *fake)
{
    fake_add(fake, "gone.py", 1, 100, 1);
    fake_set_churn(fake, 100, 1, 0, 0);
    fake_add(fake, "gone.py", 2, 50, 5);
    fake_set_churn(fake, 1000, 100, 950, 95);
    fake_add(fake, "gone.py", 3, 0, 0); // all of it is freed
    fake_set_churn(fake, 5000, 10, 5000, 10);
}

static void test_orders(void **state)
{
    struct harness *harness = *state;
    add_churn(harness->fake);
    assert_string_equal(harness_run(harness, "tm-top", "--sort size"), "gone.py:1: size=100 B, count=1, average=100 B\n"
                                                                       "gone.py:2: size=50 B, count=5, average=10 B\n"
                                                                       "Total allocated size: 0.1 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "-s count"), "gone.py:2: size=50 B, count=5, average=10 B\n"
                                                                    "gone.py:1: size=100 B, count=1, average=100 B\n"
                                                                    "Total allocated size: 0.1 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "--sort allocated"),
                        "gone.py:3: size=0 B, count=0, allocated=5000 B (10), freed=5000 B (10)\n"
                        "gone.py:2: size=50 B, count=5, average=10 B, allocated=1000 B (100), freed=950 B (95)\n"
                        "gone.py:1: size=100 B, count=1, average=100 B, allocated=100 B (1), freed=0 B (0)\n"
                        "Total allocated size: 0.1 KiB\n"
                        "Ever allocated: 6.0 KiB in 111 blocks; freed: 5.8 KiB in 105 blocks\n");
    assert_string_equal(harness_run(harness, "tm-top", "--sort freed --plain -n 1"),
                        "gone.py:3: size=0 B, count=0\n2 other: 0.1 KiB\nTotal allocated size: 0.1 KiB\n");
    const char *text = harness_run(harness, "tm-top", "--sort freed -n 1 --json");
    assert_contains(text, "\"sort\": \"freed\"");
    assert_contains(text, "\"size\": 0, \"count\": 0, \"allocated\": 5000, \"allocations\": 10, \"freed\": 5000, "
                          "\"frees\": 10}");
    assert_contains(text, "\"total_allocated\": 6100, \"total_allocations\": 111, \"total_freed\": 5950, "
                          "\"total_frees\": 105");
    assert_fails(harness, "tm-top", "--sort address", TM_ERROR_USAGE,
                 "is not a sort order: size, count, allocated or freed");
}

static void test_orders_of_a_difference(void **state)
{
    struct harness *harness = *state;
    add_churn(harness->other);
    fake_add(harness->fake, "gone.py", 1, 400, 4);
    fake_set_churn(harness->fake, 400, 4, 0, 0);
    fake_add(harness->fake, "gone.py", 2, 50, 5);
    fake_set_churn(harness->fake, 3000, 300, 2950, 295);
    assert_contains(harness_run(harness, "tm-diff", "old --sort allocated"),
                    "gone.py:3: size=0 B (+0 B), count=0 (+0), allocated=-5000 B (-10), freed=-5000 B (-10)\n"
                    "gone.py:2: size=50 B (+0 B), count=5 (+0), average=10 B, allocated=+2000 B (+200), freed=+2000 B "
                    "(+200)\n"
                    "gone.py:1: size=400 B (+300 B), count=4 (+3), average=100 B, allocated=+300 B (+3), freed=+0 B "
                    "(+0)\n");
    assert_contains(harness_run(harness, "tm-diff", "old --sort count -n 1"), "gone.py:1: size=400 B");
    assert_contains(harness_run(harness, "tm-diff", "old --sort freed --json"),
                    "\"freed\": 2950, \"freed_diff\": 2000");
}

static void test_an_order_that_a_source_does_not_count(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 100, 1);
    assert_fails(harness, "tm-top", "--sort allocated", TM_ERROR_UNSUPPORTED,
                 "what was allocated and freed is not counted here");
    add_churn(harness->fake);
    assert_fails(harness, "tm-diff", "old.core --sort freed", TM_ERROR_UNSUPPORTED, "old.core: what was allocated");
    assert_contains(harness_run(harness, "tm-top", "--sort count"), "gone.py:2: ");
}

static void test_what_the_table_had_no_room_for_is_said(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "<unknown>", 0, 1, 1); // a block where no Python code ran
    fake_add(harness->fake, "<unknown>", 0, 4096, 4);
    fake_set_lacks(harness->fake, true, false);
    fake_add_block(harness->fake, 0x1000, 4096, 0, false);
    assert_string_equal(harness_run(harness, "tm-top", ""),
                        "<unknown>:0: size=4097 B, count=5, average=819 B\n"
                        "    place not known: 4 blocks of 4096 B: their code objects are not recorded\n"
                        "Total allocated size: 4.0 KiB\n"
                        "shown as <unknown>:0: 4 blocks of 4096 B: the table had no room for their code objects; "
                        "tm-info shows how full it is\n");
    assert_null(strstr(harness_run(harness, "tm-top", "--plain"), "place not known"));
    const char *text = harness_run(harness, "tm-top", "--json");
    assert_contains(text, "\"count\": 5, \"not_recorded\": {\"size\": 4096, \"count\": 4}}");
    assert_contains(text, "\"total_count\": 5, \"not_recorded\": {\"size\": 4096, \"count\": 4}, \"shortened\": "
                          "{\"size\": 0, \"count\": 0}");
    assert_contains(harness_run(harness, "tm-diff", "old"), "NEW: shown as <unknown>:0: 4 blocks of 4096 B");
    assert_contains(harness_run(harness, "tm-diff", "old --json"), "\"not_recorded\": {\"size\": 4096, \"count\": 4}");
    assert_contains(harness_run(harness, "tm-traceback", "0x1000"),
                    "  File \"<unknown>\", line 0 (its code object is not recorded)\n");
    assert_contains(harness_run(harness, "tm-traceback", "0x1000 --json"), "\"lineno\": 0, \"not_recorded\": true}");
    assert_contains(harness_run(harness, "tm-traces", ""), "<unknown>:0 (its code object is not recorded)\n");
}

static void test_shortened_tracebacks_are_said_where_they_matter(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 100, 1);
    fake_set_lacks(harness->fake, false, true);
    assert_contains(harness_run(harness, "tm-top", "traceback"),
                    "    shortened: 1 block of 100 B: the table had no room for the oldest frames of the tracebacks\n");
    assert_contains(harness_run(harness, "tm-top", "-c"),
                    "\nshortened: 1 block of 100 B: the table had no room for the oldest frames of the tracebacks\n");
    assert_null(strstr(harness_run(harness, "tm-top", ""), "shortened"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_of_a_process_that_ran_says_so),
        TEST(test_a_cumulative_total_has_each_block_once),
        TEST(test_orders),
        TEST(test_orders_of_a_difference),
        TEST(test_an_order_that_a_source_does_not_count),
        TEST(test_what_the_table_had_no_room_for_is_said),
        TEST(test_shortened_tracebacks_are_said_where_they_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
