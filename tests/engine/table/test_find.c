// Finding the block of an address in the shadow map.

#include "support/table_fixture.h"

static void test_find_small_blocks(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 0; size <= 17; size++)
        image_block(&f->table, HEAP + size * 64, size, f->first_site);
    for (uint64_t size = 0; size <= 17; size++) {
        uint64_t start = HEAP + size * 64;
        assert_found(f, start, start, size); // a block of no bytes contains its own address
        for (uint64_t offset = 1; offset < 40; offset++) {
            if (offset < size)
                assert_found(f, start + offset, start, size);
            else
                assert_not_found(f, start + offset);
        }
    }
    assert_not_found(f, HEAP - 1);
}

static void test_find_has_the_traceback(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->second_site);
    struct tm_block block;
    struct tm_damage damage;
    assert_int_equal(find_blocks(f, HEAP + 50, &block, 1, &damage), 1);
    assert_int_equal(block.domain, 0);
    assert_false(block.resizing);
    assert_int_equal(block.traceback->count, 3);
    assert_int_equal(block.traceback->total_frames, 7);
    assert_frame(block.traceback, 0, "main.py", 10);
    assert_frame(block.traceback, 2, "work.py", 40);
}

static void test_find_around_sizes(void **state)
{
    struct fixture *f = *state;
    const uint64_t sizes[] = {18,      31,        32,      33,  4096,    70000,           300 * KIB,
                              3 * MIB, 900 * MIB, GIB - 1, GIB, GIB + 1, 5 * GIB + 12345, 1 << 20};
    uint64_t start = HEAP;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        image_block(&f->table, start, sizes[i], f->first_site);
        tm_target_changed(f->target); // the peak is greater now, and with it the largest block there may be
        assert_found(f, start, start, sizes[i]);
        assert_found(f, start + 1, start, sizes[i]);
        assert_found(f, start + sizes[i] / 2, start, sizes[i]);
        assert_found(f, start + sizes[i] - 1, start, sizes[i]);
        assert_not_found(f, start + sizes[i]);
        start += (sizes[i] + 32 + 15) & ~UINT64_C(15);
    }
}

static void test_size_slots_across_a_leaf_and_a_branch(void **state)
{
    struct fixture *f = *state;
    const uint64_t edges[] = {HEAP + 5 * MIB, (HEAP | ((UINT64_C(1) << 33) - 1)) + 1};
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t before = 16; before <= 32; before += 16) {
            uint64_t start = edges[i] - before;
            image_block(&f->table, start, 3 * GIB, f->first_site);
            assert_found(f, start + 2 * GIB, start, 3 * GIB);
            image_free_block(&f->table, start, 3 * GIB);
            image_block(&f->table, start, 48, f->first_site);
            assert_found(f, start + 47, start, 48);
            image_free_block(&f->table, start, 48);
        }
    }
}

static void test_find_at_the_ends_of_the_map(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, 0, 10, f->first_site);
    image_block(&f->table, (UINT64_C(1) << 48) - 16, 16, f->first_site);
    assert_found(f, 9, 0, 10);
    assert_found(f, (UINT64_C(1) << 48) - 1, (UINT64_C(1) << 48) - 16, 16);
    assert_not_found(f, UINT64_C(1) << 48);
    assert_not_found(f, UINT64_MAX);
    assert_not_found(f, UINT64_C(0xffff800000000000));
    image_put_block(&f->table, (UINT64_C(1) << 48) - 64, 48, f->first_site);
    assert_found(f, (UINT64_C(1) << 48) - 20, (UINT64_C(1) << 48) - 64, 48);
}

static void test_find_reads_little(void **state)
{
    struct fixture *f = *state;
    // A dense heap of a hundred thousand blocks, a traceback of 25 frames, lines and all.
    const uint8_t pairs[] = {4, 0, 2, 0x80, 6, 0xfe};
    uint32_t node = 0;
    char name[48];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof(name), "/usr/lib/python3/module%d.py", i);
        node = image_node(&f->table, node, image_code(&f->table, name, 5, TM_LINES_3_10, pairs, 6, 12), 8);
    }
    uint32_t site = image_site(&f->table, node, 0, 0);
    for (uint64_t i = 0; i < 100000; i++)
        image_block(&f->table, HEAP + i * 64, 56, site);
    uint32_t foreign = image_site(&f->table, node, 389047, 0);
    for (uint32_t i = 0; i < 3000; i++)
        image_track(&f->table, 389047, HEAP + GIB + i * 4096, 4000, foreign);
    root_variable(f, IMAGE_ROOT);
    const uint64_t addresses[] = {HEAP, HEAP + 55, HEAP + 99999 * 64 + 30, HEAP + 50000 * 64 + 1,
                                  HEAP + GIB + 2000 * 4096};
    for (size_t i = 0; i < 5; i++) {
        struct tm_block block;
        struct tm_damage damage;
        tm_target_changed(f->target);
        uint64_t before = tm_target_bytes_read(f->target);
        assert_int_equal(find_blocks(f, addresses[i], &block, 1, &damage), 1);
        assert_int_equal(block.traceback->count, 25);
        assert_frame(block.traceback, 24, "/usr/lib/python3/module24.py", 3);
        assert_true(tm_target_bytes_read(f->target) - before < 32 * KIB);
    }
    // Inside a block of 100 KiB, and where nothing is.
    image_block(&f->table, HEAP + 64 * MIB, 100 * KIB, site);
    const uint64_t more[] = {HEAP + 64 * MIB + 99 * KIB, HEAP - GIB, 0x1000, HEAP + 65 * MIB};
    for (size_t i = 0; i < 4; i++) {
        struct tm_block block;
        struct tm_damage damage;
        tm_target_changed(f->target);
        f->root->tracked.count = 1;
        uint64_t before = tm_target_bytes_read(f->target);
        assert_int_equal(find_blocks(f, more[i], &block, 1, &damage), i == 0);
        // The last one is a MiB after the nearest block: the parts between are not in use.
        assert_true(tm_target_bytes_read(f->target) - before < 64 * KIB);
    }
}

static void test_find_gives_up_in_an_endless_map(void **state)
{
    struct fixture *f = *state;
    // The counters claim a huge block, and every leaf before the address is there and empty.
    uint64_t leaf = image_leaf(&f->table, HEAP);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t address = HEAP - i * MIB;
        image_leaf(&f->table, address & ~((UINT64_C(1) << 33) - 1)); // makes the branch
        uint64_t *branch = image_at(f->image, f->root->directory + (address >> 33) * 8, 8);
        *(uint64_t *)image_at(f->image, *branch + (address >> 20 & (TM_BRANCH_ENTRIES - 1)) * 8, 8) =
            leaf | TM_LEAF_PARTS_MASK;
    }
    f->root->owned.peak = UINT64_C(1) << 40;
    struct tm_block block;
    struct tm_damage damage;
    size_t count;
    uint64_t before = tm_target_bytes_read(f->target);
    assert_error(tm_source_find(open_source(f), &f->host, f->pool, HEAP + 500, &block, 1, &count, &damage),
                 TM_ERROR_NOT_FOUND, "the search stopped there");
    assert_true(tm_target_bytes_read(f->target) - before < 70 * MIB);
    f->stop_after = f->asked + 10;
    assert_error(tm_source_find(open_source(f), &f->host, f->pool, HEAP + 500, &block, 1, &count, &damage),
                 TM_ERROR_INTERRUPTED, "");
    // With true counters the search ends on its own.
    f->stop_after = 0;
    f->root->owned.peak = 1000;
    tm_target_changed(f->target);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t address = HEAP - i * MIB;
        uint64_t *branch = image_at(f->image, f->root->directory + (address >> 33) * 8, 8);
        *(uint64_t *)image_at(f->image, *branch + (address >> 20 & (TM_BRANCH_ENTRIES - 1)) * 8, 8) = 0;
    }
    assert_not_found(f, HEAP + 500);
}

static void test_damaged_slots(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 1000, f->first_site);
    uint32_t *start = image_slot(&f->table, HEAP), *size = start + 1, *high = start + 2;
    const struct {
        uint32_t start, size, high;
    } bent[] = {
        {TM_SLOT_START, 1000, 0},                                           // no site
        {TM_SLOT_START | TM_SLOT_SITE_MASK, 1000, 0},                       // no such site
        {TM_SLOT_START | 18u << TM_SLOT_SMALL_SHIFT | f->first_site, 0, 0}, // small, and larger than 16
        {TM_SLOT_START | f->first_site, 16, 0},                             // large, and not larger than 16
        {TM_SLOT_START | f->first_site, 0, 0},
        {TM_SLOT_START | f->first_site, TM_SIZE_ESCAPE | 5, TM_SLOT_START},
        {TM_SLOT_START | f->first_site, TM_SIZE_ESCAPE | 5, TM_SIZE_ESCAPE},
        {TM_SLOT_START | f->first_site, TM_SIZE_ESCAPE | 5, TM_SIZE_MASK}, // out of the map
    };
    uint64_t last = (UINT64_C(1) << 48) - 16;
    for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
        struct tm_block block;
        struct tm_damage damage;
        *start = bent[i].start;
        *size = bent[i].size;
        *high = bent[i].high;
        assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 0);
        assert_int_equal(damage.corrupt_records, 1);
    }
    // No slot follows the very last one, so its size is out of reach.
    struct tm_block block;
    struct tm_damage damage;
    *image_slot(&f->table, last) = TM_SLOT_START | f->first_site;
    assert_int_equal(find_blocks(f, last, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
    assert_int_equal(damage.unreadable_records, 0);
}

static void test_watched_block_is_a_block(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 1000, f->first_site);
    image_block(&f->table, HEAP + 4096, 9, f->first_site);
    *image_slot(&f->table, HEAP) |= TM_SLOT_WATCHED;
    *image_slot(&f->table, HEAP + 4096) |= TM_SLOT_WATCHED;
    *image_slot(&f->table, HEAP + 2048) = TM_SLOT_WATCHED | 77; // an untraced block
    assert_found(f, HEAP + 999, HEAP, 1000);
    assert_found(f, HEAP + 4096 + 8, HEAP + 4096, 9);
    assert_not_found(f, HEAP + 2048);
}

static void test_slots_between_missing_pages(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    uint64_t leaf = image_leaf(&f->table, HEAP);
    image_block(&f->table, HEAP, 80 * KIB, f->first_site);
    image_hide(f->image, leaf + 4096, 8192); // of the slots of HEAP + 16 KiB to HEAP + 48 KiB
    assert_found(f, HEAP + 100, HEAP, 80 * KIB);
    // The search reaches the start beyond the hole, and the hole is counted.
    assert_int_equal(find_blocks(f, HEAP + 70 * KIB, &block, 1, &damage), 1);
    assert_int_equal(block.address, HEAP);
    assert_int_not_equal(damage.unreadable_records, 0);
    assert_int_equal(damage.unreadable_bytes, 8192);
    image_show_all(f->image);
    image_hide(f->image, leaf, 4096);
    assert_int_equal(find_blocks(f, HEAP + 70 * KIB, &block, 1, &damage), 0);
    assert_int_not_equal(damage.unreadable_records, 0);
}

static void test_wild_directory(void **state)
{
    struct fixture *f = *state;
    const uint64_t wild[] = {1, 0x1000, UINT64_MAX, UINT64_MAX - 4, UINT64_C(1) << 63, IMAGE_ROOT + 3};
    image_block(&f->table, HEAP, 100, f->first_site);
    uint64_t *directory = image_at(f->image, f->root->directory, sizeof(tm_directory));
    uint64_t *branch = image_at(f->image, directory[HEAP >> 33], sizeof(tm_branch));
    uint64_t *entries[] = {&f->root->directory, &directory[HEAP >> 33], &branch[HEAP >> 20 & (TM_BRANCH_ENTRIES - 1)]};
    for (size_t i = 0; i < 3; i++) {
        uint64_t good = *entries[i];
        for (size_t j = 0; j < sizeof(wild) / sizeof(wild[0]); j++) {
            struct tm_block block;
            struct tm_damage damage;
            *entries[i] = wild[j];
            tm_target_changed(f->target);
            assert_int_equal(find_blocks(f, HEAP + 50, &block, 1, &damage), 0);
        }
        *entries[i] = good;
    }
    tm_target_changed(f->target);
    assert_found(f, HEAP + 50, HEAP, 100);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find_small_blocks),
        TEST(test_find_has_the_traceback),
        TEST(test_find_around_sizes),
        TEST(test_size_slots_across_a_leaf_and_a_branch),
        TEST(test_find_at_the_ends_of_the_map),
        TEST(test_find_reads_little),
        TEST(test_find_gives_up_in_an_endless_map),
        TEST(test_damaged_slots),
        TEST(test_watched_block_is_a_block),
        TEST(test_slots_between_missing_pages),
        TEST(test_wild_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
