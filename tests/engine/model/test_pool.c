/**
 * The pool: equal contents are the same pointer, different ones are not, and the order is Python's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/pool.h"

static int setup(void **state)
{
    return tm_pool_create((struct tm_pool **)state) != NULL;
}

static int teardown(void **state)
{
    tm_pool_destroy(*state);
    return 0;
}

static const struct tm_name *name_of(struct tm_pool *pool, const char *bytes, size_t length)
{
    const struct tm_name *name = NULL;
    assert_null(tm_pool_name(pool, bytes, (uint32_t)length, &name));
    return name;
}

static const struct tm_name *name(struct tm_pool *pool, const char *text)
{
    return name_of(pool, text, strlen(text));
}

static const struct tm_traceback *traceback(struct tm_pool *pool, const struct tm_frame *frames, uint32_t count,
                                            uint32_t total)
{
    const struct tm_traceback *result = NULL;
    assert_null(tm_pool_traceback(pool, frames, count, total, &result));
    return result;
}

static void test_equal_names_are_one(void **state)
{
    char copy[] = "a.py";
    assert_ptr_equal(name(*state, "a.py"), name(*state, copy));
    copy[0] = 'x'; // the pool has its own bytes
    assert_string_equal(name(*state, "a.py")->bytes, "a.py");
}

static void test_different_names_are_two(void **state)
{
    assert_ptr_not_equal(name(*state, "a.py"), name(*state, "b.py"));
    assert_ptr_not_equal(name(*state, "a.py"), name(*state, "a.pyc"));
    assert_ptr_not_equal(name_of(*state, "", 0), name_of(*state, "\0", 1));
}

static void test_name_may_hold_any_byte(void **state)
{
    const struct tm_name *odd = name_of(*state, "a\0\xff\xed\xa0\x80", 6);
    assert_int_equal(odd->length, 6);
    assert_memory_equal(odd->bytes, "a\0\xff\xed\xa0\x80", 7); // with its NUL
    assert_ptr_equal(odd, name_of(*state, "a\0\xff\xed\xa0\x80", 6));
    assert_ptr_not_equal(odd, name_of(*state, "a\0\xff\xed\xa0\x81", 6));
}

static void test_many_names_stay_where_they_are(void **state)
{
    enum { COUNT = 20000 };
    static const struct tm_name *names[COUNT];
    char text[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "file%d.py", i);
        names[i] = name(*state, text);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "file%d.py", i);
        assert_string_equal(names[i]->bytes, text);
        assert_ptr_equal(names[i], name(*state, text));
    }
}

static void test_large_name(void **state)
{
    static char large[3 << 20];
    memset(large, 'n', sizeof(large));
    const struct tm_name *before = name(*state, "before");
    const struct tm_name *one = name_of(*state, large, sizeof(large));
    assert_ptr_equal(one, name_of(*state, large, sizeof(large)));
    assert_string_equal(before->bytes, "before");
    assert_string_equal(name(*state, "after")->bytes, "after");
}

static void test_tracebacks_are_one_if_frames_and_total_are_equal(void **state)
{
    const struct tm_name *a = name(*state, "a"), *b = name(*state, "b");
    const struct tm_frame frames[] = {
        {.file_name = a, .line = 1}, {.file_name = b, .line = 2}, {.file_name = a, .line = 1}};
    const struct tm_frame same[] = {
        {.file_name = a, .line = 1}, {.file_name = b, .line = 2}, {.file_name = a, .line = 1}};
    const struct tm_frame other_line[] = {
        {.file_name = a, .line = 1}, {.file_name = b, .line = 2}, {.file_name = a, .line = 2}};
    const struct tm_frame other_name[] = {
        {.file_name = a, .line = 1}, {.file_name = b, .line = 2}, {.file_name = b, .line = 1}};
    const struct tm_traceback *one = traceback(*state, frames, 3, 3);
    assert_ptr_equal(one, traceback(*state, same, 3, 3));
    assert_ptr_not_equal(one, traceback(*state, frames, 3, 4));
    assert_ptr_not_equal(one, traceback(*state, frames, 2, 3));
    assert_ptr_not_equal(one, traceback(*state, other_line, 3, 3));
    assert_ptr_not_equal(one, traceback(*state, other_name, 3, 3));
    assert_int_equal(one->count, 3);
    assert_int_equal(one->total_frames, 3);
    assert_ptr_equal(tm_traceback_oldest(one, 2)->newest->file_name, b);
    assert_int_equal(tm_traceback_oldest(one, 3)->newest->line, 1);
}

static void test_many_tracebacks_stay_apart(void **state)
{
    enum { COUNT = 5000 };
    static const struct tm_traceback *known[COUNT];
    const struct tm_name *file = name(*state, "f");
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct tm_frame frames[] = {{.file_name = file, .line = i}, {.file_name = file, .line = i << 20}};
        known[i] = traceback(*state, frames, 2, 2);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct tm_frame frames[] = {{.file_name = file, .line = i}, {.file_name = file, .line = i << 20}};
        assert_ptr_equal(known[i], traceback(*state, frames, 2, 2));
        assert_int_equal(tm_traceback_oldest(known[i], 1)->newest->line, i);
    }
}

static int sign_of(int forth, int back)
{
    assert_int_equal((forth > 0) - (forth < 0), (back < 0) - (back > 0));
    return (forth > 0) - (forth < 0);
}

static int order(struct tm_pool *pool, const struct tm_frame *a, uint32_t a_count, const struct tm_frame *b,
                 uint32_t b_count)
{
    const struct tm_traceback *left = traceback(pool, a, a_count, 9), *right = traceback(pool, b, b_count, 8);
    assert_int_equal(tm_tracebacks_equal(left, right), tm_tracebacks_compare(left, right) == 0);
    return sign_of(tm_tracebacks_compare(left, right), tm_tracebacks_compare(right, left));
}

static void test_order_is_that_of_python_tuples(void **state)
{
    const struct tm_name *a = name(*state, "a"), *ab = name(*state, "ab"), *b = name(*state, "b");
    const struct tm_frame a1[] = {{.file_name = a, .line = 1}}, a2[] = {{.file_name = a, .line = 2}},
                          ab0[] = {{.file_name = ab, .line = 0}}, b0[] = {{.file_name = b, .line = 0}};
    const struct tm_frame a1b0[] = {{.file_name = a, .line = 1}, {.file_name = b, .line = 0}},
                          a1b0a2[] = {{.file_name = a, .line = 1},
                                      {.file_name = b, .line = 0},
                                      {.file_name = a, .line = 2}},
                          a1ab0[] = {{.file_name = a, .line = 1}, {.file_name = ab, .line = 0}},
                          large[] = {{.file_name = a, .line = 0xffffffffu}};
    assert_int_equal(order(*state, a1, 1, a1, 1), 0);
    assert_int_equal(order(*state, a1b0a2, 3, a1b0a2, 3), 0);
    assert_int_equal(order(*state, a1, 1, a2, 1), -1);
    assert_int_equal(order(*state, a2, 1, ab0, 1), -1);
    assert_int_equal(order(*state, ab0, 1, b0, 1), -1);
    assert_int_equal(order(*state, a1, 1, a1b0, 2), -1);
    assert_int_equal(order(*state, a1b0, 2, a2, 1), -1);
    assert_int_equal(order(*state, a1b0, 2, a1b0a2, 3), -1);
    assert_int_equal(order(*state, a1ab0, 2, a1b0a2, 3), -1);
    assert_int_equal(order(*state, a1b0a2, 3, a2, 1), -1);
    assert_int_equal(order(*state, a2, 1, large, 1), -1);
}

static void test_tracebacks_with_other_functions_are_equal_and_two(void **state)
{
    const struct tm_name *file = name(*state, "f.py");
    const struct tm_frame frames[] = {{.file_name = file, .line = 1, .function = name(*state, "old")},
                                      {.file_name = file, .line = 2}},
                          others[] = {{.file_name = file, .line = 1, .function = name(*state, "new")},
                                      {.file_name = file, .line = 2}};
    const struct tm_traceback *one = traceback(*state, frames, 2, 2), *other = traceback(*state, others, 2, 2);
    assert_ptr_not_equal(one, other);
    assert_true(tm_tracebacks_equal(one, other) && tm_tracebacks_compare(one, other) == 0);
    assert_false(tm_tracebacks_same_functions(one, other));
    assert_true(tm_tracebacks_same_functions(one, one));
}

// Frame by frame, from an array, and cut: each way leads to the same one.
static void test_older_frames_are_shared(void **state)
{
    const struct tm_name *file = name(*state, "f.py");
    const struct tm_frame frames[] = {{.file_name = file, .line = 1},
                                      {.file_name = file, .line = 2},
                                      {.file_name = file, .line = 3, .not_recorded = true},
                                      {.file_name = file, .line = 4}};
    const struct tm_traceback *all = traceback(*state, frames, 4, 4), *three = traceback(*state, frames, 3, 3),
                              *older = NULL, *made;
    const struct tm_frame *frame;
    assert_ptr_equal(all->older->older, three->older);
    assert_ptr_not_equal(all->older, three); // which has a total
    assert_true(all->lacks_record && three->lacks_record && !three->older->lacks_record);
    for (unsigned i = 0; i < 3; i++) {
        assert_null(tm_pool_frame(*state, &frames[i], &frame));
        assert_null(tm_pool_older(*state, older, frame, &older));
    }
    assert_ptr_equal(older, all->older);
    assert_null(tm_pool_newest(*state, older->older, older->newest, 3, false, &made));
    assert_ptr_equal(made, three);
    assert_null(tm_pool_newest(*state, older->older, older->newest, 3, true, &made));
    assert_ptr_not_equal(made, three);
    const struct tm_frame **list = tm_traceback_frames(all);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(list[i]->line, i + 1);
    free(list);
}

static void test_order_of_names_is_that_of_code_points(void **state)
{
    // 'z' < U+00E9 < a lone surrogate U+DC80 < U+FFFD < U+10000
    const char *ascending[] = {"z", "\xc3\xa9", "\xed\xb2\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80"};
    for (size_t i = 1; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
        const struct tm_frame lower = {.file_name = name(*state, ascending[i - 1]), .line = 9},
                              upper = {.file_name = name(*state, ascending[i]), .line = 1};
        assert_int_equal(sign_of(tm_frames_compare(&lower, &upper), tm_frames_compare(&upper, &lower)), -1);
    }
}

static void test_order_holds_between_pools(void **state)
{
    struct tm_pool *other = NULL;
    assert_null(tm_pool_create(&other));
    const struct tm_frame here = {.file_name = name(*state, "a.py"), .line = 3},
                          there = {.file_name = name(other, "a.py"), .line = 3};
    assert_ptr_not_equal(here.file_name, there.file_name);
    assert_int_equal(sign_of(tm_frames_compare(&here, &there), tm_frames_compare(&there, &here)), 0);
    tm_pool_destroy(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_names_are_one),
        TEST(test_different_names_are_two),
        TEST(test_name_may_hold_any_byte),
        TEST(test_many_names_stay_where_they_are),
        TEST(test_large_name),
        TEST(test_tracebacks_are_one_if_frames_and_total_are_equal),
        TEST(test_many_tracebacks_stay_apart),
        TEST(test_order_is_that_of_python_tuples),
        TEST(test_tracebacks_with_other_functions_are_equal_and_two),
        TEST(test_older_frames_are_shared),
        TEST(test_order_of_names_is_that_of_code_points),
        TEST(test_order_holds_between_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
