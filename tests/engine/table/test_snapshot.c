/**
 * The native source on made-up images: what is right comes out right, and what is wrong comes out as an error or as
 * counted damage, never as a wrong answer.
 *
 * Every test builds a small valid table, bends one thing, and looks at the answer. The last ones bend at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/host.h"
#include "engine/open.h"
#include "engine/table/table.h"
#include "support/image.h"

#define HEAP UINT64_C(0x7f7000000000) // of the traced program; the image holds none of it: it is never read
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct fixture {
    struct image *image;
    struct image_table table;
    struct tm_root *root;
    struct tm_target *target;
    struct tm_pool *pool;
    struct tm_host host;
    uint64_t stop_after; // how often should_stop may be asked before it says yes; 0: never
    uint64_t asked;
    uint64_t progress;
    // A call tree: main.py:10 calls work.py:20, which allocates at work.py:30 and at work.py:40.
    uint32_t main_node, work_node, first_node, second_node;
    uint32_t first_site, second_site;
};

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static void progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct fixture *f = context;
    assert_non_null(what);
    assert_true(done <= total);
    f->progress++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    f->root = f->table.root;
    f->main_node = image_frame(&f->table, 0, "main.py", 10);
    f->work_node = image_frame(&f->table, f->main_node, "work.py", 20);
    f->first_node = image_frame(&f->table, f->work_node, "work.py", 30);
    f->second_node = image_frame(&f->table, f->work_node, "work.py", 40);
    f->first_site = image_site(&f->table, f->first_node, 0, 0);
    f->second_site = image_site(&f->table, f->second_node, 0, 7);
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

static struct tm_source *open_source(struct fixture *f)
{
    struct tm_source *source = NULL;
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    if (error)
        fail_msg("open: %s", tm_error_message(error));
    return source;
}

static struct tm_snapshot take(struct fixture *f)
{
    struct tm_snapshot snapshot;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_snapshot(open_source(f), &f->host, f->pool, &snapshot);
    if (error)
        fail_msg("snapshot: %s", tm_error_message(error));
    return snapshot;
}

static struct tm_info info(struct fixture *f)
{
    struct tm_info info;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_info(open_source(f), &f->host, &info);
    if (error)
        fail_msg("info: %s", tm_error_message(error));
    return info;
}

// The error's code has to be this and its message has to hold `part`.
static void assert_error(struct tm_error *error, enum tm_error_code code, const char *part)
{
    assert_non_null(error);
    if (tm_error_code(error) != code || !strstr(tm_error_message(error), part))
        fail_msg("expected error %d with \"%s\", got %d: %s", code, part, tm_error_code(error),
                 tm_error_message(error));
    tm_error_destroy(error);
}

static void assert_open_fails(struct fixture *f, enum tm_error_code code, const char *part)
{
    struct tm_source *source = NULL;
    tm_target_changed(f->target);
    assert_error(tm_source_open(f->target, &f->host, &source), code, part);
    assert_null(source);
}

static bool undamaged(const struct tm_damage *damage)
{
    return !damage->unreadable_records && !damage->unreadable_bytes && !damage->corrupt_records &&
           !damage->first_address;
}

static size_t find(struct fixture *f, uint64_t address, struct tm_block *blocks, size_t capacity,
                   struct tm_damage *damage)
{
    size_t count;
    struct tm_error *error =
        tm_source_find(open_source(f), &f->host, f->pool, address, blocks, capacity, &count, damage);
    if (error)
        fail_msg("find: %s", tm_error_message(error));
    assert_true(count <= capacity);
    return count;
}

static void assert_found(struct fixture *f, uint64_t address, uint64_t start, uint64_t size)
{
    struct tm_block block;
    struct tm_damage damage;
    if (find(f, address, &block, 1, &damage) != 1)
        fail_msg("nothing found at %#llx", (unsigned long long)address);
    assert_int_equal(block.address, start);
    assert_int_equal(block.size, size);
    assert_true(undamaged(&damage));
}

static void assert_not_found(struct fixture *f, uint64_t address)
{
    struct tm_block block;
    struct tm_damage damage;
    assert_int_equal(find(f, address, &block, 1, &damage), 0);
    assert_true(undamaged(&damage));
}

static void assert_frame(const struct tm_traceback *traceback, uint32_t index, const char *file_name, uint32_t line)
{
    assert_true(index < traceback->count);
    assert_string_equal(traceback->frames[index].file_name->bytes, file_name);
    assert_int_equal(traceback->frames[index].line, line);
}

static struct tm_site *site_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->sites, id);
}

static struct tm_node *node_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->nodes, id);
}

// ---------------------------------------------------------------------------------------------------------------
// Finding the table

static void assert_found_by(struct fixture *f, const char *found_by)
{
    struct tm_info facts = info(f);
    assert_string_equal(facts.found_by, found_by);
    assert_int_equal(facts.table_address, IMAGE_ROOT);
}

static uint64_t root_variable(struct fixture *f, uint64_t value)
{
    uint64_t variable = image_map_anywhere(f->image, 8);
    *(uint64_t *)image_at(f->image, variable, 8) = value;
    image_set_symbol(f->image, TM_ROOT_SYMBOL, variable);
    return variable;
}

static void test_found_by_symbol(void **state)
{
    struct fixture *f = *state;
    root_variable(f, IMAGE_ROOT);
    image_tell_regions(f->image, false);
    assert_found_by(f, "symbol");
    assert_int_equal(f->progress, 1); // sites were read; nothing was searched
}

static void test_found_by_search(void **state)
{
    assert_found_by(*state, "search");
}

static void found_by_name(const char *name)
{
    struct image *image = image_create();
    struct image_table table;
    // The tracer's mappings may have become one region, in which the root is not the first candidate.
    image_map(image, IMAGE_ROOT - 2 * MIB, 2 * MIB, name, TM_REGION_READABLE | TM_REGION_WRITABLE);
    image_map(image, IMAGE_ROOT + 4096, MIB, name, TM_REGION_READABLE);
    image_table_create(&table, image, IMAGE_ROOT);
    struct tm_source *source = NULL;
    struct tm_info facts;
    struct tm_target *target = image_target(image);
    assert_null(tm_source_open(target, NULL, &source));
    assert_null(tm_source_info(source, NULL, &facts));
    assert_string_equal(facts.found_by, "search"); // the region which holds it has no name here
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

static void test_not_found_in_file_or_unwritable_regions(void **state)
{
    (void)state;
    const uint32_t flags[] = {TM_REGION_READABLE, TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_FILE,
                              TM_REGION_READABLE | TM_REGION_WRITABLE};
    for (size_t i = 0; i < 3; i++) {
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
    // A copy of the root stands before it, and the symbol leads there.
    void *decoy = image_map(f->image, IMAGE_ROOT - MIB, sizeof(struct tm_root), "[anon:tracemortem]",
                            TM_REGION_READABLE | TM_REGION_WRITABLE);
    memcpy(decoy, f->root, sizeof(struct tm_root));
    root_variable(f, IMAGE_ROOT - MIB);
    assert_found_by(f, "search");
    f->root->magic[0] ^= 1;
    assert_open_fails(f, TM_ERROR_NO_TABLE, "no trace table");
}

// A second root which knows its own address, as an old core of the program has one which was mapped where it came from.
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
    second_root(f, IMAGE_ROOT - MIB, 99); // met first
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
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "layout version 3.3; this tracemortem reads 2.x");
    // It is told even where the symbol leads to nothing.
    root_variable(f, MIB);
    assert_open_fails(f, TM_ERROR_UNSUPPORTED, "layout version 3.3");
}

static void test_newer_minor_with_larger_records_is_read(void **state)
{
    struct fixture *f = *state;
    // The sites again, as a later minor version might have them: larger.
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
    struct tm_snapshot snapshot = take(f);
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
    BENT(f->root->address_bits = 57, "shadow map");
    BENT(f->root->branch_shift = 32, "shadow map");
    BENT(f->root->leaf_shift = 21, "shadow map");
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
    assert_open_fails(f, TM_ERROR_NOT_TRACING, "never started");
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
                 "the memory in which it would be is missing");
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
    image_map(f->image, IMAGE_ROOT + 2 * MIB, 4096, "", TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_ABSENT);
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
    struct tm_snapshot snapshot = take(f);
    assert_null(snapshot.damage.why);
    tm_snapshot_deinit(&snapshot);
    image_set_why_missing(f->image, "the disk was full");
    snapshot = take(f);
    assert_int_not_equal(snapshot.damage.unreadable_records, 0);
    assert_string_equal(snapshot.damage.why, "the disk was full");
    tm_snapshot_deinit(&snapshot);
    image_show_all(f->image);
    snapshot = take(f);
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

static void test_other_version_is_told_before_damage(void **state)
{
    struct fixture *f = *state;
    for (int64_t side = -1; side <= 1; side += 2) { // before and after the damaged one
        uint64_t address = IMAGE_ROOT + (uint64_t)(side * (int64_t)MIB);
        struct tm_root *other =
            image_map(f->image, address, sizeof(struct tm_root), "", TM_REGION_READABLE | TM_REGION_WRITABLE);
        f->root->state = TM_STATE_TRACING;
        *other = *f->root;
        other->self = address;
        other->layout_major = 3;
        f->root->state = 99;
        assert_open_fails(f, TM_ERROR_UNSUPPORTED, "layout version 3.0");
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
    // What is searched before the table: 512 MiB which are not even there.
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
// Facts

static void test_info(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 160, 7, f->second_site);
    image_free_block(&f->table, HEAP + 160, 7);
    uint32_t foreign = image_site(&f->table, f->first_node, 389047, 0);
    image_track(&f->table, 389047, 12345, 1000, foreign);
    f->root->owned.traced += 50; // one side's wrap is undone by the other's
    f->root->shared.traced = (uint64_t)-50;
    f->root->shared.peak = 5000;
    f->root->flags = TM_ROOT_DEBUG_BUILD | TM_ROOT_REUSE_EXACT;
    f->root->resize[3].state = TM_RESIZE_BUSY;
    f->root->resize[4].state = TM_RESIZE_CLAIMED;
    f->root->lost_blocks = 3;
    f->root->lost_frames = 4;
    f->root->mapped = 5 * MIB;
    f->root->cleared = 77;
    struct tm_info facts = info(f);
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
    struct tm_info facts = info(f);
    assert_int_equal(facts.tracer.sites, 0);
    assert_int_equal(facts.tracer.strings, 0);
    assert_true(undamaged(&facts.damage));
    struct tm_snapshot snapshot = take(f);
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
    struct tm_info facts = info(f);
    for (const char *c = facts.python_version; *c; c++)
        assert_int_equal(*c, '?');
    assert_int_equal(strlen(facts.python_version), 63);
    assert_int_equal(strlen(facts.tracer.version), 31);
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->first_site);
    image_block(&f->table, HEAP + 512, 0, f->second_site); // of no bytes, and live all the same
    struct tm_snapshot snapshot = take(f);
    assert_true(undamaged(&snapshot.damage));
    assert_int_equal(snapshot.frame_limit, 25);
    assert_int_equal(snapshot.count, 2);
    const struct tm_group *first = &snapshot.groups[0], *second = &snapshot.groups[1];
    assert_int_equal(first->count, 2);
    assert_int_equal(first->size, 300);
    assert_int_equal(first->domain, 0);
    assert_int_equal(first->traceback->count, 3);
    assert_int_equal(first->traceback->total_frames, 3);
    assert_frame(first->traceback, 0, "main.py", 10);
    assert_frame(first->traceback, 1, "work.py", 20);
    assert_frame(first->traceback, 2, "work.py", 30);
    assert_int_equal(second->count, 1);
    assert_int_equal(second->size, 0);
    assert_int_equal(second->traceback->count, 3);
    assert_int_equal(second->traceback->total_frames, 7);
    assert_frame(second->traceback, 2, "work.py", 40);
    tm_snapshot_deinit(&snapshot);
}

static void test_snapshot_counts_modulo_two_to_the_64(void **state)
{
    struct fixture *f = *state;
    *site_record(f, f->first_site) = (struct tm_site){.node = f->first_node,
                                                      .total_frames = 3,
                                                      .allocations = 1,
                                                      .frees = (uint64_t)-4,
                                                      .allocated = 10,
                                                      .freed = (uint64_t)-90};
    image_rehash(&f->table, f->root);
    f->root->owned.traced = 100;
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.groups[0].count, 5);
    assert_int_equal(snapshot.groups[0].size, 100);
    tm_snapshot_deinit(&snapshot);
}

static void test_unknown_frames(void **state)
{
    struct fixture *f = *state;
    uint32_t alone = image_site(&f->table, TM_NODE_UNKNOWN, 0, 0);
    uint32_t inner = image_site(&f->table, image_node(&f->table, f->main_node, TM_CODE_UNKNOWN, 99), 0, 0);
    image_block(&f->table, HEAP, 100, alone);
    image_block(&f->table, HEAP + 256, 100, inner);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(snapshot.groups[0].traceback->count, 1);
    assert_frame(snapshot.groups[0].traceback, 0, "<unknown>", 0);
    assert_frame(snapshot.groups[1].traceback, 0, "main.py", 10);
    assert_frame(snapshot.groups[1].traceback, 1, "<unknown>", 0);
    tm_snapshot_deinit(&snapshot);
}

// Paths share their beginnings in every way: longer after shorter, shorter after longer, side branches.
static void test_paths_do_not_leak_into_each_other(void **state)
{
    struct fixture *f = *state;
    enum { DEPTH = 6, SITES = 64 };
    uint32_t nodes[DEPTH * 2], ends[SITES];
    char name[24];
    for (uint32_t i = 0; i < DEPTH * 2; i++) {
        uint32_t parent = i % DEPTH ? nodes[i - 1] : f->main_node;
        if (i == DEPTH + 3)
            parent = nodes[2]; // the second branch goes on from the first one
        snprintf(name, sizeof(name), "%u.py", i);
        nodes[i] = image_frame(&f->table, parent, name, (int32_t)i + 1);
    }
    srandom(3);
    for (uint32_t i = 0; i < SITES; i++) {
        ends[i] = nodes[random() % (DEPTH * 2)];
        image_block(&f->table, HEAP + i * 256, 20, image_site(&f->table, ends[i], 0, 0));
    }
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, SITES);
    for (uint32_t i = 0; i < SITES; i++) {
        const struct tm_traceback *traceback = snapshot.groups[i].traceback;
        uint32_t node = ends[i], depth = node_record(f, node)->depth;
        assert_int_equal(traceback->count, depth);
        for (; node != f->main_node; node = node_record(f, node)->parent) {
            uint32_t number = 0;
            while (nodes[number] != node)
                number++;
            snprintf(name, sizeof(name), "%u.py", number);
            assert_frame(traceback, --depth, name, number + 1);
        }
        assert_frame(traceback, 0, "main.py", 10);
    }
    tm_snapshot_deinit(&snapshot);
}

static void test_lines_come_from_the_table(void **state)
{
    struct fixture *f = *state;
    // 3.10: 4 bytes on line 5, 2 bytes of none, 6 bytes on line 3
    const uint8_t pairs[] = {4, 0, 2, 0x80, 6, 0xfe};
    uint32_t code = image_code(&f->table, "lines.py", 5, TM_LINES_3_10, pairs, sizeof(pairs), 12);
    const struct {
        int32_t instruction;
        uint32_t line;
    } expected[] = {{-1, 5}, {-2, 5}, {0, 5}, {3, 5}, {4, 0}, {6, 3}, {11, 3}};
    for (uint32_t i = 0; i < 7; i++) {
        uint32_t node = image_node(&f->table, 0, code, expected[i].instruction);
        image_block(&f->table, HEAP + i * 256, 20, image_site(&f->table, node, 0, 0));
    }
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        struct tm_block block;
        struct tm_damage damage;
        assert_frame(snapshot.groups[i].traceback, 0, "lines.py", expected[i].line);
        tm_target_changed(f->target); // without what the snapshot has loaded
        assert_int_equal(find(f, HEAP + i * 256, &block, 1, &damage), 1);
        assert_frame(block.traceback, 0, "lines.py", expected[i].line);
    }
    tm_snapshot_deinit(&snapshot);
}

// A table longer than what is read of it at first, and long enough for checkpoints.
static void long_line_table(struct fixture *f, uint8_t kind)
{
    enum { ENTRIES = 3000, NODES = 41 };
    static uint8_t table[ENTRIES * 3];
    uint32_t length = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (kind == TM_LINES_LOCATIONS) { // one code unit, some lines further, no columns
            table[length++] = 0x80 | 13 << 3;
            table[length++] = (uint8_t)(i % 3 << 1);
        } else {
            table[length++] = 2;
            table[length++] = (uint8_t)(i % 3);
        }
    }
    uint32_t code = image_code(&f->table, "long.py", 1, kind, table, length, ENTRIES * 2);
    srandom(1);
    for (uint32_t i = 0; i < NODES; i++) {
        int32_t instruction = i ? (int32_t)(random() % (ENTRIES * 2)) : ENTRIES * 2 - 1;
        uint32_t node = image_node(&f->table, 0, code, instruction);
        image_block(&f->table, HEAP + i * 256, 20, image_site(&f->table, node, 0, 0));
    }
    struct tm_snapshot snapshot = take(f);
    tm_target_changed(f->target);
    assert_int_equal(snapshot.count, NODES);
    for (uint32_t i = 0; i < NODES; i++) {
        const struct tm_site *site = site_record(f, (uint32_t)f->root->sites.count - NODES + i);
        uint32_t entry = (uint32_t)node_record(f, site->node)->instruction / 2, line = 1;
        // A pair of lnotab moves the line where its range begins, the others before theirs.
        for (uint32_t j = 0; j < entry + (kind != TM_LINES_LNOTAB); j++)
            line += j % 3;
        assert_frame(snapshot.groups[i].traceback, 0, "long.py", line);
        struct tm_block block;
        struct tm_damage damage;
        assert_int_equal(find(f, HEAP + i * 256, &block, 1, &damage), 1);
        assert_frame(block.traceback, 0, "long.py", line);
    }
    tm_snapshot_deinit(&snapshot);
}

static void test_long_lnotab(void **state)
{
    long_line_table(*state, TM_LINES_LNOTAB);
}

static void test_long_3_10_table(void **state)
{
    long_line_table(*state, TM_LINES_3_10);
}

static void test_long_location_table(void **state)
{
    long_line_table(*state, TM_LINES_LOCATIONS);
}

// Bend something, and the first site has to be left out and counted, the second one has to stay.
static void assert_first_is_left_out(struct fixture *f, bool corrupt)
{
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 1);
    assert_frame(snapshot.groups[0].traceback, 2, "work.py", 40);
    assert_int_equal(snapshot.damage.corrupt_records, corrupt);
    assert_int_equal(snapshot.damage.unreadable_records, !corrupt);
    assert_int_equal(snapshot.damage.unreadable_bytes != 0, !corrupt);
    assert_int_not_equal(snapshot.damage.first_address, 0);
    tm_snapshot_deinit(&snapshot);
    // And by its address: the block is not given with a wrong traceback.
    struct tm_block block;
    struct tm_damage damage;
    tm_target_changed(f->target);
    assert_int_equal(find(f, HEAP, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, corrupt);
    assert_int_equal(damage.unreadable_records, !corrupt);
    assert_int_equal(find(f, HEAP + 256, &block, 1, &damage), 1);
}

static void test_bad_links_leave_the_group_out(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    struct tm_site *site = site_record(f, f->first_site);
    struct tm_node *node = node_record(f, f->first_node);
    struct tm_code *code = image_record(&f->table, &f->root->codes, node->code);
    uint32_t own_name = image_string(&f->table, "own.py", 6);
    code->filename = own_name;
    image_rehash(&f->table, f->root);
    const uint8_t more[300] = {0};
    image_code(&f->table, "more.py", 1, TM_LINES_3_10, more, sizeof(more), 1); // `bytes` has a second chunk
    struct tm_string *string = image_record(&f->table, &f->root->strings, own_name);
    // By its hash, and where an enemy has made that right, too, each field by itself.
    for (int enemy = 0; enemy < 2; enemy++) {
#define BENT(place, value)                    \
    do {                                      \
        __typeof__(place) good = (place);     \
        (place) = (value);                    \
        if (enemy)                            \
            image_rehash(&f->table, f->root); \
        assert_first_is_left_out(f, true);    \
        (place) = good;                       \
        image_rehash(&f->table, f->root);     \
    } while (0)
        BENT(site->node, 0);
        BENT(site->node, (uint32_t)f->root->nodes.count);
        BENT(site->node, UINT32_MAX);
        BENT(site->total_frames, 2);
        BENT(site->total_frames, 0);
        BENT(node->parent, f->first_node);  // a cycle of one
        BENT(node->parent, f->second_node); // forwards
        BENT(node->parent, 0);              // it ends too early
        BENT(node->parent, f->main_node);   // a level is missing
        BENT(node->parent, UINT32_MAX);
        BENT(node->depth, 0);
        BENT(node->depth, 1); // a shorter path, which would look right
        BENT(node->depth, 2);
        BENT(node->depth, 4);
        BENT(node->depth, UINT16_MAX);
        BENT(node->code, 0);
        BENT(node->code, (uint32_t)f->root->codes.count);
        BENT(node->code, UINT32_MAX);
        BENT(node->instruction, 100); // the code's length
        BENT(node->instruction, INT32_MAX);
        BENT(code->filename, 0);
        BENT(code->filename, UINT32_MAX);
        BENT(code->line_table_kind, 4);
        BENT(code->line_table_kind, 255);
        BENT(code->code_length, 2);
        BENT(code->code_length, UINT32_MAX);
        BENT(code->line_table_length, UINT32_MAX);
        BENT(code->line_table, UINT64_MAX);
        BENT(string->length, UINT32_MAX);
        BENT(string->length, 250); // past the chunk's end, below the count
        BENT(string->position, f->root->bytes.count - 5);
        BENT(string->position, UINT64_MAX - 2);
#undef BENT
    }
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 2);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
}

// A page of zeros in the place of one which was lost: whatever stood there is not taken for names and lines.
static void test_zeros_in_the_place_of_records_are_damage(void **state)
{
    struct fixture *f = *state;
    const uint8_t lines[] = {2, 3, 98, 4};
    uint32_t code = image_code(&f->table, "zeroed.py", 7, TM_LINES_3_10, lines, sizeof(lines), 100);
    uint32_t site = image_site(&f->table, image_node(&f->table, 0, code, 50), 0, 0);
    image_block(&f->table, HEAP, 100, site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    const struct tm_code *record = image_record(&f->table, &f->root->codes, code);
    const struct tm_string *name = image_record(&f->table, &f->root->strings, record->filename);
    struct tm_array *arrays[] = {&f->root->strings, &f->root->codes, &f->root->codes, &f->root->nodes, &f->root->sites};
    const uint64_t ids[] = {record->filename, code, code, site_record(f, site)->node, site};
    const struct {
        uint64_t address, length;
    } zeroed[] = {
        {image_record_address(&f->table, &f->root->bytes, name->position), 9},
        {image_record_address(&f->table, &f->root->bytes, name->position) + 8, 1},
        {image_record_address(&f->table, &f->root->bytes, record->line_table), sizeof(lines)},
        {image_record_address(&f->table, arrays[0], ids[0]), sizeof(struct tm_string)},
        {image_record_address(&f->table, arrays[1], ids[1]), 16},      // a page may begin in the midst of one
        {image_record_address(&f->table, arrays[2], ids[2]) + 16, 32}, //
        {image_record_address(&f->table, arrays[3], ids[3]), sizeof(struct tm_node)},
        {image_record_address(&f->table, arrays[4], ids[4]), sizeof(struct tm_site)},
    };
    for (size_t i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++) {
        unsigned char good[64], *bytes = image_at(f->image, zeroed[i].address, zeroed[i].length);
        memcpy(good, bytes, zeroed[i].length);
        memset(bytes, 0, zeroed[i].length);
        assert_first_is_left_out(f, true);
        memcpy(bytes, good, zeroed[i].length);
    }
}

static void test_implausible_counters_are_damage(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    struct tm_site *site = site_record(f, f->first_site);
    const struct tm_site good = *site;
    for (int i = 0; i < 4; i++) {
        *site = good;
        if (i == 0)
            site->frees = 2; // -1 blocks
        else if (i == 1)
            site->freed = 101; // -1 bytes
        else if (i == 2)
            site->frees = 1; // no block, 100 bytes
        else
            site->allocated = UINT64_C(1) << 61;
        struct tm_snapshot snapshot = take(f);
        assert_int_equal(snapshot.count, 1);
        assert_int_equal(snapshot.groups[0].size, 200);
        assert_int_equal(snapshot.damage.corrupt_records, 1);
        assert_int_equal(snapshot.damage.first_address,
                         image_record_address(&f->table, &f->root->sites, f->first_site));
        tm_snapshot_deinit(&snapshot);
        struct tm_info facts = info(f);
        assert_int_equal(facts.damage.corrupt_records, 1);
        assert_int_equal(facts.blocks, 1);
    }
}

// Many sites, so that they fill several pages and chunks.
static void add_sites(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t site = image_site(&f->table, f->first_node, 0, 0);
        *site_record(f, site) =
            (struct tm_site){.node = f->first_node, .total_frames = 3, .allocations = 1, .allocated = i + 1};
        f->root->owned.traced += i + 1;
    }
    image_rehash(&f->table, f->root);
}

static void test_many_sites_in_many_chunks(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000); // pieces of 1 MiB hold 16384
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 60000);
    for (uint32_t i = 0; i < 60000; i++)
        assert_int_equal(snapshot.groups[i].size, i + 1);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
}

static void test_missing_pages_of_sites(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    // One page in the middle of the chunk of 32768 sites: all but the sites which touch it are there.
    uint64_t chunk = f->root->sites.chunk[11], hole = chunk + 40 * 4096, lost = 0, sum = 0;
    image_hide(f->image, hole, 4096);
    for (uint64_t id = 1; id < f->root->sites.count; id++) {
        uint64_t address = image_record_address(&f->table, &f->root->sites, id);
        lost += address + 48 > hole && address < hole + 4096;
    }
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.damage.unreadable_records, lost);
    assert_int_equal(snapshot.damage.unreadable_bytes, 4096);
    assert_int_equal(snapshot.damage.corrupt_records, 0);
    assert_in_range(snapshot.damage.first_address, chunk, hole);
    assert_int_equal(snapshot.count, 60000 - lost);
    for (size_t i = 0; i < snapshot.count; i++) {
        assert_in_range(snapshot.groups[i].size, 1, 60000);
        sum += snapshot.groups[i].size;
    }
    assert_true(sum < UINT64_C(60000) * 60001 / 2);
    tm_snapshot_deinit(&snapshot);
    struct tm_info facts = info(f);
    assert_int_equal(facts.blocks, 60000 - lost);
    assert_int_equal(facts.damage.unreadable_records, lost);
}

static void test_truncated_core(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    uint64_t chunk = f->root->sites.chunk[11]; // holds ids from 32752 on
    image_hide(f->image, chunk + 4 * 4096, 64 * MIB);
    struct tm_snapshot snapshot = take(f);
    uint64_t there = 32752 - 1 - 2 + 4 * 4096 / 48;
    assert_int_equal(snapshot.count, there);
    assert_int_equal(snapshot.damage.unreadable_records, 60000 - there);
    tm_snapshot_deinit(&snapshot);
}

static void test_missing_memory_behind_a_group(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    // Give the first site nodes, codes, names and lines on pages of their own: in chunks made later.
    while (f->root->nodes.count < 300)
        image_node(&f->table, f->main_node, TM_CODE_UNKNOWN, 0);
    while (f->root->codes.count < 20)
        image_code(&f->table, "work.py", 1, TM_LINES_NONE, NULL, 0, 10);
    char name[24];
    for (int i = 0; f->root->strings.count < 50; i++) {
        snprintf(name, sizeof(name), "%d", i);
        image_string(&f->table, name, (uint32_t)strlen(name));
    }
    const uint8_t filling[200] = {0}, pairs[] = {100, 1};
    while (f->root->bytes.count < 300)
        image_code(&f->table, "work.py", 1, TM_LINES_3_10, filling, sizeof(filling), 10);
    uint32_t code = image_code(&f->table, "far.py", 1, TM_LINES_3_10, pairs, sizeof(pairs), 10);
    uint32_t node = image_node(&f->table, f->work_node, code, 2);
    site_record(f, f->first_site)->node = node;
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 2);
    assert_frame(snapshot.groups[0].traceback, 2, "far.py", 2);
    tm_snapshot_deinit(&snapshot);

    const struct tm_code *record = image_record(&f->table, &f->root->codes, code);
    const struct tm_string *string = image_record(&f->table, &f->root->strings, record->filename);
    const uint64_t needed[] = {
        image_record_address(&f->table, &f->root->nodes, node),
        image_record_address(&f->table, &f->root->codes, code),
        image_record_address(&f->table, &f->root->strings, record->filename),
        image_record_address(&f->table, &f->root->bytes, string->position),
    };
    for (size_t i = 0; i < 4; i++) {
        image_hide(f->image, needed[i] & ~UINT64_C(4095), 4096);
        assert_first_is_left_out(f, false);
        image_show_all(f->image);
    }
}

static void test_missing_memory_is_counted_once(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 1000);
    image_hide(f->image, f->root->bytes.chunk[0], 4096);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 0);
    assert_int_equal(snapshot.damage.unreadable_records, 1000);
    assert_int_equal(snapshot.damage.unreadable_bytes, strlen("work.py"));
    tm_snapshot_deinit(&snapshot);
}

static void test_huge_counts_cost_nothing(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    struct tm_array *arrays[] = {&f->root->sites, &f->root->nodes, &f->root->codes, &f->root->strings, &f->root->bytes};
    const uint64_t counts[] = {1000000, UINT64_C(1) << 32, UINT64_C(1) << 40, UINT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        uint64_t good = arrays[i]->count;
        for (size_t j = 0; j < 4; j++) {
            arrays[i]->count = counts[j];
            uint64_t bytes = tm_target_bytes_read(f->target);
            struct tm_snapshot snapshot = take(f);
            assert_int_equal(snapshot.count, 1);
            assert_int_equal(snapshot.groups[0].size, 100);
            assert_int_equal(snapshot.damage.corrupt_records != 0, i == 0);
            assert_true(tm_target_bytes_read(f->target) - bytes < 64 * KIB);
            tm_snapshot_deinit(&snapshot);
            // More than 26 chunks of the others can hold is told as well.
            bool beyond = j >= 2 || (j == 1 && i != 4);
            assert_int_equal(info(f).damage.corrupt_records != 0, i == 0 || beyond);
        }
        arrays[i]->count = good;
    }
}

static void test_wild_chunks_end_soon(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    f->root->sites.count = TM_SITE_LIMIT;
    f->root->nodes.count = UINT64_C(1) << 32;
    for (unsigned i = 1; i < TM_ARRAY_CHUNKS; i++) {
        f->root->sites.chunk[i] = UINT64_MAX - ((uint64_t)i << 40);
        f->root->nodes.chunk[i] = (UINT64_C(0x5500) + i) << 40;
    }
    uint64_t reads = image_reads(f->image);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 1);
    assert_true(snapshot.damage.unreadable_records > 30000000);
    assert_true(image_reads(f->image) - reads < 20000);
    tm_snapshot_deinit(&snapshot);
}

static void test_readable_pages_between_missing_ones_are_used(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    uint64_t start = f->root->sites.chunk[11], length = UINT64_C(32768) * 48, there = 32752 - 1 - 2;
    for (uint64_t page = 0; page < length / 4096; page += 2)
        image_hide(f->image, start + page * 4096, 4096);
    for (uint64_t id = 32752; id < f->root->sites.count; id++) {
        uint64_t offset = image_record_address(&f->table, &f->root->sites, id) - start;
        there += offset / 4096 % 2 && (offset + 47) / 4096 % 2;
    }
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, there);
    assert_int_equal(snapshot.damage.unreadable_records, 60000 - there);
    tm_snapshot_deinit(&snapshot);
}

static int stop_once(void *context)
{
    struct fixture *f = context;
    return ++f->asked == f->stop_after;
}

static void test_snapshot_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    image_hide(f->image, f->root->sites.chunk[9] + 5 * 4096, 4096); // what is lost must not be counted twice
    image_hide(f->image, f->root->sites.chunk[11] + 100 * 4096, 4096);
    f->host.callbacks.should_stop = stop_once;
    struct tm_snapshot whole = take(f), snapshot;
    uint64_t asked = f->asked;
    assert_int_not_equal(whole.damage.unreadable_records, 0);
    assert_true(asked > 40);
    for (uint64_t stop = 1; stop < asked; stop++) {
        f->asked = f->stop_after = 0;
        tm_target_changed(f->target);
        struct tm_source *source = open_source(f);
        f->stop_after = f->asked + stop;
        struct tm_error *error = tm_source_snapshot(source, &f->host, f->pool, &snapshot);
        if (f->asked < f->stop_after) // it was over before
            assert_null(error);
        else
            assert_error(error, TM_ERROR_INTERRUPTED, "");
        if (!error)
            tm_snapshot_deinit(&snapshot);
        // And once more without a stop: nothing half read was kept.
        f->stop_after = 0;
        assert_null(tm_source_snapshot(source, &f->host, f->pool, &snapshot));
        assert_int_equal(snapshot.count, whole.count);
        assert_memory_equal(&snapshot.damage, &whole.damage, sizeof(whole.damage));
        tm_snapshot_deinit(&snapshot);
    }
    tm_snapshot_deinit(&whole);
}

// Far more is missing than is worth a search for single pages: what stands behind it is used all the same.
static void test_sites_behind_a_large_hole(void **state)
{
    struct fixture *f = *state;
    const unsigned chunk = 16; // of 2^20 sites, 48 MiB
    const uint64_t first = (UINT64_C(16) << chunk) - 16, count = UINT64_C(1) << 20;
    for (unsigned i = 1; i <= chunk; i++)
        f->root->sites.chunk[i] = image_map_anywhere(f->image, (UINT64_C(16) << i) * sizeof(struct tm_site));
    f->root->sites.count = first + count;
    struct tm_array *sites = &f->root->sites;
    *(struct tm_site *)image_record(&f->table, sites, first + count - 1) =
        (struct tm_site){.node = f->first_node, .total_frames = 3, .allocations = 1, .allocated = 77};
    image_rehash(&f->table, f->root);
    const uint64_t hole = 54 * UINT64_C(16384) * 48; // of whole pieces, as the array is read
    image_hide(f->image, sites->chunk[chunk], hole);
    uint64_t reads = image_reads(f->image);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.groups[0].size, 77);
    assert_int_equal(snapshot.damage.unreadable_bytes, hole);
    assert_int_equal(snapshot.damage.unreadable_records, hole / 48);
    assert_true(image_reads(f->image) - reads < 6000);
    tm_snapshot_deinit(&snapshot);
}

static void test_second_snapshot_reads_nothing(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 1000);
    struct tm_snapshot snapshot = take(f);
    tm_snapshot_deinit(&snapshot);
    uint64_t reads = image_reads(f->image);
    assert_null(tm_source_snapshot(open_source(f), &f->host, f->pool, &snapshot));
    assert_int_equal(snapshot.count, 1000);
    assert_int_equal(image_reads(f->image), reads);
    tm_snapshot_deinit(&snapshot);
}

static void test_overlong_names_are_refused(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    char *large = malloc(2 * MIB);
    memset(large, 'x', 2 * MIB);
    uint32_t name = image_string(&f->table, large, 2 * MIB);
    free(large);
    struct tm_code *code = image_record(&f->table, &f->root->codes, node_record(f, f->first_node)->code);
    code->filename = name;
    image_rehash(&f->table, f->root);
    assert_first_is_left_out(f, true);
    ((struct tm_string *)image_record(&f->table, &f->root->strings, name))->length = MIB;
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take(f);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(snapshot.groups[0].traceback->frames[2].file_name->length, MIB);
    tm_snapshot_deinit(&snapshot);
}

// ---------------------------------------------------------------------------------------------------------------
// Finding blocks

static void test_find_small_blocks(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 0; size <= 17; size++)
        image_block(&f->table, HEAP + size * 64, size, f->first_site);
    for (uint64_t size = 0; size <= 17; size++) {
        uint64_t start = HEAP + size * 64;
        assert_found(f, start, start, size); // a block of no bytes holds its own address
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
    assert_int_equal(find(f, HEAP + 50, &block, 1, &damage), 1);
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
        assert_int_equal(find(f, addresses[i], &block, 1, &damage), 1);
        assert_int_equal(block.traceback->count, 25);
        assert_frame(block.traceback, 24, "/usr/lib/python3/module24.py", 3);
        assert_true(tm_target_bytes_read(f->target) - before < 32 * KIB);
    }
    // Inside of a block of 100 KiB, and where nothing is.
    image_block(&f->table, HEAP + 64 * MIB, 100 * KIB, site);
    const uint64_t more[] = {HEAP + 64 * MIB + 99 * KIB, HEAP - GIB, 0x1000, HEAP + 65 * MIB};
    for (size_t i = 0; i < 4; i++) {
        struct tm_block block;
        struct tm_damage damage;
        tm_target_changed(f->target);
        f->root->tracked.count = 1;
        uint64_t before = tm_target_bytes_read(f->target);
        assert_int_equal(find(f, more[i], &block, 1, &damage), i == 0);
        // The last one stands a MiB behind the nearest block: the parts between are not in use.
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
                 TM_ERROR_NOT_FOUND, "given up");
    assert_true(tm_target_bytes_read(f->target) - before < 70 * MIB);
    f->stop_after = f->asked + 10;
    assert_error(tm_source_find(open_source(f), &f->host, f->pool, HEAP + 500, &block, 1, &count, &damage),
                 TM_ERROR_INTERRUPTED, "");
    // With honest counters the walk ends by itself.
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
        assert_int_equal(find(f, HEAP, &block, 1, &damage), 0);
        assert_int_equal(damage.corrupt_records, 1);
    }
    // The very last slot has none behind it for a size.
    struct tm_block block;
    struct tm_damage damage;
    *image_slot(&f->table, last) = TM_SLOT_START | f->first_site;
    assert_int_equal(find(f, last, &block, 1, &damage), 0);
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
    // The start is met beyond the hole, and what is in the hole is told.
    assert_int_equal(find(f, HEAP + 70 * KIB, &block, 1, &damage), 1);
    assert_int_equal(block.address, HEAP);
    assert_int_not_equal(damage.unreadable_records, 0);
    assert_int_equal(damage.unreadable_bytes, 8192);
    image_show_all(f->image);
    image_hide(f->image, leaf, 4096);
    assert_int_equal(find(f, HEAP + 70 * KIB, &block, 1, &damage), 0);
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
            assert_int_equal(find(f, HEAP + 50, &block, 1, &damage), 0);
        }
        *entries[i] = good;
    }
    tm_target_changed(f->target);
    assert_found(f, HEAP + 50, HEAP, 100);
}

// ---------------------------------------------------------------------------------------------------------------
// Tracked blocks and blocks inside of realloc()

static void test_find_tracked(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    uint32_t other = image_site(&f->table, f->second_node, 5, 0);
    struct tm_block blocks[4];
    struct tm_damage damage;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_track(&f->table, 389047, HEAP + 16, 50, foreign);
    image_track(&f->table, 5, HEAP + 18, 20, other); // these overlap: a domain of mere numbers
    image_track(&f->table, 5, HEAP + 20, 10, other);
    image_track(&f->table, 5, HEAP + 19, 15, other);
    image_track(&f->table, 0, HEAP + 3, 90, f->first_site);   // overlaps a block of the map, which counts
    image_track(&f->table, 0, HEAP + 1003, 7, f->first_site); // no multiple of 16
    assert_int_equal(find(f, HEAP + 20, blocks, 4, &damage), 3);
    assert_true(undamaged(&damage));
    assert_int_equal(blocks[0].domain, 0);
    assert_int_equal(blocks[0].address, HEAP);
    assert_int_equal(blocks[1].domain, 389047);
    assert_int_equal(blocks[1].address, HEAP + 16);
    assert_int_equal(blocks[1].size, 50);
    assert_frame(blocks[1].traceback, 2, "work.py", 40);
    assert_int_equal(blocks[2].domain, 5);
    assert_int_equal(blocks[2].address, HEAP + 20); // the one with exactly this number
    assert_int_equal(find(f, HEAP + 20, blocks, 2, &damage), 2);
    assert_int_equal(find(f, HEAP + 20, blocks, 0, &damage), 0);
    assert_int_equal(find(f, HEAP + 1009, blocks, 4, &damage), 1);
    assert_int_equal(blocks[0].address, HEAP + 1003);
    assert_int_equal(blocks[0].domain, 0);
    assert_int_equal(find(f, HEAP + 1010, blocks, 4, &damage), 0);
    assert_true(undamaged(&damage));
    // A record which is free again is none, whatever else it says.
    ((struct tm_tracked *)image_record(&f->table, &f->root->tracked, f->root->tracked.count - 1))->site = 0;
    assert_int_equal(find(f, HEAP + 1009, blocks, 4, &damage), 0);
    assert_true(undamaged(&damage));
    assert_int_equal(find(f, HEAP + 1002, blocks, 4, &damage), 0);
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
        assert_int_equal(find(f, start, &block, 1, &damage), 1);
        assert_int_equal(block.address, start);
        assert_int_equal(find(f, start + 3999, &block, 1, &damage), 1);
        assert_int_equal(block.address, start);
        assert_int_equal(find(f, start + 4000, &block, 1, &damage), 0);
        assert_true(undamaged(&damage));
    }
    assert_int_equal(find(f, UINT64_MAX - 1, &block, 1, &damage), 1);
    // One of the core's domain is found by its exact address without reading all.
    image_track(&f->table, 0, HEAP - 4096 + 3, 40, f->first_site);
    for (uint64_t i = 0; i < 1000; i++)
        image_track(&f->table, 389047, HEAP + GIB + i * 4096 + 8, 4000, foreign);
    tm_target_changed(f->target);
    root_variable(f, IMAGE_ROOT);
    uint64_t before = tm_target_bytes_read(f->target);
    assert_int_equal(find(f, HEAP - 4096 + 3, &block, 1, &damage), 1);
    assert_true(tm_target_bytes_read(f->target) - before < 32 * KIB);
    // A record which is free again is none, whatever else it says.
    struct tm_tracked *record = image_record(&f->table, &f->root->tracked, last);
    record->site = 0;
    assert_int_equal(find(f, UINT64_MAX - 10, &block, 1, &damage), 0);
    record->site = f->first_site; // of another domain
    image_rehash(&f->table, f->root);
    assert_int_equal(find(f, UINT64_MAX - 10, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

// Found by a look at all, and by the index.
static void test_an_overwritten_tracked_block_is_left_out(void **state)
{
    struct fixture *f = *state;
    uint32_t foreign = image_site(&f->table, f->second_node, 389047, 0);
    uint32_t id = image_track(&f->table, 389047, 777, 4000, foreign);
    struct tm_tracked *record = image_record(&f->table, &f->root->tracked, id);
    struct tm_block block;
    struct tm_damage damage;
    for (int many = 0; many < 2; many++) {
        assert_int_equal(find(f, 777, &block, 1, &damage), 1);
        assert_true(undamaged(&damage));
        record->size ^= 1;
        tm_target_changed(f->target);
        assert_int_equal(find(f, 777, &block, 1, &damage), 0);
        assert_true(damage.corrupt_records >= 1);
        assert_int_equal(damage.first_address, image_record_address(&f->table, &f->root->tracked, id));
        record->size ^= 1;
        for (uint64_t i = 0; i < 1000; i++)
            image_track(&f->table, 389047, HEAP + i * 4096 + 8, 4000, foreign);
        tm_target_changed(f->target);
    }
}

// Updates in flight are counted by a site before the whole counts them, and never the other way round.
static void test_a_whole_of_more_than_its_sites_is_damage(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    f->root->owned.traced -= 40;
    struct tm_snapshot snapshot = take(f);
    assert_true(undamaged(&snapshot.damage));
    assert_int_equal(snapshot.in_flight, 40);
    tm_snapshot_deinit(&snapshot);
    f->root->owned.traced += 41;
    snapshot = take(f);
    assert_int_equal(snapshot.damage.corrupt_records, 1);
    assert_int_equal(snapshot.in_flight, 0);
    tm_snapshot_deinit(&snapshot);
    struct tm_info facts = info(f);
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
    for (size_t i = 0; i < 5; i++) { // the thorough search finds it still
        head->shift = shifts[i];
        assert_int_equal(find(f, address, &block, 1, &damage), 1);
    }
    head->shift = 12;
    for (uint32_t i = 0; i < 4096; i++)
        head->slot[i] = i % 2 ? TM_TRACKED_REMOVED : 0xfffffffe; // endless, and wild
    f->root->tracked.count = 1400;
    tm_target_changed(f->target);
    assert_int_equal(find(f, address, &block, 1, &damage), 0);
    assert_int_not_equal(damage.corrupt_records, 0);
    const uint64_t wild[] = {0, 1, UINT64_MAX, UINT64_MAX - 20};
    for (size_t i = 0; i < 4; i++) {
        f->root->tracked_index = wild[i];
        tm_target_changed(f->target);
        assert_int_equal(find(f, address, &block, 1, &damage), 0);
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
    assert_int_equal(find(f, HEAP + 1700 * 4096 + 5, &block, 1, &damage), 1);
    assert_int_equal(find(f, HEAP + 1399 * 4096 + 5, &block, 1, &damage), 0);
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
        assert_int_equal(find(f, HEAP + 1000 + offset, &block, 1, &damage), 1);
        assert_int_equal(block.address, HEAP + 1000);
        assert_int_equal(block.size, 500);
        assert_true(block.resizing);
        assert_frame(block.traceback, 2, "work.py", 40);
    }
    assert_not_found(f, HEAP + 1500);
    assert_not_found(f, HEAP + 999);
    // Where both say something, the map does: the new block is there already.
    image_block(&f->table, HEAP + 1008 - 16, 64, f->first_site);
    tm_target_changed(f->target);
    struct tm_block blocks[4];
    assert_int_equal(find(f, HEAP + 1010, blocks, 4, &damage), 1);
    assert_false(blocks[0].resizing);
    // A wild record does no harm.
    *resize =
        (struct tm_resize){.address = UINT64_MAX - 5, .size = UINT64_MAX, .site = UINT32_MAX, .state = TM_RESIZE_BUSY};
    tm_target_changed(f->target);
    assert_int_equal(find(f, UINT64_MAX, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, 1);
}

// ---------------------------------------------------------------------------------------------------------------
// At random

static uint64_t random_64(void)
{
    return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

struct area {
    uint64_t address, length;
};

enum { AREAS = 10 };

// Where there is something to bend, told before anything is bent.
static void find_areas(struct fixture *f, struct area *areas)
{
    const struct tm_root *root = f->root;
    const struct area found[AREAS] = {
        {IMAGE_ROOT, sizeof(struct tm_root)},
        {root->bytes.chunk[0], 256},
        {root->strings.chunk[0], 16 * 16},
        {root->codes.chunk[0], 16 * 48},
        {root->nodes.chunk[0], 16 * 16},
        {root->sites.chunk[0], 16 * 48},
        {root->tracked.chunk[0], 16 * 32},
        {root->tracked_index, 16},
        {root->directory + (HEAP >> 33) * 8 - 64, 128},
        {image_leaf(&f->table, HEAP), 256},
    };
    memcpy(areas, found, sizeof(found));
}

static void bend(struct fixture *f, const struct area *areas)
{
    size_t which = (size_t)random() % AREAS;
    unsigned char *bytes = image_at(f->image, areas[which].address, areas[which].length);
    uint64_t at = random_64() % areas[which].length;
    switch (random() % 4) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << random() % 8);
        break;
    case 1:
        bytes[at] = (unsigned char)random();
        break;
    case 2: {
        uint64_t value = random() % 2 ? random_64() : (uint64_t) - (random() % 3);
        memcpy(bytes + at / 8 * 8, &value, areas[which].length - at / 8 * 8 < 8 ? 1 : 8);
        break;
    }
    default:
        image_hide(f->image, areas[which].address & ~UINT64_C(4095), 4096);
    }
}

static void assert_sound(const struct tm_traceback *traceback)
{
    assert_non_null(traceback);
    assert_in_range(traceback->count, 1, 65535);
    assert_true(traceback->total_frames >= traceback->count && traceback->total_frames <= 65535);
    for (uint32_t i = 0; i < traceback->count; i++) {
        assert_true(traceback->frames[i].line <= INT32_MAX);
        assert_int_equal(traceback->frames[i].file_name->bytes[traceback->frames[i].file_name->length], 0);
    }
}

static void ask_everything(struct fixture *f)
{
    struct tm_source *source = NULL;
    struct tm_info facts;
    struct tm_snapshot snapshot;
    struct tm_block blocks[4];
    struct tm_damage damage;
    size_t count;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    const uint64_t addresses[] = {HEAP, HEAP + 70, HEAP + 4096, HEAP + 33, 12345};
    for (size_t i = 0; !error && i < 5; i++) {
        error = tm_source_find(source, &f->host, f->pool, addresses[i], blocks, 4, &count, &damage);
        for (size_t j = 0; !error && j < count; j++) {
            assert_true(addresses[i] == blocks[j].address || addresses[i] - blocks[j].address < blocks[j].size);
            assert_sound(blocks[j].traceback);
        }
    }
    if (!error)
        error = tm_source_info(source, &f->host, &facts);
    if (!error)
        error = tm_source_snapshot(source, &f->host, f->pool, &snapshot);
    if (!error) {
        for (size_t i = 0; i < snapshot.count; i++) {
            assert_sound(snapshot.groups[i].traceback);
            assert_true(snapshot.groups[i].count > 0);
        }
        tm_snapshot_deinit(&snapshot);
    }
    if (error)
        assert_int_not_equal(strlen(tm_error_message(error)), 0);
    tm_error_destroy(error);
}

static void test_random_damage(void **state)
{
    for (unsigned seed = 1; seed <= 1500; seed++) {
        struct fixture *f;
        assert_int_equal(setup((void **)&f), 0);
        const uint8_t pairs[] = {4, 1, 2, 0x80, 6, 0xfe};
        uint32_t code = image_code(&f->table, "lines.py", 5, (uint8_t)(seed % 4), pairs, sizeof(pairs), 12);
        uint32_t site = image_site(&f->table, image_node(&f->table, f->work_node, code, 8), 389047, 0);
        image_block(&f->table, HEAP, 100, f->first_site);
        image_block(&f->table, HEAP + 256, 5, f->second_site);
        image_block(&f->table, HEAP + 512, 5 * GIB, f->second_site);
        image_track(&f->table, 389047, 12345, 100, site);
        struct area areas[AREAS];
        find_areas(f, areas);
        srandom(seed);
        for (long bends = 1 + random() % 6; bends; bends--)
            bend(f, areas);
        ask_everything(f);
        teardown((void **)&f);
    }
    (void)state;
}

// ---------------------------------------------------------------------------------------------------------------

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found_by_symbol),
        TEST(test_found_by_search),
        cmocka_unit_test(test_found_by_name),
        cmocka_unit_test(test_not_found_in_file_or_unwritable_regions),
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
        TEST(test_other_version_is_told_before_damage),
        TEST(test_tracing_off),
        TEST(test_search_is_cheap_and_can_be_stopped),
        TEST(test_source_is_kept_until_the_target_changes),
        TEST(test_info),
        TEST(test_info_of_an_untraced_table),
        TEST(test_versions_cannot_harm_a_terminal),
        TEST(test_snapshot),
        TEST(test_snapshot_counts_modulo_two_to_the_64),
        TEST(test_unknown_frames),
        TEST(test_paths_do_not_leak_into_each_other),
        TEST(test_lines_come_from_the_table),
        TEST(test_long_lnotab),
        TEST(test_long_3_10_table),
        TEST(test_long_location_table),
        TEST(test_bad_links_leave_the_group_out),
        TEST(test_zeros_in_the_place_of_records_are_damage),
        TEST(test_implausible_counters_are_damage),
        TEST(test_many_sites_in_many_chunks),
        TEST(test_missing_pages_of_sites),
        TEST(test_truncated_core),
        TEST(test_missing_memory_behind_a_group),
        TEST(test_missing_memory_is_counted_once),
        TEST(test_huge_counts_cost_nothing),
        TEST(test_wild_chunks_end_soon),
        TEST(test_readable_pages_between_missing_ones_are_used),
        TEST(test_snapshot_can_be_stopped),
        TEST(test_sites_behind_a_large_hole),
        TEST(test_second_snapshot_reads_nothing),
        TEST(test_overlong_names_are_refused),
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
        TEST(test_find_tracked),
        TEST(test_find_in_many_tracked),
        TEST(test_an_overwritten_tracked_block_is_left_out),
        TEST(test_a_whole_of_more_than_its_sites_is_damage),
        TEST(test_damaged_tracked_index),
        TEST(test_missing_pages_of_tracked),
        TEST(test_block_inside_realloc),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
