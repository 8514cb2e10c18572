/**
 * Commands: whole answers of tm-top, tm-traceback, tm-filter and tm-info as text and JSON, also where something is
 * missing. tm-diff is in test_diff.c.
 */
#include "support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_top_shows_source_lines(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "app.py", 7, 30, 3);
    fake_add(harness->fake, "app.py", 99, 20, 1);   // a blank line
    fake_add(harness->fake, "app.py", 0, 10, 1);    // no line
    fake_add(harness->fake, "gone.py", 1, 5000, 2); // no file
    assert_string_equal(harness_run(harness, "tm-top", ""), "gone.py:1: size=5000 B, count=2, average=2500 B\n"
                                                            "app.py:7: size=30 B, count=3, average=10 B\n"
                                                            "    line\t7\n"
                                                            "app.py:99: size=20 B, count=1, average=20 B\n"
                                                            "app.py:0: size=10 B, count=1, average=10 B\n"
                                                            "Total allocated size: 4.9 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "-n 1"), "gone.py:1: size=5000 B, count=2, average=2500 B\n"
                                                                "3 other: 0.1 KiB\n"
                                                                "Total allocated size: 4.9 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "-n 0"), "4 other: 4.9 KiB\nTotal allocated size: 4.9 KiB\n");
}

static void test_top_shows_ten_rows(void **state)
{
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 12; i++)
        fake_add(harness->fake, "gone.py", i, 1024, 1);
    assert_contains(harness_run(harness, "tm-top", ""), "gone.py:2: size=1024 B, count=1, average=1024 B\n"
                                                        "2 other: 2.0 KiB\nTotal allocated size: 12.0 KiB\n");
}

static void test_top_traceback_has_frames_below_its_row(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"main.py", "gone.py"};
    const uint32_t lengths[] = {7, 7}, lines[] = {3, 4};
    fake_add_group(harness->fake, 0, 10, 1, 2, 2, names, lengths, lines);
    assert_string_equal(harness_run(harness, "tm-top", "traceback"), "main.py:3: size=10 B, count=1, average=10 B\n"
                                                                     "  File \"main.py\", line 3\n"
                                                                     "    line\t3\n"
                                                                     "  File \"gone.py\", line 4\n"
                                                                     "Total allocated size: 0.0 KiB\n");
}

static void test_top_escapes_names(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"a\n\x1b\xff\0.py"};
    const uint32_t lengths[] = {8}, lines[] = {3};
    fake_add_group(harness->fake, 0, 10, 1, 1, 1, names, lengths, lines);
    assert_string_equal(harness_run(harness, "tm-top", ""), // no source line: the name has a NUL
                        "a\\n\\x1b\\udcff\\x00.py:3: size=10 B, count=1, average=10 B\n"
                        "Total allocated size: 0.0 KiB\n");
    assert_contains(harness_run(harness, "tm-top", "--json"), "\"a\\n\\u001b\\udcff\\u0000.py\"");
}

static void test_top_json(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 7, 30, 3);
    fake_add(harness->fake, "a.py", 8, 20, 2);
    assert_string_equal(
        harness_run(harness, "tm-top", "-n 1 --json"),
        "{\"command\": \"tm-top\", \"key\": \"lineno\", \"cumulative\": false, \"limit\": 1, \"sort\": \"size\", "
        "\"traceback_limit\": 25, "
        "\"filters\": [], \"statistics\": [{\"traceback\": [{\"filename\": \"a.py\", \"lineno\": 7}], \"filename\": "
        "\"a.py\", \"lineno\": 7, \"size\": 30, \"count\": 3}], \"other\": {\"statistics\": 1, \"size\": 20, "
        "\"count\": 2}, \"total_size\": 50, \"total_count\": 5, \"not_recorded\": {\"size\": 0, \"count\": 0}, "
        "\"shortened\": {\"size\": 0, \"count\": 0}, \"in_flight\": 0, \"missing\": "
        "{\"unreadable_records\": 0, "
        "\"unreadable_bytes\": 0, \"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": null}}\n");
}

static void test_updates_in_flight_are_reported(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 7, 30, 3);
    fake_info(harness->fake)->tracer.in_flight = 10;
    assert_string_equal(harness_run(harness, "tm-top", "filename"),
                        "a.py:0: size=30 B, count=3, average=10 B\n"
                        "Total allocated size: 0.0 KiB\n"
                        "10 bytes in flight, in blocks being recorded or freed: sizes may be off by this much; "
                        "tm-verify shows whether it is damage\n");
    assert_contains(harness_run(harness, "tm-top", "--json"), "\"in_flight\": 10");
}

static void test_damage_is_reported(void **state)
{
    struct harness *harness = *state;
    fake_set_damage(harness->fake, 2, 8192, 1, 0x7f00);
    assert_string_equal(harness_run(harness, "tm-top", ""),
                        "Total allocated size: 0.0 KiB\n"
                        "2 records unreadable (8192 bytes of memory missing), 1 record corrupt, the first at 0x7f00: "
                        "what is shown is a subset\n");
    assert_contains(harness_run(harness, "tm-top", "--json"),
                    "\"missing\": {\"unreadable_records\": 2, \"unreadable_bytes\": 8192, \"corrupt_records\": 1, "
                    "\"torn_records\": 0, "
                    "\"first_address\": 32512}");
    assert_contains(harness_run(harness, "tm-info", ""),
                    "unreadable:        2 records unreadable (8192 bytes of memory missing), 1 record corrupt, the "
                    "first at 0x7f00\n");
}

static void test_errors_of_the_source_pass_unchanged(void **state)
{
    struct harness *harness = *state;
    fake_set_open_error(harness->fake, TM_ERROR_UNSUPPORTED, "layout 2");
    assert_fails(harness, "tm-top", "", TM_ERROR_UNSUPPORTED, "layout 2");
    assert_fails(harness, "tm-traceback", "1", TM_ERROR_UNSUPPORTED, "layout 2");
    assert_fails(harness, "tm-info", "", TM_ERROR_UNSUPPORTED, "layout 2");
    fake_set_open_error(harness->fake, 0, "");
    fake_set_tracing(harness->fake, false);
    assert_fails(harness, "tm-top", "", TM_ERROR_NOT_TRACING, "tracing is off");
    assert_fails(harness, "tm-traceback", "1", TM_ERROR_NOT_TRACING, "tracing is off");
    assert_non_null(harness_run(harness, "tm-info", "")); // it says that tracing is off
}

// ---------------------------------------------------------------------------------------------------------------
// tm-traceback

static void add_deep_group(struct fake *fake)
{
    const char *names[] = {"main.py", "gone.py", "app.py"};
    const uint32_t lengths[] = {7, 7, 6}, lines[] = {3, 4, 5};
    fake_add_group(fake, 0, 96, 1, 30, 3, names, lengths, lines);
}

static void test_traceback_of_an_address_inside(void **state)
{
    struct harness *harness = *state;
    add_deep_group(harness->fake);
    fake_add_block(harness->fake, 0x7f00, 96, 0, false);
    const char *expected = "block at 0x7f00 of 96 bytes, domain 0; 0x7f10 is 16 bytes into it\n"
                           "Traceback (most recent call last; showing 3 of 30 frames):\n"
                           "  File \"main.py\", line 3\n"
                           "    line\t3\n"
                           "  File \"gone.py\", line 4\n"
                           "  File \"app.py\", line 5\n"
                           "    line\t5\n";
    assert_string_equal(harness_run(harness, "tm-traceback", "0x7f10"), expected);
    assert_string_equal(harness_run_with(harness, "tm-traceback", "(PyObject *)op", 0x7f10), expected);
}

static void test_traceback_of_a_start(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 1, 1);
    fake_add_block(harness->fake, 0x10, 1, 7, true);
    assert_string_equal(harness_run(harness, "tm-traceback", "16"),
                        "block at 0x10 of 1 byte, domain 7; being resized: this is its state before that\n"
                        "Traceback (most recent call last):\n"
                        "  File \"gone.py\", line 1\n");
}

static void test_traceback_in_two_domains(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 1, 1);
    fake_add_block(harness->fake, 0x10, 64, 0, false);
    fake_add(harness->fake, "gone.py", 2, 1, 1);
    fake_add_block(harness->fake, 0x20, 64, 7, false);
    assert_string_equal(harness_run(harness, "tm-traceback", "0x20"),
                        "block at 0x10 of 64 bytes, domain 0; 0x20 is 16 bytes into it\n"
                        "Traceback (most recent call last):\n"
                        "  File \"gone.py\", line 1\n"
                        "block at 0x20 of 64 bytes, domain 7\n"
                        "Traceback (most recent call last):\n"
                        "  File \"gone.py\", line 2\n");
}

static void test_more_blocks_than_there_is_room_for(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 1, 1);
    for (uint32_t domain = 0; domain < 200; domain++)
        fake_add_block(harness->fake, 0x10, 64, domain, false);
    assert_contains(harness_run(harness, "tm-traceback", "0x20"), "domain 63;");
}

static void test_traceback_limit(void **state)
{
    struct harness *harness = *state;
    add_deep_group(harness->fake);
    fake_add_block(harness->fake, 0x7f00, 96, 0, false);
    assert_contains(harness_run(harness, "tm-traceback", "-n 1 0x7f00"),
                    "showing 1 of 30 frames):\n  File \"app.py\", line 5\n    line\t5\n");
    assert_contains(harness_run(harness, "tm-traceback", "-n -1 0x7f00"),
                    "showing 2 of 30 frames):\n  File \"main.py\", line 3\n    line\t3\n  File \"gone.py\", line 4\n");
    assert_contains(harness_run(harness, "tm-traceback", "-n 0 0x7f00"), "showing 0 of 30 frames):\n");
    assert_fails(harness, "tm-traceback", "-n x 0x7f00", TM_ERROR_USAGE, "\"x\" is not a number");
}

static void test_traceback_of_which_older_frames_were_not_counted(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"main.py", "app.py"};
    const uint32_t lengths[] = {7, 6}, lines[] = {3, 5};
    fake_add_group(harness->fake, 0, 96, 1, TM_TOTAL_UNKNOWN, 2, names, lengths, lines);
    fake_add_block(harness->fake, 0x7f00, 96, 0, false);
    assert_contains(harness_run(harness, "tm-traceback", "0x7f00"),
                    "(most recent call last; showing 2 of more than 2 frames):\n");
    assert_contains(harness_run(harness, "tm-traceback", "-n 1 0x7f00"),
                    "(most recent call last; showing 1 of more than 2 frames):\n");
    assert_contains(harness_run(harness, "tm-traceback", "--json 0x7f00"), "\"total_nframe\": null, ");
    assert_contains(harness_run(harness, "tm-traces", "--json"), "\"total_nframe\": null, ");
}

static void test_traceback_json(void **state)
{
    struct harness *harness = *state;
    add_deep_group(harness->fake);
    fake_add_block(harness->fake, 0x7f00, 96, 0, false);
    assert_string_equal(
        harness_run(harness, "tm-traceback", "-n -2 0x7f01 --json"),
        "{\"command\": \"tm-traceback\", \"address\": 32513, \"limit\": -2, \"blocks\": [{\"address\": 32512, "
        "\"size\": 96, \"offset\": 1, \"domain\": 0, \"resizing\": false, \"total_nframe\": 30, \"traceback\": "
        "[{\"filename\": \"main.py\", \"lineno\": 3}]}], \"missing\": {\"unreadable_records\": 0, "
        "\"unreadable_bytes\": 0, \"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": null}}\n");
}

static void test_not_found_says_since_when(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-traceback", "0xdead", TM_ERROR_NOT_FOUND,
                 "no traced block contains 0xdead; when tracing began is unknown.\n");

    setenv("TZ", "XYZ-05:30", 1);
    fake_set_started(harness->fake, UINT64_C(1700000000123456789));
    assert_fails(harness, "tm-traceback", "0xdead", TM_ERROR_NOT_FOUND,
                 "contains 0xdead; tracing began at 2023-11-14T22:13:20Z.\n");
    assert_contains(harness->message, "Type \"tm-info\"");
    unsetenv("TZ");

    fake_set_damage(harness->fake, 1, 4096, 0, 0x1000);
    assert_fails(harness, "tm-traceback", "0xdead", TM_ERROR_NOT_FOUND, "1 record unreadable (4096 bytes");
    fake_set_started(harness->fake, UINT64_MAX);
    assert_fails(harness, "tm-traceback", "0xdead", TM_ERROR_NOT_FOUND, "tracing began at 2554-07-21T");
}

// ---------------------------------------------------------------------------------------------------------------
// tm-filter

static void test_filters_keep_their_numbers(void **state)
{
    struct harness *harness = *state;
    assert_string_equal(harness_run(harness, "tm-filter", "list"), "no filters\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add *.py"), "added: 1 include *.py\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add --exclude '<frozen *>:12' --all-frames --domain 3"),
                        "added: 2 exclude <frozen *>:12 (all frames, domain 3)\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add --domain 7"), "added: 3 include domain 7\n");
    assert_string_equal(harness_run(harness, "tm-filter", "remove 2"),
                        "removed: 2 exclude <frozen *>:12 (all frames, domain 3)\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add a.pyc"), "added: 4 include a.py\n");
    assert_string_equal(harness_run(harness, "tm-filter", ""), "1 include *.py\n3 include domain 7\n4 include a.py\n");
    assert_string_equal(harness_run(harness, "tm-filter", "clear"), "removed: 3 filters\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add b"), "added: 1 include b\n");
}

static void test_filters_are_named_where_they_apply(void **state)
{
    struct harness *harness = *state;
    harness_run(harness, "tm-filter", "add *.py");
    harness_run(harness, "tm-filter", "add --exclude x");
    assert_string_equal(harness_run(harness, "tm-top", ""),
                        "Total allocated size: 0.0 KiB\nfilters: 1 include *.py, 2 exclude x\n");
    assert_string_equal(harness_run(harness, "tm-top", "--domain 5 --include y:3"),
                        "Total allocated size: 0.0 KiB\nfilters: 1 include *.py, 2 exclude x; of this command: "
                        "include domain 5, include y:3\n");
    assert_contains(harness_run(harness, "tm-diff", "old"), "filters: 1 include *.py, 2 exclude x\n");
    assert_contains(harness_run(harness, "tm-top", "--exclude y:3 --json --all-frames"),
                    "\"filters\": [{\"number\": 1, \"inclusive\": true, \"filename_pattern\": \"*.py\", \"lineno\": "
                    "null, \"all_frames\": false, \"domain\": null}, {\"number\": 2, \"inclusive\": false, "
                    "\"filename_pattern\": \"x\", \"lineno\": null, \"all_frames\": false, \"domain\": null}, "
                    "{\"number\": null, \"inclusive\": false, \"filename_pattern\": \"y\", \"lineno\": 3, "
                    "\"all_frames\": true, \"domain\": null}]");
    assert_string_equal(harness_run(harness, "tm-filter", "remove 1 --json"),
                        "{\"command\": \"tm-filter\", \"filters\": [{\"number\": 2, \"inclusive\": false, "
                        "\"filename_pattern\": \"x\", \"lineno\": null, \"all_frames\": false, \"domain\": null}]}\n");
    assert_string_equal(harness_run(harness, "tm-filter", "add --exclude --domain 4 --json"),
                        "{\"command\": \"tm-filter\", \"filters\": [{\"number\": 2, \"inclusive\": false, "
                        "\"filename_pattern\": \"x\", \"lineno\": null, \"all_frames\": false, \"domain\": null}, "
                        "{\"number\": 3, \"inclusive\": false, \"domain\": 4}]}\n");
}

static void test_wrong_filters_are_refused_and_change_nothing(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-filter", "ad x", TM_ERROR_USAGE, "add, remove, list, clear; did you mean add?");
    assert_fails(harness, "tm-filter", "frobnicate", TM_ERROR_USAGE, "unknown action \"frobnicate\"");
    assert_fails(harness, "tm-filter", "add", TM_ERROR_USAGE, "add needs a PATTERN[:LINENO]");
    assert_fails(harness, "tm-filter", "add --all-frames --domain 1", TM_ERROR_USAGE, "--all-frames needs a PATTERN");
    assert_fails(harness, "tm-filter", "add a b", TM_ERROR_USAGE, "unexpected operand \"b\"");
    assert_fails(harness, "tm-filter", "add ''", TM_ERROR_USAGE, "has no file name pattern");
    assert_fails(harness, "tm-filter", "add a --domain x", TM_ERROR_USAGE, "is not a domain");
    assert_fails(harness, "tm-filter", "remove", TM_ERROR_USAGE, "remove needs the number of a filter");
    assert_fails(harness, "tm-filter", "remove x", TM_ERROR_USAGE, "\"x\" is not a number");
    assert_fails(harness, "tm-filter", "remove 1", TM_ERROR_USAGE, "there is no filter 1");
    assert_fails(harness, "tm-filter", "remove 0", TM_ERROR_USAGE, "there is no filter 0");
    assert_fails(harness, "tm-filter", "list x", TM_ERROR_USAGE, "unexpected operand \"x\"");
    assert_fails(harness, "tm-filter", "clear --domain 1", TM_ERROR_USAGE, "are for add, not for clear");
    assert_string_equal(harness_run(harness, "tm-filter", "list"), "no filters\n");
}

// ---------------------------------------------------------------------------------------------------------------
// tm-info

static void test_info_text(void **state)
{
    struct harness *harness = *state;
    *fake_info(harness->fake) = (struct tm_info){.source = "tracemortem",
                                                 .found_by = "symbol",
                                                 .table_address = 0x7f0000100000,
                                                 .python_version = "3.11.7",
                                                 .state = TM_TRACING_ON,
                                                 .has_frame_limit = true,
                                                 .frame_limit = 25,
                                                 .traced = 12345678,
                                                 .has_peak = true,
                                                 .peak = 23456789,
                                                 .blocks = 1000,
                                                 .sites_live = 20,
                                                 .domains = 2,
                                                 .has_tracer = true,
                                                 .tracer = {.layout_major = 1,
                                                            .layout_minor = 2,
                                                            .version = "0.1.0",
                                                            .debug_build = true,
                                                            .reuse_exact = true,
                                                            .reuse_way = TM_REUSE_BY_ENTRY,
                                                            .pid = 1234,
                                                            .started = UINT64_C(1700000000000000000),
                                                            .cleared = UINT64_C(1700000060000000000),
                                                            .sites = 30,
                                                            .record_limit = 2000,
                                                            .allocations = 5000,
                                                            .allocated = 99999,
                                                            .strings = 3,
                                                            .codes = 1,
                                                            .nodes = 40,
                                                            .bytes = 700,
                                                            .site_records = 31,
                                                            .string_limit = 499,
                                                            .code_limit = 499,
                                                            .node_limit = 3999,
                                                            .byte_limit = 63999,
                                                            .table_bytes = 4096,
                                                            .leaves = 1,
                                                            .mapped = 1 << 30,
                                                            .lost_blocks = 1,
                                                            .lost_frames = 2,
                                                            .resizing = 1}};
    assert_string_equal(
        harness_run(harness, "tm-info", ""),
        "tracing:           on since 2023-11-14T22:13:20Z\n"
        "traces cleared:    2023-11-14T22:14:20Z\n"
        "frame limit:       25 frames per traceback\n"
        "detail:            full: what was freed and older frames are counted\n"
        "traced memory:     11.8 MiB (12345678 bytes)\n"
        "peak:              22.4 MiB (23456789 bytes)\n"
        "blocks:            1000 live, 1 of them being resized, in 2 domains\n"
        "allocations:       5000 of 97.7 KiB (99999 bytes) since traces were cleared\n"
        "sites:             20 with live blocks, 30 in total, at most 2000\n"
        "tracer's memory:   4096 B (4096 bytes) in records, 1 leaf of the map, 1024 MiB (1073741824 "
        "bytes) mapped\n"
        "records:           3 strings, 1 code object, 40 nodes\n"
        "room used:         0.2% of code objects, 0.6% of strings, 1.0% of bytes, 1.0% of nodes, 1.5% of sites\n"
        "free lists:        exact: an object created from one has its latest traceback\n"
        "reuse seen by:     a jump in CPython's code\n"
        "not recorded:      1 block, 2 frames\n"
        "Python:            3.11.7, debug build\n"
        "tracer:            0.1.0\n"
        "pid:               1234\n"
        "table:             tracemortem's, layout 1.2, at 0x7f0000100000, found by symbol\n"
        "unreadable:        nothing\n");
}

static void test_info_says_what_a_lean_table_does_not_know(void **state)
{
    struct harness *harness = *state;
    fake_info(harness->fake)->tracer.lean = true;
    assert_contains(harness_run(harness, "tm-info", ""),
                    "\ndetail:            lean: what was freed and older frames are not counted "
                    "(TRACEMORTEM_DETAIL=full counts them)\n");
    assert_contains(harness_run(harness, "tm-info", ""), "\nallocations:       not counted: see detail\n");
    assert_contains(harness_run(harness, "tm-info", "--json"), "\"allocations\": null, \"allocated\": null, ");
    assert_contains(harness_run(harness, "tm-info", "--json"), "\"detail\": \"lean\", ");
    fake_info(harness->fake)->state = TM_TRACING_STOPPED;
    assert_null(strstr(harness_run(harness, "tm-info", ""), "detail:"));
    assert_contains(harness_run(harness, "tm-info", "--json"), "\"detail\": null, ");
}

static void test_info_leaves_out_what_a_source_does_not_hold(void **state)
{
    struct harness *harness = *state;
    *fake_info(harness->fake) = (struct tm_info){.source = "stock",
                                                 .found_by = "search",
                                                 .table_address = 0x7f0000100000,
                                                 .python_version = "3.9 to 3.11",
                                                 .state = TM_TRACING_ON,
                                                 .traced = 1000,
                                                 .blocks = 2,
                                                 .sites_live = 1,
                                                 .domains = 1,
                                                 .has_lock = true,
                                                 .damage = {.torn_records = 3}};
    assert_string_equal(
        harness_run(harness, "tm-info", ""),
        "tracing:           on\n"
        "frame limit:       unknown\n"
        "lock:              unknown: a thread may have been changing the tables\n"
        "traced memory:     1000 B (1000 bytes)\n"
        "peak:              not known: no symbol leads to CPython's variable, and its place does not show it\n"
        "blocks:            2 live, in 1 domain\n"
        "sites:             1 with live blocks\n"
        "Python:            3.9 to 3.11\n"
        "table:             stock, CPython's own tracemalloc, at 0x7f0000100000, found by search\n"
        "unreadable:        3 records lost (the table was being changed)\n");
    assert_string_equal(harness_run(harness, "tm-info", "--json"),
                        "{\"command\": \"tm-info\", \"json_version\": 1, \"state\": \"tracing\", \"tracing\": true, "
                        "\"traced_memory\": 1000, "
                        "\"blocks\": 2, \"sites_live\": 1, \"domains\": 1, \"python_version\": \"3.9 to 3.11\", "
                        "\"free_threaded\": false, \"source\": \"stock\", \"found_by\": \"search\", \"table_address\": "
                        "139637977776128, \"missing\": {\"unreadable_records\": 0, \"unreadable_bytes\": 0, "
                        "\"corrupt_records\": 0, \"torn_records\": 3, \"first_address\": null}}\n");
    fake_info(harness->fake)->lock = TM_LOCK_HELD;
    assert_contains(harness_run(harness, "tm-info", ""), "lock:              held: ");
    assert_contains(harness_run(harness, "tm-info", "--json"), "\"locked\": true, ");
    fake_info(harness->fake)->state = 0;
    assert_contains(harness_run(harness, "tm-info", ""), "tracing:           off: not started, or stopped\n");
}

static void test_info_tells_the_states_apart(void **state)
{
    struct harness *harness = *state;
    struct tm_info *info = fake_info(harness->fake);
    info->state = 0;
    assert_contains(harness_run(harness, "tm-info", ""), "tracing:           off: never started\n");
    info->state = 2;
    assert_contains(harness_run(harness, "tm-info", ""),
                    "tracing:           off: stopped, and the traces are cleared\n");
    info->state = 3;
    assert_contains(harness_run(harness, "tm-info", ""), "tracing:           on; traces are being cleared\n");
    info->state = 77;
    assert_contains(harness_run(harness, "tm-info", ""), "tracing:           unknown: state 77\n");
}

static void test_info_json(void **state)
{
    struct harness *harness = *state;
    fake_info(harness->fake)->tracer.started = UINT64_C(1700000000000000000);
    const char *output = harness_run(harness, "tm-info", "--json");
    assert_contains(
        output,
        "{\"command\": \"tm-info\", \"json_version\": 1, \"state\": \"tracing\", \"tracing\": true, \"started\": "
        "\"2023-11-14T22:13:20Z\", \"cleared\": null, \"traced_memory\": 0, ");
    assert_contains(output, "\"python_version\": \"3.11.7\", ");
    assert_contains(output, "\"first_address\": null}}\n");
    // The help names each key.
    for (const char *key = output; (key = strstr(key, "\": ")) != NULL; key += 3) {
        char name[64];
        const char *start = key;
        while (start[-1] != '"')
            start--;
        snprintf(name, sizeof(name), "%.*s", (int)(key - start), start);
        assert_contains(tm_command_help("tm-info"), name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_top_shows_source_lines),
        TEST(test_top_shows_ten_rows),
        TEST(test_top_traceback_has_frames_below_its_row),
        TEST(test_top_escapes_names),
        TEST(test_top_json),
        TEST(test_updates_in_flight_are_reported),
        TEST(test_damage_is_reported),
        TEST(test_errors_of_the_source_pass_unchanged),
        TEST(test_traceback_of_an_address_inside),
        TEST(test_traceback_of_a_start),
        TEST(test_traceback_in_two_domains),
        TEST(test_more_blocks_than_there_is_room_for),
        TEST(test_traceback_limit),
        TEST(test_traceback_of_which_older_frames_were_not_counted),
        TEST(test_traceback_json),
        TEST(test_not_found_says_since_when),
        TEST(test_filters_keep_their_numbers),
        TEST(test_filters_are_named_where_they_apply),
        TEST(test_wrong_filters_are_refused_and_change_nothing),
        TEST(test_info_text),
        TEST(test_info_says_what_a_lean_table_does_not_know),
        TEST(test_info_leaves_out_what_a_source_does_not_hold),
        TEST(test_info_tells_the_states_apart),
        TEST(test_info_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
