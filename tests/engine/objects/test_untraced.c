/**
 * Untraced blocks: pools of arenas that the source knows, and chunks of a heap of glibc. What does not have the shape of an
 * arena or of a pool is not believed, even if the table says that it is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/source_ops.h"
#include "engine/objects/untraced.h"
#include "support/image.h"

enum { POOL = 16384, HEAD = 48, ARENA_SIZE = 1 << 20, BLOCK = 64 };
#define ARENA UINT64_C(0x7f1000100000)
#define HEAP UINT64_C(0x555500000000)

struct fake {
    struct tm_source source; // first
    uint64_t start, end;     // of what it says is an arena
    bool has_trace;
};

static const struct tm_traceback *traceback(void)
{
    static struct tm_traceback made;
    made.count = 0;
    return &made;
}

// One block in the heap: the second chunk's.
static struct tm_error *visit_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                     tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    static struct tm_origin origin;
    const struct tm_trace trace = {HEAP + 0x290 + 16, 100, &origin, false};
    (void)host;
    (void)pool;
    (void)result;
    origin = (struct tm_origin){.traceback = traceback(), .giver = TM_GIVER_RAW};
    return ((struct fake *)source)->has_trace ? visit(context, &trace) : NULL;
}

static struct tm_error *visit_memory(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                                     void *context)
{
    const struct fake *fake = (const struct fake *)source;
    (void)host;
    struct tm_error *error = visit(context, TM_MEMORY_TRACER, fake->start, fake->end);
    return error ? error : visit(context, TM_MEMORY_ARENA, fake->start, fake->end);
}

static const struct tm_source_ops operations = {.traces = visit_traces, .memory = visit_memory};

struct made {
    struct image *image;
    struct tm_target *target;
    struct tm_objects objects;
    struct tm_nodes nodes;
    struct tm_untraced untraced;
    struct fake fake;
};

static int setup(void **state)
{
    static struct made made;
    made = (struct made){.image = image_create(), .fake = {{.ops = &operations}, ARENA, ARENA + ARENA_SIZE, false}};
    image_map(made.image, ARENA - POOL, ARENA_SIZE + 2 * POOL, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    *state = &made;
    return 0;
}

static int teardown(void **state)
{
    struct made *made = *state;
    tm_nodes_deinit(&made->nodes);
    tm_untraced_deinit(&made->untraced);
    tm_heap_cache_destroy(made->objects.heap);
    tm_target_destroy(made->target);
    image_destroy(made->image);
    return 0;
}

// A pool of blocks of 64 bytes: `made` were ever in use, of which the first is free.
static void make_pool(struct made *made, uint64_t address, uint32_t count)
{
    unsigned char *head = image_at(made->image, address, HEAD);
    const uint32_t words[] = {BLOCK / 16 - 1, HEAD + (count + 1) * BLOCK, POOL - BLOCK};
    const uint64_t free_block = address + HEAD;
    memcpy(head, &count, sizeof(count));
    memcpy(head + 8, &free_block, sizeof(free_block));
    memcpy(head + 36, words, sizeof(words));
}

static void look(struct made *made)
{
    static const struct tm_host host = {0};
    static const struct tm_cpython cpython = {.minor = 13};
    made->target = image_new_target(made->image);
    made->objects =
        (struct tm_objects){.target = made->target, .host = &host, .source = &made->fake.source, .cpython = &cpython};
    assert_null(tm_heap_cache_create(made->target, &host, &made->objects.heap));
    assert_null(tm_nodes_init(&made->nodes, &made->objects, &made->untraced));
}

static void test_blocks_of_a_known_arena_are_found(void **state)
{
    struct made *made = *state;
    make_pool(made, ARENA + 3 * POOL, 5);
    make_pool(made, ARENA + 40 * POOL, 2); // no other pool is near
    make_pool(made, ARENA + ARENA_SIZE, 9);
    look(made);
    assert_int_equal(made->untraced.pool_count, 2);
    assert_int_equal(made->untraced.count, 7);
    assert_int_equal(made->untraced.size, 7 * BLOCK);
    assert_int_equal(made->nodes.items[0].address, ARENA + 3 * POOL + HEAD + BLOCK); // the first one is free
    assert_int_equal(made->nodes.items[6].address, ARENA + 40 * POOL + HEAD + 2 * BLOCK);
    assert_int_equal(made->nodes.items[6].origin, TM_UNTRACED);
}

static void test_a_pool_that_makes_no_sense_is_not_one(void **state)
{
    struct made *made = *state;
    make_pool(made, ARENA, 5);
    make_pool(made, ARENA + POOL, 5);
    make_pool(made, ARENA + 2 * POOL, 5);
    memset(image_at(made->image, ARENA + 44, 4), 0xee, 4);          // the greatest offset
    memset(image_at(made->image, ARENA + POOL + HEAD, 8), 0xee, 8); // the link of the free block
    look(made);
    assert_int_equal(made->untraced.pool_count, 2);
    assert_int_equal(made->untraced.unsound, 1);
    assert_int_equal(made->untraced.count, 5);
}

static void test_memory_of_another_size_is_no_arena(void **state)
{
    struct made *made = *state;
    make_pool(made, ARENA, 5);
    made->fake.end -= POOL; // frames of Python are in such memory
    look(made);
    assert_int_equal(made->untraced.pool_count, 0);
}

static void test_memory_that_is_not_there_is_no_arena(void **state)
{
    struct made *made = *state;
    make_pool(made, ARENA, 5);
    made->fake.start = UINT64_MAX - 2 * ARENA_SIZE + 1;
    made->fake.end = UINT64_MAX - ARENA_SIZE + 1;
    look(made);
    assert_int_equal(made->untraced.pool_count, 0);
}

static void put(struct made *made, uint64_t address, uint64_t word)
{
    memcpy(image_at(made->image, address, 8), &word, 8);
}

static void test_chunks_of_a_heap_are_blocks_unless_they_are_traced(void **state)
{
    struct made *made = *state;
    const uint64_t sizes[] = {0x290, 0x80, 0x40, 0x60, 0x500};
    uint64_t at = HEAP;
    image_map(made->image, HEAP, 0x21000, "[heap]", TM_REGION_READABLE | TM_REGION_WRITABLE);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(made, at + 8, sizes[i] | (i == 3 ? 0 : 1)); // the third one is free
        at += sizes[i];
    }
    put(made, at + 8, (HEAP + 0x21000 - at) | 1);
    made->fake.has_trace = true;
    look(made);
    assert_int_equal(made->untraced.glibc.heap_count, 1);
    // The first one is a thread's cache, which is empty here, so that nothing tells it from other blocks.
    assert_int_equal(made->untraced.count, 3);
    assert_int_equal(made->nodes.count, 4);
    assert_int_equal(made->nodes.items[1].size, 100);
    assert_int_equal(made->nodes.items[2].address, HEAP + 0x290 + 0x80 + 0x40 + 16);
    assert_true(made->nodes.items[2].no_object);
    assert_false(made->nodes.items[3].no_object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blocks_of_a_known_arena_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pool_that_makes_no_sense_is_not_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_of_another_size_is_no_arena, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_that_is_not_there_is_no_arena, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunks_of_a_heap_are_blocks_unless_they_are_traced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
