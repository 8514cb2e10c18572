/**
 * Columns: what tm-top and tm-diff show on a terminal, at every width, and that elsewhere and with --plain rows are
 * tracemalloc's.
 */
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>

static void add_call(struct fake *fake, const char *name, uint32_t line, const char *function, uint64_t size,
                     uint64_t count)
{
    fake_add(fake, name, line, size, count);
    fake_set_functions(fake, &function);
}

static void set_terminal(struct harness *harness, uint32_t width, bool styled)
{
    harness->terminal = true;
    harness->screen = (struct tm_screen){width, styled};
}

static void test_top_is_aligned(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "/srv/shop/service.py", 76, "Shop.order_report", 30720, 100);
    add_call(harness->fake, "gone.py", 1, "main", 2048, 2);
    fake_add(harness->fake, "gone.py", 9, 0, 1);
    set_terminal(harness, 0, false);
    assert_string_equal(harness_run(harness, "tm-top", ""),
                        "    size      %  count  average  place                    function\n"
                        "30.0 KiB  93.8%    100    307 B  /srv/shop/service.py:76  Shop.order_report\n"
                        "                                   line 76\n"
                        "  2048 B   6.3%      2   1024 B  gone.py:1                main\n"
                        "     0 B   0.0%      1      0 B  gone.py:9\n"
                        "Total allocated size: 32.0 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "filename -n 1"),
                        "    size      %  count  average  place\n"
                        "30.0 KiB  93.8%    100    307 B  /srv/shop/service.py\n"
                        "1 other: 2.0 KiB\n"
                        "Total allocated size: 32.0 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "function -n 1"),
                        "    size      %  count  average  place                 function\n"
                        "30.0 KiB  93.8%    100    307 B  /srv/shop/service.py  Shop.order_report\n"
                        "2 other: 2.0 KiB\n"
                        "Total allocated size: 32.0 KiB\n");
    assert_string_equal(harness_run(harness, "tm-top", "traceback -n 1"),
                        "    size      %  count  average  place                    function\n"
                        "30.0 KiB  93.8%    100    307 B  /srv/shop/service.py:76  Shop.order_report\n"
                        "  File \"/srv/shop/service.py\", line 76, in Shop.order_report\n"
                        "    line\t76\n"
                        "2 other: 2.0 KiB\n"
                        "Total allocated size: 32.0 KiB\n");
}

static void test_no_rows_have_no_header(void **state)
{
    struct harness *harness = *state;
    set_terminal(harness, 80, false);
    assert_string_equal(harness_run(harness, "tm-top", ""), "Total allocated size: 0.0 KiB\n");
}

static void test_elsewhere_rows_are_those_of_tracemalloc(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "gone.py", 1, "main", 2048, 2);
    const char *rows = "gone.py:1: size=2048 B, count=2, average=1024 B\nTotal allocated size: 2.0 KiB\n";
    assert_string_equal(harness_run(harness, "tm-top", ""), rows);
    set_terminal(harness, 80, true);
    assert_string_equal(harness_run(harness, "tm-top", "--plain"), rows);
    assert_contains(harness_run(harness, "tm-diff", "old --plain"),
                    "gone.py:1: size=2048 B (+2048 B), count=2 (+2), average=1024 B\n");
    assert_contains(harness_run(harness, "tm-top", "--json"), "{\"command\": ");
}

static void test_diff_is_aligned(void **state)
{
    struct harness *harness = *state;
    add_call(harness->other, "gone.py", 1, "main", 4096, 4);
    add_call(harness->fake, "gone.py", 1, "main", 2048, 2);
    add_call(harness->fake, "gone.py", 2, "run", 30720, 100);
    set_terminal(harness, 0, false);
    assert_string_equal(harness_run(harness, "tm-diff", "old"),
                        "    size        +/-      %  count   +/-  average  place      function\n"
                        "30.0 KiB  +30.0 KiB  93.8%    100  +100    307 B  gone.py:2  run\n"
                        "  2048 B    -2048 B   6.3%      2    -2   1024 B  gone.py:1  main\n"
                        "Total allocated size: 32.0 KiB (+28.0 KiB)\n");
}

// The first line of a column of this name, cut before its newline; must be freed.
static char *line_with(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    assert_non_null(found);
    while (found > text && found[-1] != '\n')
        found--;
    return strndup(found, strcspn(found, "\n"));
}

static void test_long_rows_are_cut_from_the_left(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "/a/very/long/path/to/the/files/of/a/service/views.py", 120,
             "ReportBuilder.collect.<locals>.<listcomp>", 30720, 100);
    set_terminal(harness, 80, false);
    char *line = line_with(harness_run(harness, "tm-top", ""), "views.py:120");
    assert_string_equal(line, "30.0 KiB  100.0%    100    307 B  ...of/a/service/views.py:120  ...>.<listcomp>");
    assert_in_range(strlen(line), 1, 79);
    free(line);
}

static void test_no_width_is_exceeded(void **state)
{
    struct harness *harness = *state;
    add_call(
        harness->fake,
        "/a/very/long/path/to/the/files/of/a/\xe5\x80\x89\xe5\xba\xab\xe9\xa4\xa8\xe8\x8b\xb1\xe4\xba\x95/views.py", 98,
        "ReportBuilder.collect.<locals>.<listcomp>", 30720, 100);
    add_call(harness->fake, "short.py", 98, "f", 30, 100);
    for (uint32_t width = 52; width < 150; width++) {
        set_terminal(harness, width, false);
        const char *text = harness_run(harness, "tm-top", "");
        // Of each character of three bytes two columns are seen: the count of bytes is an upper bound but for these.
        for (const char *line = text; strncmp(line, "Total", 5) != 0; line += strcspn(line, "\n") + 1) {
            size_t length = strcspn(line, "\n"), columns = length;
            for (size_t i = 0; i < length; i++)
                columns -= (unsigned char)line[i] >= 0xe3 && (unsigned char)line[i] < 0xf0;
            if (columns >= width)
                fail_msg("%zu columns at a width of %u: %.*s", columns, width, (int)length, line);
        }
    }
    for (uint32_t width = 1; width < 52;
         width++) { // too narrow for the numbers and a place: nothing is lost but the function
        set_terminal(harness, width, false);
        assert_contains(harness_run(harness, "tm-top", ""), "views.py:98");
    }
}

static void test_styles(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "app.py", 7, "main", 2048, 2);
    set_terminal(harness, 100, true);
    assert_string_equal(harness_run(harness, "tm-diff", "old -n 1"),
                        "\x1b[1m  size      +/-       %  count  +/-  average  place     function\x1b[m\n"
                        "2048 B  \x1b[31m+2048 B\x1b[m  100.0%      2   \x1b[31m+2\x1b[m   1024 B  "
                        "\x1b[32mapp.py:7\x1b[m  \x1b[33mmain\x1b[m\n"
                        "                                                \x1b[2mline 7\x1b[m\n"
                        "Total allocated size: 2.0 KiB (+2.0 KiB)\n");
}

static void test_mixed_functions_are_marked(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "gone.py", 1, "main", 10, 1);
    add_call(harness->fake, "gone.py", 1, "<lambda>", 5, 1);
    set_terminal(harness, 100, false);
    assert_contains(harness_run(harness, "tm-top", ""), "gone.py:1  main, ...\n");
}

static void test_churn_has_columns(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "gone.py", 1, "main", 10, 1);
    fake_set_churn(harness->fake, 2048, 20, 2038, 19);
    set_terminal(harness, 0, false);
    assert_contains(harness_run(harness, "tm-top", "--sort allocated"),
                    "size       %  count  allocated  allocations   freed  frees  place      function\n"
                    "10 B  100.0%      1     2048 B           20  2038 B     19  gone.py:1  main\n");
}

static void test_a_file_has_no_columns(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "gone.py", 1, "main", 10, 1);
    set_terminal(harness, 80, true);
    assert_string_equal(harness_run(harness, "tm-top", "--output a"), "");
    assert_contains(tm_text_string(&harness->written), "gone.py:1: size=10 B, count=1, average=10 B\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_top_is_aligned),
        TEST(test_no_rows_have_no_header),
        TEST(test_elsewhere_rows_are_those_of_tracemalloc),
        TEST(test_diff_is_aligned),
        TEST(test_long_rows_are_cut_from_the_left),
        TEST(test_no_width_is_exceeded),
        TEST(test_styles),
        TEST(test_mixed_functions_are_marked),
        TEST(test_churn_has_columns),
        TEST(test_a_file_has_no_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
