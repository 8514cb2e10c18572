/**
 * Private memory: what the front end says, or what the regions add up to, whatever either of them makes up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/model/footprint.h"

#define ANONYMOUS (TM_REGION_READABLE | TM_REGION_WRITABLE)

// What the front end answers.
struct front_end {
    uint32_t kind;
    uint64_t size;
    const struct tm_region *regions;
    size_t count;
};

static int read_nothing(void *context, uint64_t address, void *buffer, uint64_t length)
{
    (void)context, (void)address, (void)buffer, (void)length;
    return 1;
}

static size_t list_regions(void *context, struct tm_region *regions, size_t capacity)
{
    const struct front_end *front_end = context;
    size_t count = front_end->count < capacity ? front_end->count : capacity;
    if (count > 0)
        memcpy(regions, front_end->regions, count * sizeof(*regions));
    return front_end->count;
}

static uint64_t say(void *context, uint32_t *kind)
{
    const struct front_end *front_end = context;
    assert_int_equal(*kind, 0);
    *kind = front_end->kind;
    return front_end->size;
}

static struct tm_private ask(struct front_end *front_end, bool has_callback)
{
    const struct tm_target_callbacks callbacks = {
        .read = read_nothing, .regions = list_regions, .private_memory = has_callback ? say : NULL};
    struct tm_target *target;
    struct tm_private result;
    assert_null(tm_target_create(&callbacks, front_end, &target));
    assert_null(tm_target_private(target, &result));
    tm_target_destroy(target);
    return result;
}

static const struct tm_region regions[] = {
    {0x1000, 0x3000, ANONYMOUS, 0, "[heap]"},
    {0x4000, 0x5000, TM_REGION_READABLE, 0, "not writable"},
    {0x5000, 0x6000, ANONYMOUS | TM_REGION_FILE, 0, "/lib/file"},
    {0x6000, 0x7000, ANONYMOUS | TM_REGION_ABSENT, 0, "not in the core"},
    {0x9000, 0x8000, ANONYMOUS, 0, "ends before it starts"},
    {0xa000, 0xb000, TM_REGION_WRITABLE, 0, ""},
};

static void test_the_front_end_knows_best(void **state)
{
    struct front_end front_end = {0, 12345, regions, 6};
    (void)state;
    for (uint32_t kind = 1; kind <= 3; kind++) {
        front_end.kind = kind;
        struct tm_private found = ask(&front_end, true);
        assert_int_equal(found.kind, kind);
        assert_int_equal(found.size, 12345);
    }
}

static void test_else_the_regions_are_added_up(void **state)
{
    struct front_end front_end = {0, 12345, regions, 6};
    (void)state;
    for (int i = 0; i < 3; i++) {
        front_end.kind = i == 2 ? 4 : 0; // 4 is no kind
        struct tm_private found = ask(&front_end, i > 0);
        assert_int_equal(found.kind, TM_PRIVATE_MAPPED);
        assert_int_equal(found.size, 0x3000);
    }
}

static void test_without_regions_nothing_is_known(void **state)
{
    struct front_end front_end = {0, 12345, NULL, 0};
    (void)state;
    assert_int_equal(ask(&front_end, true).kind, TM_PRIVATE_UNKNOWN);
}

static void test_sums_saturate(void **state)
{
    const struct tm_region huge[] = {{0, UINT64_MAX, ANONYMOUS, 0, ""}, {0, UINT64_MAX, ANONYMOUS, 0, ""}};
    struct front_end front_end = {0, 0, huge, 2};
    (void)state;
    assert_true(ask(&front_end, true).size == UINT64_MAX);
}

static void test_a_snapshot_file_has_no_memory(void **state)
{
    struct front_end front_end = {TM_PRIVATE_RESIDENT, 1, regions, 6};
    const struct tm_target_callbacks callbacks = {.read = read_nothing, .private_memory = say};
    struct tm_target *target;
    struct tm_footprint footprint;
    (void)state;
    assert_null(tm_target_create_file(&callbacks, &front_end, 100, &target));
    assert_null(tm_footprint_init(&footprint, target, 5, 5));
    assert_int_equal(footprint.kind, TM_PRIVATE_UNKNOWN);
    tm_target_destroy(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_front_end_knows_best),         cmocka_unit_test(test_else_the_regions_are_added_up),
        cmocka_unit_test(test_without_regions_nothing_is_known), cmocka_unit_test(test_sums_saturate),
        cmocka_unit_test(test_a_snapshot_file_has_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
