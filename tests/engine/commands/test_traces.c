/**
 * tm-traces and tm-save: their output for the traces of a source. tests/engine/snapshot/test_snapshot.c, and Python in
 * tests/snapshot/, check the content of saved files.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include <stdio.h>
#include <string.h>

// Blocks at three places: a.py:1 has 5000 bytes, b.py:2 2100, c.py:3 only 64.
static void fill(struct harness *harness)
{
    static const char *const names[] = {"main.py", "c.py"};
    static const uint32_t lengths[] = {7, 4}, lines[] = {7, 3};
    fake_add(harness->fake, "a.py", 1, 5000, 2);
    fake_add_block(harness->fake, 0x3000, 1000, 0, false);
    fake_add_block(harness->fake, 0x9000, 4000, 0, false);
    fake_add(harness->fake, "b.py", 2, 2100, 2);
    fake_add_block(harness->fake, 0x2000, 100, 0, true);
    fake_add_block(harness->fake, 0x7000, 2000, 0, false);
    fake_add_group(harness->fake, 5, 64, 1, 9, 2, names, lengths, lines);
    fake_add_block(harness->fake, 0x5000, 64, 5, false);
}

static void test_biggest_first(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    assert_string_equal(harness_run(harness, "tm-traces", "-n 3"), "0x9000: size=4000 B, domain 0, a.py:1\n"
                                                                   "0x7000: size=2000 B, domain 0, b.py:2\n"
                                                                   "0x3000: size=1000 B, domain 0, a.py:1\n"
                                                                   "2 other: 0.2 KiB\n"
                                                                   "Total allocated size: 7.0 KiB\n");
    assert_string_equal(harness_run(harness, "tm-traces", "--sort size -n 0"), "5 other: 7.0 KiB\n"
                                                                               "Total allocated size: 7.0 KiB\n");
}

static void test_by_address(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    assert_string_equal(harness_run(harness, "tm-traces", "-s address"),
                        "0x2000: size=100 B, domain 0, b.py:2; being resized: this is its state before that\n"
                        "0x3000: size=1000 B, domain 0, a.py:1\n"
                        "0x5000: size=64 B, domain 5, c.py:3\n"
                        "0x7000: size=2000 B, domain 0, b.py:2\n"
                        "0x9000: size=4000 B, domain 0, a.py:1\n"
                        "Total allocated size: 7.0 KiB\n");
    assert_string_equal(harness_run(harness, "tm-traces", "-n1 --sort=address"),
                        "0x2000: size=100 B, domain 0, b.py:2; being resized: this is its state before that\n"
                        "4 other: 6.9 KiB\n"
                        "Total allocated size: 7.0 KiB\n");
}

static void test_by_site(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    fake_add(harness->fake, "gone.py", 9, 0, 0); // a place that is not in the statistics
    fake_add_block(harness->fake, 0xa000, 8, 0, false);
    assert_string_equal(harness_run(harness, "tm-traces", "-s site"),
                        "0x9000: size=4000 B, domain 0, a.py:1\n"
                        "0x3000: size=1000 B, domain 0, a.py:1\n"
                        "0x7000: size=2000 B, domain 0, b.py:2\n"
                        "0x2000: size=100 B, domain 0, b.py:2; being resized: this is its state before that\n"
                        "0x5000: size=64 B, domain 5, c.py:3\n"
                        "0xa000: size=8 B, domain 0, gone.py:9\n"
                        "Total allocated size: 7.0 KiB\n");
}

static void test_equal_sizes_by_address_then_domain(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 1, 50, 5);
    for (uint64_t i = 5; i > 0; i--)
        fake_add_block(harness->fake, i * 0x1000, 10, 0, false);
    fake_add(harness->fake, "b.py", 1, 10, 1);
    fake_add_block(harness->fake, 0x1000, 10, 3, false);
    assert_string_equal(harness_run(harness, "tm-traces", "-n 3"), "0x1000: size=10 B, domain 0, a.py:1\n"
                                                                   "0x1000: size=10 B, domain 3, b.py:1\n"
                                                                   "0x2000: size=10 B, domain 0, a.py:1\n"
                                                                   "3 other: 0.0 KiB\n"
                                                                   "Total allocated size: 0.1 KiB\n");
}

// Every limit shows the first rows of the whole list, in whatever order the blocks come.
static void test_every_limit_gives_the_first_rows(void **state)
{
    struct harness *harness = *state;
    char whole[4096], line[32];
    uint64_t random = 12345;
    fake_add(harness->fake, "a.py", 1, 1, 1);
    for (int i = 0; i < 40; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        fake_add_block(harness->fake, 0x1000 + 0x100 * (random >> 50), random >> 40 & 15, 0, false);
    }
    snprintf(whole, sizeof(whole), "%s", harness_run(harness, "tm-traces", "-n 40"));
    for (int limit = 1; limit < 40; limit++) {
        const char *end = whole;
        snprintf(line, sizeof(line), "-n %d", limit);
        const char *shown = harness_run(harness, "tm-traces", line);
        for (int i = 0; i < limit; i++)
            end = strchr(end, '\n') + 1;
        assert_memory_equal(shown, whole, (size_t)(end - whole));
        assert_true(strstr(shown, " other: ") == shown + (end - whole) + strspn(shown + (end - whole), "0123456789"));
    }
}

static void test_tracebacks(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    assert_contains(harness_run(harness, "tm-traces", "-t --domain 5"), "0x5000: size=64 B, domain 5, c.py:3\n"
                                                                        "  File \"main.py\", line 7\n"
                                                                        "    line\t7\n"
                                                                        "  File \"c.py\", line 3\n"
                                                                        "    line\t3\n"
                                                                        "Total allocated size: 0.1 KiB\n");
}

static void test_filters(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    assert_non_null(harness_run(harness, "tm-filter", "add --exclude b.py"));
    assert_string_equal(harness_run(harness, "tm-traces", "--include '*.py' -n 1"),
                        "0x9000: size=4000 B, domain 0, a.py:1\n"
                        "2 other: 1.0 KiB\n"
                        "Total allocated size: 4.9 KiB\n"
                        "filters: 1 exclude b.py; of this command: include *.py\n");
    assert_string_equal(harness_run(harness, "tm-traces", "--include main.py"),
                        "Total allocated size: 0.0 KiB\n"
                        "filters: 1 exclude b.py; of this command: include main.py\n"
                        "\"main.py\" matches no line that allocated, only lines that called one: add --all-frames\n");
    assert_contains(harness_run(harness, "tm-traces", "--include main.py --all-frames --sort site"),
                    "0x5000: size=64 B, domain 5, c.py:3\nTotal");
}

static void test_json(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    fake_set_damage(harness->fake, 1, 2, 3, 0x10);
    assert_string_equal(
        harness_run(harness, "tm-traces", "--json -n 1 -s address --exclude a.py"),
        "{\"command\": \"tm-traces\", \"sort\": \"address\", \"limit\": 1, \"traceback_limit\": 25, \"filters\": "
        "[{\"number\": null, \"inclusive\": false, \"filename_pattern\": \"a.py\", \"lineno\": null, \"all_frames\": "
        "false, \"domain\": null}], \"traces\": [{\"address\": 8192, \"size\": 100, \"domain\": 0, \"resizing\": true, "
        "\"total_nframe\": 1, \"traceback\": [{\"filename\": \"b.py\", \"lineno\": 2}]}], \"other\": {\"traces\": 2, "
        "\"size\": 2064}, \"total_size\": 2164, \"total_count\": 3, \"missing\": {\"unreadable_records\": 1, "
        "\"unreadable_bytes\": 2, \"corrupt_records\": 3, \"torn_records\": 0, \"first_address\": 16}}\n");
    assert_contains(harness_run(harness, "tm-traces", ""), "1 record unreadable");
}

static void test_nothing_traced(void **state)
{
    struct harness *harness = *state;
    assert_string_equal(harness_run(harness, "tm-traces", ""), "Total allocated size: 0.0 KiB\n");
    assert_contains(harness_run(harness, "tm-traces", "--json --sort site"),
                    "\"traces\": [], \"other\": {\"traces\": 0");
}

static void test_usage(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-traces", "lineno", TM_ERROR_USAGE, "unexpected operand \"lineno\"");
    assert_fails(harness, "tm-traces", "-s", TM_ERROR_USAGE, "--sort needs a value");
    assert_fails(harness, "tm-traces", "-s big", TM_ERROR_USAGE, "\"big\" is not a sort order: size, address or site");
    assert_fails(harness, "tm-save", "", TM_ERROR_USAGE, "missing file name. Usage: tm-save FILE");
    assert_fails(harness, "tm-save", "''", TM_ERROR_USAGE, "missing file name.");
    assert_fails(harness, "tm-save", "a b", TM_ERROR_USAGE, "unexpected operand \"b\"");
    assert_fails(harness, "tm-save", "--traces 3.7 a", TM_ERROR_USAGE, "\"3.7\" is not a form of traces");
    harness->no_target = true;
    assert_fails(harness, "tm-traces", "", TM_ERROR_NO_TARGET, "no process and no core");
    assert_fails(harness, "tm-save", "a", TM_ERROR_NO_TARGET, "no process and no core");
}

static void test_tracing_is_off(void **state)
{
    struct harness *harness = *state;
    fake_set_tracing(harness->fake, false);
    assert_fails(harness, "tm-traces", "", TM_ERROR_NOT_TRACING, "tracing is off");
    assert_fails(harness, "tm-save", "a", TM_ERROR_NOT_TRACING, "tracing is off");
    assert_int_equal(harness->written.length, 0);
}

static void test_stop(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    harness->stop_after = 1;
    assert_fails(harness, "tm-traces", "", TM_ERROR_INTERRUPTED, "interrupted");
    assert_fails(harness, "tm-traces", "--json", TM_ERROR_INTERRUPTED, "interrupted");
}

// ---------------------------------------------------------------------------------------------------------------
// tm-save

// The position of a word's bytes, from `from` on.
static const char *find(const struct harness *harness, const char *word, size_t length)
{
    return memmem(harness->written.bytes, harness->written.length, word, length);
}

static void test_save(void **state)
{
    struct harness *harness = *state;
    char expected[128];
    fill(harness);
    const char *output = harness_run(harness, "tm-save", "'my file'");
    snprintf(expected, sizeof(expected), "5 traces of 7.0 KiB saved in my file (%zu B)\n", harness->written.length);
    assert_string_equal(output, expected);
    // Protocol 4; each name once; by address; with totals.
    assert_memory_equal(harness->written.bytes, "\x80\x04\x95", 3);
    assert_non_null(find(harness, "\x93)\x81}\x8c\x06traces", 11));
    assert_true(find(harness, "b.py", 4) < find(harness, "a.py", 4));
    assert_true(find(harness, "a.py", 4) < find(harness, "c.py", 4));
    assert_non_null(find(harness, "K\x09t", 3));
    assert_int_equal(harness->written.bytes[harness->written.length - 1], '.');
}

static void test_save_json(void **state)
{
    struct harness *harness = *state;
    char expected[512];
    fill(harness);
    fake_set_python_version(harness->fake, 0x030812f0);
    const char *output = harness_run(harness, "tm-save", "a --json --domain 5");
    snprintf(
        expected, sizeof(expected),
        "{\"command\": \"tm-save\", \"file\": \"a\", \"traces\": \"3.8\", \"bytes\": %zu, \"traceback_limit\": 25, "
        "\"filters\": [{\"number\": null, \"inclusive\": true, \"domain\": 5}], \"total_size\": 64, "
        "\"total_count\": 1, \"missing\": {\"unreadable_records\": 0, \"unreadable_bytes\": 0, "
        "\"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": null}}\n",
        harness->written.length);
    assert_string_equal(output, expected);
}

static void test_the_form_is_the_targets_or_the_one_asked_for(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    assert_contains(harness_run(harness, "tm-save", "a --json"), "\"traces\": \"3.9\""); // unknown version
    fake_set_python_version(harness->fake, 0x030d00f0);
    assert_contains(harness_run(harness, "tm-save", "a --json"), "\"traces\": \"3.9\"");
    assert_contains(harness_run(harness, "tm-save", "a --json --traces 3.8"), "\"traces\": \"3.8\"");
    assert_null(find(harness, "K\x09t", 3));
    fake_set_python_version(harness->fake, 0x030812f0);
    assert_contains(harness_run(harness, "tm-save", "a --json --traces=3.9"), "\"traces\": \"3.9\"");
    assert_non_null(find(harness, "K\x09t", 3));
}

static void test_the_kind_of_operand_says_whether_a_file_is_replaced(void **state)
{
    struct harness *harness = *state;
    static const struct {
        const char *line;
        enum tm_operand kind;
    } cases[] = {{"a", TM_OPERAND_OUTPUT}, {"--force a", TM_OPERAND_REPLACE}, {"a -f", TM_OPERAND_REPLACE}};
    for (size_t i = 0; i < 3; i++) {
        struct tm_request *request;
        assert_null(tm_request_create(harness->session, "tm-save", cases[i].line, &request));
        assert_int_equal(tm_request_operands(request), 1);
        assert_int_equal(tm_request_operand_kind(request, 0), cases[i].kind);
        assert_string_equal(tm_request_operand_text(request, 0), "a");
        struct tm_error *error = tm_request_run(request, fake_target(harness->fake));
        assert_contains(tm_error_message(error), "this file could not be opened for writing: a");
        tm_error_destroy(error);
        tm_request_destroy(request);
    }
}

static void test_what_cannot_be_written_is_an_error(void **state)
{
    struct harness *harness = *state;
    fill(harness);
    harness->write_limit = 2;
    assert_fails(harness, "tm-save", "a", TM_ERROR_OUTPUT, "could not be written");
    harness->write_limit = 1;
    assert_fails(harness, "tm-save", "a", TM_ERROR_OUTPUT, "could not be written");
    // In the middle of many frames.
    for (uint64_t i = 0; i < 30000; i++)
        fake_add_block(harness->fake, 0x100000 + i * 16, 1 << 20, 5, false);
    harness->write_limit = 100000;
    assert_fails(harness, "tm-save", "a", TM_ERROR_OUTPUT, "could not be written");
    assert_true(harness->written.length < 200000);
}

static void test_save_without_traces(void **state)
{
    struct harness *harness = *state;
    assert_contains(harness_run(harness, "tm-save", "a"), "0 traces of 0.0 KiB saved in a (");
    assert_non_null(find(harness, "\x8c\x0ftraceback_limitK\x19sb.", 22));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_biggest_first),
        TEST(test_by_address),
        TEST(test_by_site),
        TEST(test_equal_sizes_by_address_then_domain),
        TEST(test_every_limit_gives_the_first_rows),
        TEST(test_tracebacks),
        TEST(test_filters),
        TEST(test_json),
        TEST(test_nothing_traced),
        TEST(test_usage),
        TEST(test_tracing_is_off),
        TEST(test_stop),
        TEST(test_save),
        TEST(test_save_json),
        TEST(test_the_form_is_the_targets_or_the_one_asked_for),
        TEST(test_the_kind_of_operand_says_whether_a_file_is_replaced),
        TEST(test_what_cannot_be_written_is_an_error),
        TEST(test_save_without_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
