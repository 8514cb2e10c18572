/**
 * Functions: where answers name them, that --plain has none, and that they change no grouping but that of the key
 * function.
 */
#include "support/harness.h"

#include <string.h>

// main.py:3 in run, then service.py:4 in the named function.
static void add_call(struct fake *fake, const char *function, uint64_t size, uint64_t count)
{
    const char *names[] = {"main.py", "service.py"}, *functions[] = {"run", function};
    const uint32_t lengths[] = {7, 10}, lines[] = {3, 4};
    fake_add_group(fake, 0, size, count, 2, 2, names, lengths, lines);
    fake_set_functions(fake, functions);
}

static void test_traceback_names_functions(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "Basket.add", 10, 1);
    fake_add_block(harness->fake, 0x1000, 10, 0, false);
    assert_string_equal(harness_run(harness, "tm-traceback", "0x1000"), "block at 0x1000 of 10 bytes, domain 0\n"
                                                                        "Traceback (most recent call last):\n"
                                                                        "  File \"main.py\", line 3, in run\n"
                                                                        "    line\t3\n"
                                                                        "  File \"service.py\", line 4, in Basket.add\n"
                                                                        "    line\t4\n");
    assert_string_equal(harness_run(harness, "tm-traceback", "--plain 0x1000"),
                        "block at 0x1000 of 10 bytes, domain 0\n"
                        "Traceback (most recent call last):\n"
                        "  File \"main.py\", line 3\n"
                        "    line\t3\n"
                        "  File \"service.py\", line 4\n"
                        "    line\t4\n");
    // Plain by default, and not for one command; also behind an expression.
    assert_non_null(harness_run(harness, "tm-set", "plain on"));
    assert_null(strstr(harness_run(harness, "tm-traceback", "0x1000"), "Basket"));
    assert_contains(harness_run(harness, "tm-traceback", "--no-plain 0x1000"), "line 4, in Basket.add\n");
    assert_contains(harness_run(harness, "tm-traceback", "0x1000 --no-plain"), "line 4, in Basket.add\n");
    assert_null(strstr(harness_run(harness, "tm-traceback", "--no-plain --plain 0x1000"), "Basket"));
    assert_non_null(harness_run(harness, "tm-set", "plain default"));
    assert_contains(harness_run(harness, "tm-traceback", "--json 0x1000"),
                    "[{\"filename\": \"main.py\", \"lineno\": 3, \"name\": \"run\"}, {\"filename\": \"service.py\", "
                    "\"lineno\": 4, \"name\": \"Basket.add\"}]");
}

static void test_rows_name_functions(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "Basket.add", 10, 1);
    fake_add_block(harness->fake, 0x1000, 10, 0, false);
    assert_contains(harness_run(harness, "tm-top", "traceback"), "  File \"service.py\", line 4, in Basket.add\n");
    assert_contains(harness_run(harness, "tm-top", "traceback --plain"), "  File \"service.py\", line 4\n");
    assert_contains(harness_run(harness, "tm-traces", ""),
                    "0x1000: size=10 B, domain 0, service.py:4, in Basket.add\n");
    assert_contains(harness_run(harness, "tm-traces", "--plain"), "0x1000: size=10 B, domain 0, service.py:4\n");
    assert_contains(harness_run(harness, "tm-traces", "-t"), "  File \"service.py\", line 4, in Basket.add\n");
    assert_contains(harness_run(harness, "tm-traces", "-t --plain"), "  File \"service.py\", line 4\n");
    assert_contains(harness_run(harness, "tm-traces", "--json"), "\"lineno\": 4, \"name\": \"Basket.add\"}]");
    assert_contains(harness_run(harness, "tm-diff", "old.core traceback"),
                    "  File \"service.py\", line 4, in Basket.add\n");
}

// A row of tracemalloc has no function, and two functions at one line are one row of it.
static void test_functions_are_no_part_of_a_place(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "<lambda>", 10, 1);
    add_call(harness->fake, "Basket.add", 30, 2);
    assert_contains(harness_run(harness, "tm-top", ""), "service.py:4: size=40 B, count=3, average=13 B\n");
    assert_contains(harness_run(harness, "tm-top", "filename"), "service.py:0: size=40 B, count=3, average=13 B\n");
    assert_contains(harness_run(harness, "tm-top", "traceback"),
                    "main.py:3: size=40 B, count=3, average=13 B\n"
                    "  File \"main.py\", line 3, in run\n"
                    "    line\t3\n"
                    "  File \"service.py\", line 4, in Basket.add\n"
                    "    line\t4\n"
                    "  (other functions have blocks at these lines too: see tm-top function)\n");
    assert_null(strstr(harness_run(harness, "tm-top", "traceback --plain"), "other functions"));
    assert_contains(harness_run(harness, "tm-top", "--json"),
                    "\"traceback\": [{\"filename\": \"service.py\", \"lineno\": 4, \"name\": \"Basket.add\"}], "
                    "\"names_differ\": true, \"filename\": \"service.py\", \"lineno\": 4, \"name\": \"Basket.add\", "
                    "\"size\": 40");
    assert_null(strstr(harness_run(harness, "tm-top", "filename --json"), "\"Basket"));
}

static void test_diff_joins_places_whatever_their_functions(void **state)
{
    struct harness *harness = *state;
    add_call(harness->other, "Basket.add", 10, 1);
    add_call(harness->fake, "Basket.put", 30, 2);
    assert_contains(harness_run(harness, "tm-diff", "old.core"),
                    "service.py:4: size=30 B (+20 B), count=2 (+1), average=15 B\n");
    assert_contains(harness_run(harness, "tm-diff", "old.core --json"), "\"names_differ\": true");
    assert_contains(harness_run(harness, "tm-diff", "old.core function"),
                    "service.py in Basket.put: size=30 B (+30 B), count=2 (+2), average=15 B\n"
                    "service.py in Basket.add: size=0 B (-10 B), count=0 (-1)\n");
}

static void test_key_function(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "Basket.add", 10, 1);
    add_call(harness->fake, "Basket.add", 20, 1);
    add_call(harness->fake, "a\n", 30, 1);
    fake_add(harness->fake, "<unknown>", 0, 1, 1);
    assert_string_equal(harness_run(harness, "tm-top", "function"),
                        "service.py in Basket.add: size=30 B, count=2, average=15 B\n"
                        "service.py in a\\n: size=30 B, count=1, average=30 B\n"
                        "<unknown>: size=1 B, count=1, average=1 B\n"
                        "Total allocated size: 0.1 KiB\n");
    assert_contains(harness_run(harness, "tm-top", "function -n 1 --json"),
                    "\"key\": \"function\", \"cumulative\": false, ");
    assert_contains(
        harness_run(harness, "tm-top", "function -n 1 --json"),
        "{\"traceback\": [{\"filename\": \"service.py\", \"lineno\": 0, \"name\": \"Basket.add\"}], "
        "\"filename\": \"service.py\", \"lineno\": 0, \"name\": \"Basket.add\", \"size\": 30, \"count\": 2}");
    assert_contains(harness_run(harness, "tm-top", "function -c"), "main.py in run: size=60 B, count=3");
}

static void test_key_function_says_where_there_are_none(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 1, 10, 1);
    assert_fails(harness, "tm-top", "function", TM_ERROR_UNSUPPORTED, "no functions are recorded here");
    assert_contains(harness->message, "Type \"tm-top lineno\"");
    add_call(harness->fake, "Basket.add", 10, 1);
    assert_fails(harness, "tm-diff", "old.core function", TM_ERROR_UNSUPPORTED,
                 "old.core: no functions are recorded here");
    assert_null(strstr(harness_run(harness, "tm-diff", "old.core --json"), "\"name\": \"\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_traceback_names_functions),
        TEST(test_rows_name_functions),
        TEST(test_functions_are_no_part_of_a_place),
        TEST(test_diff_joins_places_whatever_their_functions),
        TEST(test_key_function),
        TEST(test_key_function_says_where_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
