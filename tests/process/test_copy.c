/**
 * Copies of pages: what was wanted is there as it was when it was copied; what was not is missed, and what could not be
 * read is not. Strategy: a made-up address space of pages, each filled with its number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "process/copy.h"

enum { PAGE = 4096 };
#define FIRST UINT64_C(0x7f0000000)
#define PAGES 600
#define HOLE 40 // this page is not there

static unsigned reads;
static unsigned char generation;

static int read_pages(void *context, uint64_t address, void *buffer, uint64_t length)
{
    (void)context;
    reads++;
    assert_true(length <= TM_READ_LIMIT);
    for (uint64_t i = 0; i < length; i++) {
        uint64_t page = (address + i) / PAGE - FIRST;
        if (address + i < FIRST * PAGE || page >= PAGES || page == HOLE)
            return -1;
        ((unsigned char *)buffer)[i] = (unsigned char)(page + generation);
    }
    return 0;
}

static const struct tm_target_callbacks callbacks = {.read = read_pages};

static void test_what_was_wanted_is_as_it_was_when_it_was_copied(void **state)
{
    struct tm_copy copy = {.failed = false};
    unsigned char bytes[3 * PAGE];
    (void)state;
    tm_copy_want(&copy, FIRST * PAGE + 10, 2 * PAGE);
    tm_copy_want(&copy, (FIRST + 100) * PAGE, 1);
    tm_copy_want(&copy, (FIRST + 100) * PAGE, 1);
    assert_true(tm_copy_reserve(&copy));
    reads = 0;
    assert_true(tm_copy_fill(&copy, &callbacks, NULL, NULL, 0));
    assert_int_equal(reads, 2); // one for each run
    generation = 7;
    assert_true(tm_copy_read(&copy, FIRST * PAGE + 10, bytes, 2 * PAGE));
    assert_true(bytes[0] == 0 && bytes[PAGE] == 1 && bytes[2 * PAGE - 1] == 2);
    assert_true(tm_copy_read(&copy, (FIRST + 100) * PAGE + 5, bytes, 1) && bytes[0] == 100);
    assert_true(tm_copy_read(&copy, (FIRST + 101) * PAGE, bytes, PAGE)); // ahead
    assert_false(copy.missed);
    assert_false(tm_copy_read(&copy, (FIRST + 300) * PAGE, bytes, 1));
    assert_true(copy.missed);
    generation = 0;
    tm_copy_deinit(&copy);
}

static void test_what_could_not_be_read_is_not_missed(void **state)
{
    struct tm_copy copy = {.failed = false};
    unsigned char byte;
    (void)state;
    tm_copy_want(&copy, (FIRST + HOLE - 2) * PAGE, 4 * PAGE);
    tm_copy_want(&copy, 0, 1);
    assert_true(tm_copy_reserve(&copy));
    assert_true(tm_copy_fill(&copy, &callbacks, NULL, NULL, 0));
    assert_true(tm_copy_read(&copy, (FIRST + HOLE - 1) * PAGE, &byte, 1) && byte == HOLE - 1);
    assert_true(tm_copy_read(&copy, (FIRST + HOLE + 1) * PAGE, &byte, 1) && byte == HOLE + 1);
    assert_false(tm_copy_read(&copy, (FIRST + HOLE) * PAGE, &byte, 1) || tm_copy_read(&copy, 0, &byte, 1));
    assert_false(copy.missed);
    tm_copy_deinit(&copy);
}

static void test_a_large_run_is_read_in_pieces(void **state)
{
    struct tm_copy copy = {.failed = false};
    unsigned char bytes[2];
    (void)state;
    tm_copy_want(&copy, (FIRST + HOLE + 1) * PAGE, (PAGES - HOLE - 1) * (uint64_t)PAGE);
    assert_true(tm_copy_reserve(&copy));
    assert_true(tm_copy_fill(&copy, &callbacks, NULL, NULL, 0));
    for (uint64_t page = HOLE + 1; page + 1 < PAGES; page++) {
        assert_true(tm_copy_read(&copy, (FIRST + page) * PAGE + PAGE - 1, bytes, 2));
        assert_true(bytes[0] == (unsigned char)page && bytes[1] == (unsigned char)(page + 1));
    }
    tm_copy_deinit(&copy);
}

static void test_nothing_wanted_or_nonsense_is_no_copy(void **state)
{
    struct tm_copy copy = {.failed = false};
    (void)state;
    assert_false(tm_copy_reserve(&copy));
    tm_copy_want(&copy, UINT64_MAX, 2);
    tm_copy_want(&copy, 5, 0);
    assert_false(tm_copy_reserve(&copy));
    tm_copy_want(&copy, UINT64_MAX - 1, 1);
    assert_true(tm_copy_reserve(&copy));
    assert_true(tm_copy_fill(&copy, &callbacks, NULL, NULL, 0));
    assert_int_equal(copy.count, 0);
    tm_copy_deinit(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_wanted_is_as_it_was_when_it_was_copied),
        cmocka_unit_test(test_what_could_not_be_read_is_not_missed),
        cmocka_unit_test(test_a_large_run_is_read_in_pieces),
        cmocka_unit_test(test_nothing_wanted_or_nonsense_is_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
