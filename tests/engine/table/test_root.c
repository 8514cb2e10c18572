// Finding the table: the right one is found, and what is wrong gives an error, never a wrong table.

#include "engine/table/table.h"
#include "support/table_fixture.h"

static void assert_found_by(struct fixture *f, const char *found_by)
{
    struct tm_info facts = take_info(f);
    assert_string_equal(facts.found_by, found_by);
    assert_int_equal(facts.table_address, IMAGE_ROOT);
}

static void test_found_by_symbol(void **state)
{
    struct fixture *f = *state;
    root_variable(f, IMAGE_ROOT);
    image_tell_regions(f->image, false);
    assert_found_by(f, "symbol");
    assert_int_equal(f->progress, 2); // sites and counters were read; nothing was searched
}

static void test_found_by_search(void **state)
{
    assert_found_by(*state, "search");
}

static void found_by_name(const char *name)
{
    struct image *image = image_create();
    struct image_table table;
    // The kernel may have merged the tracer's mappings into one region, in which the root is not the first candidate.
    image_map(image, IMAGE_ROOT - 2 * MIB, 2 * MIB, name, TM_REGION_READABLE | TM_REGION_WRITABLE);
    image_map(image, IMAGE_ROOT + 8192, MIB, name, TM_REGION_READABLE);
    image_table_create(&table, image, IMAGE_ROOT);
    struct tm_source *source = NULL;
    struct tm_info facts;
    struct tm_target *target = image_target(image);
    assert_null(tm_source_open(target, NULL, &source));
    assert_null(tm_source_info(source, NULL, &facts));
    assert_string_equal(facts.found_by, "search"); // the region that contains it has no name here
    image_destroy(image);

    image = image_create();
    image_table_create(&table, image, IMAGE_ROOT);
    struct tm_root copy = *table.root;
    image_destroy(image);
    image = image_create();
    memcpy((char *)image_map(image, IMAGE_ROOT - 2 * MIB, 3 * MIB, name, 0) + 2 * MIB, &copy, sizeof(copy));
    target = image_target(image);
    assert_null(tm_source_open(target, NULL, &source));
    assert_null(tm_source_info(source, NULL, &facts));
    assert_string_equal(facts.found_by, "mapping name");
    image_destroy(image);
}

static void test_found_by_name(void **state)
{
    (void)state;
    found_by_name("[anon:tracemortem]");
    found_by_name("tracemortem");
}

// A file that is mapped writable may be a recorder's.
static void test_not_found_in_unwritable_regions(void **state)
{
    (void)state;
    const uint32_t flags[] = {TM_REGION_READABLE, TM_REGION_READABLE | TM_REGION_FILE,
                              TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_FILE,
                              TM_REGION_READABLE | TM_REGION_WRITABLE};
    for (size_t i = 0; i < 4; i++) {
        struct image *image = image_create(), *other = image_create();
        struct image_table table;
        image_table_create(&table, other, IMAGE_ROOT);
        memcpy(image_map(image, IMAGE_ROOT, sizeof(struct tm_root), "/tmp/tracemortem", flags[i]), table.root,
               sizeof(struct tm_root));
        struct tm_source *source = NULL;
        struct tm_error *error = tm_source_open(image_target(image), NULL, &source);
        assert_int_equal(error != NULL, i < 2);
        tm_error_destroy(error);
        image_destroy(image);
        image_destroy(other);
    }
}

static void test_wrong_symbol_then_search(void **state)
{
    struct fixture *f = *state;
    const uint64_t wrong[] = {0, 1, MIB, IMAGE_ROOT + 16, UINT64_MAX, UINT64_C(0xfffffffffff00000)};
    uint64_t variable = root_variable(f, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        *(uint64_t *)image_at(f->image, variable, 8) = wrong[i];
        assert_found_by(f, "search");
    }
    image_hide(f->image, variable, 8); // the symbol's own address is wrong
    assert_found_by(f, "search");
}

static void test_decoy_is_refused(void **state)
{
    struct fixture *f = *state;
    // A copy of the root is before it, and the symbol leads there.
    void *decoy = image_map(f->image, IMAGE_ROOT - MIB, sizeof(struct tm_root), "[anon:tracemortem]",
                            TM_REGION_READABLE | TM_REGION_WRITABLE);
    memcpy(decoy, f->root, sizeof(struct tm_root));
    root_variable(f, IMAGE_ROOT - MIB);
    assert_found_by(f, "search");
    f->root->magic[0] ^= 1;
    assert_open_fails(f, TM_ERROR_NO_TABLE, "no trace table");
}

// A second root that knows its own address: an old core of the program, mapped where it came from, has one.
static struct tm_root *second_root(struct fixture *f, uint64_t address, uint32_t pid)
{
    struct tm_root *root =
        image_map(f->image, address, sizeof(struct tm_root), "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    *root = *f->root;
    root->self = address;
    root->pid = pid;
    return root;
}

static void test_of_two_tables_the_process_owns_one(void **state)
{
    struct fixture *f = *state;
    f->root->pid = 100;
    second_root(f, IMAGE_ROOT - MIB, 99); // found first
    second_root(f, IMAGE_ROOT + MIB, 101);
    image_set_process(f->image, 100);
    assert_found_by(f, "search");
    image_set_process(f->image, 0);
    assert_open_fails(f, TM_ERROR_CORRUPT, "there are 3 trace tables");
    image_set_process(f->image, 55);
    assert_open_fails(f, TM_ERROR_CORRUPT, "at 0x7f5500200000, of process 99");
    assert_open_fails(f, TM_ERROR_CORRUPT, "at 0x7f5500300000, of process 100");
    root_variable(f, IMAGE_ROOT);
    assert_found_by(f, "symbol");
}

static void test_two_tables_of_one_process_cannot_be_told_apart(void **state)
{
    struct fixture *f = *state;
    struct tm_root *other = second_root(f, IMAGE_ROOT - MIB, f->root->pid);
    image_set_process(f->image, f->root->pid);
    assert_open_fails(f, TM_ERROR_CORRUPT, TM_ROOT_SYMBOL);
    other->self = 0;
    assert_found_by(f, "search");
}

static void test_among_many_tables_none_is_chosen(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 1; i <= 6; i++)
        second_root(f, IMAGE_ROOT + i * MIB, f->root->pid + i);
    image_set_process(f->image, f->root->pid);
    assert_open_fails(f, TM_ERROR_CORRUPT, "there are 7 trace tables");
}

static void test_root_must_be_aligned(void **state)
{
    struct fixture *f = *state;
    struct tm_root *root = image_map(f->image, IMAGE_ROOT + 2 * MIB + 4096, sizeof(struct tm_root), "",
                                     TM_REGION_READABLE | TM_REGION_WRITABLE);
    *root = *f->root;
    root->self = IMAGE_ROOT + 2 * MIB + 4096;
    f->root->magic[3] ^= 1;
    root_variable(f, root->self);
    assert_open_fails(f, TM_ERROR_NO_TABLE, "no trace table");
}

static void test_newer_major_is_unsupported(void **state)
{
    struct fixture *f = *state;
    f->root->layout_major = TM_LAYOUT_MAJOR + 1;
    f->root->layout_minor = 3;
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "layout version 4.3; this tracemortem reads 3.x");
    // The version is reported even where the symbol leads to nothing.
    root_variable(f, MIB);
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "layout version 4.3");
}

static void test_newer_minor_with_larger_records_is_read(void **state)
{
    struct fixture *f = *state;
    // The sites again, larger, as a later minor version might have them.
    const uint32_t size = sizeof(struct tm_site) + 24;
    struct tm_array grown = {.count = f->root->sites.count, .record_size = size, .first_shift = 4};
    grown.chunk[0] = image_map_anywhere(f->image, 16 * size);
    image_block(&f->table, HEAP, 100, f->first_site);
    for (uint64_t id = 1; id < grown.count; id++) {
        memset(image_record(&f->table, &grown, id), 0xee, size);
        memcpy(image_record(&f->table, &grown, id), site_record(f, (uint32_t)id), sizeof(struct tm_site));
    }
    f->root->sites = grown;
    f->root->layout_minor = 9;
    f->root->root_size += 64;
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.groups[0].size, 100);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
    assert_found(f, HEAP + 99, HEAP, 100);
}

static void test_other_byte_order_is_unsupported(void **state)
{
    struct fixture *f = *state;
    f->root->byte_order = __builtin_bswap32(TM_BYTE_ORDER);
    f->root->self = __builtin_bswap64(IMAGE_ROOT);
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "big-endian");
    f->root->self = IMAGE_ROOT; // then it is a decoy
    assert_open_fails(f, TM_ERROR_NO_TABLE, "no trace table");
}

static void test_other_pointer_size_is_unsupported(void **state)
{
    struct fixture *f = *state;
    f->root->pointer_size = 4;
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "64-bit");
}

static void test_damaged_root_is_corrupt(void **state)
{
    struct fixture *f = *state;
    const struct tm_root good = *f->root;
#define BENT(statement, part)                           \
    do {                                                \
        statement;                                      \
        assert_open_fails(f, TM_ERROR_CORRUPT, (part)); \
        *f->root = good;                                \
    } while (0)
    BENT(f->root->byte_order = 7, "byte order");
    BENT(f->root->root_size = sizeof(struct tm_root) - 1, "root size");
    BENT(f->root->root_size = UINT32_MAX, "root size");
    BENT(f->root->address_bits = 57, "impossible map");
    BENT(f->root->unit_shift = 11, "impossible map");
    BENT(f->root->unit_shift = 15, "impossible map");
    BENT(f->root->counters.record_size = 31, "record size");
    BENT(f->root->own.first_shift = 33, "first chunk");
    BENT(f->root->state = 4, "state");
    BENT(f->root->frame_limit = 65536, "frame limit");
    BENT(f->root->nodes.record_size = 15, "record size");
    BENT(f->root->nodes.record_size = UINT32_MAX, "record size");
    BENT(f->root->bytes.record_size = 2, "record size");
    BENT(f->root->bytes.record_size = 0, "record size");
    BENT(f->root->sites.first_shift = 33, "first chunk");
    BENT(f->root->sites.first_shift = UINT32_MAX, "first chunk");
#undef BENT
    open_source(f);
}

static void test_overlapping_arrays_are_corrupt(void **state)
{
    struct fixture *f = *state;
    const struct tm_root good = *f->root;
    f->root->codes.chunk[0] = f->root->nodes.chunk[0] + 16;
    assert_open_fails(f, TM_ERROR_CORRUPT, "overlap");
    *f->root = good;
    f->root->nodes.count = 40; // into its second chunk
    f->root->nodes.chunk[1] = f->root->nodes.chunk[0];
    assert_open_fails(f, TM_ERROR_CORRUPT, "overlap");
}

static void test_no_python(void **state)
{
    struct fixture *f = *state;
    f->root->magic[0] = 0;
    assert_open_fails(f, TM_ERROR_NO_TABLE, "not a Python process");
    assert_open_fails(f, TM_ERROR_NO_TABLE, "python3 -m tracemortem");
    image_tell_regions(f->image, false);
    assert_open_fails(f, TM_ERROR_NO_TABLE, "memory could not be searched");
}

static void test_python_without_tracer(void **state)
{
    struct fixture *f = *state;
    f->root->magic[0] = 0;
    image_set_symbol(f->image, "_Py_tracemalloc_config", image_map_anywhere(f->image, 4096));
    assert_open_fails(f, TM_ERROR_NOT_TRACING, "it runs without tracemortem's tracer");
    assert_open_fails(f, TM_ERROR_NOT_TRACING, "LD_PRELOAD");
}

static void test_tracer_without_table(void **state)
{
    struct fixture *f = *state;
    f->root->magic[0] = 0;
    root_variable(f, 0);
    assert_open_fails(f, TM_ERROR_NOT_TRACING, "no Python that it can reach");
    image_set_symbol(f->image, "_PyRuntime", image_map_anywhere(f->image, 4096));
    assert_open_fails(f, TM_ERROR_NOT_TRACING, "refused this Python");
}

static void test_table_missing_from_core(void **state)
{
    struct fixture *f = *state;
    root_variable(f, IMAGE_ROOT);
    image_hide(f->image, IMAGE_ROOT, 4096);
    assert_open_fails(f, TM_ERROR_FAULT, "0x7f5500300000");
}

static void test_memory_which_the_core_left_out_may_have_held_the_table(void **state)
{
    struct fixture *f = *state;
    const uint32_t usual = TM_REGION_READABLE | TM_REGION_WRITABLE;
    f->root->magic[0] = 0;
    // Neither of these could hold a table.
    image_map(f->image, IMAGE_ROOT + 4 * MIB, 4096, "", TM_REGION_READABLE | TM_REGION_ABSENT);
    image_map(f->image, IMAGE_ROOT + 5 * MIB, 4096, "", usual | TM_REGION_ABSENT | TM_REGION_FILE);
    assert_open_fails(f, TM_ERROR_NO_TABLE, "without tracemortem's tracer");
    image_map(f->image, IMAGE_ROOT + 6 * MIB, 8192, "", usual | TM_REGION_ABSENT);
    image_map(f->image, IMAGE_ROOT + 7 * MIB, 4096, "", usual | TM_REGION_ABSENT);
    assert_open_fails(f, TM_ERROR_INCOMPLETE, "12288 bytes of the process's memory are missing");
    root_variable(f, 0); // a symbol of another build says that tracing was never started
    assert_open_fails(f, TM_ERROR_INCOMPLETE, "12288 bytes");
    image_set_why_missing(f->image, "it rained");
    assert_open_fails(f, TM_ERROR_INCOMPLETE, "it rained");
}

static void test_a_core_without_anonymous_memory(void **state)
{
    (void)state;
    struct image *image = image_create();
    struct tm_target *target = image_target(image);
    struct tm_source *source = NULL;
    image_map(image, IMAGE_ROOT, 4096, "", TM_REGION_READABLE);
    assert_error(tm_source_open(target, NULL, &source), TM_ERROR_INCOMPLETE,
                 "the memory that would contain it is missing");
    image_map(image, IMAGE_ROOT + MIB, 4096, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    assert_error(tm_source_open(target, NULL, &source), TM_ERROR_NO_TABLE, "coredump_filter");
    image_set_symbol(image, TM_ROOT_SYMBOL, IMAGE_ROOT + 2 * MIB); // its page is missing
    assert_error(tm_source_open(target, NULL, &source), TM_ERROR_INCOMPLETE, "but the tracer is loaded");
    image_destroy(image);
}

static void test_what_the_core_left_out_is_not_searched(void **state)
{
    struct fixture *f = *state;
    second_root(f, IMAGE_ROOT + MIB, 99);
    image_map(f->image, IMAGE_ROOT + 2 * MIB, 8192, "", TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_ABSENT);
    struct tm_root *absent = image_at(f->image, IMAGE_ROOT + 2 * MIB, sizeof(*absent));
    *absent = *f->root;
    absent->self = IMAGE_ROOT + 2 * MIB;
    assert_open_fails(f, TM_ERROR_CORRUPT, "there are 2 trace tables");
}

static void test_damage_says_why_memory_is_missing(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_hide(f->image, image_record_address(&f->table, &f->root->nodes, f->first_node), 16);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_null(snapshot.damage.why);
    tm_snapshot_deinit(&snapshot);
    image_set_why_missing(f->image, "the disk was full");
    snapshot = take_snapshot(f);
    assert_int_not_equal(snapshot.damage.unreadable_records, 0);
    assert_string_equal(snapshot.damage.why, "the disk was full");
    tm_snapshot_deinit(&snapshot);
    image_show_all(f->image);
    snapshot = take_snapshot(f);
    assert_null(snapshot.damage.why);
    tm_snapshot_deinit(&snapshot);
}

static void test_named_mapping_missing_from_core(void **state)
{
    struct fixture *f = *state;
    f->root->magic[0] = 0;
    image_map(f->image, IMAGE_ROOT + 7 * MIB, 4096, "[anon:tracemortem]", TM_REGION_READABLE | TM_REGION_WRITABLE);
    image_hide(f->image, IMAGE_ROOT + 7 * MIB, 4096);
    assert_open_fails(f, TM_ERROR_FAULT, "0x7f5500a00000");
}

static void test_another_version_is_reported_before_damage(void **state)
{
    struct fixture *f = *state;
    for (int64_t side = -1; side <= 1; side += 2) { // before and after the damaged one
        uint64_t address = IMAGE_ROOT + (uint64_t)(side * (int64_t)MIB);
        struct tm_root *other =
            image_map(f->image, address, sizeof(struct tm_root), "", TM_REGION_READABLE | TM_REGION_WRITABLE);
        f->root->state = TM_STATE_TRACING;
        *other = *f->root;
        other->self = address;
        other->layout_major = 2;
        f->root->state = 99;
        assert_open_fails(f, TM_ERROR_UNSUPPORTED,
                          "layout version 2.0, which tracemortem 0.1 wrote; this tracemortem reads 3.x");
        other->magic[0] = 0;
        assert_open_fails(f, TM_ERROR_CORRUPT, "state");
    }
}

static void test_tracing_off(void **state)
{
    struct fixture *f = *state;
    assert_null(tm_source_require_tracing(open_source(f)));
    f->root->state = TM_STATE_LOADED;
    tm_target_changed(f->target);
    assert_error(tm_source_require_tracing(open_source(f)), TM_ERROR_NOT_TRACING, "never started");
    f->root->state = TM_STATE_STOPPED;
    tm_target_changed(f->target);
    assert_error(tm_source_require_tracing(open_source(f)), TM_ERROR_NOT_TRACING, "stopped");
}

static void test_search_is_cheap_and_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    // What is searched before the table: 512 MiB that are not even there.
    f->root->magic[0] = 0;
    image_map(f->image, IMAGE_ROOT + 16 * MIB, 64 * MIB, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    uint64_t before = tm_target_bytes_read(f->target);
    struct tm_source *source; // not by tm_source_open(), which would search for other tables then
    assert_error(tm_table_open(f->target, &f->host, &source), TM_ERROR_NO_TABLE, "no trace table");
    assert_true(tm_target_bytes_read(f->target) - before >= 64 * 16);
    assert_true(tm_target_bytes_read(f->target) - before < 128 * 64);
    assert_true(f->asked >= 4);
    assert_true(f->progress >= 4);
    f->asked = 0;
    f->stop_after = 2;
    assert_open_fails(f, TM_ERROR_INTERRUPTED, "");
    assert_int_equal(f->asked, 2);
}

static void test_source_is_kept_until_the_target_changes(void **state)
{
    struct fixture *f = *state;
    struct tm_source *source = open_source(f);
    uint64_t reads = image_reads(f->image);
    assert_ptr_equal(open_source(f), source);
    assert_int_equal(image_reads(f->image), reads);
    tm_target_changed(f->target);
    open_source(f);
    assert_true(image_reads(f->image) > reads);
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found_by_symbol),
        TEST(test_found_by_search),
        cmocka_unit_test(test_found_by_name),
        cmocka_unit_test(test_not_found_in_unwritable_regions),
        TEST(test_wrong_symbol_then_search),
        TEST(test_decoy_is_refused),
        TEST(test_root_must_be_aligned),
        TEST(test_of_two_tables_the_process_owns_one),
        TEST(test_two_tables_of_one_process_cannot_be_told_apart),
        TEST(test_among_many_tables_none_is_chosen),
        TEST(test_memory_which_the_core_left_out_may_have_held_the_table),
        TEST(test_what_the_core_left_out_is_not_searched),
        cmocka_unit_test(test_a_core_without_anonymous_memory),
        TEST(test_damage_says_why_memory_is_missing),
        TEST(test_newer_major_is_unsupported),
        TEST(test_newer_minor_with_larger_records_is_read),
        TEST(test_other_byte_order_is_unsupported),
        TEST(test_other_pointer_size_is_unsupported),
        TEST(test_damaged_root_is_corrupt),
        TEST(test_overlapping_arrays_are_corrupt),
        TEST(test_no_python),
        TEST(test_python_without_tracer),
        TEST(test_tracer_without_table),
        TEST(test_table_missing_from_core),
        TEST(test_named_mapping_missing_from_core),
        TEST(test_another_version_is_reported_before_damage),
        TEST(test_tracing_off),
        TEST(test_search_is_cheap_and_can_be_stopped),
        TEST(test_source_is_kept_until_the_target_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
