/**
 * Filters: which groups each kind keeps, alone and together. The fake target has four groups whose sizes are powers
 * of two: the sum of what remains names the groups.
 */
#include "support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    APP = 1,    // app.py:10, called from main.py:1
    LIB = 2,    // lib/x.pyc:20, called from app.py:10
    OTHER = 4,  // other.py:30
    FOREIGN = 8 // app.py:11 in domain 7
};

static void add(struct fake *fake, uint32_t domain, uint64_t size, const char *oldest, uint32_t oldest_line,
                const char *latest, uint32_t latest_line)
{
    const char *names[] = {oldest, latest};
    uint32_t lengths[] = {(uint32_t)strlen(oldest), (uint32_t)strlen(latest)};
    uint32_t lines[] = {oldest_line, latest_line};
    fake_add_group(fake, domain, size, 1, 2, 2, names, lengths, lines);
}

static void fill(struct fake *fake)
{
    add(fake, 0, APP, "main.py", 1, "app.py", 10);
    add(fake, 0, LIB, "app.py", 10, "lib/x.pyc", 20);
    add(fake, 0, OTHER, "main.py", 2, "other.py", 30);
    add(fake, 7, FOREIGN, "main.py", 1, "app.py", 11);
}

static void check(struct harness *harness, const char *options, unsigned expected)
{
    char line[256], total[64];
    snprintf(line, sizeof(line), "--json -n 0 %s", options);
    snprintf(total, sizeof(total), "\"total_size\": %u,", expected);
    assert_contains(harness_run(harness, "tm-top", line), total);
}

static void test_patterns(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    check(harness, "", APP + LIB + OTHER + FOREIGN);
    check(harness, "--include app.py", APP + FOREIGN);
    check(harness, "--include app.py:10", APP);
    check(harness, "--include app.py:12", 0);
    check(harness, "--exclude app.py:10", LIB + OTHER + FOREIGN);
    check(harness, "--include a* --include o*", APP + OTHER + FOREIGN);
    check(harness, "--exclude a* --exclude o*", LIB);
    check(harness, "--include '*' --exclude other.py", APP + LIB + FOREIGN);
}

static void test_pyc_is_py(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    check(harness, "--include lib/x.py", LIB);
    check(harness, "--include lib/x.pyc", LIB);
    check(harness, "--include app.pyc", APP + FOREIGN);
    check(harness, "--include '*.pyc:20'", LIB);
    check(harness, "--include 'lib/x.p?c'", 0);
}

static void test_all_frames(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    check(harness, "--include main.py", 0);
    check(harness, "--include main.py --all-frames", APP + OTHER + FOREIGN);
    check(harness, "--all-frames --include app.py:10", APP + LIB);
    check(harness, "--all-frames --exclude app.py:10", OTHER + FOREIGN);
}

static void test_domains(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    check(harness, "--domain 7", FOREIGN);
    check(harness, "--domain 0", APP + LIB + OTHER);
    check(harness, "--domain 0 --domain 7", APP + LIB + OTHER + FOREIGN);
    check(harness, "--domain 8", 0);
    check(harness, "--domain 7 --include o*", OTHER + FOREIGN); // as two inclusive filters of tracemalloc
    check(harness, "--domain 0 --exclude a*", LIB + OTHER);
}

static void test_session_filters_come_first(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    assert_non_null(harness_run(harness, "tm-filter", "add app.py"));
    check(harness, "", APP + FOREIGN);
    check(harness, "--include '*:10'", APP);
    check(harness, "--include lib*", 0); // of what the others kept
    assert_non_null(harness_run(harness, "tm-filter", "add lib*"));
    check(harness, "", APP + LIB + FOREIGN);
    assert_non_null(harness_run(harness, "tm-filter", "add --exclude --domain 7"));
    check(harness, "", APP + LIB);
    assert_non_null(harness_run(harness, "tm-filter", "clear"));
    check(harness, "", APP + LIB + OTHER + FOREIGN);
}

static void test_filter_with_pattern_and_domain(void **state)
{
    struct harness *harness = *state;
    fill(harness->fake);
    assert_non_null(harness_run(harness, "tm-filter", "add a*:11 --domain 7"));
    check(harness, "", FOREIGN);
    assert_non_null(harness_run(harness, "tm-filter", "clear"));
    assert_non_null(harness_run(harness, "tm-filter", "add a* --domain 0"));
    check(harness, "", APP);
    assert_non_null(harness_run(harness, "tm-filter", "clear"));
    assert_non_null(harness_run(harness, "tm-filter", "add --exclude a* --domain 0"));
    check(harness, "", LIB + OTHER + FOREIGN);
    assert_non_null(harness_run(harness, "tm-filter", "add --exclude main.py --all-frames"));
    check(harness, "", LIB);
}

static void test_filtering_can_be_interrupted(void **state)
{
    struct harness *harness = *state;
    for (uint32_t i = 0; i < 10000; i++)
        fake_add(harness->fake, "app.py", i, 1, 1);
    harness->stop_after = 1;
    assert_fails(harness, "tm-top", "--include a*", TM_ERROR_INTERRUPTED, "interrupted");
    harness->stop_after = 0;
    assert_non_null(harness_run(harness, "tm-top", "--include a*"));
    assert_true(harness->asked > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_patterns),
        TEST(test_pyc_is_py),
        TEST(test_all_frames),
        TEST(test_domains),
        TEST(test_session_filters_come_first),
        TEST(test_filter_with_pattern_and_domain),
        TEST(test_filtering_can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
