/**
 * glibc's walker on made-up heaps, as glibc 2.36 would write them: sound ones, what is cached, heaps of threads, and what is
 * damaged or made to look like a heap. Real heaps are compared with mallinfo2() in tests/memory/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/heap/glibc.h"
#include "engine/heap/glibc_parts.h"
#include "support/image.h"

enum { PAGE = 4096, CACHE_SIZE = 0x290, MOST = 64 };
#define HEAP UINT64_C(0x555500000000)
#define THREAD_HEAP UINT64_C(0x7f0000000000)
#define DATA UINT64_C(0x7f5500000000)
#define MAPPED UINT64_C(0x7f6600000000)

struct made {
    struct image *image;
    struct tm_target *target;
    struct tm_heap_cache *cache;
    struct tm_glibc glibc;
    struct tm_glibc_chunk chunks[MOST]; // that were visited
    size_t count;
};

static int setup(void **state)
{
    static struct made made;
    made = (struct made){.image = image_create()};
    *state = &made;
    return 0;
}

static int teardown(void **state)
{
    struct made *made = *state;
    tm_glibc_deinit(&made->glibc);
    tm_heap_cache_destroy(made->cache);
    image_destroy(made->image);
    return 0;
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

static void find(struct made *made)
{
    const struct tm_range data[] = {{DATA, DATA + PAGE}};
    struct tm_region *regions;
    size_t count;
    made->target = image_target(made->image);
    assert_null(tm_heap_cache_create(made->target, NULL, &made->cache));
    assert_null(tm_target_regions(made->target, &regions, &count));
    assert_null(tm_glibc_find(&made->glibc, made->cache, NULL, regions, count, data, 1));
    free(regions);
}

static struct tm_error *note(void *context, const struct tm_glibc_chunk *found)
{
    struct made *made = context;
    assert_true(made->count < MOST);
    made->chunks[made->count++] = *found;
    return NULL;
}

static void visit(struct made *made, size_t heap)
{
    made->count = 0;
    assert_null(tm_glibc_visit(&made->glibc, &made->glibc.heaps[heap], note, made));
}

static struct tm_error *count_free(void *context, uint64_t start, uint64_t end)
{
    (void)start;
    (void)end;
    ++*(unsigned *)context;
    return NULL;
}

static unsigned free_chunks(const struct made *made)
{
    unsigned count = 0;
    assert_null(tm_glibc_visit_free(&made->glibc, count_free, &count));
    return count;
}

// The thread's cache, then chunks A to F of 0x40 bytes, of which D is free, and the rest.
#define CHUNK(number) (HEAP + CACHE_SIZE + 0x40 * (uint64_t)(number))
static void make_main(struct made *made)
{
    image_map(made->image, HEAP, 2 * PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    image_map(made->image, DATA, PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_FILE);
    uint64_t at = chunk(made, HEAP, CACHE_SIZE, 1);
    for (unsigned i = 0; i < 6; i++)
        at = chunk(made, at, 0x40, i != 4);
    chunk(made, at, HEAP + 2 * PAGE - at, 1);
}

// Puts chunks into the main thread's cache, the last one first.
static void cache(struct made *made, const unsigned *numbers, unsigned count, bool hidden)
{
    uint64_t next = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = CHUNK(numbers[i]) + 16;
        put(made, address, hidden ? next ^ address >> 12 : next);
        next = address;
    }
    const uint16_t counted = (uint16_t)count;
    memcpy(image_at(made->image, HEAP + 16 + 2 * 2, 2), &counted, 2); // chunks of 0x40 are in the third bin
    put(made, HEAP + 16 + 128 + 8 * 2, next);
}

// An arena's head, with `top` at this address.
static void make_state(struct made *made, uint64_t top, uint64_t last)
{
    put(made, top, last);
    for (uint64_t i = 0; i < 127; i++) {
        put(made, top + 16 + 16 * i, top + 16 * i);
        put(made, top + 24 + 16 * i, top + 16 * i);
    }
}

static void the_main_heap_is_found_and_walked(void **state)
{
    struct made *made = *state;
    make_main(made);
    find(made);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_true(made->glibc.heaps[0].is_main);
    assert_int_equal(made->glibc.heaps[0].known, HEAP + 2 * PAGE);
    visit(made, 0);
    assert_int_equal(made->count, 8);
    assert_int_equal(made->chunks[1].address, CHUNK(0) + 16);
    assert_int_equal(made->chunks[1].size, 0x38);
    assert_int_equal(made->chunks[1].state, TM_GLIBC_IN_USE);
    assert_int_equal(made->chunks[4].state, TM_GLIBC_FREE);
    assert_int_equal(made->chunks[7].state, TM_GLIBC_TOP);
    assert_int_equal(made->chunks[7].address + made->chunks[7].size, HEAP + 2 * PAGE);
    assert_int_equal(free_chunks(made), 2);
}

static void a_heap_of_two_regions_is_one(void **state)
{
    struct made *made = *state;
    make_main(made);
    image_map(made->image, HEAP + 2 * PAGE, PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    chunk(made, CHUNK(6), HEAP + 3 * PAGE - CHUNK(6), 1);
    find(made);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_int_equal(made->glibc.heaps[0].known, HEAP + 3 * PAGE);
}

static void a_heap_behind_data_in_one_region_is_found(void **state)
{
    struct made *made = *state;
    image_map(made->image, DATA, 4 * PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    uint64_t at = chunk(made, DATA + PAGE, CACHE_SIZE, 1);
    chunk(made, at, DATA + 4 * PAGE - at, 1);
    find(made);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_int_equal(made->glibc.heaps[0].start, DATA + PAGE);
    assert_int_equal(made->glibc.heaps[0].known, DATA + 4 * PAGE);
}

static void what_a_thread_has_cached_is_free(void **state)
{
    struct made *made = *state;
    const unsigned numbers[] = {0, 2, 5};
    for (int hidden = 0; hidden < 2; hidden++) {
        teardown(state);
        setup(state);
        make_main(made);
        cache(made, numbers, 3, hidden);
        find(made);
        assert_int_equal(made->glibc.caches, 1);
        visit(made, 0);
        assert_int_equal(made->chunks[0].state, TM_GLIBC_OWN);
        assert_int_equal(made->chunks[1].state, TM_GLIBC_CACHED);
        assert_int_equal(made->chunks[2].state, TM_GLIBC_IN_USE);
        assert_int_equal(made->chunks[3].state, TM_GLIBC_CACHED);
        assert_int_equal(made->chunks[6].state, TM_GLIBC_CACHED);
        assert_int_equal(free_chunks(made), 5);
    }
}

// From 2.42 on a cache says how many more chunks there is room for, and may be anywhere in the heap.
static void what_a_thread_has_cached_is_free_from_2_42_on(void **state)
{
    enum { NEWEST_CACHE = 0x300, BINS = 76, ROOM = 16 };
    struct made *made = *state;
    const uint16_t room = ROOM, less = ROOM - 2;
    image_map(made->image, HEAP, 2 * PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    image_map(made->image, DATA, PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_FILE);
    uint64_t at = HEAP;
    for (unsigned i = 0; i < 8; i++)
        at = chunk(made, at, 0x40, 1);
    const uint64_t table = at + 16, first = HEAP + 0x40 + 16, second = HEAP + 5 * 0x40 + 16;
    at = chunk(made, at, NEWEST_CACHE, 1);
    chunk(made, at, HEAP + 2 * PAGE - at, 1);
    for (uint64_t i = 0; i < BINS; i++)
        memcpy(image_at(made->image, table + 2 * i, 2), i == 2 ? &less : &room, 2);
    put(made, table + 2 * BINS + 8 * 2, first);
    put(made, first, second ^ first >> 12);
    put(made, second, second >> 12);
    find(made);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_int_equal(made->glibc.caches, 1);
    visit(made, 0);
    assert_int_equal(made->chunks[0].state, TM_GLIBC_IN_USE);
    assert_int_equal(made->chunks[1].state, TM_GLIBC_CACHED);
    assert_int_equal(made->chunks[5].state, TM_GLIBC_CACHED);
    assert_int_equal(made->chunks[8].state, TM_GLIBC_OWN);
}

static void a_cache_that_does_not_add_up_does_not_count(void **state)
{
    struct made *made = *state;
    const unsigned numbers[] = {0, 2};
    const uint16_t wrong = 3;
    make_main(made);
    cache(made, numbers, 2, true);
    memcpy(image_at(made->image, HEAP + 16 + 2 * 2, 2), &wrong, 2);
    find(made);
    assert_int_equal(made->glibc.caches, 0);
    visit(made, 0);
    assert_int_equal(made->chunks[1].state, TM_GLIBC_IN_USE);
}

static void a_list_that_is_a_circle_ends(void **state)
{
    struct made *made = *state;
    make_main(made);
    make_state(made, DATA + 256, CHUNK(6));
    put(made, DATA + 256 - 80 + 16, CHUNK(1)); // fastbin of 0x40: the third
    put(made, CHUNK(1) + 16, CHUNK(5) ^ (CHUNK(1) + 16) >> 12);
    put(made, CHUNK(5) + 16, CHUNK(1) ^ (CHUNK(5) + 16) >> 12);
    find(made);
    visit(made, 0);
    assert_int_equal(made->chunks[2].state, TM_GLIBC_CACHED);
    assert_int_equal(made->chunks[6].state, TM_GLIBC_CACHED);
}

static void fastbins_of_the_main_arena_are_found_by_the_last_chunk(void **state)
{
    struct made *made = *state;
    make_main(made);
    make_state(made, DATA + 256, CHUNK(6));
    put(made, DATA + 64, CHUNK(6)); // a pointer like this alone makes no arena
    put(made, DATA + 256 - 80 + 16, CHUNK(1));
    put(made, CHUNK(1) + 16, (CHUNK(1) + 16) >> 12); // the end, hidden
    find(made);
    assert_int_equal(made->glibc.heaps[0].state, DATA + 256);
    visit(made, 0);
    assert_int_equal(made->chunks[2].state, TM_GLIBC_CACHED);
    assert_int_equal(free_chunks(made), 3);
}

static void a_heap_with_a_bad_size_is_known_up_to_there(void **state)
{
    struct made *made = *state;
    static const uint64_t bad[] = {0, 8, 0x18, 0x11, UINT64_MAX & ~UINT64_C(7), 0x40 | 2, 4 * PAGE};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        teardown(state);
        setup(state);
        make_main(made);
        put(made, CHUNK(2) + 8, bad[i]);
        find(made);
        assert_int_equal(made->glibc.heap_count, 1);
        assert_int_equal(made->glibc.heaps[0].known, CHUNK(1));
        visit(made, 0);
        assert_int_equal(made->count, 2);
        assert_int_equal(free_chunks(made), 0);
    }
}

// What looks like a thread's cache, with a list of 65,535 chunks that is one chunk which leads to itself.
static void make_false_caches(struct made *made, uint64_t pages)
{
    const uint16_t most = UINT16_MAX;
    image_map(made->image, HEAP, pages * PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    uint64_t end = HEAP + pages * PAGE, itself = HEAP + CACHE_SIZE + 16, at = chunk(made, HEAP, CACHE_SIZE, 1);
    at = chunk(made, at, 0x40, 1);
    put(made, itself, itself);
    while (end - at > 2 * CACHE_SIZE) {
        memcpy(image_at(made->image, at + 16 + 2 * 2, 2), &most, 2);
        put(made, at + 16 + 128 + 8 * 2, itself);
        at = chunk(made, at, CACHE_SIZE, 1);
    }
    chunk(made, at, end - at, 1);
}

static void false_caches_take_no_more_steps_than_heaps_have_chunks(void **state)
{
    struct made *made = *state;
    make_false_caches(made, 64);
    find(made);
    assert_int_equal(made->glibc.steps_left, 0); // 390 caches ask for 25 million
    assert_int_equal(made->glibc.caches, 0);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_int_equal(made->glibc.heaps[0].known, HEAP + 64 * PAGE);
}

static int should_stop(void *context)
{
    return ++*(unsigned *)context > 3;
}

static void false_caches_can_be_interrupted(void **state)
{
    struct made *made = *state;
    unsigned asked = 0;
    const struct tm_host host = {.callbacks = {.should_stop = should_stop}, .context = &asked};
    struct tm_region *regions;
    size_t count;
    make_false_caches(made, 64);
    made->target = image_target(made->image);
    assert_null(tm_heap_cache_create(made->target, NULL, &made->cache));
    assert_null(tm_target_regions(made->target, &regions, &count));
    struct tm_error *error = tm_glibc_find(&made->glibc, made->cache, &host, regions, count, NULL, 0);
    assert_non_null(error);
    assert_int_equal(tm_error_code(error), TM_ERROR_INTERRUPTED);
    assert_int_equal(asked, 4);
    tm_error_destroy(error);
    free(regions);
}

// From 2.42 on a heap is recognized by its chunks alone: behind each range of data all of them would be gone through.
static void many_ranges_of_data_take_no_more_steps_than_heaps_have_chunks(void **state)
{
    enum { RANGES = 1024, CHUNKS = RANGES * PAGE / 32 };
    static struct tm_range data[RANGES];
    struct made *made = *state;
    struct tm_region *regions;
    size_t count;
    image_map(made->image, DATA, RANGES * PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    for (uint64_t i = 0; i < CHUNKS - 1; i++)
        chunk(made, DATA + 32 * i, 32, 1);
    for (uint64_t i = 0; i < RANGES; i++)
        data[i] = (struct tm_range){DATA + i * PAGE, DATA + i * PAGE + 16};
    made->target = image_target(made->image);
    assert_null(tm_heap_cache_create(made->target, NULL, &made->cache));
    assert_null(tm_target_regions(made->target, &regions, &count));
    assert_null(tm_glibc_find(&made->glibc, made->cache, NULL, regions, count, data, RANGES));
    assert_int_equal(made->glibc.steps_left, 0); // to go to the end each time would take 67 million
    free(regions);
}

static void a_heap_that_cannot_be_read_to_its_end_is_known_up_to_there(void **state)
{
    struct made *made = *state;
    make_main(made);
    chunk(made, CHUNK(0), 0xe00, 1);
    image_hide(made->image, HEAP + PAGE, PAGE);
    find(made);
    assert_int_equal(made->glibc.heaps[0].known, HEAP + CACHE_SIZE);
    assert_int_equal(free_chunks(made), 0);
}

static uint64_t make_thread_heap(struct made *made, uint64_t size)
{
    image_map(made->image, THREAD_HEAP, size, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    put(made, THREAD_HEAP, THREAD_HEAP + 48);
    put(made, THREAD_HEAP + 16, size);
    put(made, THREAD_HEAP + 24, size);
    uint64_t first = THREAD_HEAP + 0x8d0;
    make_state(made, THREAD_HEAP + 48 + 96, first + 0x60);
    uint64_t at = chunk(made, first, 0x20, 1 | 4);
    return chunk(made, at, 0x40, 1 | 4);
}

static void the_heap_of_a_thread_is_found(void **state)
{
    struct made *made = *state;
    uint64_t at = make_thread_heap(made, 2 * PAGE);
    chunk(made, at, THREAD_HEAP + 2 * PAGE - at, 1);
    find(made);
    assert_int_equal(made->glibc.heap_count, 1);
    assert_false(made->glibc.heaps[0].is_main);
    assert_int_equal(made->glibc.heaps[0].known, THREAD_HEAP + 2 * PAGE);
    visit(made, 0);
    assert_int_equal(made->count, 3);
    assert_int_equal(made->chunks[0].address, THREAD_HEAP + 0x8e0);
    assert_int_equal(made->chunks[2].state, TM_GLIBC_TOP);
}

static void a_full_heap_ends_in_two_small_chunks(void **state)
{
    struct made *made = *state;
    uint64_t at = make_thread_heap(made, 2 * PAGE), end = THREAD_HEAP + 2 * PAGE;
    at = chunk(made, at, end - 32 - at, 1);
    at = chunk(made, at, 16, 0);
    chunk(made, at, 0, 1);
    find(made);
    assert_int_equal(made->glibc.heaps[0].known, end);
    visit(made, 0);
    assert_int_equal(made->chunks[2].state, TM_GLIBC_FREE);
    assert_int_equal(made->chunks[made->count - 1].state, TM_GLIBC_OWN);
}

static void a_second_heap_of_an_arena_is_found_and_one_that_leads_nowhere_is_not(void **state)
{
    struct made *made = *state;
    uint64_t second = THREAD_HEAP + (UINT64_C(64) << 20), third = second + (UINT64_C(64) << 20);
    uint64_t at = make_thread_heap(made, PAGE);
    chunk(made, at, THREAD_HEAP + PAGE - at, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t heap = i ? third : second;
        image_map(made->image, heap, PAGE, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
        put(made, heap, THREAD_HEAP + (i ? 40 : 48)); // no arena is 40 bytes into its heap
        put(made, heap + 8, THREAD_HEAP);
        put(made, heap + 16, PAGE);
        put(made, heap + 24, PAGE);
        chunk(made, heap + 48, PAGE - 48, 1);
    }
    find(made);
    assert_int_equal(made->glibc.heap_count, 2);
    assert_int_equal(made->glibc.heaps[1].start, second);
    assert_int_equal(made->glibc.heaps[1].first, second + 48);
}

static bool no_block(const void *context, uint64_t address)
{
    (void)context;
    (void)address;
    return false;
}

static bool is_block(const void *context, uint64_t address)
{
    return address == *(const uint64_t *)context;
}

static void mmapped_chunks_are_found_by_their_size(void **state)
{
    struct made *made = *state;
    uint64_t length = 64 * PAGE, small = MAPPED + length, block = small + PAGE + 16;
    image_map(made->image, MAPPED, 2 * length, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    chunk(made, MAPPED, length, 2);
    chunk(made, small, PAGE, 2);        // too small, if nothing is known of it
    chunk(made, small + PAGE, PAGE, 2); // but this is known to be a block
    chunk(made, small + 2 * PAGE, 2 * length, 2);
    chunk(made, small + 3 * PAGE, 40 * PAGE, 2 | 4);
    find(made);
    assert_int_equal(made->glibc.heap_count, 0);
    assert_null(tm_glibc_add_mapped(&made->glibc, MAPPED, MAPPED + 2 * length, MAPPED + 2 * length, no_block, NULL));
    assert_int_equal(made->glibc.mapped_count, 1);
    assert_int_equal(made->glibc.mapped[0].start, MAPPED);
    assert_int_equal(made->glibc.mapped[0].end, MAPPED + length);
    assert_null(tm_glibc_add_mapped(&made->glibc, small, MAPPED + 2 * length, MAPPED + 2 * length, is_block, &block));
    assert_int_equal(made->glibc.mapped_count, 2);
    assert_int_equal(made->glibc.mapped[1].start, small + PAGE);
}

static void the_end_of_all_addresses_ends_the_search_for_mmapped_chunks(void **state)
{
    struct made *made = *state;
    make_main(made);
    find(made);
    assert_null(tm_glibc_add_mapped(&made->glibc, UINT64_MAX - 3 * PAGE, UINT64_MAX, UINT64_MAX, no_block, NULL));
    assert_null(tm_glibc_add_mapped(&made->glibc, UINT64_MAX - 9, UINT64_MAX, UINT64_MAX, no_block, NULL));
    assert_int_equal(made->glibc.mapped_count, 0);
}

#define WITH_IMAGE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_IMAGE(the_main_heap_is_found_and_walked),
        WITH_IMAGE(a_heap_of_two_regions_is_one),
        WITH_IMAGE(a_heap_behind_data_in_one_region_is_found),
        WITH_IMAGE(what_a_thread_has_cached_is_free),
        WITH_IMAGE(what_a_thread_has_cached_is_free_from_2_42_on),
        WITH_IMAGE(a_cache_that_does_not_add_up_does_not_count),
        WITH_IMAGE(a_list_that_is_a_circle_ends),
        WITH_IMAGE(fastbins_of_the_main_arena_are_found_by_the_last_chunk),
        WITH_IMAGE(a_heap_with_a_bad_size_is_known_up_to_there),
        WITH_IMAGE(false_caches_take_no_more_steps_than_heaps_have_chunks),
        WITH_IMAGE(false_caches_can_be_interrupted),
        WITH_IMAGE(many_ranges_of_data_take_no_more_steps_than_heaps_have_chunks),
        WITH_IMAGE(a_heap_that_cannot_be_read_to_its_end_is_known_up_to_there),
        WITH_IMAGE(the_heap_of_a_thread_is_found),
        WITH_IMAGE(a_full_heap_ends_in_two_small_chunks),
        WITH_IMAGE(a_second_heap_of_an_arena_is_found_and_one_that_leads_nowhere_is_not),
        WITH_IMAGE(mmapped_chunks_are_found_by_their_size),
        WITH_IMAGE(the_end_of_all_addresses_ends_the_search_for_mmapped_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
