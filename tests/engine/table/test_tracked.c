// Finding tracked blocks, and blocks inside realloc().

#include "support/table_fixture.h"

static void test_find_tracked(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    uint32_t other = image_site(&f->table, f->second_node, 5, 0);
    struct tm_block blocks[4];
    struct tm_damage damage;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_track(&f->table, 389047, HEAP + 16, 50, foreign);
    image_track(&f->table, 5, HEAP + 18, 20, other); // these overlap: the addresses of this domain are only numbers
    image_track(&f->table, 5, HEAP + 20, 10, other);
    image_track(&f->table, 5, HEAP + 19, 15, other);
    image_track(&f->table, 0, HEAP + 3, 90, f->first_site);   // overlaps a block of the map, which takes precedence
    image_track(&f->table, 0, HEAP + 1003, 7, f->first_site); // no multiple of 16
    assert_int_equal(find_blocks(f, HEAP + 20, blocks, 4, &damage), 3);
    assert_true(undamaged(&damage));
    assert_int_equal(blocks[0].domain, 0);
    assert_int_equal(blocks[0].address, HEAP);
    assert_int_equal(blocks[1].domain, 389047);
    assert_int_equal(blocks[1].address, HEAP + 16);
    assert_int_equal(blocks[1].size, 50);
    assert_frame(blocks[1].traceback, 2, "work.py", 40);
    assert_int_equal(blocks[2].domain, 5);
    assert_int_equal(blocks[2].address, HEAP + 20); // the one with exactly this number
    assert_int_equal(find_blocks(f, HEAP + 20, blocks, 2, &damage), 2);
    assert_int_equal(find_blocks(f, HEAP + 20, blocks, 0, &damage), 0);
    assert_int_equal(find_blocks(f, HEAP + 1009, blocks, 4, &damage), 1);
    assert_int_equal(blocks[0].address, HEAP + 1003);
    assert_int_equal(blocks[0].domain, 0);
    assert_int_equal(find_blocks(f, HEAP + 1010, blocks, 4, &damage), 0);
    assert_true(undamaged(&damage));
    // A record that is free again does not count, whatever else it says.
    ((struct tm_tracked *)image_record(&f->table, &f->root->tracked, f->root->tracked.count - 1))->site = 0;
    assert_int_equal(find_blocks(f, HEAP + 1009, blocks, 4, &damage), 0);
    assert_true(undamaged(&damage));
    assert_int_equal(find_blocks(f, HEAP + 1002, blocks, 4, &damage), 0);
}

static void test_find_in_many_tracked(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    struct tm_block block;
    struct tm_damage damage;
    for (uint64_t i = 0; i < 3000; i++)
        image_track(&f->table, 389047, HEAP + i * 4096 + 8, 4000, foreign);
    uint32_t last = image_track(&f->table, 389047, UINT64_MAX - 10, 10, foreign);
    const uint64_t numbers[] = {0, 1, 200, 1500, 2999};
    for (size_t i = 0; i < 5; i++) {
        uint64_t start = HEAP + numbers[i] * 4096 + 8;
        assert_int_equal(find_blocks(f, start, &block, 1, &damage), 1);
        assert_int_equal(block.address, start);
        assert_int_equal(find_blocks(f, start + 3999, &block, 1, &damage), 1);
        assert_int_equal(block.address, start);
        assert_int_equal(find_blocks(f, start + 4000, &block, 1, &damage), 0);
        assert_true(undamaged(&damage));
    }
    assert_int_equal(find_blocks(f, UINT64_MAX - 1, &block, 1, &damage), 1);
    // A block of the core's domain is found by its exact address without reading all.
    image_track(&f->table, 0, HEAP - 4096 + 3, 40, f->first_site);
    for (uint64_t i = 0; i < 1000; i++)
        image_track(&f->table, 389047, HEAP + GIB + i * 4096 + 8, 4000, foreign);
    tm_target_changed(f->target);
    root_variable(f, IMAGE_ROOT);
    uint64_t before = tm_target_bytes_read(f->target);
    assert_int_equal(find_blocks(f, HEAP - 4096 + 3, &block, 1, &damage), 1);
    assert_true(tm_target_bytes_read(f->target) - before < 32 * KIB);
    // A record that is free again does not count, whatever else it says.
    struct tm_tracked *record = image_record(&f->table, &f->root->tracked, last);
    record->site = 0;
    assert_int_equal(find_blocks(f, UINT64_MAX - 10, &block, 1, &damage), 0);
    record->site = f->first_site; // of another domain
    image_rehash(&f->table, f->root);
    assert_int_equal(find_blocks(f, UINT64_MAX - 10, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

// Found by reading all, and by the index.
static void test_an_overwritten_tracked_block_is_left_out(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    uint32_t id = image_track(&f->table, 389047, 777, 4000, foreign);
    struct tm_tracked *record = image_record(&f->table, &f->root->tracked, id);
    struct tm_block block;
    struct tm_damage damage;
    for (int many = 0; many < 2; many++) {
        assert_int_equal(find_blocks(f, 777, &block, 1, &damage), 1);
        assert_true(undamaged(&damage));
        record->size ^= 1;
        tm_target_changed(f->target);
        assert_int_equal(find_blocks(f, 777, &block, 1, &damage), 0);
        assert_true(damage.corrupt_records >= 1);
        assert_int_equal(damage.first_address, image_record_address(&f->table, &f->root->tracked, id));
        record->size ^= 1;
        for (uint64_t i = 0; i < 1000; i++)
            image_track(&f->table, 389047, HEAP + i * 4096 + 8, 4000, foreign);
        tm_target_changed(f->target);
    }
}

// A site counts an update in flight before the root does, never the other way round.
static void test_a_whole_of_more_than_its_sites_is_damage(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    f->root->owned.traced -= 40;
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(undamaged(&snapshot.damage));
    assert_int_equal(snapshot.in_flight, 40);
    tm_snapshot_deinit(&snapshot);
    f->root->owned.traced += 41;
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.damage.corrupt_records, 1);
    assert_int_equal(snapshot.in_flight, 0);
    tm_snapshot_deinit(&snapshot);
    struct tm_info facts = take_info(f);
    assert_int_equal(facts.damage.corrupt_records, 1);
    assert_int_equal(facts.tracer.in_flight, 0);
}

static void test_damaged_tracked_index(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    struct tm_block block;
    struct tm_damage damage;
    for (uint64_t i = 0; i < 3000; i++)
        image_track(&f->table, 389047, HEAP + i * 4096, 4000, foreign);
    uint64_t address = HEAP + 1500 * 4096, index = f->root->tracked_index;
    struct tm_tracked_index *head = image_at(f->image, index, sizeof(*head) + 4096 * 4);
    const uint32_t shifts[] = {0, 41, 64, UINT32_MAX, 40};
    for (size_t i = 0; i < 5; i++) { // the thorough search still finds it
        head->shift = shifts[i];
        assert_int_equal(find_blocks(f, address, &block, 1, &damage), 1);
    }
    head->shift = 12;
    for (uint32_t i = 0; i < 4096; i++)
        head->slot[i] = i % 2 ? TM_TRACKED_REMOVED : 0xfffffffe; // endless, and wild
    f->root->tracked.count = 1400;
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, address, &block, 1, &damage), 0);
    assert_int_not_equal(damage.corrupt_records, 0);
    const uint64_t wild[] = {0, 1, UINT64_MAX, UINT64_MAX - 20};
    for (size_t i = 0; i < 4; i++) {
        f->root->tracked_index = wild[i];
        tm_target_changed(f->target);
        assert_int_equal(find_blocks(f, address, &block, 1, &damage), 0);
    }
}

static void test_missing_pages_of_tracked(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    struct tm_block block;
    struct tm_damage damage;
    for (uint64_t i = 0; i < 3000; i++)
        image_track(&f->table, 389047, HEAP + i * 4096, 4000, foreign);
    image_hide(f->image, image_record_address(&f->table, &f->root->tracked, 1400) & ~UINT64_C(4095), 4096);
    assert_int_equal(find_blocks(f, HEAP + 1700 * 4096 + 5, &block, 1, &damage), 1);
    assert_int_equal(find_blocks(f, HEAP + 1399 * 4096 + 5, &block, 1, &damage), 0);
    assert_int_equal(damage.unreadable_records, 128);
    assert_int_equal(damage.unreadable_bytes, 4096);
}

static void test_block_inside_realloc(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    image_block(&f->table, HEAP, 16, f->first_site);
    struct tm_resize *resize = &f->root->resize[31];
    *resize =
        (struct tm_resize){.address = HEAP + 1000, .size = 500, .site = f->second_site, .state = TM_RESIZE_CLAIMED};
    assert_not_found(f, HEAP + 1000);
    resize->state = TM_RESIZE_BUSY;
    tm_target_changed(f->target);
    for (uint64_t offset = 0; offset < 500; offset += 499) {
        assert_int_equal(find_blocks(f, HEAP + 1000 + offset, &block, 1, &damage), 1);
        assert_int_equal(block.address, HEAP + 1000);
        assert_int_equal(block.size, 500);
        assert_true(block.resizing);
        assert_frame(block.traceback, 2, "work.py", 40);
    }
    assert_not_found(f, HEAP + 1500);
    assert_not_found(f, HEAP + 999);
    // Where both have something, the map counts: the new block is there already.
    image_block(&f->table, HEAP + 1008 - 16, 64, f->first_site);
    tm_target_changed(f->target);
    struct tm_block blocks[4];
    assert_int_equal(find_blocks(f, HEAP + 1010, blocks, 4, &damage), 1);
    assert_false(blocks[0].resizing);
    // A wild record does no harm.
    *resize =
        (struct tm_resize){.address = UINT64_MAX - 5, .size = UINT64_MAX, .site = UINT32_MAX, .state = TM_RESIZE_BUSY};
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, UINT64_MAX, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

// A damaged root may have resize records of any contents, and claim any number of tracked blocks: these are not all read for
// each record.
static void test_many_blocks_inside_realloc_are_cheap(void **state)
{
    enum { REAL = 3000, CHUNKS = 14 };
    const uint64_t zeros = HEAP + GIB, address = HEAP + 3000;
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    for (uint64_t i = 0; i < REAL; i++)
        image_track(&f->table, 389047, HEAP + MIB + i * 4096, 4000, foreign);
    for (uint64_t i = 0; i < TM_RESIZES; i++) {
        f->root->resize[i] = (struct tm_resize){
            .address = HEAP + 16 * i + 3, .size = 4000, .site = f->second_site, .state = TM_RESIZE_BUSY};
        if (i < TM_RESIZES - 1) // another block is there now
            image_track(&f->table, 0, HEAP + 16 * i + 3, 1, f->first_site);
    }
    for (unsigned i = 0; i < CHUNKS; i++) { // the next chunks are there, with nothing in them
        if (f->root->tracked.chunk[i])
            continue;
        f->root->tracked.chunk[i] = zeros + i * 16 * MIB;
        image_map(f->image, zeros + i * 16 * MIB, sizeof(struct tm_tracked) << (f->root->tracked.first_shift + i), "",
                  TM_REGION_READABLE | TM_REGION_WRITABLE);
    }
    f->root->tracked.count =
        (UINT64_C(1) << (f->root->tracked.first_shift + CHUNKS)) - (UINT64_C(1) << f->root->tracked.first_shift);
    root_variable(f, IMAGE_ROOT);
    tm_target_changed(f->target);
    uint64_t bytes = tm_target_bytes_read(f->target), reads = image_reads(f->image);
    assert_int_equal(find_blocks(f, address, &block, 1, &damage), 1);
    assert_true(undamaged(&damage));
    assert_true(block.resizing);
    assert_int_equal(block.address, HEAP + 16 * (TM_RESIZES - 1) + 3);
    bytes = tm_target_bytes_read(f->target) - bytes;
    reads = image_reads(f->image) - reads;
    assert_true(bytes < 512 * KIB && reads < 640); // all records have 8 MiB
}

// The root's second page has nothing but resize records: without it only a block inside realloc() can be missing.
static void test_the_end_of_the_root_may_be_missing(void **state)
{
    struct fixture *f = *state;
    struct tm_block block;
    struct tm_damage damage;
    image_block(&f->table, HEAP, 100, f->first_site);
    f->root->resize[31] =
        (struct tm_resize){.address = HEAP + 4096, .size = 20, .site = f->second_site, .state = TM_RESIZE_BUSY};
    assert_int_equal(find_blocks(f, HEAP + 4096, &block, 1, &damage), 1);
    image_hide(f->image, IMAGE_ROOT + 4096, 4096);
    tm_target_changed(f->target);
    assert_found(f, HEAP, HEAP, 100);
    assert_int_equal(find_blocks(f, HEAP + 4096, &block, 1, &damage), 0);
    assert_int_equal(damage.unreadable_records, 12);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.damage.unreadable_records, 12);
    assert_int_equal(snapshot.damage.unreadable_bytes, 12 * sizeof(struct tm_resize));
    tm_snapshot_deinit(&snapshot);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find_tracked),
        TEST(test_find_in_many_tracked),
        TEST(test_an_overwritten_tracked_block_is_left_out),
        TEST(test_a_whole_of_more_than_its_sites_is_damage),
        TEST(test_damaged_tracked_index),
        TEST(test_missing_pages_of_tracked),
        TEST(test_block_inside_realloc),
        TEST(test_many_blocks_inside_realloc_are_cheap),
        TEST(test_the_end_of_the_root_may_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
