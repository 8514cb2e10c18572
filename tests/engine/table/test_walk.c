/**
 * All blocks of a table, on made-up images: each block comes once and in order, what contradicts itself or cannot be
 * read is counted, and a hostile table takes bounded time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/host.h"
#include "engine/open.h"
#include "support/image.h"

#define HEAP UINT64_C(0x7f7000000000)
#define MIB (UINT64_C(1) << 20)
#define MOST 4096

struct seen {
    uint64_t address;
    uint64_t size;
    uint32_t domain;
    uint32_t line; // of the most recent frame
    bool resizing;
};

struct fixture {
    struct image *image;
    struct image_table table;
    struct tm_root *root;
    struct tm_target *target;
    struct tm_pool *pool;
    struct tm_host host;
    uint64_t stop_after; // how often should_stop may be asked before it says yes; 0: never
    uint64_t asked;
    uint32_t site, other_site, foreign_site; // work.py:30 and :40, and numpy.py:50 in domain 7
    struct seen seen[MOST];
    size_t count;
    struct tm_origin *origins[MOST];
    struct tm_traces traces;
};

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static void progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    (void)context;
    assert_non_null(what);
    assert_true(done <= total);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    f->root = f->table.root;
    uint32_t node = image_frame(&f->table, 0, "main.py", 10);
    f->site = image_site(&f->table, image_frame(&f->table, node, "work.py", 30), 0, 0);
    f->other_site = image_site(&f->table, image_frame(&f->table, node, "work.py", 40), 0, 9);
    f->foreign_site = image_site(&f->table, image_frame(&f->table, node, "numpy.py", 50), 7, 0);
    f->target = image_target(f->image);
    f->host = (struct tm_host){.callbacks = {.should_stop = should_stop, .progress = progress}, .context = f};
    *state = f;
    return tm_pool_create(&f->pool) != NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tm_pool_destroy(f->pool);
    assert_true(image_longest_read(f->image) <= TM_READ_LIMIT);
    image_destroy(f->image);
    free(f);
    return 0;
}

static struct tm_error *see(void *context, const struct tm_trace *trace)
{
    struct fixture *f = context;
    const struct tm_origin *origin = trace->origin;
    assert_true(f->count == 0 || f->count > MOST || f->seen[(f->count - 1) % MOST].address <= trace->address);
    f->origins[f->count % MOST] = trace->origin;
    f->seen[f->count++ % MOST] =
        (struct seen){trace->address, trace->size, origin->domain,
                      origin->traceback->frames[origin->traceback->count - 1].line, trace->resizing};
    return NULL;
}

static struct tm_error *try_visit(struct fixture *f)
{
    struct tm_source *source = NULL;
    f->count = 0;
    f->asked = 0;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    return error ? error : tm_source_traces(source, &f->host, f->pool, see, f, &f->traces);
}

static void visit(struct fixture *f)
{
    struct tm_error *error = try_visit(f);
    if (error)
        fail_msg("traces: %s", tm_error_message(error));
}

static void assert_undamaged(const struct fixture *f)
{
    const struct tm_damage *damage = &f->traces.damage;
    assert_true(!damage->unreadable_records && !damage->unreadable_bytes && !damage->corrupt_records &&
                !damage->first_address);
}

static void assert_seen(const struct fixture *f, size_t index, uint64_t address, uint64_t size, uint32_t line)
{
    assert_true(index < f->count);
    assert_int_equal(f->seen[index].address, address);
    assert_int_equal(f->seen[index].size, size);
    assert_int_equal(f->seen[index].line, line);
}

static void assert_corrupt(const struct fixture *f, uint64_t records, size_t seen)
{
    assert_int_equal(f->traces.damage.corrupt_records, records);
    assert_int_equal(f->traces.damage.unreadable_records, 0);
    assert_int_equal(f->count, seen);
}

// ---------------------------------------------------------------------------------------------------------------
// What is right

static void test_empty(void **state)
{
    struct fixture *f = *state;
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.frame_limit, 25);
    assert_int_equal(f->traces.python_version, 0x030b07f0);
    assert_undamaged(f);
    f->root->directory = 0;
    visit(f);
    assert_int_equal(f->count, 0);
    assert_undamaged(f);
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sizes[] = {0,   1,          15,         16,         17,         32,         100,
                                     MIB, 0x3fffffff, 0x40000000, 0x40000011, 5ULL << 30, 1ULL << 40, 3ULL << 44};
    uint64_t address = 0x100000;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        image_block(&f->table, address, sizes[i], i % 2 ? f->site : f->other_site);
        address += (sizes[i] / 16 + 1) * 16;
    }
    visit(f);
    assert_undamaged(f);
    assert_int_equal(f->count, sizeof(sizes) / sizeof(sizes[0]));
    address = 0x100000;
    for (size_t i = 0; i < f->count; i++) {
        assert_seen(f, i, address, sizes[i], i % 2 ? 30 : 40);
        address += (sizes[i] / 16 + 1) * 16;
    }
}

// Sizes come after the start: at ends of parts, of leaves, of branches.
static void test_sizes_across_borders(void **state)
{
    struct fixture *f = *state;
    static const uint64_t borders[] = {HEAP + 0x10000, HEAP + 5 * 0x10000, HEAP + MIB, HEAP + (UINT64_C(1) << 33)};
    for (size_t i = 0; i < 4; i++) {
        for (uint64_t before = 16; before <= 32; before += 16) {
            struct tm_walk_case {
                uint64_t address, size;
            } block = {borders[i] - before, UINT64_C(0x41234567)};
            image_block(&f->table, block.address, block.size, f->site);
            visit(f);
            assert_undamaged(f);
            assert_int_equal(f->count, 1);
            assert_seen(f, 0, block.address, block.size, 30);
            image_free_block(&f->table, block.address, block.size);
            image_block(&f->table, block.address, 40, f->site);
            visit(f);
            assert_undamaged(f);
            assert_seen(f, 0, block.address, 40, 30);
            image_free_block(&f->table, block.address, 40);
        }
    }
}

// A part that is not marked as having starts is not read; the others are.
static void test_parts(void **state)
{
    struct fixture *f = *state;
    for (uint64_t part = 0; part < TM_LEAF_PARTS; part++)
        image_block(&f->table, HEAP + part * 0x10000 + part * 48, 20, f->site);
    visit(f);
    assert_int_equal(f->count, TM_LEAF_PARTS);
    uint64_t *branch = image_at(f->image, f->root->directory + (HEAP >> TM_BRANCH_SHIFT) * 8, 8);
    uint64_t *leaf = image_at(f->image, *branch + (HEAP >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)) * 8, 8);
    *leaf &= ~UINT64_C(0x0f09);
    visit(f);
    assert_corrupt(f, 6, TM_LEAF_PARTS - 6); // they are counted
    f->root->owned.traced -= UINT64_C(6 * 20);
    visit(f);
    assert_undamaged(f);
    assert_int_equal(f->count, TM_LEAF_PARTS - 6);
    assert_seen(f, 0, HEAP + 0x10000 + 48, 20, 30);
    assert_seen(f, 1, HEAP + 0x20000 + 96, 20, 30);
    assert_seen(f, 2, HEAP + 0x40000 + 4 * 48, 20, 30);
}

static void test_order_over_the_whole_address_space(void **state)
{
    struct fixture *f = *state;
    static const uint64_t addresses[] = {0x10,          0xfffff0,        0x1000000,       HEAP - 16,
                                         HEAP,          HEAP + MIB - 16, HEAP + 40 * MIB, 0xfffffffffff0 - 0x100,
                                         0xfffffffffff0};
    const size_t count = sizeof(addresses) / sizeof(addresses[0]);
    for (size_t i = count; i-- > 0;)
        image_block(&f->table, addresses[i], 5, f->site);
    visit(f);
    assert_undamaged(f);
    assert_int_equal(f->count, count);
    for (size_t i = 0; i < count; i++)
        assert_seen(f, i, addresses[i], 5, 30);
}

static struct tm_site *site_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->sites, id);
}

static void untrack(struct fixture *f, uint32_t id)
{
    struct tm_tracked *tracked = image_record(&f->table, &f->root->tracked, id);
    struct tm_site *site = site_record(f, tracked->site);
    site->frees++;
    site->freed += tracked->size;
    f->root->owned.traced -= tracked->size;
    tracked->site = 0;
}

static void test_tracked_and_resizing_blocks_are_in_order(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->site);
    image_block(&f->table, HEAP + 0x1000, 100, f->site);
    image_track(&f->table, 7, HEAP + 0x1000, 5000, f->foreign_site); // in another domain, at the same address
    image_track(&f->table, 7, UINT64_MAX, 3, f->foreign_site);
    image_track(&f->table, 7, 1, UINT64_C(1) << 50, f->foreign_site);
    image_track(&f->table, 0, HEAP + 0x801, 9, f->site); // not aligned
    untrack(f, image_track(&f->table, 7, HEAP + 0x900, 9, f->foreign_site));
    f->root->resize[3] = (struct tm_resize){HEAP + 0x500, 77, f->other_site, TM_RESIZE_BUSY, 0};
    f->root->resize[5] = (struct tm_resize){HEAP + 0x400, 66, f->other_site, TM_RESIZE_BUSY, 0};
    f->root->resize[6] = (struct tm_resize){HEAP + 0x600, 88, f->other_site, TM_RESIZE_CLAIMED, 0};
    visit(f);
    assert_undamaged(f);
    assert_int_equal(f->count, 8);
    assert_seen(f, 0, 1, UINT64_C(1) << 50, 50);
    assert_seen(f, 1, HEAP, 100, 30);
    assert_seen(f, 2, HEAP + 0x400, 66, 40);
    assert_seen(f, 3, HEAP + 0x500, 77, 40);
    assert_seen(f, 4, HEAP + 0x801, 9, 30);
    assert_seen(f, 5, HEAP + 0x1000, 100, 30);
    assert_seen(f, 6, HEAP + 0x1000, 5000, 50);
    assert_seen(f, 7, UINT64_MAX, 3, 50);
    assert_true(f->seen[2].resizing && f->seen[3].resizing && !f->seen[4].resizing);
    assert_int_equal(f->seen[6].domain, 7);
}

// The old block, which is there still, or the new one, which is there already.
static void test_a_resize_record_is_void_where_its_block_is_shown(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->site);
    image_track(&f->table, 0, HEAP + 0x801, 9, f->other_site);
    f->root->resize[0] = (struct tm_resize){HEAP, 100, f->site, TM_RESIZE_BUSY, 0};
    f->root->resize[1] = (struct tm_resize){HEAP + 0x801, 9, f->other_site, TM_RESIZE_BUSY, 0};
    visit(f);
    assert_undamaged(f);
    assert_int_equal(f->count, 2);
    assert_true(!f->seen[0].resizing && !f->seen[1].resizing);
}

// What each site counts is compared with its blocks that are found: a slot that leads to another site is noticed.
static void test_blocks_beyond_what_their_site_counts_are_damage(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->site);
    image_block(&f->table, HEAP + 0x100, 100, f->other_site);
    image_block(&f->table, HEAP + 0x200, 100, f->other_site);
    visit(f);
    assert_undamaged(f);
    image_put_block(&f->table, HEAP, 100, f->other_site);
    visit(f);
    assert_corrupt(f, 2, 3); // a block too few of one site, a block too many of the other
    image_put_block(&f->table, HEAP, 101, f->site);
    visit(f);
    assert_corrupt(f, 1, 3);
    image_put_block(&f->table, HEAP, 99, f->site);
    visit(f);
    assert_corrupt(f, 1, 3);
    f->root->owned.traced -= 1; // which is in flight
    visit(f);
    assert_undamaged(f);
    f->root->owned.traced += 1;
    // An earlier stop() may have left blocks of threads without the lock, but never one too few.
    image_put_block(&f->table, HEAP, 100, f->site);
    image_put_block(&f->table, HEAP + 0x300, 100, f->site);
    visit(f);
    assert_corrupt(f, 1, 4);
    site_record(f, f->site)->flags = TM_SITE_SHARED;
    image_rehash(&f->table, f->root);
    visit(f);
    assert_corrupt(f, 1, 4);
    f->root->starts = 2;
    visit(f);
    assert_undamaged(f);
}

// More tracked blocks than are sorted at once, in the worst order.
static void test_many_tracked_blocks(void **state)
{
    struct fixture *f = *state;
    const uint64_t count = 40000;
    struct tm_array *array = &f->root->tracked;
    array->first_shift = 16;
    array->chunk[0] = image_map_anywhere(f->image, (UINT64_C(1) << 16) * sizeof(struct tm_tracked));
    array->count = count + 1;
    struct tm_tracked *records = image_at(f->image, array->chunk[0], (count + 1) * sizeof(*records));
    for (uint64_t i = 1; i <= count; i++) { // 40000 * 7 mod 40001 goes through all numbers, downwards by large steps
        records[i] = (struct tm_tracked){.address = i * 39994 % 40001, .size = i, .domain = 7, .site = f->foreign_site};
        site_record(f, f->foreign_site)->allocations++;
        site_record(f, f->foreign_site)->allocated += i;
        f->root->owned.traced += i;
    }
    image_rehash(&f->table, f->root);
    visit(f); // see() checks the order
    assert_undamaged(f);
    assert_int_equal(f->count, count);
    assert_int_equal(f->seen[(count - 1) % MOST].address, 40000);
}

static void test_an_origin_is_the_same_object_for_all_its_blocks(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 100; i++)
        image_block(&f->table, HEAP + i * 64, 50, i % 3 ? f->site : f->other_site);
    visit(f);
    assert_int_equal(f->count, 100);
    for (size_t i = 2; i < 100; i++)
        assert_ptr_equal(f->origins[i], f->origins[i % 3 ? 1 : 0]);
    assert_ptr_not_equal(f->origins[0], f->origins[1]);
}

static void test_blocks_are_read_in_bulk(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 4000; i++)
        image_block(&f->table, HEAP + i * 64, 50, f->site);
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_int_equal(f->count, 4000);
    assert_true(image_reads(f->image) - before < 60);
}

// ---------------------------------------------------------------------------------------------------------------
// What cannot be read

static void test_a_missing_page_leaves_out_its_blocks_only(void **state)
{
    struct fixture *f = *state;
    // A page of a leaf covers 16 KiB.
    for (uint64_t i = 0; i < 8; i++)
        image_block(&f->table, HEAP + i * 0x2000, 50, f->site);
    uint64_t leaf = image_leaf(&f->table, HEAP);
    image_hide(f->image, leaf + 4096, 4096);
    visit(f);
    assert_int_equal(f->count, 6);
    assert_seen(f, 1, HEAP + 0x2000, 50, 30);
    assert_seen(f, 2, HEAP + 0x8000, 50, 30);
    assert_int_equal(f->traces.damage.unreadable_bytes, 4096);
    assert_int_equal(f->traces.damage.unreadable_records, 1024);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    assert_int_equal(f->traces.damage.first_address, leaf + 4096);
}

// The start is there and its size is not: that is no contradiction.
static void test_a_missing_size(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + 0x4000 - 16, 500, f->site);
    image_block(&f->table, HEAP + 0x8000 - 32, 0x40000000, f->site);
    uint64_t leaf = image_leaf(&f->table, HEAP);
    image_hide(f->image, leaf + 4096, 1);
    image_hide(f->image, leaf + 8192, 1);
    visit(f);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    assert_int_equal(f->traces.damage.unreadable_bytes, 8192);
    assert_int_equal(f->traces.damage.unreadable_records, 2 * 1024 + 1);
    // At a leaf's end, where the size is read separately.
    image_show_all(f->image);
    image_free_block(&f->table, HEAP + 0x8000 - 32, 0x40000000);
    image_block(&f->table, HEAP + MIB - 16, 500, f->site);
    image_hide(f->image, image_leaf(&f->table, HEAP + MIB), 4096);
    visit(f);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    assert_int_equal(f->traces.damage.unreadable_records, 1024 + 1);
}

static void test_missing_leaves_branches_and_directory(void **state)
{
    struct fixture *f = *state;
    const uint64_t far = HEAP + (UINT64_C(1) << 40);
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + MIB, 60, f->site);
    image_block(&f->table, far, 70, f->site);
    image_hide(f->image, image_leaf(&f->table, HEAP), sizeof(tm_leaf));
    visit(f);
    assert_int_equal(f->count, 2);
    assert_seen(f, 0, HEAP + MIB, 60, 30);
    assert_int_equal(f->traces.damage.unreadable_bytes, sizeof(tm_leaf) / TM_LEAF_PARTS);
    image_show_all(f->image);
    uint64_t *branch = image_at(f->image, f->root->directory + (HEAP >> TM_BRANCH_SHIFT) * 8, 8);
    image_hide(f->image, *branch, sizeof(tm_branch));
    visit(f);
    assert_int_equal(f->count, 1);
    assert_seen(f, 0, far, 70, 30);
    assert_int_equal(f->traces.damage.unreadable_records, TM_BRANCH_ENTRIES);
    image_show_all(f->image);
    image_hide(f->image, f->root->directory, sizeof(tm_directory));
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.unreadable_bytes, sizeof(tm_directory));
    f->root->directory = UINT64_MAX - 4095;
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.corrupt_records, 1);
}

static void test_missing_tracked_records(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 10; i++)
        image_track(&f->table, 7, i, 1, f->foreign_site);
    f->root->tracked.count = 1000000; // more than its chunks have
    visit(f);
    assert_int_equal(f->count, 10);
    assert_true(f->traces.damage.corrupt_records > 900000);
}

static void test_a_missing_site(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + 64, 50, f->site);
    image_hide(f->image, image_record_address(&f->table, &f->root->nodes, 1), 4096);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.unreadable_records, 2);
    image_show_all(f->image);
    image_hide(f->image, image_record_address(&f->table, &f->root->sites, 1), 4096);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.unreadable_records, 2);
}

// The tree leads to more missing memory than should ever be tried.
static void test_a_tree_of_nothing_is_given_up(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, 0x100000, 50, f->site);
    uint64_t *branch = image_at(f->image, f->root->directory, 8);
    uint64_t *leaves = image_at(f->image, *branch, sizeof(tm_branch));
    for (uint64_t i = 2; i < TM_BRANCH_ENTRIES; i++)
        leaves[i] = (i << 32) | 0xffff;
    uint64_t *directory = image_at(f->image, f->root->directory, sizeof(tm_directory));
    for (uint64_t i = 1; i < TM_DIRECTORY_ENTRIES; i++)
        directory[i] = i << 36;
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_int_equal(f->count, 1);
    assert_true(image_reads(f->image) - before < 20000);
    assert_true(f->traces.damage.unreadable_records > 100000000);
}

// ---------------------------------------------------------------------------------------------------------------
// What contradicts itself

static void test_a_block_inside_another(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->site);
    image_block(&f->table, HEAP + 96, 20, f->site); // inside by 4 bytes
    image_block(&f->table, HEAP + 0x1000, 4096, f->other_site);
    image_block(&f->table, HEAP + 0x2000, 10, f->site); // begins where the one before ends
    visit(f);
    assert_corrupt(f, 1, 3);
    assert_seen(f, 0, HEAP + 96, 20, 30);
    assert_int_equal(f->traces.damage.first_address, HEAP);
    // One wrong size does not hide everything after it.
    image_put_block(&f->table, HEAP, 1ULL << 40, f->site);
    visit(f);
    assert_corrupt(f, 1, 3);
}

static void test_bad_slots(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + 0x1000, 50, f->site);
    static const struct {
        uint32_t start, low, high;
    } bad[] = {
        {18u << TM_SLOT_SMALL_SHIFT, 0, 0},               // no such small size
        {31u << TM_SLOT_SMALL_SHIFT, 0, 0},               //
        {0, 16, 0},                                       // which would be small
        {0, 0, 0},                                        //
        {0, TM_SIZE_ESCAPE | 5, 0},                       // small, in spite of the second slot
        {0, TM_SIZE_ESCAPE | 5, TM_SIZE_ESCAPE | 1},      // the second slot has the escape bit, too
        {0, TM_SIZE_ESCAPE | TM_SIZE_MASK, TM_SIZE_MASK}, // leaves the map
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        *image_slot(&f->table, HEAP) = TM_SLOT_START | bad[i].start | f->site;
        *image_slot(&f->table, HEAP + 16) = bad[i].low;
        *image_slot(&f->table, HEAP + 32) = bad[i].high;
        visit(f);
        assert_corrupt(f, 1, 1);
        assert_int_equal(f->traces.damage.first_address, HEAP);
    }
    *image_slot(&f->table, HEAP) = TM_SLOT_START | f->site;
    *image_slot(&f->table, HEAP + 16) = TM_SLOT_START | 17u << TM_SLOT_SMALL_SHIFT | f->site;
    visit(f); // a start where the size should be: only the second block is accepted
    assert_corrupt(f, 1, 2);
    // Watched, but without a start: not a block.
    *image_slot(&f->table, HEAP) = TM_SLOT_WATCHED | 77;
    *image_slot(&f->table, HEAP + 16) = TM_SLOT_WATCHED | 78;
    visit(f);
    assert_corrupt(f, 1, 1); // but one is counted
    assert_int_equal(f->traces.damage.first_address, f->root->directory);
    f->root->owned.traced -= 50;
    visit(f);
    assert_corrupt(f, 0, 1);
}

static void test_bad_sites(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_put_block(&f->table, HEAP + 0x100, 50, 0);
    image_put_block(&f->table, HEAP + 0x200, 50, (uint32_t)f->root->sites.count);
    image_put_block(&f->table, HEAP + 0x300, 50, TM_SLOT_SITE_MASK);
    image_put_block(&f->table, HEAP + 0x400, 50, f->foreign_site); // of another domain
    visit(f);
    assert_corrupt(f, 4, 1);
    image_track(&f->table, 3, 1, 1, f->foreign_site);
    struct tm_tracked *tracked = image_record(&f->table, &f->root->tracked, 1);
    visit(f);
    assert_corrupt(f, 5, 1);
    tracked->domain = 7;
    tracked->site = UINT32_MAX;
    image_rehash(&f->table, f->root);
    visit(f);
    assert_corrupt(f, 5, 1);
    f->root->resize[0] = (struct tm_resize){HEAP + 0x500, 50, f->foreign_site, TM_RESIZE_BUSY, 0};
    f->root->resize[1] = (struct tm_resize){HEAP + 0x600, 50, 0x80000000, TM_RESIZE_BUSY, 0};
    visit(f);
    assert_corrupt(f, 7, 1);
}

static void test_a_site_whose_traceback_is_corrupt(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 10; i++)
        image_block(&f->table, HEAP + i * 64, 50, i % 2 ? f->site : f->other_site);
    site_record(f, f->site)->node = 100000;
    image_rehash(&f->table, f->root);
    visit(f);
    assert_corrupt(f, 5, 5);
}

// The same memory may not be two parts of the tree, and nothing is read twice.
static void test_nothing_is_read_twice(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 100; i++)
        image_block(&f->table, HEAP + i * 64, 50, f->site);
    uint64_t *directory = image_at(f->image, f->root->directory, sizeof(tm_directory));
    uint64_t branch = directory[HEAP >> TM_BRANCH_SHIFT];
    uint64_t *leaves = image_at(f->image, branch, sizeof(tm_branch));
    uint64_t leaf = leaves[HEAP >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)];
    for (uint64_t i = 0; i < TM_BRANCH_ENTRIES; i++)
        leaves[i] = leaf | 0xffff;
    for (uint64_t i = 0; i < TM_DIRECTORY_ENTRIES; i++)
        directory[i] = branch;
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_int_equal(f->count, 100);
    assert_int_equal(f->traces.damage.corrupt_records, TM_BRANCH_ENTRIES - 1 + TM_DIRECTORY_ENTRIES - 1);
    assert_true(image_reads(f->image) - before < 60);
}

static void test_leaves_which_overlap(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + MIB, 50, f->site);
    image_block(&f->table, HEAP + 2 * MIB, 50, f->site);
    uint64_t branch = *(uint64_t *)image_at(f->image, f->root->directory + (HEAP >> TM_BRANCH_SHIFT) * 8, 8);
    uint64_t *leaves = image_at(f->image, branch, sizeof(tm_branch));
    const uint64_t first = HEAP >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1);
    leaves[first + 1] = leaves[first] + 0x10000;
    leaves[first + 2] = leaves[first] - 0x30000;
    visit(f);
    assert_corrupt(f, 2, 1);
    leaves[first + 1] = 3 | (leaves[first] & ~TM_LEAF_PARTS_MASK); // itself
    visit(f);
    assert_corrupt(f, 2, 1);
}

// ---------------------------------------------------------------------------------------------------------------
// The user's side

static struct tm_error *refuse(void *context, const struct tm_trace *trace)
{
    struct fixture *f = context;
    (void)trace;
    return ++f->count == 3 ? tm_error_create(TM_ERROR_OUTPUT, "enough") : NULL;
}

static void test_the_visitors_error_is_passed_on(void **state)
{
    struct fixture *f = *state;
    struct tm_source *source;
    for (uint64_t i = 0; i < 10; i++)
        image_block(&f->table, HEAP + i * 64, 50, f->site);
    assert_null(tm_source_open(f->target, &f->host, &source));
    struct tm_error *error = tm_source_traces(source, &f->host, f->pool, refuse, f, &f->traces);
    assert_string_equal(tm_error_message(error), "enough");
    assert_int_equal(f->count, 3);
    tm_error_destroy(error);
}

static void test_it_can_be_stopped_at_every_question(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 5; i++)
        image_block(&f->table, HEAP + i * MIB, 50, f->site);
    image_track(&f->table, 7, 1, 1, f->foreign_site);
    image_hide(f->image, image_leaf(&f->table, HEAP), 4096);
    visit(f);
    uint64_t questions = f->asked;
    assert_true(questions >= 10);
    for (f->stop_after = 1; f->stop_after <= questions; f->stop_after++) {
        struct tm_error *error = try_visit(f);
        assert_non_null(error);
        assert_int_equal(tm_error_code(error), TM_ERROR_INTERRUPTED);
        assert_int_equal(f->asked, f->stop_after);
        tm_error_destroy(error);
    }
}

// Random damage: an answer or an error, in bounded time, and under the sanitizers.
static void test_random_damage(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 88172645463325252u;
    for (uint64_t i = 0; i < 200; i++)
        image_block(&f->table, HEAP + i * 0x1230 / 16 * 16, i * 37 % 300, i % 2 ? f->site : f->other_site);
    for (uint64_t i = 0; i < 50; i++)
        image_track(&f->table, 7, HEAP + i * 100, i, f->foreign_site);
    uint64_t branch = *(uint64_t *)image_at(f->image, f->root->directory + (HEAP >> TM_BRANCH_SHIFT) * 8, 8);
    const struct {
        uint64_t address, length;
    } places[] = {
        {f->root->directory + (HEAP >> TM_BRANCH_SHIFT) * 8, 8},
        {branch + (HEAP >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)) * 8, 8},
        {image_leaf(&f->table, HEAP), 4096},
        {image_record_address(&f->table, &f->root->sites, 1), 3 * sizeof(struct tm_site)},
        {image_record_address(&f->table, &f->root->tracked, 1), 10 * sizeof(struct tm_tracked)},
    };
    for (int round = 0; round < 2000; round++) {
        for (int bends = 0; bends < 3; bends++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            uint64_t which = random % 5, at = random / 5 % places[which].length;
            unsigned char *byte = image_at(f->image, places[which].address + at, 1);
            *byte = (unsigned char)(random >> 40 & 3 ? *byte ^ 1u << (random >> 50 & 7) : random >> 56);
        }
        visit(f);
        assert_true(f->count < 10000);
    }
}

int main(void)
{
#define WALK_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        WALK_TEST(test_empty),
        WALK_TEST(test_sizes),
        WALK_TEST(test_sizes_across_borders),
        WALK_TEST(test_parts),
        WALK_TEST(test_order_over_the_whole_address_space),
        WALK_TEST(test_tracked_and_resizing_blocks_are_in_order),
        WALK_TEST(test_a_resize_record_is_void_where_its_block_is_shown),
        WALK_TEST(test_blocks_beyond_what_their_site_counts_are_damage),
        WALK_TEST(test_many_tracked_blocks),
        WALK_TEST(test_an_origin_is_the_same_object_for_all_its_blocks),
        WALK_TEST(test_blocks_are_read_in_bulk),
        WALK_TEST(test_a_missing_page_leaves_out_its_blocks_only),
        WALK_TEST(test_a_missing_size),
        WALK_TEST(test_missing_leaves_branches_and_directory),
        WALK_TEST(test_missing_tracked_records),
        WALK_TEST(test_a_missing_site),
        WALK_TEST(test_a_tree_of_nothing_is_given_up),
        WALK_TEST(test_a_block_inside_another),
        WALK_TEST(test_bad_slots),
        WALK_TEST(test_bad_sites),
        WALK_TEST(test_a_site_whose_traceback_is_corrupt),
        WALK_TEST(test_nothing_is_read_twice),
        WALK_TEST(test_leaves_which_overlap),
        WALK_TEST(test_the_visitors_error_is_passed_on),
        WALK_TEST(test_it_can_be_stopped_at_every_question),
        WALK_TEST(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
