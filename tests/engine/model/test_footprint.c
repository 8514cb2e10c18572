/**
 * The line about private memory: its parts, its differences, and when it is not there.
 */
#include "support/harness.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

static void test_the_parts_of_private_memory_are_shown(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 20 * MIB, 1);
    fake_info(harness->fake)->traced = 20 * MIB;
    fake_set_private(harness->fake, TM_PRIVATE_RESIDENT, 90 * MIB, 30 * MIB);
    const char *facts =
        "90.0 MiB resident: 20.0 MiB traced, 30.0 MiB the tracer's, 40.0 MiB other (tm-memory shows what)\n";
    assert_contains(harness_run(harness, "tm-top", ""), "KiB\nPrivate memory: ");
    assert_contains(harness->output.bytes, facts);
    assert_contains(harness_run(harness, "tm-info", ""), "\nprivate memory:    90.0 MiB resident: ");
    assert_contains(harness->output.bytes, facts);
    const char *json = "\"private\": {\"kind\": \"resident\", \"size\": 94371840, \"traced\": 20971520, \"tracer\": "
                       "31457280, \"other\": 41943040}, ";
    assert_contains(harness_run(harness, "tm-top", "--json"), json);
    assert_contains(harness_run(harness, "tm-info", "--json"), json);
}

static void test_it_is_about_the_process_whatever_the_filters_are(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 20 * MIB, 1);
    fake_set_private(harness->fake, TM_PRIVATE_IN_CORE, 90 * MIB, 0);
    assert_contains(harness_run(harness, "tm-top", "--exclude '*'"),
                    "Private memory: 90.0 MiB in the core: 20.0 MiB traced, 70.0 MiB other (tm-memory shows what)\n");
}

static void test_parts_can_be_more_than_the_whole(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->fake, "gone.py", 1, 20 * MIB, 1);
    fake_set_private(harness->fake, TM_PRIVATE_MAPPED, 10 * MIB, 5 * MIB);
    assert_contains(harness_run(harness, "tm-top", ""), "Private memory: 10.0 MiB mapped: 20.0 MiB traced, 5120 KiB "
                                                        "the tracer's, other not known (parts of these are not "
                                                        "mapped)\n");
    assert_contains(harness_run(harness, "tm-top", "--json"), "\"other\": null}");
    fake_add(harness->other, "gone.py", 1, MIB, 1);
    fake_set_private(harness->other, TM_PRIVATE_MAPPED, 9 * MIB, 5 * MIB);
    assert_contains(harness_run(harness, "tm-diff", "old.core"), "the tracer's, other not known (parts of these are");
}

static void test_a_difference_shows_what_grew(void **state)
{
    struct harness *harness = *state;
    fake_add(harness->other, "gone.py", 1, 20 * MIB, 1);
    fake_add(harness->fake, "gone.py", 1, 21 * MIB, 1);
    fake_set_private(harness->other, TM_PRIVATE_RESIDENT, 60 * MIB, 30 * MIB);
    fake_set_private(harness->fake, TM_PRIVATE_RESIDENT, 91 * MIB, 30 * MIB);
    assert_contains(harness_run(harness, "tm-diff", "old"),
                    "\nPrivate memory: 91.0 MiB (+31.0 MiB) resident: 21.0 MiB (+1024 KiB) traced, 30.0 MiB (+0 B) "
                    "the tracer's, 40.0 MiB (+30.0 MiB) other (tm-diff --memory shows what)\n");
    const char *answer = harness_run(harness, "tm-diff", "old --json");
    assert_contains(answer, "\"private\": {\"kind\": \"resident\", \"size\": 95420416, ");
    assert_contains(answer, "\"private_old\": {\"kind\": \"resident\", \"size\": 62914560, ");
}

static void test_sides_that_count_other_things_say_so(void **state)
{
    struct harness *harness = *state;
    fake_set_private(harness->other, TM_PRIVATE_IN_CORE, 60 * MIB, 0);
    fake_set_private(harness->fake, TM_PRIVATE_RESIDENT, 50 * MIB, 0);
    assert_contains(harness_run(harness, "tm-diff", "old"),
                    " 50.0 MiB (-10.0 MiB) other (tm-diff --memory shows what); OLD is what its core holds, which may "
                    "include unused pages\n");
}

static void test_a_snapshot_does_not_know_it(void **state)
{
    struct harness *harness = *state;
    fake_set_private(harness->fake, TM_PRIVATE_RESIDENT, 50 * MIB, 0);
    assert_contains(
        harness_run(harness, "tm-diff", "old"),
        "Private memory: 50.0 MiB resident: 0 B traced, 50.0 MiB other (tm-memory shows what); unknown of OLD\n");
    assert_null(strstr(harness_run(harness, "tm-diff", "old --json"), "private_old"));
    fake_set_private(harness->fake, TM_PRIVATE_UNKNOWN, 0, 0);
    fake_set_private(harness->other, TM_PRIVATE_RESIDENT, 50 * MIB, 0);
    assert_null(strstr(harness_run(harness, "tm-diff", "old"), "Private"));
    assert_null(strstr(harness_run(harness, "tm-top", ""), "Private"));
    assert_null(strstr(harness_run(harness, "tm-top", "--json"), "private"));
    assert_null(strstr(harness_run(harness, "tm-info", ""), "private"));
}

static void test_plain_answers_do_not_have_it(void **state)
{
    struct harness *harness = *state;
    fake_set_private(harness->fake, TM_PRIVATE_RESIDENT, 50 * MIB, 0);
    fake_set_private(harness->other, TM_PRIVATE_RESIDENT, 50 * MIB, 0);
    assert_null(strstr(harness_run(harness, "tm-top", "--plain"), "Private"));
    assert_null(strstr(harness_run(harness, "tm-diff", "old --plain"), "Private"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_parts_of_private_memory_are_shown), TEST(test_it_is_about_the_process_whatever_the_filters_are),
        TEST(test_parts_can_be_more_than_the_whole),      TEST(test_a_difference_shows_what_grew),
        TEST(test_sides_that_count_other_things_say_so),  TEST(test_a_snapshot_does_not_know_it),
        TEST(test_plain_answers_do_not_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
