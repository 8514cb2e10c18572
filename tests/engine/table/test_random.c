// Tables changed at random: each answer is sound, or an error, or counted damage.

#include "support/table_fixture.h"

static uint64_t random_64(void)
{
    return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

struct area {
    uint64_t address, length;
};

enum { AREAS = 14 };

// Where there is something to change, found before anything is changed.
static void find_areas(struct fixture *f, struct area *areas)
{
    const struct tm_root *root = f->root;
    const struct area found[AREAS] = {
        {IMAGE_ROOT, sizeof(struct tm_root)},
        {root->bytes.chunk[0], 256},
        {root->strings.chunk[0], 16 * 16},
        {root->codes.chunk[0], 16 * 48},
        {root->nodes.chunk[0], 16 * 16},
        {root->sites.chunk[0], 16 * 16},
        {root->counters.chunk[0], 16 * 32},
        {root->leaves.chunk[0], 16 * 24},
        {root->own.chunk[0], 16 * 32},
        {root->tracked.chunk[0], 16 * 32},
        {root->tracked_index, 16},
        {image_unit_address(&f->table, HEAP), 64},
        {image_unit(&f->table, HEAP)->grid >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK, 256},
        {image_unit(&f->table, HEAP + 4096)->list >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, 256},
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
    for (const struct tm_traceback *rest = traceback; rest; rest = rest->older) {
        assert_true(rest->newest->line <= INT32_MAX);
        assert_int_equal(rest->newest->file_name->bytes[rest->newest->file_name->length], 0);
        assert_int_equal(rest->count, rest->older ? rest->older->count + 1 : 1);
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
        assert_int_equal(table_setup((void **)&f), 0);
        const uint8_t pairs[] = {4, 1, 2, 0x80, 6, 0xfe};
        uint32_t code = image_code(&f->table, "lines.py", 5, (uint8_t)(seed % 4), pairs, sizeof(pairs), 12);
        uint32_t site = image_site(&f->table, image_node(&f->table, f->work_node, code, 8), 389047, 0);
        image_grid(&f->table, HEAP, 256, 0);
        if (seed % 2)
            f->root->flags |= TM_ROOT_LEAN;
        image_block(&f->table, HEAP, 100, f->first_site);
        image_block(&f->table, HEAP + 256, 5, f->second_site);
        for (uint64_t i = 0; i < 30; i++)
            image_block(&f->table, HEAP + 4096 + i * 64, 40, f->second_site);
        image_block(&f->table, HEAP + 12288, GIB - 1, f->second_site);
        image_copy(&f->table, &f->root->nodes, 0);
        image_copy(&f->table, &f->root->leaves, 0);
        image_track(&f->table, 389047, 12345, 100, site);
        struct area areas[AREAS];
        find_areas(f, areas);
        srandom(seed);
        for (long bends = 1 + random() % 6; bends; bends--)
            bend(f, areas);
        ask_everything(f);
        table_teardown((void **)&f);
    }
    (void)state;
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
