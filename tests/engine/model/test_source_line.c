/**
 * Source lines: which lines may be the beginning of a function, what is marked, and what --plain leaves out.
 * test_against_tracemalloc.py asks the same of all of CPython's standard library.
 */
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/source_line.h"

static bool may_begin(const char *function, const char *line)
{
    struct tm_name *name = calloc(1, sizeof(*name) + strlen(function) + 1);
    assert_non_null(name);
    name->length = (uint32_t)strlen(function);
    memcpy(name->bytes, function, name->length);
    bool result = tm_source_line_may_begin(line, strlen(line), name);
    free(name);
    return result;
}

static void test_a_function_begins_where_its_name_is_defined(void **state)
{
    (void)state;
    const char *const good[][2] = {
        {"Basket.add", "    def add(self, item):\n"},
        {"add", "async def  add(\n"},
        {"f.<locals>.add", "\t\fdef add(): pass"},
        {"Basket", "class Basket:\n"},
        {"Basket", "class\tBasket(object): pass\n"},
        {"add", "  @decorated\n"},
        {"add", "def \\\n"},
        {"f.<locals>.<lambda>", "key = lambda: 1\n"},
        {"<module>", "anything\n"},
        {"f.<locals>.<listcomp>", "anything\n"},
        {"<generic parameters of add>", "anything\n"},
        {"Basket.__annotate__", "anything\n"},
        {"add.T", "def add[T: int](\n"},
        {"T", "        T = int,\n"},
        {"Alias", "type Alias = int\n"},
        {"\xef\xac\x81", "def fi(): pass\n"}, // Python reads U+FB01 as "fi"
        {"", "anything\n"},
        {"f.", "anything\n"},
    };
    const char *const bad[][2] = {
        {"Basket.add", "wrong = 1\n"},
        {"add", "def added():\n"},
        {"add", "def _add():\n"},
        {"add", "undef add\n"},
        {"add", "def (add)\n"},
        {"add", "    self.add(1)\n"},
        {"Basket", "Basket()\n"},
        {"add", "\n"},
        {"add", ""},
        {"<lambda>", "key = lambdas: 1\n"},
        {"\xef\xac\x81", "fi = 1\n"},
        {"add", "{% block add %}\n"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!may_begin(good[i][0], good[i][1]))
            fail_msg("%s cannot begin at %s", good[i][0], good[i][1]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (may_begin(bad[i][0], bad[i][1]))
            fail_msg("%s may begin at %s", bad[i][0], bad[i][1]);
}

// main.py:3 in <module>, then FILE:5 in the function, which begins at the line.
static void add_call(struct fake *fake, const char *file, const char *function, uint32_t first_line)
{
    const char *names[] = {"main.py", file}, *functions[] = {"<module>", function};
    const uint32_t lengths[] = {7, (uint32_t)strlen(file)}, lines[] = {3, 5}, first_lines[] = {1, first_line};
    fake_add_group(fake, 0, 10, 1, 2, 2, names, lengths, lines);
    fake_set_functions(fake, functions);
    fake_set_first_lines(fake, first_lines);
}

static void test_a_line_of_a_changed_file_is_marked_and_not_plain(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "changed.py", NULL, 0);
    fake_add_block(harness->fake, 0x1000, 10, 0, false);
    const char mark[] = "    line\t5  [may differ from the one that ran]\n";
    assert_contains(harness_run(harness, "tm-top", ""), mark);
    assert_contains(harness_run(harness, "tm-top", "traceback"), mark);
    assert_contains(harness_run(harness, "tm-traces", "-t"), mark);
    assert_contains(harness_run(harness, "tm-traceback", "0x1000"), mark);
    assert_contains(harness_run(harness, "tm-diff", "old.core"), mark);
    const char *const plain[][2] = {{"tm-top", "--plain"},
                                    {"tm-top", "--plain traceback"},
                                    {"tm-traces", "--plain -t"},
                                    {"tm-traceback", "--plain 0x1000"},
                                    {"tm-diff", "--plain old.core"}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const char *said = harness_run(harness, plain[i][0], plain[i][1]);
        assert_non_null(strstr(said, "changed.py"));
        assert_null(strstr(said, "line\t5"));
        assert_null(strstr(said, "differ"));
    }
}

static void test_a_line_below_another_beginning_is_marked_and_not_plain(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "service.py", "Basket.\x1b", 4);
    assert_contains(harness_run(harness, "tm-top", ""),
                    "    line\t5  [may differ from the one that ran: line 4 is not the beginning of Basket.\\x1b]\n");
    assert_null(strstr(harness_run(harness, "tm-top", "--plain"), "line\t5"));
    // The lines of the other frame are shown.
    assert_contains(harness_run(harness, "tm-top", "traceback --plain"), "line 3\n    line\t3\n  File");
}

// Line 100 is beyond the file's end.
static void test_a_file_without_the_beginning_is_marked(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "service.py", "run", 100);
    assert_contains(harness_run(harness, "tm-top", ""), "line 100 is not the beginning of run]\n");
}

static void test_what_is_not_known_marks_nothing(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "service.py", NULL, 4);
    add_call(harness->fake, "other.py", "run", 0);
    add_call(harness->fake, "gone.py", "run", 4);
    assert_null(strstr(harness_run(harness, "tm-top", ""), "differ"));
}

static void test_columns_never_cut_the_mark(void **state)
{
    struct harness *harness = *state;
    harness->terminal = true;
    harness->screen = (struct tm_screen){60, 0};
    add_call(harness->fake, "changed.py", "a.long.name.of.a.function.that.is.nowhere", 4);
    assert_contains(harness_run(harness, "tm-top", ""),
                    "  line 5\n                                [may differ from the one that ran: line 4 is not the "
                    "beginning of a.long.name.of.a.function.that.is.nowhere]\n");
}

static void test_relative_names_begin_in_the_folder_that_is_set(void **state)
{
    struct harness *harness = *state;
    add_call(harness->fake, "changed.py", NULL, 0);
    assert_string_equal(harness_run(harness, "tm-set", "folder '/srv/my app'"), "folder:  /srv/my app\n");
    assert_contains(harness_run(harness, "tm-set", "--json"), "\"folder\": \"/srv/my app\"");
    harness_run(harness, "tm-top", "");
    assert_string_equal(harness->asked_file, "/srv/my app/changed.py");
    harness_run(harness, "tm-set", "folder default");
    harness_run(harness, "tm-top", "");
    assert_string_equal(harness->asked_file, "changed.py");
    assert_contains(harness_run(harness, "tm-set", "--json"), "\"folder\": null");
    assert_fails(harness, "tm-set", "folder srv", TM_ERROR_USAGE, "\"srv\" is not an absolute path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_function_begins_where_its_name_is_defined),
        TEST(test_a_line_of_a_changed_file_is_marked_and_not_plain),
        TEST(test_a_line_below_another_beginning_is_marked_and_not_plain),
        TEST(test_a_file_without_the_beginning_is_marked),
        TEST(test_what_is_not_known_marks_nothing),
        TEST(test_columns_never_cut_the_mark),
        TEST(test_relative_names_begin_in_the_folder_that_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
