/**
 * The account of a made-up process: a table, an arena, heaps, large chunks, files. Every byte of its pages gets into exactly one
 * row, whatever the blocks of the table say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/account/account.h"
#include "engine/account/fragmentation.h"
#include "engine/model/pool.h"
#include "engine/open.h"
#include "support/image.h"

enum { PAGE = 4096, POOL = 16384, CACHE_SIZE = 0x290, HEAP_PAGES = 8 };
#define ARENA UINT64_C(0x7f7000000000)
#define HEAP UINT64_C(0x555500000000)
#define MAPPED UINT64_C(0x7e6600000000)
#define FILES UINT64_C(0x7e6000000000)
#define SHARED UINT64_C(0x7e6100000000)
#define ANYTHING UINT64_C(0x7e6200000000)
#define NUMPY 389047u

struct made {
    struct image *image;
    struct image_table table;
    uint32_t site;
    struct tm_pool *names;
    struct tm_survey survey;
    struct tm_account account;
};

static void fill(struct made *made, uint64_t address, uint64_t length)
{
    memset(image_at(made->image, address, length), 0x55, length);
}

static void put(struct made *made, uint64_t address, uint64_t word)
{
    memcpy(image_at(made->image, address, 8), &word, 8);
}

static uint64_t chunk(struct made *made, uint64_t address, uint64_t size, uint64_t flags)
{
    put(made, address + 8, size | flags);
    return address + size;
}

// A pool for blocks of 64 bytes, of which the first `count` are in use.
static void pool(struct made *made, unsigned number, uint32_t count)
{
    uint64_t address = ARENA + number * (uint64_t)POOL;
    const uint32_t head[] = {count}, tail[] = {0, 64 / 16 - 1, 48 + 64 * count, POOL - 64};
    fill(made, address, POOL);
    memcpy(image_at(made->image, address, 4), head, sizeof(head));
    put(made, address + 8, 0);
    memcpy(image_at(made->image, address + 32, sizeof(tail)), tail, sizeof(tail));
}

static uint64_t block_in_pool(unsigned pool_number, unsigned number)
{
    return ARENA + pool_number * (uint64_t)POOL + 48 + 64 * (uint64_t)number;
}

static void map(struct made *made, uint64_t address, uint64_t length, const char *name, uint32_t more)
{
    image_map(made->image, address, length, name, TM_REGION_READABLE | TM_REGION_WRITABLE | more);
}

static int setup(void **state)
{
    static struct made made;
    memset(&made, 0, sizeof(made));
    made.image = image_create();
    image_table_create(&made.table, made.image, IMAGE_ROOT);
    uint32_t frame = image_frame(&made.table, 0, "shop.py", 3);
    made.site = image_site(&made.table, frame, 0, 0);
    map(&made, ARENA, 4 * POOL, "", 0);
    map(&made, HEAP, HEAP_PAGES * PAGE, "[heap]", 0);
    map(&made, MAPPED, UINT64_C(1) << 18, "", 0);
    map(&made, FILES, PAGE, "/usr/lib/libc.so.6", TM_REGION_FILE);
    map(&made, SHARED, PAGE, "/dev/zero (deleted)", TM_REGION_FILE);
    map(&made, ANYTHING, 4 * PAGE, "", 0);
    fill(&made, FILES, PAGE);
    fill(&made, SHARED, PAGE);
    fill(&made, ANYTHING, PAGE);
    *state = &made;
    return 0;
}

static void forget(struct made *made)
{
    tm_survey_deinit(&made->survey);
    tm_pool_destroy(made->names);
    made->names = NULL;
}

static int teardown(void **state)
{
    struct made *made = *state;
    forget(made);
    image_destroy(made->image);
    return 0;
}

static uint64_t amount(const struct made *made, enum tm_account_kind kind)
{
    return made->account.amounts[kind].size;
}

static void look(struct made *made, bool traced)
{
    struct tm_target *target = image_target(made->image);
    struct tm_source *source = NULL;
    assert_null(tm_pool_create(&made->names));
    assert_null(tm_source_open(target, NULL, &source));
    assert_null(tm_survey_init(&made->survey, target, source, traced, NULL, made->names));
    assert_null(tm_account_take(&made->account, &made->survey));
    uint64_t sum = made->account.not_accounted;
    for (unsigned i = 0; i < TM_ACCOUNT_KINDS; i++)
        sum += amount(made, i);
    assert_int_equal(sum, made->account.size);
    assert_int_equal(made->account.not_accounted, 0);
}

static void a_pool_has_what_is_traced_in_use_and_free(void **state)
{
    struct made *made = *state;
    pool(made, 0, 100);
    pool(made, 1, 1);
    for (unsigned i = 0; i < 90; i++)
        image_block(&made->table, block_in_pool(0, i), 60, made->site);
    look(made, true);
    assert_int_equal(made->account.arenas, 1);
    assert_int_equal(made->account.pools, 2);
    assert_int_equal(amount(made, TM_ACCOUNT_TRACED_POOLS), 90 * 60);
    assert_int_equal(amount(made, TM_ACCOUNT_POOLS_UNTRACED), 11 * 64);
    assert_int_equal(amount(made, TM_ACCOUNT_POOLS_ROUNDING), 2 * 48 + 90 * 4);
    assert_int_equal(amount(made, TM_ACCOUNT_POOLS_FREE), 2 * POOL - 2 * 48 - 101 * 64);
}

static void what_each_line_keeps_adds_up_to_what_is_free(void **state)
{
    struct made *made = *state;
    struct tm_fragmentation fragmentation;
    struct tm_snapshot kept = {0};
    pool(made, 0, 100);
    pool(made, 1, 2);
    uint32_t other = image_site(&made->table, image_frame(&made->table, 0, "shop.py", 4), 0, 0);
    for (unsigned i = 0; i < 100; i++)
        image_block(&made->table, block_in_pool(0, i), 60, made->site);
    image_block(&made->table, block_in_pool(1, 0), 60, other);
    look(made, true);
    assert_null(tm_fragmentation_take(&fragmentation, &made->survey, &kept));
    assert_int_equal(fragmentation.free, 2 * POOL - 2 * 48 - 102 * 64);
    assert_int_equal(kept.count, 2);
    uint64_t by_few = kept.groups[0].count == 1 ? kept.groups[0].size : kept.groups[1].size;
    uint64_t by_many = kept.groups[0].count == 1 ? kept.groups[1].size : kept.groups[0].size;
    // Of the second pool each block keeps half.
    assert_int_equal(by_few, (POOL - 48 - 2 * 64) / 2);
    assert_in_range(by_many, POOL - 48 - 100 * 64 - 1, POOL - 48 - 100 * 64);
    assert_in_range(fragmentation.untraced, (POOL - 48 - 2 * 64) / 2, (POOL - 48 - 2 * 64) / 2 + 2);
    tm_snapshot_deinit(&kept);
}

static void make_heap(struct made *made)
{
    uint64_t at = chunk(made, HEAP, CACHE_SIZE, 1);
    fill(made, HEAP + CACHE_SIZE, HEAP_PAGES * PAGE - CACHE_SIZE);
    at = chunk(made, at, 0x100, 1);                    // traced
    at = chunk(made, at, 0x200, 1);                    // of C
    at = chunk(made, at, 0x300, 1);                    // free
    at = chunk(made, at, 0x40, 0);                     // of C
    chunk(made, at, HEAP + HEAP_PAGES * PAGE - at, 1); // the end
}

static void a_heap_has_what_is_traced_of_c_and_free(void **state)
{
    struct made *made = *state;
    make_heap(made);
    image_block(&made->table, HEAP + CACHE_SIZE + 16, 200, made->site);
    look(made, true);
    assert_int_equal(made->account.heaps, 1);
    assert_int_equal(amount(made, TM_ACCOUNT_TRACED_HEAPS), 200);
    // The first chunk could be a thread's cache, and has nothing in it.
    assert_int_equal(amount(made, TM_ACCOUNT_HEAPS_UNTRACED), CACHE_SIZE + 0x200 + 0x40);
    assert_int_equal(made->account.amounts[TM_ACCOUNT_HEAPS_UNTRACED].count, 3);
    assert_int_equal(amount(made, TM_ACCOUNT_HEAPS_FREE), 0x300);
    assert_int_equal(amount(made, TM_ACCOUNT_HEAPS_ROUNDING), 0x100 - 200 + 8);
    assert_int_equal(amount(made, TM_ACCOUNT_HEAPS_UNKNOWN), 0);
}

static void a_damaged_heap_has_a_part_that_is_not_known(void **state)
{
    struct made *made = *state;
    make_heap(made);
    put(made, HEAP + CACHE_SIZE + 0x100 + 8, 7);
    image_block(&made->table, HEAP + PAGE, 100, made->site);
    look(made, true);
    assert_int_equal(made->account.damaged_heaps, 1);
    assert_int_equal(amount(made, TM_ACCOUNT_TRACED_HEAPS), 100);
    assert_true(amount(made, TM_ACCOUNT_HEAPS_UNKNOWN) > (HEAP_PAGES - 1) * PAGE);
}

static void memory_of_two_domains_counts_once(void **state)
{
    struct made *made = *state;
    make_heap(made);
    uint32_t numpy = image_site(&made->table, image_frame(&made->table, 0, "shop.py", 5), NUMPY, 0);
    image_block(&made->table, HEAP + CACHE_SIZE + 16, 200, made->site);
    image_track(&made->table, NUMPY, HEAP + CACHE_SIZE + 16, 220, numpy);
    image_track(&made->table, NUMPY, 4711, 1 << 20, numpy); // a number that is no address
    look(made, true);
    assert_int_equal(made->account.domain_count, 2);
    assert_int_equal(made->account.domains[0].domain, 0);
    assert_int_equal(made->account.domains[0].resident + made->account.domains[1].resident, 220);
    assert_int_equal(made->account.domains[1].size, (1 << 20) + 220);
    assert_int_equal(amount(made, TM_ACCOUNT_TRACED_HEAPS), 220);
    assert_int_equal(made->account.no_memory, 1 << 20);
}

static void large_chunks_files_and_shared_memory_have_rows(void **state)
{
    struct made *made = *state;
    uint64_t half = UINT64_C(1) << 17;
    fill(made, MAPPED, 2 * half);
    put(made, MAPPED, 0);
    put(made, MAPPED + half, 0);
    chunk(made, MAPPED, half, 2);
    chunk(made, MAPPED + half, half, 2);
    image_block(&made->table, MAPPED + 16, 100000, made->site);
    look(made, true);
    assert_int_equal(amount(made, TM_ACCOUNT_TRACED_MAPPED), 100000);
    assert_int_equal(amount(made, TM_ACCOUNT_MAPPED_ROUNDING), half - 100000);
    assert_int_equal(amount(made, TM_ACCOUNT_MAPPED_UNTRACED), half);
    assert_int_equal(amount(made, TM_ACCOUNT_FILES), PAGE);
    assert_int_equal(amount(made, TM_ACCOUNT_SHARED), PAGE);
    assert_true(amount(made, TM_ACCOUNT_OTHER) >= PAGE);
}

static void without_traces_only_what_is_traced_is_missing(void **state)
{
    struct made *made = *state;
    make_heap(made);
    pool(made, 0, 100);
    image_block(&made->table, block_in_pool(0, 0), 60, made->site);
    image_block(&made->table, HEAP + CACHE_SIZE + 16, 200, made->site);
    look(made, false);
    assert_int_equal(made->account.domain_count, 0);
    assert_int_equal(amount(made, TM_ACCOUNT_POOLS_UNTRACED), 100 * 64);
    assert_int_equal(amount(made, TM_ACCOUNT_HEAPS_UNTRACED), CACHE_SIZE + 0x100 + 0x200 + 0x40);
}

// A damaged core may say that memory goes on to the last address, where the next one is 0.
static void memory_above_all_programs_does_not_count(void **state)
{
    struct made *made = *state;
    const uint64_t top = UINT64_MAX - 0xffff;
    look(made, true);
    const uint64_t size = made->account.size, mapped = made->account.mapped;
    forget(made);
    map(made, top, 0xffff, "", 0);
    fill(made, top, 0xf000);
    look(made, true);
    assert_int_equal(made->account.size, size);
    assert_int_equal(made->account.mapped, mapped);
}

#define WITH_IMAGE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_IMAGE(a_pool_has_what_is_traced_in_use_and_free),
        WITH_IMAGE(what_each_line_keeps_adds_up_to_what_is_free),
        WITH_IMAGE(a_heap_has_what_is_traced_of_c_and_free),
        WITH_IMAGE(a_damaged_heap_has_a_part_that_is_not_known),
        WITH_IMAGE(memory_of_two_domains_counts_once),
        WITH_IMAGE(large_chunks_files_and_shared_memory_have_rows),
        WITH_IMAGE(without_traces_only_what_is_traced_is_missing),
        WITH_IMAGE(memory_above_all_programs_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
