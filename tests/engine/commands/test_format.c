/**
 * Formatting: division and rounding at the limits of doubles, and the limits of a traceback.
 * test_against_tracemalloc.py compares tens of thousands of random rows with tracemalloc's own.
 */
#include "support/harness.h"

#include <string.h>

#include "engine/commands/format.h"

static void check_size(bool negative, uint64_t size, bool sign, const char *expected)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_format_size(&text, negative, size, sign);
    assert_string_equal(tm_text_string(&text), expected);
    tm_text_deinit(&text);
}

// The expected texts are those of tracemalloc._format_size() in Python 3.11.
static void test_sizes_are_those_of_tracemalloc(void **state)
{
    (void)state;
    check_size(false, 0, false, "0 B");
    check_size(false, 0, true, "+0 B");
    check_size(false, 10239, false, "10239 B");
    check_size(false, 10240, false, "10.0 KiB");
    check_size(true, 10240, true, "-10.0 KiB");
    check_size(true, 5, false, "-5 B");
    check_size(false, 102348, false, "99.9 KiB");
    check_size(false, 102349, false, "100.0 KiB");
    check_size(false, 102400, false, "100 KiB");
    check_size(false, 10485759, true, "+10240 KiB");
    check_size(false, 10485760, false, "10.0 MiB");
    check_size(false, UINT64_C(1) << 63, false, "8388608 TiB");
    check_size(false, UINT64_MAX, true, "+16777216 TiB");
    check_size(false, 11468, false, "11.2 KiB");
}

static void test_rounding_is_half_to_even(void **state)
{
    (void)state;
    check_size(false, 100 * 1024 + 512, false, "100 KiB");
    check_size(false, 101 * 1024 + 512, false, "102 KiB");
    check_size(false, 10 * 1024 + 256, false, "10.2 KiB"); // 10.25
    check_size(false, 10 * 1024 + 768, false, "10.8 KiB"); // 10.75
}

static void test_kib_is_exact(void **state)
{
    struct tm_text text = TM_TEXT_EMPTY;
    (void)state;
    tm_format_kib(&text, false, 51, false);
    tm_text_add(&text, ", ");
    tm_format_kib(&text, true, 1536, true);
    tm_text_add(&text, ", ");
    tm_format_kib(&text, true, 0, true);
    tm_text_add(&text, ", ");
    tm_format_kib(&text, false, UINT64_MAX, false);
    assert_string_equal(tm_text_string(&text), "0.0 KiB, -1.5 KiB, +0.0 KiB, 18014398509481984.0 KiB");
    tm_text_deinit(&text);
}

static void test_division_is_rounded_once(void **state)
{
    (void)state;
    assert_true(tm_divide(0, 7) == 0.0);
    assert_true(tm_divide(1, 3) == 1.0 / 3.0);
    assert_true(tm_divide(UINT64_MAX, UINT64_MAX) == 1.0);
    assert_true(tm_divide(UINT64_MAX, 1) == 18446744073709551616.0);
    assert_true(tm_divide(1, UINT64_MAX) == 0x1p-64);
    // Slightly above the middle between two doubles: the remainder decides.
    assert_true(tm_divide(UINT64_C(16278678085626157468), UINT64_C(18222738929508363916)) == 0x1.c960d0741c7a9p-1);
    assert_true(tm_divide(UINT64_C(15752089823347156768), UINT64_C(15078915304296018745)) == 0x1.0b6dc07d4beddp+0);
    assert_true(tm_divide((UINT64_C(1) << 53) + 1, 1) == 0x1p53); // a tie: to even
    assert_true(tm_divide((UINT64_C(1) << 53) + 3, 1) == 0x1.0000000000002p53);
    assert_true(tm_divide((UINT64_C(1) << 54) + 3, 2) == 0x1.0000000000001p53);
}

static void check_limit(uint32_t count, int64_t limit, uint32_t first, uint32_t end)
{
    uint32_t got_first, got_end;
    tm_format_limit(count, limit, &got_first, &got_end);
    assert_int_equal(got_end - got_first, end - first);
    if (end > first)
        assert_int_equal(got_first, first);
}

static void test_limit_is_that_of_traceback_format(void **state)
{
    (void)state;
    check_limit(5, 2, 3, 5);
    check_limit(5, 5, 0, 5);
    check_limit(5, 6, 0, 5);
    check_limit(5, INT64_MAX, 0, 5);
    check_limit(5, 0, 0, 0);
    check_limit(5, -2, 0, 3); // self[:-2]
    check_limit(5, -5, 0, 0);
    check_limit(5, -6, 0, 0);
    check_limit(5, INT64_MIN, 0, 0);
    check_limit(UINT32_MAX, -1, 0, UINT32_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_those_of_tracemalloc),
        cmocka_unit_test(test_rounding_is_half_to_even),
        cmocka_unit_test(test_kib_is_exact),
        cmocka_unit_test(test_division_is_rounded_once),
        cmocka_unit_test(test_limit_is_that_of_traceback_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
