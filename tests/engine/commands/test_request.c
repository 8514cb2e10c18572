/**
 * Requests: splitting of lines, values of options, and the operands that the front end must resolve.
 */
#include "support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/words.h"

static void check_words(const char *line, const char *expected, enum tm_word_end expected_end)
{
    struct tm_text word = TM_TEXT_EMPTY, all = TM_TEXT_EMPTY;
    enum tm_word_end end;
    while ((end = tm_word_next(&line, &word)) == TM_WORD_WHOLE)
        tm_text_printf(&all, "<%s>", tm_text_string(&word));
    assert_string_equal(tm_text_string(&all), expected);
    assert_int_equal(end, expected_end);
    tm_text_deinit(&word);
    tm_text_deinit(&all);
}

static void test_words_are_those_of_a_shell(void **state)
{
    (void)state;
    check_words("", "", TM_WORD_NONE);
    check_words(" \t\n ", "", TM_WORD_NONE);
    check_words(" a  b\tc\n", "<a><b><c>", TM_WORD_NONE);
    check_words("'a b' \"c d\" e\\ f", "<a b><c d><e f>", TM_WORD_NONE);
    check_words("'' \"\"", "<><>", TM_WORD_NONE);
    check_words("a'b'\"c\"d", "<abcd>", TM_WORD_NONE);
    check_words("\"\\a\\\"\\\\\\$\\`\" '\\' \\'", "<\\a\"\\$`><\\><'>", TM_WORD_NONE);
    check_words("$x *.py ~ #", "<$x><*.py><~><#>", TM_WORD_NONE); // no expansions
    check_words("a 'b", "<a>", TM_WORD_OPEN);
    check_words("a \"b\\\"", "<a>", TM_WORD_OPEN);
    check_words("a \"b\\", "<a>", TM_WORD_OPEN);
    check_words("a b\\", "<a>", TM_WORD_OPEN);
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {
        "", "0x", "x", "1x", "0xg", "-1", "+1", " 1", "18446744073709551616", "0x10000000000000000", "1.0"};
    uint64_t number;
    (void)state;
    assert_true(tm_word_number("0", &number) && number == 0);
    assert_true(tm_word_number("18446744073709551615", &number) && number == UINT64_MAX);
    assert_true(tm_word_number("0xFfffffffffffffff", &number) && number == UINT64_MAX);
    assert_true(tm_word_number("0X10", &number) && number == 16);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tm_word_number(bad[i], &number));
}

static void test_forms_of_options(void **state)
{
    static const char *const lines[] = {"filename -n 5 --cumulative",
                                        "--limit 5 -c filename",
                                        "--limit=5 --cumulative filename",
                                        "-n5 -c filename",
                                        "-cn5 filename",
                                        "-cn 5 filename",
                                        "'-n' \"5\" -c file\\name"};
    struct harness *harness = *state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), "--json %s", lines[i]);
        assert_contains(harness_run(harness, "tm-top", line),
                        "\"key\": \"filename\", \"cumulative\": true, \"limit\": 5,");
    }
    assert_contains(harness_run(harness, "tm-top", "--json -- filename"), "\"key\": \"filename\"");
    assert_fails(harness, "tm-top", "-- filename -n 5", TM_ERROR_USAGE, "unexpected operand \"-n\"");
}

static void test_wrong_options_are_named(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-top", "--limt 5", TM_ERROR_USAGE, "unknown option \"--limt\"; did you mean --limit?");
    assert_contains(harness->message, "help tm-top");
    assert_fails(harness, "tm-top", "--cumul", TM_ERROR_USAGE, "did you mean --cumulative?");
    assert_fails(harness, "tm-top", "--lim=3", TM_ERROR_USAGE, "did you mean --limit?");
    assert_fails(harness, "tm-top", "--frobnicate", TM_ERROR_USAGE, "unknown option \"--frobnicate\"\n");
    assert_fails(harness, "tm-top", "-10", TM_ERROR_USAGE, "unknown option \"-10\"; did you mean -n 10?");
    assert_fails(harness, "tm-info", "-10", TM_ERROR_USAGE, "unknown option \"-10\"\n");
    assert_fails(harness, "tm-top", "-x", TM_ERROR_USAGE, "unknown option \"-x\"");
    assert_fails(harness, "tm-top", "-cx", TM_ERROR_USAGE, "unknown option \"-cx\"");
    assert_fails(harness, "tm-info", "-n 3", TM_ERROR_USAGE, "unknown option \"-n\"");
    assert_fails(harness, "tm-top", "--json=1", TM_ERROR_USAGE, "--json takes no value");
    assert_fails(harness, "tm-top", "--limit", TM_ERROR_USAGE, "--limit needs a value");
    assert_fails(harness, "tm-top", "-n", TM_ERROR_USAGE, "--limit needs a value");
    assert_fails(harness, "tm-top", "-n 'a", TM_ERROR_USAGE, "unclosed quote");
    assert_fails(harness, "tm-top", "\"lineno", TM_ERROR_USAGE, "unclosed quote");
    assert_fails(harness, "tm-top", "--\x1b[31m", TM_ERROR_USAGE, "--\\x1b[31m");
}

static void test_wrong_values_are_refused(void **state)
{
    static const char *const limits[] = {"-1", "x", "''", "1.5", "9223372036854775808", "99999999999999999999"};
    struct harness *harness = *state;
    char line[64];
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        snprintf(line, sizeof(line), "-n %s", limits[i]);
        assert_fails(harness, "tm-top", line, TM_ERROR_USAGE, "is not a number from 0 to 9223372036854775807");
    }
    assert_fails(harness, "tm-top", "--domain 4294967296", TM_ERROR_USAGE, "is not a domain: a number from 0 to 4294");
    assert_fails(harness, "tm-top", "--include ''", TM_ERROR_USAGE, "\"\" has no file name pattern");
    assert_fails(harness, "tm-top", "--include=:12", TM_ERROR_USAGE, "\":12\" has no file name pattern");
    assert_fails(harness, "tm-top", "--exclude a:4294967296", TM_ERROR_USAGE, "line number above 4294967295");
    assert_non_null(harness_run(harness, "tm-top", "-n 9223372036854775807"));
    assert_contains(harness_run(harness, "tm-top", "--domain 0xffffffff"), "filters: include domain 4294967295\n");
}

static void test_patterns_may_have_colons(void **state)
{
    struct harness *harness = *state;
    assert_contains(harness_run(harness, "tm-top", "--include a:b --include c:: --include d:1:2 --include 'e:f 3'"),
                    "filters: include a:b, include c::, include d:1:2, include e:f 3\n");
    assert_contains(harness_run(harness, "tm-top", "--json --include d:1:2"),
                    "\"filename_pattern\": \"d:1\", \"lineno\": 2,");
    assert_contains(harness_run(harness, "tm-top", "--json --include d:1x"), "\"filename_pattern\": \"d:1x\"");
}

static void test_keys(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-top", "5", TM_ERROR_USAGE,
                 "unknown key \"5\": -n takes the number of rows, as in -n 5\n");
    assert_fails(harness, "tm-top", "linen", TM_ERROR_USAGE,
                 "unknown key \"linen\": the keys are lineno, filename, traceback, function, type, "
                 "type,lineno, type,traceback; did you mean lineno?");
    assert_fails(harness, "tm-top", "size", TM_ERROR_USAGE,
                 "the keys are lineno, filename, traceback, function, type, type,lineno, type,traceback\n");
    assert_fails(harness, "tm-top", "lineno filename", TM_ERROR_USAGE, "unexpected operand \"filename\"");
    assert_fails(harness, "tm-top", "traceback -c", TM_ERROR_USAGE,
                 "cumulative mode cannot be used with key traceback");
    assert_fails(harness, "tm-diff", "a traceback -c", TM_ERROR_USAGE, "cumulative mode cannot be used");
    assert_fails(harness, "tm-memory", "pool", TM_ERROR_USAGE, "unknown word \"pool\": the only one is pools");
    assert_fails(harness, "tm-memory", "pools type", TM_ERROR_USAGE, "pools are not grouped by type");
    assert_fails(harness, "tm-info", "all", TM_ERROR_USAGE, "unexpected operand \"all\"");
}

static void test_unknown_command_lists_the_commands(void **state)
{
    struct harness *harness = *state;
    assert_fails(harness, "tm-tpo", "", TM_ERROR_USAGE,
                 "\"tm-tpo\"; the commands are: tm-info tm-top tm-traceback tm-traces tm-find tm-object tm-holders "
                 "tm-leaks tm-threads tm-memory tm-diff "
                 "tm-save tm-export tm-filter tm-set "
                 "tm-verify");
}

static void check_operands(struct harness *harness, const char *command, const char *line, size_t count,
                           enum tm_operand kind, const char *first, const char *second)
{
    struct tm_request *request;
    assert_null(tm_request_create(harness->session, command, line, &request));
    assert_int_equal(tm_request_operands(request), count);
    if (count > 0) {
        assert_int_equal(tm_request_operand_kind(request, 0), kind);
        assert_string_equal(tm_request_operand_text(request, 0), first);
    }
    if (count > 1)
        assert_string_equal(tm_request_operand_text(request, 1), second);
    assert_string_equal(tm_request_operand_text(request, count), "");
    tm_request_destroy(request);
}

static void test_expressions_are_the_rest_of_the_line(void **state)
{
    struct harness *harness = *state;
    const enum tm_operand kind = TM_OPERAND_EXPRESSION;
    check_operands(harness, "tm-traceback", "0x7f00", 0, kind, NULL, NULL);
    check_operands(harness, "tm-traceback", " 123 ", 0, kind, NULL, NULL);
    check_operands(harness, "tm-traceback", "0x7f00 + 8", 1, kind, "0x7f00 + 8", NULL);
    check_operands(harness, "tm-traceback", "010", 1, kind, "010", NULL);
    check_operands(harness, "tm-traceback", "18446744073709551616", 1, kind, "18446744073709551616", NULL);
    check_operands(harness, "tm-traceback", "  op->d['a'] + \"x  ", 1, kind, "op->d['a'] + \"x", NULL);
    check_operands(harness, "tm-traceback", "-n 5 --json a - b --c ", 1, kind, "a - b --c", NULL);
    check_operands(harness, "tm-traceback", "-- -x --json", 1, kind, "-x --json", NULL);
    check_operands(harness, "tm-traceback", "op --json", 1, kind, "op", NULL);
    check_operands(harness, "tm-traceback", "op --plain --json", 1, kind, "op", NULL);
    check_operands(harness, "tm-traceback", "0x7f00 --json --json ", 0, kind, NULL, NULL);
    check_operands(harness, "tm-traceback", "op--json", 1, kind, "op--json", NULL);
    assert_fails(harness, "tm-traceback", "", TM_ERROR_USAGE, "tm-traceback ADDRESS|EXPRESSION");
    assert_fails(harness, "tm-traceback", "--json --", TM_ERROR_USAGE, "missing address.");
    assert_fails(harness, "tm-traceback", "-q op", TM_ERROR_USAGE, "unknown option \"-q\"");
}

static void test_cores_are_words(void **state)
{
    struct harness *harness = *state;
    const enum tm_operand kind = TM_OPERAND_CORE;
    check_operands(harness, "tm-diff", "old", 1, kind, "old", NULL);
    check_operands(harness, "tm-diff", "'old core' -n 5 new", 2, kind, "old core", "new");
    check_operands(harness, "tm-diff", "old filename", 1, kind, "old", NULL);
    check_operands(harness, "tm-diff", "old new traceback", 2, kind, "old", "new");
    check_operands(harness, "tm-diff", "lineno lineno", 1, kind, "lineno", NULL);
    check_operands(harness, "tm-diff", "./lineno ./lineno", 2, kind, "./lineno", "./lineno");
    check_operands(harness, "tm-diff", "-- -old", 1, kind, "-old", NULL);
    check_operands(harness, "tm-top", "lineno", 0, kind, NULL, NULL);
}

static bool needs_target(struct harness *harness, const char *command, const char *line)
{
    struct tm_request *request;
    assert_null(tm_request_create(harness->session, command, line, &request));
    bool result = tm_request_needs_target(request);
    tm_request_destroy(request);
    return result;
}

static void test_who_needs_a_target(void **state)
{
    struct harness *harness = *state;
    assert_true(needs_target(harness, "tm-top", ""));
    assert_true(needs_target(harness, "tm-info", ""));
    assert_true(needs_target(harness, "tm-traceback", "1"));
    assert_true(needs_target(harness, "tm-diff", "a"));
    assert_false(needs_target(harness, "tm-diff", "a b"));
    assert_false(needs_target(harness, "tm-filter", ""));
    harness->no_target = true;
    assert_fails(harness, "tm-top", "", TM_ERROR_NO_TARGET, "attach PID");
    assert_non_null(harness_run(harness, "tm-filter", "list"));
}

static void test_unresolved_expression_is_an_error(void **state)
{
    struct harness *harness = *state;
    struct tm_request *request;
    assert_null(tm_request_create(harness->session, "tm-traceback", "op", &request));
    struct tm_error *error = tm_request_run(request, fake_target(harness->fake));
    assert_int_equal(tm_error_code(error), TM_ERROR_USAGE);
    assert_contains(tm_error_message(error), "this expression has no value: op");
    tm_error_destroy(error);
    tm_request_destroy(request);
}

// Random lines of characters with a meaning: an answer or an error, never a fault (run under sanitizers).
static void test_random_lines_are_survived(void **state)
{
    static const char *const pieces[] = {"-",       "--",   "n",        "c",         " ",    " ",        "'",
                                         "\"",      "\\",   "=",        "5",         ":",    "*",        "[",
                                         "--limit", "add",  "remove",   "--json",    "0x",   "\n",       "]",
                                         "lineno",  "list", "--domain", "--include", "\xff", "--exclude"};
    static const char *const commands[] = {"tm-top", "tm-info", "tm-traceback", "tm-diff", "tm-filter"};
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 1, 10, 1);
    srand(5);
    int answered = 0;
    for (int round = 0; round < 20000; round++) {
        char line[128] = "";
        const char *command = commands[rand() % 5];
        for (int i = rand() % 10; i > 0; i--)
            strcat(line, pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        answered += harness_run(harness, command, line) != NULL;
        tm_complete(harness->session, command, line, NULL);
    }
    assert_in_range(answered, 1000, 19000);
}

static void test_defaults_are_set_for_the_session(void **state)
{
    struct harness *harness = *state;
    for (uint32_t line = 1; line <= 4; line++)
        fake_add(harness->fake, "a.py", line, 10 * line, 1);
    assert_string_equal(harness_run(harness, "tm-set", ""),
                        "limit:   10\nframes:  all\nplain:   off\nsource:  on\nfolder:  default\n");
    assert_contains(harness_run(harness, "tm-top", ""), "    line\t4\n");
    assert_string_equal(harness_run(harness, "tm-set", "limit 2"), "limit:   2\n");
    assert_string_equal(harness_run(harness, "tm-set", "source off"), "source:  off\n");
    assert_string_equal(harness_run(harness, "tm-set", "plain on"), "plain:   on\n");
    assert_string_equal(harness_run(harness, "tm-top", ""), "a.py:4: size=40 B, count=1, average=40 B\n"
                                                            "a.py:3: size=30 B, count=1, average=30 B\n"
                                                            "2 other: 0.0 KiB\nTotal allocated size: 0.1 KiB\n");
    assert_contains(harness_run(harness, "tm-top", "-n 1"), "3 other");
    assert_contains(harness_run(harness, "tm-set", "--json frames 0x5"),
                    "\"limit\": 2, \"frames\": 5, \"plain\": true, \"source\": false, \"folder\": null}\n");
    for (int i = 0; i < 4; i++) {
        static const char *const lines[] = {"limit default", "frames all", "plain default", "source default"};
        assert_non_null(harness_run(harness, "tm-set", lines[i]));
    }
    assert_string_equal(harness_run(harness, "tm-set", ""),
                        "limit:   10\nframes:  all\nplain:   off\nsource:  on\nfolder:  default\n");
    assert_fails(harness, "tm-set", "limt", TM_ERROR_USAGE, "did you mean limit?");
    assert_fails(harness, "tm-set", "limit all", TM_ERROR_USAGE, "limit: \"all\" is not a number of rows");
    assert_fails(harness, "tm-set", "plain 1", TM_ERROR_USAGE, "is not on or off");
    assert_fails(harness, "tm-set", "limit 1 2", TM_ERROR_USAGE, "unexpected operand");
}

// The answer goes to the file alone, with the same bytes.
static void test_output_is_a_file_for_any_answer(void **state)
{
    static const char *const lines[][2] = {
        {"tm-info", "--json"}, {"tm-top", "-n 1"},    {"tm-traces", ""},
        {"tm-filter", "list"}, {"tm-diff", "a.core"}, {"tm-traceback", "--json 0x1000"},
    };
    struct harness *harness = *state;
    fake_add(harness->fake, "a.py", 1, 10, 1);
    fake_add_block(harness->fake, 0x1000, 16, 0, false);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64];
        const char *shown = harness_run(harness, lines[i][0], lines[i][1]);
        assert_non_null(shown);
        char *expected = strdup(shown);
        snprintf(line, sizeof(line), "--output x.json %s", lines[i][1]);
        assert_string_equal(harness_run(harness, lines[i][0], line), "");
        assert_string_equal(tm_text_string(&harness->written), expected);
        free(expected);
    }
    assert_contains(harness_run(harness, "tm-top", "--output x --help"), "Usage: tm-top");
    harness->write_limit = 1;
    assert_fails(harness, "tm-top", "--output x", TM_ERROR_OUTPUT, "could not be written");
    assert_fails(harness, "tm-top", "--output ''", TM_ERROR_USAGE, "is not the name of a file");
}

static void test_outputs_operand_comes_last(void **state)
{
    struct harness *harness = *state;
    struct tm_request *request;
    assert_null(tm_request_create(harness->session, "tm-diff", "--output=a --output b old new", &request));
    assert_int_equal(tm_request_operands(request), 3);
    assert_int_equal(tm_request_operand_kind(request, 2), TM_OPERAND_ANSWER);
    assert_string_equal(tm_request_operand_text(request, 2), "b");
    tm_request_destroy(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_those_of_a_shell),
        cmocka_unit_test(test_numbers),
        TEST(test_forms_of_options),
        TEST(test_wrong_options_are_named),
        TEST(test_wrong_values_are_refused),
        TEST(test_patterns_may_have_colons),
        TEST(test_keys),
        TEST(test_unknown_command_lists_the_commands),
        TEST(test_expressions_are_the_rest_of_the_line),
        TEST(test_cores_are_words),
        TEST(test_who_needs_a_target),
        TEST(test_unresolved_expression_is_an_error),
        TEST(test_defaults_are_set_for_the_session),
        TEST(test_output_is_a_file_for_any_answer),
        TEST(test_outputs_operand_comes_last),
        TEST(test_random_lines_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
