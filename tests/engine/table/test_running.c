// A process that runs while it is read: whatever changes between two reads, no row is wrong.

#include "engine/target/small_core.h"
#include "layout/hash.h"
#include "support/table_fixture.h"

// What the program does after the read with this number.
struct step {
    struct fixture *f;
    uint64_t at;
    void (*change)(struct fixture *f);
    uint64_t reads; // so far
};

static void go_on(void *context, uint64_t number)
{
    struct step *step = context;
    step->reads = number;
    if (number == step->at)
        step->change(step->f);
}

static void store_site(struct fixture *f, uint32_t id, struct tm_site site)
{
    site.hash = tm_site_hash(id, &site);
    *site_record(f, id) = site;
    image_copy_again(&f->table, f->root);
}

// A collection: the first site's record serves another traceback.
static void reuse_site(struct fixture *f)
{
    struct tm_site site = *site_record(f, f->first_site);
    site.node = f->main_node;
    site.total_frames = 1;
    site.generation++;
    f->root->reuses++;
    // The block is freed, and another one is allocated where the site is used again.
    image_free_block(&f->table, HEAP, 100);
    image_put_block(&f->table, HEAP, 33, f->first_site);
    *counters_record(f, f->first_site) = (struct tm_counters){.allocations = 1, .allocated = 33};
    store_site(f, f->first_site, site);
}

static void use_again_for_the_same(struct fixture *f)
{
    struct tm_site site = *site_record(f, f->first_site);
    site.generation++;
    f->root->reuses++;
    store_site(f, f->first_site, site);
}

static bool is_first(const struct tm_traceback *traceback)
{
    return traceback->count == 3 && traceback->newest->line == 30;
}

// Asks for a snapshot with the change after each of the reads in turn.
static void check_snapshots(struct fixture *f, void (*change)(struct fixture *f), bool lean)
{
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    f->root->flags |= lean ? TM_ROOT_LEAN : 0;
    const struct tm_site before = *site_record(f, f->first_site);
    struct step step = {.f = f, .change = change};
    uint64_t reads = 1, size = 100;
    tm_target_set_running(f->target, true);
    tm_target_set_moving(f->target, true);
    for (step.at = 1; step.at <= reads; step.at++) {
        image_free_block(&f->table, HEAP, size);
        image_put_block(&f->table, HEAP, 100, f->first_site);
        *counters_record(f, f->first_site) = (struct tm_counters){.allocations = 1, .allocated = 100};
        store_site(f, f->first_site, before);
        f->root->reuses = 0;
        image_after_reads(f->image, go_on, &step);
        struct tm_snapshot snapshot = take_snapshot(f);
        reads = step.reads;
        size = reads >= step.at ? 33 : 100;
        bool found = false;
        for (size_t i = 0; i < snapshot.count; i++) {
            const struct tm_group *group = &snapshot.groups[i];
            if (group->size == 200)
                continue;
            found = true;
            // Either all of it was read before the change, or all of it afterwards.
            assert_int_equal(group->size, is_first(group->traceback) ? 100 : 33);
        }
        assert_true(found || snapshot.damage.torn_records == 1);
        assert_int_equal(snapshot.damage.corrupt_records, 0);
        tm_snapshot_deinit(&snapshot);
    }
    image_after_reads(f->image, NULL, NULL);
    assert_true(reads > 8);
}

static void test_a_site_that_is_used_again(void **state)
{
    check_snapshots(*state, reuse_site, true);
}

static void test_a_site_that_is_used_again_in_the_full_profile(void **state)
{
    check_snapshots(*state, reuse_site, false);
}

static void test_a_generation_counts(void **state)
{
    struct fixture *f = *state;
    struct step step = {.f = f, .change = use_again_for_the_same};
    image_block(&f->table, HEAP, 100, f->first_site);
    tm_target_set_running(f->target, true);
    tm_target_set_moving(f->target, true);
    bool left_out = false;
    for (step.at = 1; step.at < 20; step.at++) {
        image_after_reads(f->image, go_on, &step);
        struct tm_snapshot snapshot = take_snapshot(f);
        left_out = left_out || snapshot.damage.torn_records;
        tm_snapshot_deinit(&snapshot);
    }
    image_after_reads(f->image, NULL, NULL);
    assert_true(left_out); // where the change came between the two readings of the site
}

static void test_a_process_that_waits_is_read_as_a_stopped_one(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    struct tm_snapshot stopped = take_snapshot(f);
    tm_target_set_running(f->target, true);
    struct tm_snapshot running = take_snapshot(f);
    assert_true(undamaged(&running.damage));
    assert_int_equal(running.count, stopped.count);
    assert_int_equal(running.groups[0].size, stopped.groups[0].size);
    assert_int_equal(running.groups[0].count, stopped.groups[0].count);
    tm_snapshot_deinit(&stopped);
    tm_snapshot_deinit(&running);
    assert_found(f, HEAP + 50, HEAP, 100);
}

static void test_an_address_is_asked_for_until_it_is_the_same(void **state)
{
    struct fixture *f = *state;
    struct step step = {.f = f, .change = reuse_site};
    uint64_t size = 100;
    image_block(&f->table, HEAP, 100, f->first_site);
    const struct tm_site first = *site_record(f, f->first_site);
    tm_target_set_running(f->target, true);
    for (step.at = 1; step.at < 30; step.at++) {
        struct tm_block block;
        struct tm_damage damage;
        image_free_block(&f->table, HEAP, size);
        image_put_block(&f->table, HEAP, 100, f->first_site);
        store_site(f, f->first_site, first);
        image_after_reads(f->image, go_on, &step);
        assert_int_equal(find_blocks(f, HEAP + 20, &block, 1, &damage), 1);
        size = step.reads >= step.at ? 33 : 100;
        assert_int_equal(block.size, is_first(block.traceback) ? 100 : 33);
        image_after_reads(f->image, NULL, NULL);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Small cores

struct written {
    unsigned char *bytes;
    size_t length;
};

static int write_bytes(void *context, const void *bytes, size_t length)
{
    struct written *written = context;
    written->bytes = realloc(written->bytes, written->length + length + 1);
    memcpy(written->bytes + written->length, bytes, length);
    written->length += length;
    return 0;
}

static void change_root(struct fixture *f)
{
    f->root->owned.peak++;
}

static void test_a_copy_is_of_one_moment(void **state)
{
    struct fixture *f = *state;
    struct step step = {.f = f, .change = change_root};
    const struct tm_core_range range = {f->table.address, f->table.address + 8192};
    unsigned refused = 0, made = 0;
    for (step.at = 1; step.at < 8; step.at++) {
        struct written written = {NULL, 0};
        struct tm_small_core core;
        uint64_t size;
        image_after_reads(f->image, go_on, &step);
        assert_null(tm_small_core_init(&core, f->target, NULL, &range, 1));
        struct tm_error *error = tm_small_core_write(&core, 7, 2, "note", 4, write_bytes, &written, &size);
        if (error)
            assert_error(error, TM_ERROR_CORRUPT, "of no one moment");
        else
            assert_int_equal(size, written.length);
        refused += error != NULL;
        made += error == NULL;
        tm_small_core_deinit(&core);
        free(written.bytes);
    }
    image_after_reads(f->image, NULL, NULL);
    assert_true(refused > 0 && made > 0);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_site_that_is_used_again),
        TEST(test_a_site_that_is_used_again_in_the_full_profile),
        TEST(test_a_generation_counts),
        TEST(test_a_process_that_waits_is_read_as_a_stopped_one),
        TEST(test_an_address_is_asked_for_until_it_is_the_same),
        TEST(test_a_copy_is_of_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
