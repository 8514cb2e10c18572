/**
 * tm-export: what each format has for a few tracebacks, byte for byte where the format is a text; names that a reader could
 * act on; bounds. tests/exports/ opens the files in the programs that they are made for.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "engine/export/html.h"
#include "engine/export/page.h"

// One place with two domains, and one with callers and functions.
static void fill(struct fake *fake)
{
    static const char *const names[] = {"main.py", "lib/c.py"}, *const functions[] = {"<module>", "Basket.add"};
    static const uint32_t lengths[] = {7, 8}, lines[] = {7, 3};
    fake_add(fake, "a.py", 1, 5000, 2);
    fake_add_group(fake, 5, 64, 1, 9, 2, names, lengths, lines);
    fake_set_functions(fake, functions);
    fake_add_group(fake, 0, 36, 2, 2, 2, names, lengths, lines);
    fake_set_functions(fake, functions);
}

static void fill_old(struct fake *fake)
{
    fake_add(fake, "a.py", 1, 6000, 3);
    fake_add(fake, "gone.py", 4, 10, 1);
}

static const char *written(struct harness *harness, const char *line)
{
    harness_run(harness, "tm-export", line);
    if (harness->message)
        fail_msg("%s", harness->message);
    return tm_text_string(&harness->written);
}

static void test_collapsed(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    fill_old(harness->other);
    assert_string_equal(written(harness, "collapsed f"), "a.py:1 5000\n"
                                                         "<module> (main.py:7);Basket.add (lib/c.py:3) 100\n");
    assert_string_equal(
        tm_text_string(&harness->output),
        "3 tracebacks of 5.0 KiB exported as collapsed to f (61 B)\n"
        "1 block of 64 B without the oldest frames: at most 25 are kept (TRACEMORTEM=50 would keep more)\n");
    assert_string_equal(written(harness, "collapsed f --base old"),
                        "a.py:1 6000 5000\n"
                        "<module> (main.py:7);Basket.add (lib/c.py:3) 0 100\n"
                        "gone.py:4 10 0\n");
    assert_string_equal(
        tm_text_string(&harness->output),
        "4 tracebacks of 5.0 KiB (-0.9 KiB) exported as collapsed to f (83 B)\n"
        "1 block of 64 B without the oldest frames: at most 25 are kept (TRACEMORTEM=50 would keep more)\n");
}

static void test_filters_and_own_lines(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    assert_string_equal(written(harness, "collapsed f --domain 5"),
                        "<module> (main.py:7);Basket.add (lib/c.py:3) 64\n");
    assert_contains(tm_text_string(&harness->output), "filters: include domain 5\n");
    // What --mine does not find is a row, so that the totals are those of tm-top.
    assert_string_equal(written(harness, "collapsed f --mine main.py"), "<module> (main.py:7) 100\n"
                                                                        "<no frame matches --mine>:0 5000\n");
    assert_contains(written(harness, "json f --mine main.py"), "\"unmatched\": {\"size\": 5000, \"count\": 2, ");
    assert_null(strstr(tm_text_string(&harness->written), "no frame matches"));
}

// Separators, controls, bidirectional controls, and bytes that are no UTF-8.
static void test_names_are_escaped(void **state)
{
    static const char *const names[] = {"a;b\n\xe2\x80\xae\xff.py"}, *const functions[] = {"f;g\x1b[31m"};
    static const uint32_t lengths[] = {11}, lines[] = {7};
    struct harness *harness = *state;
    fake_add_group(harness->fake, 0, 64, 1, 1, 1, names, lengths, lines);
    fake_set_functions(harness->fake, functions);
    assert_string_equal(written(harness, "collapsed f"), "f\\x3bg\\x1b[31m (a\\x3bb\\n\\u202e\\udcff.py:7) 64\n");
    assert_contains(written(harness, "speedscope f"), "\"name\": \"f;g\\\\x1b[31m\"");
    assert_contains(tm_text_string(&harness->written), "\"file\": \"a;b\\\\n\\\\u202e\\\\udcff.py\"");
}

static void test_csv(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    fill_old(harness->other);
    fake_add(harness->fake, "=1+\"2\"", 9, 7, 1);
    assert_string_equal(written(harness, "csv f"),
                        "size,count,domain,filename,lineno,name,traceback\r\n"
                        "5000,2,0,\"a.py\",1,\"\",\"a.py:1\"\r\n"
                        "64,1,5,\"lib/c.py\",3,\"Basket.add\",\"<module> (main.py:7);Basket.add (lib/c.py:3)\"\r\n"
                        "36,2,0,\"lib/c.py\",3,\"Basket.add\",\"<module> (main.py:7);Basket.add (lib/c.py:3)\"\r\n"
                        "7,1,0,\"'=1+\"\"2\"\"\",9,\"\",\"'=1+\"\"2\"\":9\"\r\n");
    assert_string_equal(written(harness, "csv f lineno --base old --include '*.py'"),
                        "size,size_diff,count,count_diff,filename,lineno,name\r\n"
                        "5000,-1000,2,-1,\"a.py\",1,\"\"\r\n"
                        "100,100,3,3,\"lib/c.py\",3,\"Basket.add\"\r\n"
                        "0,-10,0,-1,\"gone.py\",4,\"\"\r\n");
    assert_contains(written(harness, "csv f filename --cumulative"), "100,3,\"main.py\",0,\"\"\r\n");
    assert_contains(tm_text_string(&harness->output), "4 rows of 5.0 KiB exported as csv to f (");
}

static void test_openmetrics(void **state)
{
    static const char *const names[] = {"a\"b\\c\n.py"};
    static const uint32_t lengths[] = {9}, lines[] = {7};
    struct harness *harness = *state;
    fill(harness->fake);
    fake_add_group(harness->fake, 0, 9000, 3, 1, 1, names, lengths, lines);
    const char *text = written(harness, "openmetrics f -n 2");
    assert_contains(text, "# TYPE tracemortem_traced_bytes gauge\n# UNIT tracemortem_traced_bytes bytes\n");
    assert_contains(text, "tracemortem_site_bytes{filename=\"a\\\"b\\\\c\\\\n.py\",lineno=\"7\"} 9000\n"
                          "tracemortem_site_bytes{filename=\"a.py\",lineno=\"1\"} 5000\n"
                          "# TYPE tracemortem_site_blocks gauge\n");
    assert_contains(text, "tracemortem_site_blocks{filename=\"a.py\",lineno=\"1\"} 2\n# EOF\n");
    assert_null(strstr(text, "lib/c.py"));
    assert_contains(tm_text_string(&harness->output), "2 places of ");
    assert_contains(written(harness, "openmetrics f function"),
                    "tracemortem_site_bytes{filename=\"lib/c.py\",function=\"Basket.add\"} 100\n");
    assert_null(strstr(written(harness, "openmetrics f -n 0"), "_site_"));
}

static void test_json(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    fill_old(harness->other);
    assert_string_equal(
        written(harness, "json f --domain 5"),
        "{\"command\": \"tm-export\", \"json_version\": 1, \"key\": \"traceback\", \"cumulative\": false, "
        "\"traceback_limit\": 25, "
        "\"filters\": [{\"number\": null, \"inclusive\": true, \"domain\": 5}], "
        "\"statistics\": [{\"traceback\": [{\"filename\": \"main.py\", \"lineno\": 7, \"name\": \"<module>\"}, "
        "{\"filename\": \"lib/c.py\", \"lineno\": 3, \"name\": \"Basket.add\"}], \"domain\": 5, \"size\": 64, "
        "\"count\": 1}], \"total_size\": 64, \"total_count\": 1, "
        "\"not_recorded\": {\"size\": 0, \"count\": 0}, \"shortened\": {\"size\": 0, \"count\": 0}, "
        "\"in_flight\": 0, \"missing\": {\"unreadable_records\": 0, \"unreadable_bytes\": 0, "
        "\"corrupt_records\": 0, \"torn_records\": 0, \"first_address\": null}}\n");
    assert_contains(written(harness, "json f filename --base old"),
                    "{\"traceback\": [{\"filename\": \"gone.py\", \"lineno\": 0}], \"filename\": \"gone.py\", "
                    "\"lineno\": 0, \"size\": 0, \"size_diff\": -10, \"count\": 0, \"count_diff\": -1}]");
    assert_contains(tm_text_string(&harness->written), "\"total_size\": 5100, \"total_size_diff\": -910");
    assert_contains(tm_text_string(&harness->written), "\"missing_old\": {");
}

static void test_speedscope(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    fill_old(harness->other);
    const char *plain = written(harness, "speedscope f");
    assert_contains(plain, "\"samples\": [[0], [1, 2], [1, 2]], \"weights\": [5000, 36, 64], \"endValue\": 5100}");
    assert_contains(plain, "\"samples\": [[0], [1, 2], [1, 2]], \"weights\": [2, 2, 1], \"endValue\": 5}");
    assert_contains(plain, "\"shared\": {\"frames\": [{\"name\": \"a.py:1\", \"file\": \"a.py\", \"line\": 1}, "
                           "{\"name\": \"<module>\", \"file\": \"main.py\", \"line\": 7}, "
                           "{\"name\": \"Basket.add\", \"file\": \"lib/c.py\", \"line\": 3}]}}");
    const char *compared = written(harness, "speedscope f --base old");
    assert_contains(compared, "\"name\": \"bytes that grew\", \"unit\": \"bytes\", \"startValue\": 0, "
                              "\"samples\": [[1, 2], [1, 2]], \"weights\": [36, 64], \"endValue\": 100}");
    assert_contains(compared, "\"name\": \"OLD: bytes\", \"unit\": \"bytes\", \"startValue\": 0, "
                              "\"samples\": [[0], [3]], \"weights\": [6000, 10], \"endValue\": 6010}");
}

// ---------------------------------------------------------------------------------------------------------------
// pprof

static size_t unpack(const struct harness *harness, unsigned char *bytes, size_t capacity)
{
    z_stream stream = {.next_in = (unsigned char *)harness->written.bytes,
                       .avail_in = (unsigned)harness->written.length,
                       .next_out = bytes,
                       .avail_out = (unsigned)capacity};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    inflateEnd(&stream);
    return capacity - stream.avail_out;
}

static void test_pprof(void **state)
{
    struct harness *harness = *state;
    unsigned char profile[4096];
    fill(harness->fake);
    fill_old(harness->other);
    written(harness, "pprof f");
    size_t length = unpack(harness, profile, sizeof(profile));
    // Its string 0 is empty; then comes the first sample type.
    assert_memory_equal(profile,
                        "\x32\x00\x32\x0dinuse_objects\x32\x05"
                        "count\x0a\x04\x08\x01\x10\x02",
                        29);
    // The sample of location 1: 2 blocks of 5000 bytes.
    assert_non_null(memmem(profile, length, "\x0a\x01\x01\x12\x03\x02\x88\x27", 8));
    assert_non_null(memmem(profile, length, "\x0a\x02\x02\x03\x12\x02\x01\x40", 8)); // the newest frame first
    assert_null(memmem(profile, length, "pprof::base", 11));
    written(harness, "pprof f --base old");
    length = unpack(harness, profile, sizeof(profile));
    assert_non_null(memmem(profile, length, "pprof::base", 11));
}

static void test_pprof_counts_what_was_ever_allocated(void **state)
{
    struct harness *harness = *state;
    unsigned char profile[4096];
    fake_add(harness->fake, "a.py", 1, 100, 2);
    fake_set_churn(harness->fake, 900, 9, 800, 7);
    fake_add(harness->fake, "freed.py", 2, 0, 0);
    fake_set_churn(harness->fake, 50, 1, 50, 1);
    written(harness, "pprof f");
    size_t length = unpack(harness, profile, sizeof(profile));
    assert_non_null(memmem(profile, length, "alloc_space", 11));
    assert_non_null(memmem(profile, length, "\x12\x05\x09\x84\x07\x02\x64", 7)); // 9, 900, 2, 100
    assert_non_null(memmem(profile, length, "\x12\x04\x01\x32\x00\x00", 6));     // 1, 50, 0, 0
    written(harness, "collapsed f");
    assert_null(strstr(tm_text_string(&harness->written), "freed.py"));
}

static void test_the_same_tracebacks_are_the_same_file(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    written(harness, "pprof f");
    size_t length = harness->written.length;
    char *first = malloc(length);
    memcpy(first, harness->written.bytes, length);
    written(harness, "pprof f");
    assert_int_equal(harness->written.length, length);
    assert_memory_equal(harness->written.bytes, first, length);
    free(first);
}

// ---------------------------------------------------------------------------------------------------------------
// HTML

// Whether this build has the page: else the command says so.
static bool has_page(struct harness *harness)
{
    if (tm_page_length > 0)
        return true;
    assert_fails(harness, "tm-export", "html f", TM_ERROR_UNSUPPORTED,
                 "were missing when it was built\nRun \"make deps all\" where npm is installed");
    return false;
}

static void test_html(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    if (!has_page(harness))
        return;
    const char *page = written(harness, "html f");
    assert_contains(page, "<!DOCTYPE html>");
    assert_contains(page, "Content-Security-Policy");
    assert_contains(page, "\"total\": [5100, 5], \"tracebacks\": 2, \"whole_tracebacks\": 2");
    // Depth, frame, size and count of each node; frames are numbered by the places, the largest first.
    assert_contains(page, "\"nodes\": [0, 0, 5000, 2, 0, 2, 100, 3, 1, 1, 100, 3], \"cuts\": []");
    assert_contains(page, "\"strings\": [\"a.py\", \"lib/c.py\", \"Basket.add\", \"main.py\", \"\\u003cmodule>\"]");
    assert_contains(page, "\"frames\": [0, 1, -1, 1, 3, 2, 3, 7, 4]");
    assert_contains(page, "\"source\": {\"0\": \"line\\\\t1\"");
    assert_true(strlen(page) == harness->written.length);
}

// Each "<" of the data is written so that it ends no script.
static void test_nothing_in_a_name_ends_the_script(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "</script><img src=x onerror=alert(1)>.py", 1, 5000, 2);
    if (!has_page(harness))
        return;
    const char *page = written(harness, "html f");
    const char *data = strstr(page, "<script type=\"application/json\" id=\"data\">");
    assert_non_null(data);
    const char *end = strchr(data + 1, '<');
    assert_memory_equal(end, "</script>\n<script>", 18);
    assert_contains(data, "\"\\u003c/script>\\u003cimg src=x onerror=alert(1)>.py\"");
}

static void test_a_page_has_at_most_a_megabyte(void **state)
{
    enum { TRACEBACKS = 100000, DEEP = 5000, LONG = 10240 };
    struct harness *harness = *state;
    char name[LONG + 1];
    if (!has_page(harness))
        return;
    memset(name, 'x', LONG);
    name[LONG] = '\0';
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(name, 8, "%06u", (unsigned)i);
        name[6] = '/';
        fake_add(harness->fake, name, i, 1000, 1);
    }
    for (uint32_t i = 0; i < TRACEBACKS; i++)
        fake_add(harness->fake, i % 2 ? "odd.py" : "even.py", i, 100 + i % 50, 1);
    fake_add(harness->fake, "largest.py", 12345, 1 << 30, 1);
    const char *page = written(harness, "html f");
    assert_true(harness->written.length <= TM_HTML_LIMIT);
    assert_true(harness->written.length > TM_HTML_LIMIT / 2);
    assert_contains(page, "\"largest.py\"");
    assert_contains(page, "xxx\\u2026 (10240 bytes)");
    assert_contains(page, "\"tracebacks\": 100301, \"whole_tracebacks\": ");
    assert_contains(tm_text_string(&harness->output),
                    " are in the picture only as sums, because a page has at most 1 MB; its tables count all\n");
}

// ---------------------------------------------------------------------------------------------------------------
// The command

static void test_what_is_missing_is_said_in_the_answer_and_in_the_page(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 1, 5000, 2);
    fake_set_damage(harness->fake, 3, 4096, 1, 0x1000);
    written(harness, "collapsed f");
    assert_contains(tm_text_string(&harness->output), "3 records unreadable (4096 bytes of memory missing)");
    assert_contains(written(harness, "json f"), "\"unreadable_records\": 3");
    if (tm_page_length > 0)
        assert_contains(written(harness, "html f"),
                        "\"notes\": [\"3 records unreadable (4096 bytes of memory missing)");
}

static void test_the_answer_as_json(void **state)
{
    struct harness *harness = *state;
    char expected[512];
    fill(harness->fake);
    fill_old(harness->other);
    written(harness, "collapsed f --json --base old");
    snprintf(expected, sizeof(expected),
             "{\"command\": \"tm-export\", \"format\": \"collapsed\", \"file\": \"f\", \"bytes\": %zu, "
             "\"rows\": 4, \"filters\": [], \"total_size\": 5100, \"total_count\": 5, "
             "\"total_size_diff\": -910, \"total_count_diff\": 1, \"missing\": {",
             harness->written.length);
    assert_memory_equal(tm_text_string(&harness->output), expected, strlen(expected));
    assert_contains(tm_text_string(&harness->output), "\"missing_old\": {");
}

static void test_usage(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-export", "", TM_ERROR_USAGE,
                 "missing format and file name. Usage: tm-export FORMAT FILE");
    assert_fails(harness, "tm-export", "csv", TM_ERROR_USAGE, "missing file name");
    assert_fails(harness, "tm-export", "csv ''", TM_ERROR_USAGE, "missing file name");
    assert_fails(harness, "tm-export", "pprf f", TM_ERROR_USAGE,
                 "unknown format \"pprf\": the formats are html, speedscope, pprof, collapsed, json, csv, "
                 "heapsnapshot, openmetrics; did you mean pprof?");
    assert_fails(harness, "tm-export", "collapsed f lineno", TM_ERROR_USAGE, "a key is for json, csv and openmetrics");
    assert_fails(harness, "tm-export", "openmetrics f traceback", TM_ERROR_USAGE, "openmetrics has no tracebacks");
    assert_fails(harness, "tm-export", "openmetrics f --base old", TM_ERROR_USAGE, "--base is not for the format");
    assert_fails(harness, "tm-export", "csv f -n 3", TM_ERROR_USAGE,
                 "--limit is not for the format csv, which has all");
    assert_fails(harness, "tm-export", "csv f size", TM_ERROR_USAGE, "unknown key \"size\"");
    assert_fails(harness, "tm-export", "csv f lineno more", TM_ERROR_USAGE, "unexpected operand \"more\"");
    assert_fails(harness, "tm-export", "pprof f -c", TM_ERROR_USAGE, "cumulative mode is not for the format pprof");
    assert_fails(harness, "tm-export", "csv f -c", TM_ERROR_USAGE, "cumulative mode cannot be used with key traceback");
    assert_fails(harness, "tm-export", "csv f --base ''", TM_ERROR_USAGE, "--base: \"\" is not the name of a file");
    harness->no_target = true;
    assert_fails(harness, "tm-export", "csv f", TM_ERROR_NO_TARGET, "no process and no core");
}

static void test_an_error_of_the_base_names_its_file(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    fake_set_open_error(harness->other, TM_ERROR_NO_TABLE, "no table");
    assert_fails(harness, "tm-export", "csv f --base old.core", TM_ERROR_NO_TABLE, "old.core: no table");
}

static void test_what_cannot_be_written_is_an_error(void **state)
{
    static const char *const formats[] = {"speedscope", "pprof", "collapsed", "json", "csv", "html"};
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 30000; i++)
        fake_add(harness->fake, "a.py", i, 100, 1);
    for (size_t i = 0; i < (tm_page_length > 0 ? 6 : 5); i++) {
        char line[32];
        snprintf(line, sizeof(line), "%s f", formats[i]);
        harness->write_limit = 1;
        assert_fails(harness, "tm-export", line, TM_ERROR_OUTPUT, "the export could not be written to its file");
        assert_true(harness->written.length < 1 << 20);
    }
}

// At whatever moment.
static void test_it_can_be_interrupted(void **state)
{
    static const char *const lines[] = {"speedscope f", "pprof f --base x", "collapsed f", "json f lineno",
                                        "csv f",        "html f --base x"};
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 5000; i++)
        fake_add(harness->fake, "a.py", i, 100, 1);
    for (size_t i = 0; i < (tm_page_length > 0 ? 6 : 5); i++) {
        int asked;
        harness->stop_after = 0;
        written(harness, lines[i]);
        asked = harness->asked;
        assert_true(asked > 4);
        for (int stop = 1; stop <= asked; stop += 1 + asked / 16) {
            harness->stop_after = stop;
            assert_fails(harness, "tm-export", lines[i], TM_ERROR_INTERRUPTED, "interrupted");
        }
    }
}

static void test_without_tracebacks(void **state)
{
    struct harness *harness = *state;
    assert_string_equal(written(harness, "collapsed f"), "");
    assert_contains(tm_text_string(&harness->output), "0 tracebacks of 0.0 KiB exported");
    assert_contains(written(harness, "speedscope f"), "\"samples\": [], \"weights\": [], \"endValue\": 0}");
    if (tm_page_length > 0)
        assert_contains(written(harness, "html f"), "\"nodes\": [], \"cuts\": []");
}

static void test_completion(void **state)
{
    struct harness *harness = *state;
    assert_string_equal(tm_complete(harness->session, "tm-export", "", NULL),
                        "html\nspeedscope\npprof\ncollapsed\njson\ncsv\nheapsnapshot\nopenmetrics\n");
    assert_string_equal(tm_complete(harness->session, "tm-export", "csv f l", NULL), "lineno\n");
    assert_string_equal(tm_complete(harness->session, "tm-export", "openmetrics f l", NULL), "lineno\n");
    assert_string_equal(tm_complete(harness->session, "tm-export", "html f l", NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_collapsed),
        TEST(test_filters_and_own_lines),
        TEST(test_names_are_escaped),
        TEST(test_csv),
        TEST(test_openmetrics),
        TEST(test_json),
        TEST(test_speedscope),
        TEST(test_pprof),
        TEST(test_pprof_counts_what_was_ever_allocated),
        TEST(test_the_same_tracebacks_are_the_same_file),
        TEST(test_html),
        TEST(test_nothing_in_a_name_ends_the_script),
        TEST(test_a_page_has_at_most_a_megabyte),
        TEST(test_what_is_missing_is_said_in_the_answer_and_in_the_page),
        TEST(test_the_answer_as_json),
        TEST(test_usage),
        TEST(test_an_error_of_the_base_names_its_file),
        TEST(test_what_cannot_be_written_is_an_error),
        TEST(test_it_can_be_interrupted),
        TEST(test_without_tracebacks),
        TEST(test_completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
