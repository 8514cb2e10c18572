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
#include "layout/hash.h"
#include "support/image.h"

#define HEAP UINT64_C(0x7f7000000000)
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define UNIT (16 * KIB)
#define LEAF (TM_LEAF_UNITS * UNIT)
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

static int make(void **state, bool lean)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    if (lean)
        image_table_make_lean(&f->table);
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

static int setup(void **state)
{
    return make(state, false);
}

static int setup_lean(void **state)
{
    return make(state, true);
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
        (struct seen){trace->address, trace->size, origin->domain, origin->traceback->newest->line, trace->resizing};
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
    image_leaf(&f->table, HEAP);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_undamaged(f);
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sizes[] = {0, 1, 15, 16, 17, 32, 100, 511, 512, 513, MIB, 0x3fffffff, 9, 0x3fffffff};
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

static struct tm_counters *counters_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->counters, id);
}

// Grids of every stride, units with both a grid and a list, and lists with buckets; the count of all blocks by their sites
// says the same as the visit.
static void test_grids_and_lists_are_merged(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t stride = 16; stride <= 512; stride += 16) {
        uint64_t unit = HEAP + stride / 16 * 3 * UNIT;
        image_grid(&f->table, unit, stride, stride / 48 * 16);
        for (uint64_t start = unit + stride / 48 * 16, i = 0; start + stride <= unit + UNIT; start += stride, i++) {
            uint64_t size = i % 5 ? stride : stride / 2; // the halves are free for blocks of the list
            image_block(&f->table, start, size, i % 2 ? f->site : f->other_site);
            bytes += size;
            count++;
            if (i % 5 || stride < 64 || stride % 32)
                continue;
            image_block(&f->table, start + stride / 2, 8, f->site);
            bytes += 8;
            count++;
        }
        image_block(&f->table, unit + UNIT, UNIT + 100, f->other_site); // it reaches into the unit after it
        bytes += UNIT + 100;
        count++;
    }
    visit(f); // see() checks the order
    assert_undamaged(f);
    assert_int_equal(f->count, count);
    uint64_t seen = 0;
    if (count <= MOST) {
        for (size_t i = 0; i < count; i++)
            seen += f->seen[i].size;
        assert_int_equal(seen, bytes);
    }
    assert_int_equal(f->root->owned.traced, bytes);
}

static void test_order_over_the_whole_address_space(void **state)
{
    struct fixture *f = *state;
    static const uint64_t addresses[] = {0x10,
                                         0xfffff0,
                                         0x1000000,
                                         HEAP - 16,
                                         HEAP,
                                         HEAP + UNIT - 16,
                                         HEAP + LEAF - 16,
                                         HEAP + LEAF,
                                         HEAP + 40 * LEAF,
                                         0xfffffffffff0 - 0x100,
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
    struct tm_counters *counters = counters_record(f, tracked->site);
    counters->frees++;
    counters->freed += tracked->size;
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
    f->root->resize[5] = (struct tm_resize){HEAP + 0x400, 66, f->other_site, TM_RESIZE_BUSY, HEAP + 0x9000};
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
    image_grid(&f->table, HEAP, 256, 0);
    for (unsigned i = 0; i < 3; i++) { // from the list into a grid, where a slot can be stored again
        uint64_t *entry = image_entry(&f->table, HEAP + i * 0x100);
        *entry = 0;
        image_put_block(&f->table, HEAP + i * 0x100, 100, i ? f->other_site : f->site);
    }
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
        counters_record(f, f->foreign_site)->allocations++;
        counters_record(f, f->foreign_site)->allocated += i;
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
    for (uint64_t i = 0; i < 16384; i++) {
        if (i % 256 == 0)
            image_grid(&f->table, HEAP + i * 64, 64, 0);
        image_block(&f->table, HEAP + i * 64, 50, f->site);
    }
    for (uint64_t i = 0; i < 500; i++)
        image_block(&f->table, HEAP + 2 * MIB + i * 4096, 1000, f->site);
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_int_equal(f->count, 16884);
    assert_true(image_reads(f->image) - before < 60);
}

// ---------------------------------------------------------------------------------------------------------------
// What cannot be read

static void test_a_missing_page_leaves_out_its_blocks_only(void **state)
{
    struct fixture *f = *state;
    // A page of units covers 4 MiB.
    for (uint64_t i = 0; i < 8; i++)
        image_block(&f->table, HEAP + i * 2 * MIB, 50, f->site);
    uint64_t units = image_unit_address(&f->table, HEAP);
    image_hide(f->image, units + 4096, 4096);
    image_hide(f->image, units + TM_LEAF_UNITS * sizeof(struct tm_unit) + 4096, 4096);
    visit(f);
    assert_int_equal(f->count, 6);
    assert_seen(f, 1, HEAP + 2 * MIB, 50, 30);
    assert_seen(f, 2, HEAP + 8 * MIB, 50, 30);
    assert_int_equal(f->traces.damage.unreadable_bytes, 4096);
    assert_int_equal(f->traces.damage.unreadable_records, 256);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    assert_int_equal(f->traces.damage.first_address, units + 4096);
}

// A grid on two pages: the slots of the one that is there count, if its head is.
static void test_a_missing_page_of_a_grid(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP - UNIT, 512, 0); // so that the next one is not at a page's beginning
    uint64_t array = image_grid(&f->table, HEAP, 16, 0), page = (array + 4095) / 4096 * 4096;
    uint64_t before = (page - array - TM_GRID_HEAD) / 4;
    assert_in_range(before, 1, 1023);
    for (uint64_t i = 0; i < 1024; i++)
        image_block(&f->table, HEAP + i * 16, 16, f->site);
    image_hide(f->image, page, 4096);
    visit(f);
    assert_int_equal(f->count, before);
    assert_int_equal(f->traces.damage.unreadable_records, 1024 - before);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    image_show_all(f->image);
    image_hide(f->image, page - 4096, 4096);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
    image_show_all(f->image);
    *(uint64_t *)image_at(f->image, array, 8) ^= 1; // the head of another unit
    visit(f);
    assert_corrupt(f, 1, 0);
}

static void test_a_missing_chunk_of_a_list(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 10; i++)
        image_block(&f->table, HEAP + i * 256, 50, f->site);
    struct tm_list_chunk *first = image_at(
        f->image, image_unit(&f->table, HEAP)->list >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, sizeof(*first));
    uint64_t far = image_map_anywhere(f->image, 4096);
    struct tm_list_chunk *second = image_at(f->image, far, sizeof(*second));
    *second =
        *(struct tm_list_chunk *)image_at(f->image, first->next >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, 64);
    first->next = image_list_word(&f->table, HEAP, far, false);
    image_hide(f->image, far, 4096);
    visit(f);
    assert_int_equal(f->count, 7);
    assert_int_equal(f->traces.damage.unreadable_records, 8);
    assert_int_equal(f->traces.damage.corrupt_records, 0);
}

static void test_missing_units_and_leaves(void **state)
{
    struct fixture *f = *state;
    const uint64_t far = HEAP + (UINT64_C(1) << 40);
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + LEAF, 60, f->site);
    image_block(&f->table, far, 70, f->site);
    image_hide(f->image, image_unit_address(&f->table, HEAP), 2 * TM_LEAF_UNITS * sizeof(struct tm_unit));
    visit(f);
    assert_int_equal(f->count, 2);
    assert_seen(f, 0, HEAP + LEAF, 60, 30);
    assert_int_equal(f->traces.damage.unreadable_bytes, TM_LEAF_UNITS * sizeof(struct tm_unit));
    assert_int_equal(f->traces.damage.unreadable_records, TM_LEAF_UNITS);
    image_show_all(f->image);
    image_hide(f->image, image_record_address(&f->table, &f->root->leaves, 0), 4096);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.unreadable_records, 3);
    image_show_all(f->image);
    image_copy(&f->table, &f->root->leaves, 0);
    image_hide(f->image, image_record_address(&f->table, &f->root->leaves, 0), 4096);
    visit(f);
    assert_int_equal(f->count, 3);
    assert_undamaged(f);
}

// Whatever happens to the units, or to their copies, the others have all blocks.
static void test_units_are_there_twice(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + UNIT + 1024, 1000, f->site);
    const uint64_t address = image_unit_address(&f->table, HEAP), size = 2 * sizeof(struct tm_unit),
                   distance = TM_LEAF_UNITS * sizeof(struct tm_unit);
    struct tm_unit *units = image_at(f->image, address, size), *copies = image_at(f->image, address + distance, size);
    memcpy(copies, units, size);
    const struct tm_unit good[2] = {units[0], units[1]};
    for (unsigned i = 0; i < 8; i++) {
        struct tm_unit *bent = i % 2 ? copies : units;
        image_show_all(f->image);
        memcpy(units, good, size);
        memcpy(copies, good, size);
        if (i / 2 == 0)
            image_hide(f->image, i % 2 ? address + distance : address, size);
        else if (i / 2 == 1)
            memset(bent, 0, size);
        else if (i / 2 == 2)
            bent[0].grid ^= 2, bent[1].list ^= UINT64_C(1) << 50;
        else
            bent[0].grid = bent[1].list = UINT64_MAX;
        visit(f);
        assert_int_equal(f->count, 2);
        assert_seen(f, 0, HEAP, 50, 30);
        assert_undamaged(f);
    }
}

// In the lean profile only the root says that something has vanished.
static void test_blocks_that_vanish_are_missed(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + LEAF, 60, f->site);
    visit(f);
    assert_undamaged(f);
    image_unit(&f->table, HEAP)->list = 0; // a page of zeros
    visit(f);
    assert_corrupt(f, 1, 1);
    f->root->owned.traced -= 50; // as if it had been freed
    visit(f);
    assert_undamaged(f);
    f->root->owned.traced -= 60; // it was about to be
    visit(f);
    assert_undamaged(f);
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
    image_copy(&f->table, &f->root->nodes, 0);
    image_copy(&f->table, &f->root->sites, 0);
    image_hide(f->image, image_record_address(&f->table, &f->root->nodes, 1), 4096);
    image_hide(f->image, image_record_address(&f->table, &f->root->sites, 1), 4096);
    visit(f);
    assert_int_equal(f->count, 2);
    assert_undamaged(f);
    f->root->sites.copy[0] = 0;
    image_show_all(f->image);
    image_hide(f->image, image_record_address(&f->table, &f->root->sites, 1), 4096);
    visit(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->traces.damage.unreadable_records, 2);
}

// The map leads to more missing memory than should ever be tried.
static void test_a_map_of_nothing_is_given_up(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, 0x100000, 50, f->site);
    for (uint64_t unit = 100; unit < TM_LEAF_UNITS; unit++) {
        struct tm_unit *words = image_unit(&f->table, unit * UNIT);
        words->grid = image_grid_word(&f->table, unit * UNIT, UINT64_C(0x100000000) + unit * 0x100000, 16, 0);
        words->list = image_list_word(&f->table, unit * UNIT, UINT64_C(0x200000000000) + unit * 0x100000, unit % 2);
    }
    for (uint64_t i = 1; i < 2000; i++) {
        struct tm_leaf *leaf = image_record(&f->table, &f->root->leaves, image_leaf(&f->table, i * LEAF));
        leaf->units = (i << 32) + 0x10000000;
    }
    image_rehash(&f->table, f->root);
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_true(f->count <= 1);
    assert_true(image_reads(f->image) - before < 20000);
    assert_true(f->traces.damage.unreadable_records > 10000000);
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
    *image_entry(&f->table, HEAP) |= TM_ENTRY_SIZE_MASK << TM_ENTRY_SIZE_SHIFT;
    visit(f);
    assert_corrupt(f, 1, 3);
    // Between a grid and a list, and between two units.
    *image_entry(&f->table, HEAP) = 0;
    image_grid(&f->table, HEAP, 256, 0);
    image_put_block(&f->table, HEAP, 200, f->site);
    visit(f);
    assert_corrupt(f, 1, 3);
    image_put_block(&f->table, HEAP - 16, 17, f->site);
    image_block(&f->table, HEAP - 48, 32, f->site);
    visit(f);
    assert_corrupt(f, 2, 4);
}

static void test_bad_slots_and_entries(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + 0x1000, 50, f->site);
    *image_slot(&f->table, HEAP) |= 65u << TM_SLOT_SIZE_SHIFT; // 115 bytes
    visit(f);
    assert_corrupt(f, 1, 1);
    assert_int_equal(f->traces.damage.first_address, HEAP);
    *image_slot(&f->table, HEAP) = 0;
    visit(f);
    assert_corrupt(f, 1, 1); // but one is counted
    assert_int_equal(f->traces.damage.first_address, IMAGE_ROOT);
    f->root->owned.traced -= 50;
    visit(f);
    assert_corrupt(f, 0, 1);
    // An entry in the bucket for another part of the unit.
    for (uint64_t i = 0; i < 30; i++)
        image_put_block(&f->table, HEAP + UNIT + i * 256, 5, f->site);
    *image_entry(&f->table, HEAP + UNIT + 29 * 256) ^= UINT64_C(1) << (TM_ENTRY_START_SHIFT + 9);
    visit(f);
    assert_corrupt(f, 1, 30);
}

static void test_bad_words(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 64, 0);
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + 0x1000, 500, f->site);
    image_block(&f->table, HEAP + UNIT, 500, f->site);
    struct tm_unit *unit = image_unit(&f->table, HEAP), good = *unit;
    const struct {
        uint64_t grid, list;
        size_t seen;
    } bent[] = {
        {good.grid ^ 2, good.list, 2},
        {good.grid, good.list ^ UINT64_C(1) << 30, 2},
        {good.grid & ~UINT64_C(0x3f), good.list, 2}, // a stride of 0
        {image_grid_word(&f->table, HEAP, 0, 64, 0), good.list, 2},
        {image_grid_word(&f->table, HEAP, 0x1000, 64, 64), good.list, 2}, // a phase as large as the stride
        {image_grid_word(&f->table, HEAP, 0x1000, 528, 0), good.list, 2},
    };
    for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
        *unit = (struct tm_unit){bent[i].grid, bent[i].list};
        visit(f);
        assert_corrupt(f, 1, bent[i].seen);
        assert_int_equal(f->traces.damage.first_address, HEAP);
    }
}

static void test_bad_sites(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_put_block(&f->table, HEAP + 0x100, 50, 0);
    image_put_block(&f->table, HEAP + 0x200, 50, (uint32_t)f->root->sites.count + 1);
    image_put_block(&f->table, HEAP + 0x300, 50, TM_SLOT_SITE_MASK);
    uint32_t dead = image_site(&f->table, site_record(f, f->site)->node, 0, 0);
    image_put_block(&f->table, HEAP + 0x400, 50, f->foreign_site); // of another domain
    visit(f);
    assert_corrupt(f, 4, 1);
    image_put_block(&f->table, HEAP + 0x480, 50, dead); // whose record is free
    site_record(f, dead)->node = 0;
    visit(f);
    assert_corrupt(f, 5, 1);
    *image_entry(&f->table, HEAP + 0x480) = 0;
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

// The same memory may not be two parts of the map, and nothing is used twice.
static void test_nothing_is_used_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t array = image_grid(&f->table, HEAP, 64, 0);
    for (uint64_t i = 0; i < 100; i++)
        image_block(&f->table, HEAP + i * 64, 50, f->site);
    image_block(&f->table, HEAP + 8192, 50, f->site);
    image_block(&f->table, HEAP + UNIT, 50, f->site);
    uint64_t chunk = image_unit(&f->table, HEAP + UNIT)->list >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK;
    for (uint64_t i = 2; i < TM_LEAF_UNITS; i++) {
        struct tm_unit *unit = image_unit(&f->table, HEAP + i * UNIT);
        unit->grid = image_grid_word(&f->table, HEAP + i * UNIT, array + i % 10 * 64, 64, 0);
        unit->list = image_list_word(&f->table, HEAP + i * UNIT, chunk, false);
    }
    uint64_t before = image_reads(f->image);
    visit(f);
    assert_int_equal(f->traces.damage.corrupt_records, 2 * (TM_LEAF_UNITS - 2));
    assert_int_equal(f->count, 102);
    assert_true(image_reads(f->image) - before < 60);
}

static void test_a_list_that_is_a_loop(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    uint64_t word = image_unit(&f->table, HEAP)->list;
    struct tm_list_chunk *chunk = image_at(f->image, word >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, 64);
    chunk->next = word;
    visit(f);
    assert_corrupt(f, 1, 1);
    // Five chunks, where there can be four; buckets in a bucket.
    chunk->next = 0;
    for (uint64_t i = 1; i < 28; i++)
        image_put_block(&f->table, HEAP + i * 64, 50, f->site);
    for (unsigned i = 0; i < 3; i++)
        chunk = image_at(f->image, chunk->next >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, 64);
    assert_int_equal(chunk->next, 0);
    chunk->next = image_list_word(&f->table, HEAP, image_map_anywhere(f->image, 64), false);
    visit(f);
    assert_corrupt(f, 1, 28);
    uint64_t buckets = image_map_anywhere(f->image, 4096);
    uint64_t *words = image_at(f->image, buckets, 512);
    chunk->next = image_list_word(&f->table, HEAP, buckets, true);
    words[3] = image_list_word(&f->table, HEAP, image_map_anywhere(f->image, 512), true);
    visit(f);
    assert_corrupt(f, 1, 28);
}

static void test_leaves_which_overlap(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 50, f->site);
    image_block(&f->table, HEAP + LEAF, 50, f->site);
    image_block(&f->table, HEAP + 2 * LEAF, 50, f->site);
    struct tm_leaf *leaves[4];
    for (unsigned i = 0; i < 3; i++)
        leaves[i] = image_record(&f->table, &f->root->leaves, image_leaf(&f->table, HEAP + i * LEAF));
    uint64_t units = leaves[1]->units;
    leaves[1]->units = leaves[0]->units + 4096;
    image_rehash(&f->table, f->root);
    visit(f);
    assert_corrupt(f, 1, 2);
    leaves[1]->units = units;
    leaves[1]->start = leaves[0]->start; // two of the same range: one of them is used
    image_rehash(&f->table, f->root);
    visit(f);
    assert_int_equal(f->traces.damage.corrupt_records, f->count == 2 ? 1 : 2); // the words of the other are its own
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
        image_block(&f->table, HEAP + i * LEAF, 50, f->site);
    image_track(&f->table, 7, 1, 1, f->foreign_site);
    image_hide(f->image, image_unit_address(&f->table, HEAP), 4096);
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
    uint64_t array = image_grid(&f->table, HEAP, 128, 32);
    for (uint64_t i = 0; i < 100; i++)
        image_block(&f->table, HEAP + 32 + i * 128, i % 129, f->site);
    for (uint64_t i = 0; i < 200; i++)
        image_block(&f->table, HEAP + UNIT + i * 0x130, i * 37 % 300, i % 2 ? f->site : f->other_site);
    for (uint64_t i = 0; i < 50; i++)
        image_track(&f->table, 7, HEAP + i * 100, i, f->foreign_site);
    const struct {
        uint64_t address, length;
    } places[] = {
        {image_record_address(&f->table, &f->root->leaves, 1), sizeof(struct tm_leaf)},
        {image_unit_address(&f->table, HEAP), 64},
        {array, 8192}, // and the chunks after it
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
#define LEAN_TEST(function) cmocka_unit_test_setup_teardown(function, setup_lean, teardown)
    const struct CMUnitTest tests[] = {
        WALK_TEST(test_empty),
        WALK_TEST(test_sizes),
        WALK_TEST(test_grids_and_lists_are_merged),
        WALK_TEST(test_order_over_the_whole_address_space),
        WALK_TEST(test_tracked_and_resizing_blocks_are_in_order),
        WALK_TEST(test_a_resize_record_is_void_where_its_block_is_shown),
        WALK_TEST(test_blocks_beyond_what_their_site_counts_are_damage),
        WALK_TEST(test_many_tracked_blocks),
        WALK_TEST(test_an_origin_is_the_same_object_for_all_its_blocks),
        WALK_TEST(test_blocks_are_read_in_bulk),
        WALK_TEST(test_a_missing_page_leaves_out_its_blocks_only),
        WALK_TEST(test_a_missing_page_of_a_grid),
        WALK_TEST(test_a_missing_chunk_of_a_list),
        WALK_TEST(test_units_are_there_twice),
        WALK_TEST(test_missing_units_and_leaves),
        LEAN_TEST(test_blocks_that_vanish_are_missed),
        WALK_TEST(test_missing_tracked_records),
        WALK_TEST(test_a_missing_site),
        WALK_TEST(test_a_map_of_nothing_is_given_up),
        WALK_TEST(test_a_block_inside_another),
        WALK_TEST(test_bad_slots_and_entries),
        WALK_TEST(test_bad_words),
        WALK_TEST(test_bad_sites),
        WALK_TEST(test_a_site_whose_traceback_is_corrupt),
        WALK_TEST(test_nothing_is_used_twice),
        WALK_TEST(test_a_list_that_is_a_loop),
        WALK_TEST(test_leaves_which_overlap),
        WALK_TEST(test_the_visitors_error_is_passed_on),
        WALK_TEST(test_it_can_be_stopped_at_every_question),
        WALK_TEST(test_random_damage),
        LEAN_TEST(test_grids_and_lists_are_merged),
        LEAN_TEST(test_a_site_whose_traceback_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
