/**
 * Help: every command has a help text of the promised shape. The options in it are those of the parser and of
 * completion: all three are made from one table.
 */
#include "support/harness.h"

#include <stdio.h>
#include <string.h>

static void test_commands_are_in_the_order_of_a_manual(void **state)
{
    static const char *const names[] = {"tm-info",    "tm-top",    "tm-traceback", "tm-traces", "tm-find", "tm-object",
                                        "tm-holders", "tm-leaks",  "tm-threads",   "tm-memory", "tm-diff", "tm-save",
                                        "tm-export",  "tm-filter", "tm-set",       "tm-verify"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_string_equal(tm_command_name(i), names[i]);
    assert_null(tm_command_name(sizeof(names) / sizeof(names[0])));
    assert_null(tm_command_name(SIZE_MAX));
    assert_null(tm_command_help("tm-none"));
    assert_null(tm_command_help(NULL));
}

static void test_help_has_its_shape(void **state)
{
    (void)state;
    for (size_t i = 0; tm_command_name(i); i++) {
        char usage[64];
        const char *help = tm_command_help(tm_command_name(i));
        const char *summary_end = strchr(help, '\n');
        snprintf(usage, sizeof(usage), "\n\nUsage: %s", tm_command_name(i));
        assert_memory_equal(summary_end, usage, strlen(usage));
        assert_int_equal(summary_end[-1], '.');
        assert_contains(help, "\nOptions:\n");
        assert_contains(help, "\nExamples:\n");
        assert_contains(help, "\nThe JSON object has");
        for (const char *line = help; *line; line = strchr(line, '\n') + 1)
            assert_true(strcspn(line, "\n") <= 80);
    }
}

static void test_the_topic_names_each_command_and_explains_words(void **state)
{
    const char *help = tm_command_help("tracemortem");
    (void)state;
    for (size_t i = 0; tm_command_name(i); i++)
        assert_contains(help, tm_command_name(i));
    assert_contains(help, "\n  site  ");
    assert_contains(help, "\n  domain  ");
    assert_contains(help, "\n  <unknown>  ");
    assert_contains(help, "\nTo get an address:\n");
    for (const char *line = help; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 80);
    assert_int_equal(strchr(help, '\n')[-1], '.'); // the first line is a summary
}

// In a line with anything else that can be parsed, and without a target.
static void test_help_is_an_option(void **state)
{
    static const char *const lines[] = {"-h", "--help", "--json -h", "-h a b c d"};
    struct harness *harness = *state;
    harness->no_target = true;
    for (size_t i = 0; tm_command_name(i); i++)
        for (size_t j = 0; j < sizeof(lines) / sizeof(lines[0]); j++)
            assert_string_equal(harness_run(harness, tm_command_name(i), lines[j]),
                                tm_command_help(tm_command_name(i)));
}

// Each option that completion offers is in the help, and the parser knows it.
static void test_offered_options_are_known(void **state)
{
    struct harness *harness = *state;
    for (size_t i = 0; tm_command_name(i); i++) {
        const char *command = tm_command_name(i);
        char offered[512];
        int count = 0;
        snprintf(offered, sizeof(offered), "%s", tm_complete(harness->session, command, "-", NULL));
        for (char *option = strtok(offered, "\n"); option; option = strtok(NULL, "\n"), count++) {
            assert_contains(tm_command_help(command), option);
            if (!harness_run(harness, command, option))
                assert_null(strstr(harness->message, "unknown option"));
        }
        assert_true(count >= 1);
    }
}

// The other way round: completion offers each option that the help lists.
static void test_listed_options_are_offered(void **state)
{
    struct harness *harness = *state;
    for (size_t i = 0; tm_command_name(i); i++) {
        const char *command = tm_command_name(i);
        const char *line = strstr(tm_command_help(command), "\nOptions:\n") + 10;
        int count = 0;
        for (; strncmp(line, "  ", 2) == 0; line = strchr(line, '\n') + 1) {
            char option[64], offered[66];
            const char *dashes = strstr(line, "--");
            if (strncmp(line, "        ", 8) == 0)
                continue;
            snprintf(option, sizeof(option), "%.*s", (int)strcspn(dashes, " \n"), dashes);
            snprintf(offered, sizeof(offered), "%s\n", option);
            assert_contains(tm_complete(harness->session, command, option, NULL), offered);
            count++;
        }
        assert_true(count >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_in_the_order_of_a_manual),
        cmocka_unit_test(test_help_has_its_shape),
        cmocka_unit_test(test_the_topic_names_each_command_and_explains_words),
        TEST(test_help_is_an_option),
        TEST(test_offered_options_are_known),
        TEST(test_listed_options_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
