/**
 * Patterns: the corner cases of fnmatch by hand, and that no pattern takes exponential time.
 * test_against_tracemalloc.py compares thousands of random ones with Python's own.
 */
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/match.h"

static bool matches_bytes(const char *bytes, const char *name, size_t length)
{
    struct tm_pattern *pattern;
    assert_null(tm_pattern_create(bytes, strlen(bytes), &pattern));
    bool result = tm_pattern_matches(pattern, name, length);
    tm_pattern_destroy(pattern);
    return result;
}

static bool matches(const char *pattern, const char *name)
{
    return matches_bytes(pattern, name, strlen(name));
}

static void test_stars_and_question_marks(void **state)
{
    (void)state;
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_true(matches("*", ""));
    assert_true(matches("**", "abc"));
    assert_false(matches("?", ""));
    assert_true(matches("?", "\xe2\x82\xac")); // one code point
    assert_false(matches("??", "\xe2\x82\xac"));
    assert_true(matches("*/app/*.py", "/srv/app/x/app/y.py"));
    assert_false(matches("*/app/*.py", "/srv/app/y.pyc"));
    assert_true(matches("*ab", "aab"));
    assert_true(matches("a*b*c", "aXbXbXc"));
    assert_false(matches("a*b*c", "aXbXbX"));
    assert_true(matches("a*?", "ab\n"));
    assert_true(matches("*.py", ".py"));
    assert_false(matches("A", "a"));
}

static void test_sets(void **state)
{
    (void)state;
    assert_true(matches("[abc]", "b"));
    assert_false(matches("[!abc]", "b"));
    assert_true(matches("[a-c]", "b"));
    assert_true(matches("[]]", "]"));
    assert_true(matches("[!]]", "a"));
    assert_true(matches("[^a]", "^")); // no negation here
    assert_true(matches("[a-]", "-"));
    assert_true(matches("[-a]", "-"));
    assert_true(matches("[!-a]", "b"));
    assert_false(matches("[!-a]", "-"));
    assert_false(matches("[b-a]", "a")); // an empty range
    assert_true(matches("[!b-a]", "a"));
    assert_true(matches("[\\]", "\\"));
    assert_false(matches("\\*", "*")); // a backslash quotes nothing
    assert_true(matches("\\*", "\\x"));
    assert_true(matches("[a-z-9]", "-"));
    assert_true(matches("[a-c-b]", "b")); // only the first hyphen makes a range
    assert_false(matches("[a-c-e]", "d"));
    assert_true(matches("[\xc3\xa0-\xc3\xbf]", "\xc3\xa9"));
    assert_true(matches("[b-a!x]", "b")); // fnmatch takes the rest as negated
    assert_false(matches("[b-a!x]", "x"));
}

static void test_open_brackets_are_literal(void **state)
{
    (void)state;
    assert_true(matches("[", "["));
    assert_true(matches("[a", "[a"));
    assert_true(matches("[!", "[!"));
    assert_true(matches("[]", "[]"));
    assert_true(matches("[!]", "[!]"));
    assert_true(matches("[*", "[anything"));
}

static void test_names_hold_any_byte(void **state)
{
    (void)state;
    assert_true(matches_bytes("a?b", "a\0b", 3));
    assert_true(matches_bytes("a?b",
                              "a\xff"
                              "b",
                              3));
    assert_true(matches_bytes("a[\xed\xb2\x80-\xed\xb3\xbf]b",
                              "a\xff"
                              "b",
                              3)); // U+DC80 to U+DCFF
    assert_true(matches_bytes("a\xed\xb3\xbf"
                              "b",
                              "a\xff"
                              "b",
                              3));
}

static void test_no_pattern_is_exponential(void **state)
{
    static const char pattern[] = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
    const size_t length = 200000;
    char *name = malloc(length);
    (void)state;

    assert_non_null(name);
    memset(name, 'a', length);
    clock_t start = clock();
    assert_false(matches_bytes(pattern, name, length));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stars_and_question_marks),  cmocka_unit_test(test_sets),
        cmocka_unit_test(test_open_brackets_are_literal), cmocka_unit_test(test_names_hold_any_byte),
        cmocka_unit_test(test_no_pattern_is_exponential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
