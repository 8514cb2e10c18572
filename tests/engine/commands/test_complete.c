/**
 * Completion: which words are offered at each place of a line.
 */
#include "support/harness.h"

#include <string.h>

static void check(struct harness *harness, const char *command, const char *line, const char *expected)
{
    assert_string_equal(tm_complete(harness->session, command, line, NULL), expected);
}

static void test_keys(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-top", "", "lineno\nfilename\ntraceback\nfunction\ntype\ntype,lineno\ntype,traceback\n");
    check(harness, "tm-top", "fi", "filename\n");
    check(harness, "tm-top", "-n 5 --json t", "traceback\ntype\ntype,lineno\ntype,traceback\n");
    check(harness, "tm-top", "lineno", "lineno\n");
    check(harness, "tm-top", "lineno ", "");
    check(harness, "tm-top", "x", "");
    check(harness, "tm-diff", "", "");
    check(harness, "tm-diff", "old ", "lineno\nfilename\ntraceback\nfunction\ntype\ntype,lineno\ntype,traceback\n");
    check(harness, "tm-diff", "old new l", "lineno\n");
    check(harness, "tm-diff", "old new lineno ", "");
    check(harness, "tm-info", "", "");
    check(harness, "tm-traceback", "", "");
}

static void test_options(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-top", "-",
          "--limit\n--sort\n--retained\n--cumulative\n--mine\n--include\n--exclude\n--all-frames\n--domain\n--type\n--"
          "plain\n--no-"
          "plain\n--samples\n--"
          "json\n--"
          "output\n--"
          "help\n-n\n-s\n-r\n-c\n-h\n");
    check(harness, "tm-top", "lineno --c", "--cumulative\n");
    check(harness, "tm-top", "--limit", "--limit\n");
    check(harness, "tm-traceback", "-", "--limit\n--plain\n--no-plain\n--samples\n--json\n--output\n--help\n-n\n-h\n");
    check(harness, "tm-traceback", "a -", ""); // inside an expression
    check(harness, "tm-traces", "--s", "--sort\n--samples\n");
    check(harness, "tm-traces", "--t", "--traceback\n--type\n");
    check(harness, "tm-save", "file --f", "--force\n");
    check(harness, "tm-save", "--t", "--traces\n--type\n");
    check(harness, "tm-top", "-- -", "");
    check(harness, "tm-filter", "add --e", "--exclude\n");
}

static void test_values_that_an_option_knows(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-traces", "--sort ", "size\naddress\nsite\n");
    check(harness, "tm-traces", "-s a", "address\n");
    check(harness, "tm-traces", "-ts a", "address\n");
    check(harness, "tm-traces", "--sort=si", "--sort=size\n--sort=site\n");
    check(harness, "tm-traces", "--sort=x", "");
    check(harness, "tm-top", "lineno --sort ", "size\ncount\nallocated\nfreed\n");
    check(harness, "tm-top", "--sort size l", "lineno\n");
    check(harness, "tm-save", "--traces ", "3.8\n3.9\n");
    check(harness, "tm-save", "--domain ", "0\n389047\n");
    check(harness, "tm-filter", "add --domain 3", "389047\n");
    check(harness, "tm-top", "--json=", ""); // it has no value
    check(harness, "tm-top", "-- --sort=", "");
}

static void test_values_are_not_offered_anything(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-top", "-n ", "");
    check(harness, "tm-top", "-n l", "");
    check(harness, "tm-top", "-cn ", "");
    check(harness, "tm-top", "--include -", "");
    check(harness, "tm-top", "--limit=", "");
    check(harness, "tm-top", "--limit=5 l", "lineno\n");
    check(harness, "tm-top", "-n5 l", "lineno\n");
    check(harness, "tm-top", "-c l", "lineno\n");
}

static void test_domains_are_the_targets(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"a.py"};
    const uint32_t lengths[] = {4}, lines[] = {1}, domains[] = {389047, 7, 0, 7, 70};
    struct tm_target *target = fake_target(harness->fake);
    assert_string_equal(tm_complete(harness->session, "tm-top", "--domain ", target), "0\n389047\n"); // nothing traced
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
        fake_add_group(harness->fake, domains[i], 10, 1, 1, 1, names, lengths, lines);
    assert_string_equal(tm_complete(harness->session, "tm-top", "--domain ", target), "0\n7\n70\n389047\n");
    assert_string_equal(tm_complete(harness->session, "tm-traces", "--domain=7", target), "--domain=7\n--domain=70\n");
    assert_string_equal(tm_complete(harness->session, "tm-filter", "add --domain 3", target), "389047\n");
    fake_set_open_error(harness->fake, TM_ERROR_NO_TABLE, "nothing");
    assert_string_equal(tm_complete(harness->session, "tm-top", "--domain ", target), "0\n389047\n");
    assert_int_equal(harness->output.length, 0);
}

// The greatest are left out where there are too many.
static void test_many_domains(void **state)
{
    struct harness *harness = *state;
    const char *names[] = {"a.py"};
    const uint32_t lengths[] = {4}, lines[] = {1};
    for (uint32_t domain = 200; domain > 0; domain--)
        fake_add_group(harness->fake, domain, 10, 1, 1, 1, names, lengths, lines);
    const char *offered = tm_complete(harness->session, "tm-top", "--domain ", fake_target(harness->fake));
    assert_int_equal(strncmp(offered, "1\n2\n3\n", 6), 0);
    assert_string_equal(offered + strlen(offered) - 6, "63\n64\n");
}

static void test_settings(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-set", "", "limit\nframes\nplain\nsource\nfolder\n");
    check(harness, "tm-set", "plain o", "on\noff\n");
    check(harness, "tm-set", "frames ", "all\ndefault\n");
    check(harness, "tm-set", "limit ", "default\n");
    check(harness, "tm-set", "plain on ", "");
}

static void test_filters(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-filter", "", "add\nremove\nlist\nclear\n");
    check(harness, "tm-filter", "r", "remove\n");
    check(harness, "tm-filter", "remove ", "");
    harness_run(harness, "tm-filter", "add a");
    harness_run(harness, "tm-filter", "add b");
    harness_run(harness, "tm-filter", "add c");
    harness_run(harness, "tm-filter", "remove 2");
    check(harness, "tm-filter", "remove ", "1\n3\n");
    check(harness, "tm-filter", "remove 3", "3\n");
    check(harness, "tm-filter", "add ", "");
}

static void test_odd_lines(void **state)
{
    struct harness *harness = *state;
    check(harness, "tm-none", "", "");
    check(harness, "tm-top", "'li", "lineno\n");
    check(harness, "tm-top", "\"a b\" \"", "");
    check(harness, "tm-top", "li\\", "lineno\n");
    assert_string_equal(tm_complete(harness->session, "tm-top", NULL, NULL), "");
    assert_string_equal(tm_complete(harness->session, NULL, "", NULL), "");
}

static void check_word(const char *command, enum tm_word_kind expected, size_t index, const char *const *words)
{
    assert_int_equal(tm_command_word(command, words, index), expected);
}

static void test_what_a_word_is(void **state)
{
    const char *const words[] = {"4711", "-n", "5", "-cn", "3", "--sort=size", "--include", "--json", "-", "--", "-n"};
    static const enum tm_word_kind kinds[] = {TM_WORD_OPERAND, TM_WORD_OPTION, TM_WORD_VALUE,  TM_WORD_OPTION,
                                              TM_WORD_VALUE,   TM_WORD_OPTION, TM_WORD_OPTION, TM_WORD_VALUE,
                                              TM_WORD_OPERAND, TM_WORD_OPTION, TM_WORD_OPERAND};
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        check_word("tm-top", kinds[i], i, words);
    const char *const unknown[] = {"--stop", "4711", "--max-stop", "2s"};
    check_word("tm-top", TM_WORD_OPTION, 0, unknown);
    check_word("tm-top", TM_WORD_OPERAND, 1, unknown);
    check_word("tm-top", TM_WORD_OPERAND, 3, unknown); // the engine does not know the option
    check_word("tm-none", TM_WORD_OPERAND, 0, unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_options),
        TEST(test_values_that_an_option_knows),
        TEST(test_values_are_not_offered_anything),
        TEST(test_domains_are_the_targets),
        TEST(test_many_domains),
        TEST(test_settings),
        TEST(test_filters),
        TEST(test_odd_lines),
        TEST(test_what_a_word_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
