/**
 * Residency: by what the system says of each page, with what is shared since a fork and without the system's page of zeros; and
 * by what is in the pages, where nothing says it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/target/residency.h"

enum { PAGE = 4096, PAGES = 64 };
#define START UINT64_C(0x7f0000000000)
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)
#define EXCLUSIVE (UINT64_C(1) << 56)

struct made {
    unsigned char bytes[PAGES * PAGE];
    uint64_t entries[PAGES];
    bool knows_pages;
    uint64_t rss;
    uint64_t hole; // a page that cannot be read
};

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    const struct made *made = context;
    if (address < START || length > sizeof(made->bytes) || address - START > sizeof(made->bytes) - length)
        return -1;
    if (made->hole && address < made->hole + PAGE && address + length > made->hole)
        return -1;
    memcpy(buffer, made->bytes + (address - START), length);
    return 0;
}

static int page_map(void *context, uint64_t address, uint64_t *entries, uint64_t count)
{
    const struct made *made = context;
    if (!made->knows_pages)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        entries[i] = made->entries[(address - START) / PAGE + i];
    return 0;
}

static uint64_t resident(void *context)
{
    return ((const struct made *)context)->rss;
}

static void look(struct made *made, struct tm_residency *residency)
{
    static const struct tm_target_callbacks callbacks = {
        .read = read_memory, .page_map = page_map, .resident = resident};
    static const struct tm_region region = {
        .start = START, .end = START + PAGES * PAGE, .flags = TM_REGION_READABLE | TM_REGION_WRITABLE};
    struct tm_target *target;
    assert_null(tm_target_create(&callbacks, made, &target));
    assert_null(tm_residency_init(residency, target, NULL, &region, 1));
    tm_target_destroy(target);
}

static void pages_are_what_the_system_says(void **state)
{
    static struct made made;
    struct tm_residency residency;
    size_t cursor = 0;
    (void)state;
    made = (struct made){.knows_pages = true};
    for (unsigned i = 8; i < 24; i++)
        made.entries[i] = PRESENT | EXCLUSIVE;
    for (unsigned i = 24; i < 32; i++)
        made.entries[i] = PRESENT;
    for (unsigned i = 32; i < 40; i++)
        made.entries[i] = PRESENT | OF_FILE;
    made.entries[50] = SWAPPED;
    look(&made, &residency);
    assert_int_equal(residency.kind, TM_RESIDENCY_PAGES);
    assert_int_equal(residency.size, 32 * PAGE);
    assert_int_equal(residency.swapped, PAGE);
    struct tm_resident all = tm_residency_of(&residency, &cursor, START, START + PAGES * PAGE);
    assert_int_equal(all.size, 32 * PAGE);
    assert_int_equal(all.shared, 8 * PAGE);
    // A part of a page, and one that is not there.
    struct tm_resident part = tm_residency_of(&residency, &cursor, START + 8 * PAGE - 100, START + 8 * PAGE + 10);
    assert_int_equal(part.size, 10);
    assert_int_equal(tm_residency_of(&residency, &cursor, START + 48 * PAGE, START + 60 * PAGE).size, 0);
    // Backwards, too.
    assert_int_equal(tm_residency_of(&residency, &cursor, START + 23 * PAGE, START + 25 * PAGE).shared, PAGE);
    tm_residency_deinit(&residency);
}

static void the_systems_page_of_zeros_is_no_memory_of_the_process(void **state)
{
    static struct made made;
    struct tm_residency residency;
    size_t cursor = 0;
    (void)state;
    made = (struct made){.knows_pages = true, .rss = 20 * PAGE};
    for (unsigned i = 0; i < 32; i++)
        made.entries[i] = PRESENT | (i < 16 ? EXCLUSIVE : 0);
    for (unsigned i = 16; i < 20; i++)
        made.bytes[i * PAGE + 17] = 1;
    look(&made, &residency);
    assert_int_equal(residency.size, 20 * PAGE);
    assert_int_equal(tm_residency_of(&residency, &cursor, START, START + PAGES * PAGE).shared, 4 * PAGE);
    tm_residency_deinit(&residency);
    // Where the sum agrees, pages of zeros are the process's own.
    made.rss = 32 * PAGE;
    look(&made, &residency);
    assert_int_equal(residency.size, 32 * PAGE);
    tm_residency_deinit(&residency);
}

static void without_the_system_pages_count_that_are_not_all_zero(void **state)
{
    static struct made made;
    struct tm_residency residency;
    size_t cursor = 0;
    (void)state;
    made = (struct made){.hole = START + 5 * PAGE};
    made.bytes[0] = 1;            // the first byte of a page
    made.bytes[3 * PAGE - 1] = 1; // the last
    made.bytes[5 * PAGE] = 1;     // cannot be read
    made.bytes[63 * PAGE + 2000] = 1;
    look(&made, &residency);
    assert_int_equal(residency.kind, TM_RESIDENCY_NONZERO);
    assert_int_equal(residency.size, 3 * PAGE);
    assert_int_equal(tm_residency_of(&residency, &cursor, START + 2 * PAGE, START + 3 * PAGE).size, PAGE);
    assert_int_equal(tm_residency_of(&residency, &cursor, START + PAGE, START + 2 * PAGE).size, 0);
    tm_residency_deinit(&residency);
}

static int read_everything(void *context, uint64_t address, void *buffer, uint64_t length)
{
    (void)address;
    ++*(unsigned *)context;
    memset(buffer, 1, length);
    return 0;
}

// A core may say that memory goes on to the last address, where the next one is 0.
static void the_end_of_all_addresses_ends_the_search(void **state)
{
    static const struct tm_target_callbacks callbacks = {.read = read_everything};
    static const struct tm_region regions[] = {
        {.start = START, .end = START + PAGE, .flags = TM_REGION_READABLE},
        {.start = UINT64_MAX - 65535, .end = UINT64_MAX, .flags = TM_REGION_READABLE},
    };
    struct tm_residency residency;
    struct tm_target *target;
    unsigned reads = 0;
    (void)state;
    assert_null(tm_target_create(&callbacks, &reads, &target));
    assert_null(tm_residency_init(&residency, target, NULL, regions, 2));
    assert_int_equal(residency.size, PAGE);
    assert_int_equal(reads, 1);
    tm_residency_deinit(&residency);
    tm_target_destroy(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_what_the_system_says),
        cmocka_unit_test(the_systems_page_of_zeros_is_no_memory_of_the_process),
        cmocka_unit_test(without_the_system_pages_count_that_are_not_all_zero),
        cmocka_unit_test(the_end_of_all_addresses_ends_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
