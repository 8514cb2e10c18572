// The facts of tm-info.

#include "support/table_fixture.h"

static void test_info(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 160, 7, f->second_site);
    image_free_block(&f->table, HEAP + 160, 7);
    uint32_t foreign = image_site(&f->table, f->first_node, 389047, 0);
    image_track(&f->table, 389047, 12345, 1000, foreign);
    f->root->owned.traced += 50; // one side wraps, and the other one undoes it
    f->root->shared.traced = (uint64_t)-50;
    f->root->shared.peak = 5000;
    f->root->flags = TM_ROOT_DEBUG_BUILD | TM_ROOT_REUSE_EXACT | TM_ROOT_REUSE_BY_SLOTS;
    f->root->resize[3].state = TM_RESIZE_BUSY;
    f->root->resize[4].state = TM_RESIZE_CLAIMED;
    f->root->lost_blocks = 3;
    f->root->lost_frames = 4;
    f->root->mapped = 5 * MIB;
    f->root->cleared = 77;
    struct tm_info facts = take_info(f);
    assert_string_equal(facts.source, "tracemortem");
    assert_string_equal(facts.python_version, "3.11.7");
    assert_string_equal(facts.tracer.version, "1.0");
    assert_int_equal(facts.tracer.layout_major, TM_LAYOUT_MAJOR);
    assert_int_equal(facts.tracer.layout_minor, TM_LAYOUT_MINOR);
    assert_int_equal(facts.tracer.pid, 4711);
    assert_int_equal(facts.state, TM_TRACING_ON);
    assert_int_equal(facts.frame_limit, 25);
    assert_int_equal(facts.tracer.started, f->root->started);
    assert_int_equal(facts.tracer.cleared, 77);
    assert_int_equal(facts.traced, 1100);
    assert_int_equal(facts.peak, 5000);
    assert_int_equal(facts.blocks, 2);
    assert_int_equal(facts.tracer.sites, 3);
    assert_int_equal(facts.sites_live, 2);
    assert_int_equal(facts.tracer.allocations, 3);
    assert_int_equal(facts.tracer.allocated, 1107);
    assert_int_equal(facts.domains, 2);
    assert_int_equal(facts.tracer.nodes, 5);
    assert_int_equal(facts.tracer.codes, 5);
    assert_int_equal(facts.tracer.strings, 3);
    assert_int_equal(facts.tracer.table_bytes, f->root->bytes.count + 16 * f->root->strings.count +
                                                   48 * f->root->codes.count + 16 * f->root->nodes.count +
                                                   48 * f->root->sites.count + 32 * f->root->tracked.count);
    assert_int_equal(facts.tracer.leaves, f->root->leaves);
    assert_int_equal(facts.tracer.mapped, 5 * MIB);
    assert_int_equal(facts.tracer.lost_blocks, 3);
    assert_int_equal(facts.tracer.lost_frames, 4);
    assert_int_equal(facts.tracer.resizing, 1);
    assert_true(facts.tracer.debug_build && !facts.free_threaded && facts.tracer.reuse_exact);
    assert_int_equal(facts.tracer.reuse_way, TM_REUSE_BY_SLOTS);
    assert_true(undamaged(&facts.damage));
}

static void test_info_of_an_untraced_table(void **state)
{
    struct fixture *f = *state;
    struct tm_root *root = f->root;
    struct tm_array *arrays[] = {&root->bytes, &root->strings, &root->codes,
                                 &root->nodes, &root->sites,   &root->tracked};
    for (size_t i = 0; i < 6; i++)
        *arrays[i] = (struct tm_array){.record_size = arrays[i]->record_size, .first_shift = 4};
    root->state = TM_STATE_LOADED;
    root->directory = 0;
    struct tm_info facts = take_info(f);
    assert_int_equal(facts.tracer.sites, 0);
    assert_int_equal(facts.tracer.strings, 0);
    assert_true(undamaged(&facts.damage));
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 0);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
    assert_not_found(f, HEAP);
}

static void test_versions_cannot_harm_a_terminal(void **state)
{
    struct fixture *f = *state;
    memset(f->root->python_text, 0x1b, sizeof(f->root->python_text));
    memset(f->root->tracer_text, 0xff, sizeof(f->root->tracer_text));
    struct tm_info facts = take_info(f);
    for (const char *c = facts.python_version; *c; c++)
        assert_int_equal(*c, '?');
    assert_int_equal(strlen(facts.python_version), 63);
    assert_int_equal(strlen(facts.tracer.version), 31);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_info),
        TEST(test_info_of_an_untraced_table),
        TEST(test_versions_cannot_harm_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
