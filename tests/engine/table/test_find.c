// Finding the block of an address in the map.

#include "layout/hash.h"
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
    const uint64_t sizes[] = {18, 31, 32, 33, 4096, 70000, 300 * KIB, 3 * MIB, 900 * MIB, GIB - 1, 1 << 20};
    uint64_t start = HEAP;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        image_block(&f->table, start, sizes[i], f->first_site);
        tm_target_changed(f->target);
        assert_found(f, start, start, sizes[i]);
        assert_found(f, start + 1, start, sizes[i]);
        assert_found(f, start + sizes[i] / 2, start, sizes[i]);
        assert_found(f, start + sizes[i] - 1, start, sizes[i]);
        assert_not_found(f, start + sizes[i]);
        start += (sizes[i] + 32 + 15) & ~UINT64_C(15);
    }
}

// Every stride and every phase: all of a grid's blocks are found at both ends, and nothing between them.
static void test_find_in_grids(void **state)
{
    struct fixture *f = *state;
    for (uint32_t stride = 16; stride <= 512; stride += 16) {
        uint64_t unit = HEAP + stride * KIB;
        uint32_t phase = stride * 7 / 16 % stride / 16 * 16;
        image_grid(&f->table, unit, stride, phase);
        for (uint64_t start = unit + phase, i = 0; start + stride <= unit + 16 * KIB; start += stride, i++) {
            if (i % 3 == 1)
                continue;
            image_block(&f->table, start, i % 3 ? stride : stride - 1 - i % 15, f->first_site);
        }
        tm_target_changed(f->target);
        for (uint64_t start = unit + phase, i = 0; start + stride <= unit + 16 * KIB; start += stride, i++) {
            uint64_t size = i % 3 ? stride : stride - 1 - i % 15;
            if (i % 3 == 1) {
                assert_not_found(f, start);
                assert_not_found(f, start + stride - 1);
                continue;
            }
            assert_found(f, start, start, size);
            assert_found(f, start + size - 1, start, size);
            if (size < stride)
                assert_not_found(f, start + size);
        }
        if (phase)
            assert_not_found(f, unit + phase - 1);
    }
}

static void test_sizes_of_slots_at_their_limits(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 512, 16);
    image_block(&f->table, HEAP + 16, 512, f->first_site); // stored as 0
    image_block(&f->table, HEAP + 528, 511, f->first_site);
    image_block(&f->table, HEAP + 1040, 0, f->first_site); // in the list
    image_grid(&f->table, HEAP + 16 * KIB, 496, 0);
    image_block(&f->table, HEAP + 16 * KIB, 0, f->first_site); // in the grid
    assert_found(f, HEAP + 527, HEAP + 16, 512);
    assert_found(f, HEAP + 528 + 510, HEAP + 528, 511);
    assert_not_found(f, HEAP + 528 + 511);
    assert_found(f, HEAP + 1040, HEAP + 1040, 0);
    assert_not_found(f, HEAP + 1041);
    assert_found(f, HEAP + 16 * KIB, HEAP + 16 * KIB, 0);
    assert_not_found(f, HEAP + 16 * KIB + 1);
    assert_int_equal(*image_slot(&f->table, HEAP + 16), f->first_site);
}

// A unit may have a grid and a list, and a list chunks and then buckets.
static void test_find_in_lists(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    const uint64_t step = 48;
    for (uint64_t i = 0; i < 16 * KIB / step; i++) { // the last ones first: buckets are not in the order of time
        uint64_t start = HEAP + (16 * KIB / step - 1 - i) * step;
        if (image_unit_start(&f->table, start) == HEAP)
            image_block(&f->table, start, i % 41, f->second_site);
    }
    for (uint64_t i = 0; i < 16 * KIB / step; i++) {
        uint64_t start = HEAP + (16 * KIB / step - 1 - i) * step;
        assert_found(f, start, start, i % 41);
        if (i % 41 > 1)
            assert_found(f, start + i % 41 - 1, start, i % 41);
        assert_not_found(f, start + 41);
    }
    assert_true(image_unit(&f->table, HEAP)->list != 0);
}

// The block reaches over units, and over the border of two leaves, which nothing else has.
static void test_find_across_leaves(void **state)
{
    struct fixture *f = *state;
    const uint64_t leaf = (uint64_t)TM_LEAF_UNITS << 14, edge = (HEAP / leaf + 2) * leaf;
    image_block(&f->table, edge - 32, 700 * MIB, f->first_site);
    assert_found(f, edge - 1, edge - 32, 700 * MIB);
    assert_found(f, edge + 600 * MIB, edge - 32, 700 * MIB);
    assert_not_found(f, edge - 32 + 700 * MIB);
    image_leaf(&f->table, edge); // there, and empty
    tm_target_changed(f->target);
    assert_found(f, edge + 600 * MIB, edge - 32, 700 * MIB);
    assert_not_found(f, edge + GIB);
    // A nearer block decides, even if it does not reach so far.
    image_block(&f->table, edge + 500 * MIB, 16, f->first_site);
    tm_target_changed(f->target);
    assert_not_found(f, edge + 600 * MIB);
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
    image_grid(&f->table, (UINT64_C(1) << 48) - 16 * KIB, 32, 16); // its last slot has 16 bytes of the map
    image_put_block(&f->table, (UINT64_C(1) << 48) - 48, 32, f->first_site);
    assert_found(f, (UINT64_C(1) << 48) - 17, (UINT64_C(1) << 48) - 48, 32);
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
    for (uint64_t i = 0; i < 100000; i++) {
        if (i * 64 % (16 * KIB) == 0)
            image_grid(&f->table, HEAP + i * 64, 64, 0);
        image_block(&f->table, HEAP + i * 64, 56, site);
    }
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
        // The last one is a GiB after the blocks of the map: so far the largest one might reach.
        assert_true(tm_target_bytes_read(f->target) - before < (i == 4 ? 300 : 24) * KIB);
    }
    // Inside a block of 100 MiB, and where nothing is.
    image_block(&f->table, HEAP + 64 * MIB, 100 * MIB, site);
    const uint64_t more[] = {HEAP + 114 * MIB, HEAP - GIB, 0x1000, HEAP + 165 * MIB};
    for (size_t i = 0; i < 4; i++) {
        struct tm_block block;
        struct tm_damage damage;
        tm_target_changed(f->target);
        f->root->tracked.count = 1;
        uint64_t before = tm_target_bytes_read(f->target);
        assert_int_equal(find_blocks(f, more[i], &block, 1, &damage), i == 0);
        assert_true(tm_target_bytes_read(f->target) - before < (i == 3 ? 300 : 160) * KIB);
    }
}

// The search goes back as far as the largest block reaches, and through no more memory than a valid table needs.
static void test_find_gives_up_in_an_endless_map(void **state)
{
    struct fixture *f = *state;
    const uint64_t slots = TM_GRID_SLOTS(14, 16, 0);
    for (uint64_t unit = HEAP - GIB; unit < HEAP + 16 * KIB; unit += 16 * KIB) { // all have the same array, of no block
        uint64_t array = f->table.map_next;
        if (unit == HEAP - GIB)
            array = image_grid(&f->table, unit, 16, 0);
        uint64_t word =
            image_grid_word(&f->table, unit, array - (unit == HEAP - GIB ? 0 : (8 + slots * 4 + 63) / 64 * 64), 16, 0);
        image_unit(&f->table, unit)->grid = word;
    }
    struct tm_block block;
    struct tm_damage damage;
    size_t count;
    uint64_t before = tm_target_bytes_read(f->target);
    assert_null(tm_source_find(open_source(f), &f->host, f->pool, HEAP + 500, &block, 1, &count, &damage));
    assert_int_equal(count, 0);
    assert_int_equal(damage.corrupt_records, 65536); // their heads are of another unit; the last one is too far away
    assert_true(tm_target_bytes_read(f->target) - before < 4 * MIB);
    f->stop_after = f->asked + 10;
    assert_error(tm_source_find(open_source(f), &f->host, f->pool, HEAP + 500, &block, 1, &count, &damage),
                 TM_ERROR_INTERRUPTED, "");
}

static void test_damaged_slots_and_entries(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    image_grid(&f->table, HEAP, 128, 0);
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 1024, 1000, f->first_site);
    const uint32_t slots[] = {
        100u << TM_SLOT_SIZE_SHIFT,                     // no site
        100u << TM_SLOT_SIZE_SHIFT | TM_SLOT_SITE_MASK, // no such site
        129u << TM_SLOT_SIZE_SHIFT | f->first_site,     // larger than the stride
    };
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        *image_slot(&f->table, HEAP) = slots[i];
        assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 0);
        assert_int_equal(damage.corrupt_records, 1);
    }
    *image_slot(&f->table, HEAP) = 0;
    uint64_t *entry = image_entry(&f->table, HEAP + 1024), good = *entry;
    const uint64_t entries[] = {
        good & ~TM_ENTRY_SITE_MASK,
        good | TM_ENTRY_SITE_MASK,
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        *entry = entries[i];
        assert_int_equal(find_blocks(f, HEAP + 1024, &block, 1, &damage), 0);
        assert_int_equal(damage.corrupt_records, 1);
    }
    // It leaves the map.
    uint64_t last = (UINT64_C(1) << 48) - 16;
    image_put_block(&f->table, last, 17, f->first_site);
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, last, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

static void test_damaged_words(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    image_block(&f->table, HEAP, 60, f->first_site);
    image_block(&f->table, HEAP + 1024, 1000, f->first_site);
    struct tm_unit *unit = image_unit(&f->table, HEAP), good = *unit;
    const struct {
        uint64_t grid, list, address;
    } bent[] = {
        {good.grid ^ 1, good.list, HEAP + 10},            // another stride
        {good.grid ^ UINT64_C(1) << 40, good.list, HEAP}, // another address
        {good.grid, good.list ^ 1, HEAP + 1030},          // buckets, where a chunk is
        {good.grid, good.list ^ UINT64_C(1) << 50, HEAP + 1030},
        {good.grid & TM_GRID_ADDRESS_MASK << TM_GRID_ADDRESS_SHIFT, good.list, HEAP},
    };
    for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
        struct tm_block block;
        struct tm_damage damage;
        *unit = (struct tm_unit){bent[i].grid, bent[i].list};
        assert_int_equal(find_blocks(f, bent[i].address, &block, 1, &damage), 0);
        assert_int_equal(damage.corrupt_records, 1);
    }
    // With the check of another unit: a page of units in another one's place.
    image_grid(&f->table, HEAP + 16 * KIB, 64, 0);
    *unit = (struct tm_unit){image_unit(&f->table, HEAP + 16 * KIB)->grid, 0};
    struct tm_block block;
    struct tm_damage damage;
    assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

static void test_a_damaged_word_has_a_copy(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    image_block(&f->table, HEAP, 60, f->first_site);
    struct tm_unit *unit = image_unit(&f->table, HEAP);
    const uint64_t address = image_unit_address(&f->table, HEAP) + TM_LEAF_UNITS * sizeof(*unit);
    *(struct tm_unit *)image_at(f->image, address, sizeof(*unit)) = *unit;
    struct tm_block block;
    struct tm_damage damage;
    unit->grid ^= 1;
    assert_int_equal(find_blocks(f, HEAP + 10, &block, 1, &damage), 1);
    assert_int_equal(damage.corrupt_records, 0);
    image_hide(f->image, image_unit_address(&f->table, HEAP), sizeof(*unit));
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, HEAP + 10, &block, 1, &damage), 1);
    assert_int_equal(damage.unreadable_records, 0);
}

// A list without end: it is left after as many chunks as a list may have.
static void test_a_list_that_is_a_loop(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    image_block(&f->table, HEAP + 1024, 1000, f->first_site);
    uint64_t word = image_unit(&f->table, HEAP)->list;
    struct tm_list_chunk *chunk =
        image_at(f->image, word >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, sizeof(*chunk));
    chunk->next = word;
    assert_int_equal(find_blocks(f, HEAP + 1024, &block, 1, &damage), 1);
    assert_int_equal(damage.corrupt_records, 1);
    assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

static void test_watched_block_is_a_block(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 16, 0);
    image_block(&f->table, HEAP + 4096, 9, f->first_site);
    image_block(&f->table, HEAP, 1000, f->first_site);
    *image_slot(&f->table, HEAP + 4096) |= TM_SLOT_WATCHED;
    *image_entry(&f->table, HEAP) |= TM_ENTRY_WATCHED;
    assert_found(f, HEAP + 999, HEAP, 1000);
    assert_found(f, HEAP + 4096 + 8, HEAP + 4096, 9);
}

static void test_units_between_missing_pages(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    image_block(&f->table, HEAP, 80 * MIB, f->first_site);
    uint64_t units = image_unit_address(&f->table, HEAP), copies = units + TM_LEAF_UNITS * sizeof(struct tm_unit);
    image_hide(f->image, units + 4096, 8192); // the units of HEAP + 4 MiB to HEAP + 12 MiB
    image_hide(f->image, copies + 4096, 8192);
    assert_found(f, HEAP + 100, HEAP, 80 * MIB);
    // The search reaches the start beyond the hole, and the hole is counted.
    assert_int_equal(find_blocks(f, HEAP + 70 * MIB, &block, 1, &damage), 1);
    assert_int_equal(block.address, HEAP);
    assert_int_not_equal(damage.unreadable_records, 0);
    assert_true(damage.unreadable_bytes >= 8192);
    image_show_all(f->image);
    image_hide(f->image, units, 4096);
    image_hide(f->image, copies, 4096);
    assert_int_equal(find_blocks(f, HEAP + 70 * MIB, &block, 1, &damage), 0);
    assert_int_not_equal(damage.unreadable_records, 0);
}

static void test_wild_leaves(void **state)
{
    struct fixture *f = *state;
    const uint64_t wild[] = {1, 0x1000, UINT64_MAX, UINT64_MAX - 4, UINT64_C(1) << 63, IMAGE_ROOT + 3};
    image_block(&f->table, HEAP, 100, f->first_site);
    struct tm_leaf *leaf = image_record(&f->table, &f->root->leaves, image_leaf(&f->table, HEAP)), good = *leaf;
    uint64_t *fields[] = {&leaf->start, &leaf->units, &f->root->leaves.chunk[0]};
    for (size_t i = 0; i < 3; i++) {
        uint64_t chunk = f->root->leaves.chunk[0];
        for (size_t j = 0; j < sizeof(wild) / sizeof(wild[0]); j++) {
            struct tm_block block;
            struct tm_damage damage;
            *fields[i] = wild[j];
            if (i < 2)
                leaf->hash = tm_leaf_hash(1, leaf);
            tm_target_changed(f->target);
            assert_int_equal(find_blocks(f, HEAP + 50, &block, 1, &damage), 0);
            assert_true(damage.corrupt_records || damage.unreadable_records);
        }
        *leaf = good;
        f->root->leaves.chunk[0] = chunk;
    }
    tm_target_changed(f->target);
    assert_found(f, HEAP + 50, HEAP, 100);
}

// The leaf's record is on a page that is missing, or was overwritten: its copy is used.
static void test_a_copy_of_a_leaf(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_copy(&f->table, &f->root->leaves, 0);
    image_hide(f->image, f->root->leaves.chunk[0], 4096);
    tm_target_changed(f->target);
    assert_found(f, HEAP + 50, HEAP, 100);
    image_show_all(f->image);
    memset(image_record(&f->table, &f->root->leaves, 1), 0, sizeof(struct tm_leaf));
    tm_target_changed(f->target);
    assert_found(f, HEAP + 50, HEAP, 100);
}

static void test_a_block_inside_realloc(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    f->root->resize[4] =
        (struct tm_resize){.address = HEAP, .size = 100, .site = f->first_site, .state = TM_RESIZE_BUSY};
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, HEAP + 99, &block, 1, &damage), 1);
    assert_true(block.resizing);
    f->root->resize[4].moved = HEAP + 4096; // where it is now
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, HEAP + 99, &block, 1, &damage), 1); // as it was before
    image_block(&f->table, HEAP, 64, f->second_site);                   // another block has its old place
    tm_target_changed(f->target);
    assert_found(f, HEAP + 63, HEAP, 64);
    assert_not_found(f, HEAP + 64);
    assert_int_equal(find_blocks(f, HEAP + 4096 + 99, &block, 1, &damage), 1);
    assert_int_equal(block.address, HEAP + 4096);
    image_block(&f->table, HEAP + 4096, 20, f->first_site); // it is recorded again
    tm_target_changed(f->target);
    assert_not_found(f, HEAP + 4096 + 99);
    assert_found(f, HEAP + 4096 + 19, HEAP + 4096, 20);
    assert_found(f, HEAP + 63, HEAP, 64);
    assert_not_found(f, HEAP + 64);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find_small_blocks),
        TEST(test_find_has_the_traceback),
        TEST(test_find_around_sizes),
        TEST(test_find_in_grids),
        TEST(test_sizes_of_slots_at_their_limits),
        TEST(test_find_in_lists),
        TEST(test_find_across_leaves),
        TEST(test_find_at_the_ends_of_the_map),
        TEST(test_find_reads_little),
        TEST(test_find_gives_up_in_an_endless_map),
        TEST(test_damaged_slots_and_entries),
        TEST(test_damaged_words),
        TEST(test_a_damaged_word_has_a_copy),
        TEST(test_a_list_that_is_a_loop),
        TEST(test_watched_block_is_a_block),
        TEST(test_units_between_missing_pages),
        TEST(test_wild_leaves),
        TEST(test_a_copy_of_a_leaf),
        TEST(test_a_block_inside_realloc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
