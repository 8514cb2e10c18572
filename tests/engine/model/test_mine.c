/**
 * --mine: which line a block is counted for, the row of the blocks without one, and what is said where the frame limit
 * is too small. And hints: what is said of patterns that fit nothing.
 */
#include "support/harness.h"

#include <string.h>

#define FRAMES 4
// A stack "/srv/main.py:101 > /srv/shop/views.py:LINE > /lib/orm.py:107 > /lib/json.py:109" of which the `first` oldest
// frames are left out.
static void add_stack(struct fake *fake, uint32_t line, uint32_t first, uint64_t size, uint64_t count)
{
    const char *names[FRAMES] = {"/srv/main.py", "/srv/shop/views.py", "/lib/orm.py", "/lib/json.py"};
    const uint32_t lines[FRAMES] = {101, line, 107, 109};
    uint32_t lengths[FRAMES];
    for (int i = 0; i < FRAMES; i++)
        lengths[i] = (uint32_t)strlen(names[i]);
    fake_add_group(fake, 0, size, count, FRAMES, FRAMES - first, names + first, lengths + first, lines + first);
}

static void add_stacks(struct harness *harness)
{
    add_stack(harness->fake, 130, 0, 300, 3);
    fake_add_block(harness->fake, 0x7f00, 300, 0, false);
    add_stack(harness->fake, 140, 0, 100, 1);
    fake_add_block(harness->fake, 0x8f00, 100, 0, false);
    fake_add(harness->fake, "/lib/json.py", 109, 50, 5);
    fake_add_block(harness->fake, 0x9f00, 50, 0, false);
}

static void test_each_block_counts_once_for_its_most_recent_own_line(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    const char *expected = "/srv/shop/views.py:130: size=300 B, count=3, average=100 B\n"
                           "/srv/shop/views.py:140: size=100 B, count=1, average=100 B\n"
                           "no frame matches: size=50 B, count=5, average=10 B\n"
                           "Total allocated size: 0.4 KiB\n";
    const char *lines[] = {"--mine '/srv/*'", "--mine /srv", "--mine=/srv/", "--mine '*/shop'", "--mine '*/views.py'"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_contains(harness_run(harness, "tm-top", lines[i]), expected);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), "\nmine: /srv\n");
    assert_contains(harness_run(harness, "tm-top", "--mine /srv filename"),
                    "/srv/shop/views.py:0: size=400 B, count=4, average=100 B\nno frame matches: size=50 B, ");
}

static void test_one_of_several_patterns_is_enough(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    assert_string_equal(harness_run(harness, "tm-top", "--mine /srv/main.py --mine '*/orm.py:107'"),
                        "/lib/orm.py:107: size=400 B, count=4, average=100 B\n"
                        "no frame matches: size=50 B, count=5, average=10 B\n"
                        "Total allocated size: 0.4 KiB\n"
                        "mine: /srv/main.py, */orm.py:107\n");
}

static void test_a_line_number_selects_the_line(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    assert_string_equal(harness_run(harness, "tm-top", "--mine '*/views.py:140'"),
                        "/srv/shop/views.py:140: size=100 B, count=1, average=100 B\n"
                        "no frame matches: size=350 B, count=8, average=44 B\n"
                        "Total allocated size: 0.4 KiB\n"
                        "mine: */views.py:140\n");
    assert_contains(harness_run(harness, "tm-top", "--mine /srv/shop:130"),
                    "/srv/shop/views.py:130: size=300 B, count=3, average=100 B\n");
}

static void test_the_key_traceback_groups_by_the_way_to_the_own_line(void **state)
{
    struct harness *harness = *state;
    add_stack(harness->fake, 130, 0, 300, 3);
    const char *names[] = {"/srv/main.py", "/srv/shop/views.py", "/lib/other.py"};
    const uint32_t lengths[] = {12, 18, 13}, lines[] = {101, 130, 102};
    fake_add_group(harness->fake, 0, 20, 1, 3, 3, names, lengths, lines);
    assert_string_equal(harness_run(harness, "tm-top", "traceback --mine /srv"),
                        "/srv/main.py:101: size=320 B, count=4, average=80 B\n"
                        "  File \"/srv/main.py\", line 101\n"
                        "  File \"/srv/shop/views.py\", line 130\n"
                        "Total allocated size: 0.3 KiB\n"
                        "mine: /srv\n");
}

static void test_filters_see_whole_tracebacks(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv --include '*/json.py'"),
                    "/srv/shop/views.py:130: size=300 B, count=3, average=100 B\n");
    assert_contains(harness_run(harness, "tm-top", "--mine /srv --exclude '*/json.py'"),
                    "Total allocated size: 0.0 KiB\n");
}

static void test_a_difference_has_the_row_too(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    add_stack(harness->other, 130, 0, 200, 1);
    fake_add(harness->other, "/lib/json.py", 109, 80, 8);
    assert_string_equal(harness_run(harness, "tm-diff", "old --mine /srv"),
                        "/srv/shop/views.py:130: size=300 B (+100 B), count=3 (+2), average=100 B\n"
                        "/srv/shop/views.py:140: size=100 B (+100 B), count=1 (+1), average=100 B\n"
                        "no frame matches: size=50 B (-30 B), count=5 (-3), average=10 B\n"
                        "Total allocated size: 0.4 KiB (+0.2 KiB)\n"
                        "mine: /srv\n");
    assert_contains(harness_run(harness, "tm-diff", "old --mine /srv --json"),
                    "\"unmatched\": {\"size\": 50, \"count\": 5, \"cut_size\": 0, \"cut_count\": 0}, "
                    "\"unmatched_old\": {\"size\": 80, \"count\": 8, \"cut_size\": 0, \"cut_count\": 0}, "
                    "\"total_size\": 450, \"total_size_diff\": 170, ");
}

static void test_single_blocks_name_the_own_line(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    const char *expected = "0x7f00: size=300 B, domain 0, /srv/shop/views.py:130\n"
                           "0x8f00: size=100 B, domain 0, /srv/shop/views.py:140\n"
                           "no frame matches: size=50 B, count=1, average=50 B\n"
                           "Total allocated size: 0.4 KiB\n"
                           "mine: /srv\n";
    assert_string_equal(harness_run(harness, "tm-traces", "--mine /srv"), expected);
    assert_string_equal(harness_run(harness, "tm-traces", "--mine /srv --sort site"), expected);
    assert_contains(harness_run(harness, "tm-traces", "--mine /srv -n 1"), "1 other: 0.1 KiB\nno frame matches: ");
    // The traceback of a block stays whole.
    assert_contains(harness_run(harness, "tm-traces", "--mine /srv -n 1 --traceback"),
                    "  File \"/lib/json.py\", line 109\n1 other");
    assert_contains(harness_run(harness, "tm-traces", "--mine /srv -n 1 --json"),
                    "{\"filename\": \"/lib/json.py\", \"lineno\": 109}], \"filename\": \"/srv/shop/views.py\", "
                    "\"lineno\": 130}], \"other\": {\"traces\": 1, \"size\": 100}, \"unmatched\": {\"size\": 50, ");
}

static void test_json_has_the_patterns_and_the_rest(void **state)
{
    struct harness *harness = *state;
    add_stacks(harness);
    const char *answer = harness_run(harness, "tm-top", "--mine /srv:130 --json");
    assert_contains(answer, "\"filters\": [], \"mine\": [{\"number\": null, \"inclusive\": true, \"filename_pattern\": "
                            "\"/srv\", \"lineno\": 130, \"all_frames\": false, \"domain\": null}], ");
    assert_contains(answer, "\"unmatched\": {\"size\": 150, \"count\": 6, \"cut_size\": 0, \"cut_count\": 0}, "
                            "\"total_size\": 450, \"total_count\": 9, ");
    answer = harness_run(harness, "tm-top", "--json");
    assert_null(strstr(answer, "\"mine\""));
    assert_null(strstr(answer, "\"unmatched\""));
    assert_null(strstr(answer, "\"hints\""));
}

static void test_a_frame_limit_that_is_too_small_is_said(void **state)
{
    struct harness *harness = *state;
    add_stack(harness->fake, 130, 0, 300, 3);
    add_stack(harness->fake, 140, 2, 2048, 1);
    fake_set_frame_limit(harness->fake, 2);
    const char *expected = "1 block (2048 B) has a traceback that was cut before any frame matched: only 2 frames are "
                           "kept; 10 or more would name the callers (TRACEMORTEM=10)";
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), expected);
    assert_contains(harness_run(harness, "tm-traces", "--mine /srv"), expected);
    assert_contains(harness_run(harness, "tm-diff", "old --mine /srv"), "\nNEW: 1 block (2048 B) has ");
    const char *answer = harness_run(harness, "tm-top", "--mine /srv --json");
    assert_contains(answer, "\"cut_size\": 2048, \"cut_count\": 1}");
    assert_contains(answer, "\"hints\": [\"1 block (2048 B) has a traceback");
    fake_set_frame_limit(harness->fake, 1);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), ": only 1 frame is kept; 10 or more would name");
    fake_set_frame_limit(harness->fake, 25);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), "25 frames are kept; more would name the callers "
                                                                   "(TRACEMORTEM=50)\n");
}

// CPython 3.8 does not count the frames of a whole stack: then a traceback as long as the limit may be a cut one.
static void test_without_totals_a_full_traceback_may_be_cut(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "/lib/json.py", 109, 50, 5);
    fake_set_frame_limit(harness->fake, 1);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), "5 blocks (50 B) have tracebacks that were cut ");
    fake_set_frame_limit(harness->fake, 2);
    assert_null(strstr(harness_run(harness, "tm-top", "--mine /srv"), "cut"));
    add_stack(harness->fake, 140, 2, 2048, 1); // totals are counted
    fake_set_frame_limit(harness->fake, 1);
    assert_contains(harness_run(harness, "tm-top", "--mine /srv"), "1 block (2048 B) has a traceback that was cut ");
}

static void test_mine_is_not_for_cumulative_mode(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-top", "-c --mine /srv", TM_ERROR_USAGE, "cumulative mode cannot be used with --mine");
    assert_fails(harness, "tm-diff", "old -c --mine /srv", TM_ERROR_USAGE, "cannot be used with --mine");
    assert_fails(harness, "tm-top", "--mine ''", TM_ERROR_USAGE, "--mine: \"\" has no file name pattern");
}

static void test_mine_can_be_interrupted(void **state)
{
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 5000; i++)
        add_stack(harness->fake, i, 0, 1, 1);
    assert_non_null(harness_run(harness, "tm-top", "--mine /srv"));
    int questions = harness->asked;
    for (int stop = 1; stop <= questions; stop++) {
        harness->stop_after = stop;
        assert_fails(harness, "tm-top", "--mine /srv", TM_ERROR_INTERRUPTED, "interrupted");
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Hints

static void test_a_pattern_that_matches_nothing_is_hinted(void **state)
{
    static const struct {
        const char *option, *hint;
    } cases[] = {
        {"--include json.py", "\"json.py\" matches no file name, because a pattern must match the whole name: "
                              "'*/json.py' matches\n"},
        {"--exclude json.py:109", "\"json.py\" matches no file name, because a pattern must match the whole name: "},
        {"--mine views.py", "'*/views.py' matches\n"},
        {"--include 'no\x1b'", "\"no\\x1b\" matches no file name; a pattern must match the whole name, as '*/svc.py' "
                               "or '/srv/*' do\n"},
        {"--include '*/views.py'", "\"*/views.py\" matches no line that allocated, only lines that called one: add "
                                   "--all-frames\n"},
        {"--include '*/json.py:108'", "\"*/json.py\" matches file names, but no frame at line 108\n"},
        {"--mine '*/views.py:108'", "\"*/views.py\" matches file names, but no frame at line 108\n"},
    };
    struct harness *harness = *state;
    add_stacks(harness);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_contains(harness_run(harness, "tm-top", cases[i].option), cases[i].hint);
        assert_contains(harness_run(harness, "tm-top", "--include '*' --json --include nothing"), "\"hints\": [\"");
    }
    assert_contains(harness_run(harness, "tm-traces", "--include json.py"), "'*/json.py' matches\n");
    assert_contains(harness_run(harness, "tm-traces", "--include json.py --json"), "\"hints\": [\"\\\"json.py\\\"");
    assert_non_null(harness_run(harness, "tm-filter", "add --exclude json.py"));
    assert_contains(harness_run(harness, "tm-top", ""), "'*/json.py' matches\n");
}

static void test_a_pattern_that_matches_is_not_hinted(void **state)
{
    static const char *const options[] = {"", "--include '*/json.py'", "--include '*/views.py' --all-frames",
                                          "--mine /srv", "--domain 7"};
    struct harness *harness = *state;
    add_stacks(harness);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        assert_null(strstr(harness_run(harness, "tm-top", options[i]), "matches no"));
}

static void test_a_pattern_needs_to_match_one_side_of_a_difference(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "new.py", 109, 50, 5);
    fake_add(harness->other, "old.py", 109, 50, 5);
    assert_null(strstr(harness_run(harness, "tm-diff", "old --include new.py --include old.py"), "matches"));
    assert_contains(harness_run(harness, "tm-diff", "old --include gone.py"), "\"gone.py\" matches no file name; ");
}

static void test_nothing_is_hinted_without_blocks(void **state)
{
    struct harness *harness = *state;
    assert_null(strstr(harness_run(harness, "tm-top", "--include json.py"), "matches"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_block_counts_once_for_its_most_recent_own_line),
        TEST(test_one_of_several_patterns_is_enough),
        TEST(test_a_line_number_selects_the_line),
        TEST(test_the_key_traceback_groups_by_the_way_to_the_own_line),
        TEST(test_filters_see_whole_tracebacks),
        TEST(test_a_difference_has_the_row_too),
        TEST(test_single_blocks_name_the_own_line),
        TEST(test_json_has_the_patterns_and_the_rest),
        TEST(test_a_frame_limit_that_is_too_small_is_said),
        TEST(test_without_totals_a_full_traceback_may_be_cut),
        TEST(test_mine_is_not_for_cumulative_mode),
        TEST(test_mine_can_be_interrupted),
        TEST(test_a_pattern_that_matches_nothing_is_hinted),
        TEST(test_a_pattern_that_matches_is_not_hinted),
        TEST(test_a_pattern_needs_to_match_one_side_of_a_difference),
        TEST(test_nothing_is_hinted_without_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
