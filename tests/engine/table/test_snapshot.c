// Snapshots: valid tables give the right groups, and what is wrong gives counted damage, never a wrong answer.

#include "support/table_fixture.h"

static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->first_site);
    image_block(&f->table, HEAP + 512, 0, f->second_site); // of no bytes, but live
    struct tm_snapshot snapshot = take_snapshot(f);
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
    *counters_record(f, f->first_site) =
        (struct tm_counters){.allocations = 1, .frees = (uint64_t)-4, .allocated = 10, .freed = (uint64_t)-90};
    f->root->owned.traced = 100;
    struct tm_snapshot snapshot = take_snapshot(f);
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
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(snapshot.groups[0].traceback->count, 1);
    assert_frame(snapshot.groups[0].traceback, 0, "<unknown>", 0);
    assert_frame(snapshot.groups[1].traceback, 0, "main.py", 10);
    assert_frame(snapshot.groups[1].traceback, 1, "<unknown>", 0);
    tm_snapshot_deinit(&snapshot);
}

// Tracebacks share their beginnings in every way: longer after shorter, shorter after longer, side branches.
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
    struct tm_snapshot snapshot = take_snapshot(f);
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
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        struct tm_block block;
        struct tm_damage damage;
        assert_frame(snapshot.groups[i].traceback, 0, "lines.py", expected[i].line);
        tm_target_changed(f->target); // without what the snapshot loaded
        assert_int_equal(find_blocks(f, HEAP + i * 256, &block, 1, &damage), 1);
        assert_frame(block.traceback, 0, "lines.py", expected[i].line);
    }
    tm_snapshot_deinit(&snapshot);
}

// A table longer than the first read of it, and long enough for checkpoints.
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
    struct tm_snapshot snapshot = take_snapshot(f);
    tm_target_changed(f->target);
    assert_int_equal(snapshot.count, NODES);
    for (uint32_t i = 0; i < NODES; i++) {
        const struct tm_site *site = site_record(f, (uint32_t)f->root->sites.count - NODES + i);
        uint32_t entry = (uint32_t)node_record(f, site->node)->instruction / 2, line = 1;
        // A pair of lnotab changes the line at the start of its range, the other formats before it.
        for (uint32_t j = 0; j < entry + (kind != TM_LINES_LNOTAB); j++)
            line += j % 3;
        assert_frame(snapshot.groups[i].traceback, 0, "long.py", line);
        struct tm_block block;
        struct tm_damage damage;
        assert_int_equal(find_blocks(f, HEAP + i * 256, &block, 1, &damage), 1);
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

// Changes something: the first site must be left out and counted, the second one must stay.
static void assert_first_is_left_out(struct fixture *f, bool corrupt)
{
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_frame(snapshot.groups[0].traceback, 2, "work.py", 40);
    assert_int_equal(snapshot.damage.corrupt_records, corrupt);
    assert_int_equal(snapshot.damage.unreadable_records, !corrupt);
    assert_int_equal(snapshot.damage.unreadable_bytes != 0, !corrupt);
    assert_int_not_equal(snapshot.damage.first_address, 0);
    tm_snapshot_deinit(&snapshot);
    // And by its address: the block does not get a wrong traceback.
    struct tm_block block;
    struct tm_damage damage;
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 0);
    assert_int_equal(damage.corrupt_records, corrupt);
    assert_int_equal(damage.unreadable_records, !corrupt);
    assert_int_equal(find_blocks(f, HEAP + 256, &block, 1, &damage), 1);
}

// The same with its older frames: what is left is its newest frame, with a mark.
static void assert_first_is_partial(struct fixture *f, bool corrupt)
{
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 2);
    const struct tm_traceback *traceback = snapshot.groups[0].traceback;
    assert_true(traceback->older_missing && !snapshot.groups[1].traceback->older_missing);
    assert_int_equal(traceback->count, 1);
    assert_frame(traceback, 0, "own.py", 30);
    assert_int_equal(snapshot.damage.partial_tracebacks, 1);
    assert_int_equal(snapshot.damage.corrupt_records, 0);
    assert_int_equal(snapshot.damage.unreadable_records, 0);
    assert_int_equal(snapshot.damage.unreadable_bytes != 0, !corrupt);
    assert_int_not_equal(snapshot.damage.first_address, 0);
    tm_snapshot_deinit(&snapshot);
    struct tm_block block;
    struct tm_damage damage;
    tm_target_changed(f->target);
    assert_int_equal(find_blocks(f, HEAP, &block, 1, &damage), 1);
    assert_true(block.traceback->older_missing);
    assert_int_equal(damage.partial_tracebacks, 1);
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
    // By its hash, and, with the hash made right too, each field alone.
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
#define BENT_OLDER(place, value)               \
    do {                                       \
        __typeof__(place) good = (place);      \
        (place) = (value);                     \
        if (enemy)                             \
            image_rehash(&f->table, f->root);  \
        if (enemy)                             \
            assert_first_is_partial(f, true);  \
        else                                   \
            assert_first_is_left_out(f, true); \
        (place) = good;                        \
        image_rehash(&f->table, f->root);      \
    } while (0)
        BENT(site->node, 0);
        BENT(site->node, (uint32_t)f->root->nodes.count);
        BENT(site->node, UINT32_MAX);
        BENT(site->total_frames, 2);
        BENT(site->total_frames, 0);
        BENT_OLDER(node->parent, f->first_node);  // a cycle of one
        BENT_OLDER(node->parent, f->second_node); // forwards
        BENT(node->parent, 0);                    // it ends too early
        BENT_OLDER(node->parent, f->main_node);   // a level is missing
        BENT_OLDER(node->parent, UINT32_MAX);
        BENT(node->depth, 0);
        BENT(node->depth, 1); // a shorter traceback, which would look right
        BENT_OLDER(node->depth, 2);
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
#undef BENT_OLDER
    }
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 2);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
}

// A page of zeros in place of a lost one: its zeros do not pass for names and lines.
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
    struct tm_counters *counters = counters_record(f, f->first_site);
    const struct tm_counters good = *counters;
    for (int i = 0; i < 2; i++) {
        *counters = good;
        counters->frees = i ? 1 : 2; // no block, of 100 bytes; -1 blocks
        struct tm_snapshot snapshot = take_snapshot(f);
        assert_int_equal(snapshot.count, 1);
        assert_int_equal(snapshot.groups[0].size, 200);
        assert_int_equal(snapshot.damage.corrupt_records, 1);
        assert_int_equal(snapshot.damage.first_address,
                         image_record_address(&f->table, &f->root->sites, f->first_site));
        tm_snapshot_deinit(&snapshot);
        struct tm_info facts = take_info(f);
        assert_int_equal(facts.damage.corrupt_records, 1);
        assert_int_equal(facts.blocks, 1);
    }
}

// Counters which are missing, or less than what the root counts: the map is counted instead.
static void test_where_counters_are_lost_the_map_is_counted(void **state)
{
    struct fixture *f = *state;
    image_grid(&f->table, HEAP, 256, 0);
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    struct tm_counters *counters = counters_record(f, f->first_site);
    const struct tm_counters good = *counters;
    for (int i = 0; i < 5; i++) {
        *counters = good;
        if (i == 1)
            counters->freed = 101; // -1 bytes
        else if (i == 2)
            counters->allocated = UINT64_C(1) << 61;
        else if (i == 3)
            *counters = (struct tm_counters){0}; // a page of zeros
        else if (i == 4)
            image_hide(f->image, f->root->counters.chunk[0], 4096);
        struct tm_snapshot snapshot = take_snapshot(f);
        assert_int_equal(snapshot.count, 2);
        assert_int_equal(snapshot.groups[0].size, 100);
        assert_int_equal(snapshot.groups[0].count, 1);
        assert_true(undamaged(&snapshot.damage));
        tm_snapshot_deinit(&snapshot);
        // But what was ever allocated is lost, and the answer says so.
        assert_null(tm_source_history(open_source(f), &f->host, f->pool, &snapshot));
        assert_int_equal(undamaged(&snapshot.damage), i == 0 || i == 3);
        tm_snapshot_deinit(&snapshot);
    }
}

// Many sites, so that they fill several pages and chunks.
static void add_sites(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t site = image_site(&f->table, f->first_node, 0, 0);
        *counters_record(f, site) = (struct tm_counters){.allocations = 1, .allocated = i + 1};
        f->root->owned.traced += i + 1;
    }
    image_rehash(&f->table, f->root);
}

static void test_many_sites_in_many_chunks(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000); // pieces of 1 MiB hold 32768 counters
    struct tm_snapshot snapshot = take_snapshot(f);
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
    // One page in the middle of the chunk of 32768 sites: all sites that do not touch it are there.
    uint64_t chunk = f->root->sites.chunk[11], hole = chunk + 40 * 4096, lost = 0, sum = 0;
    image_hide(f->image, hole, 4096);
    for (uint64_t id = 1; id < f->root->sites.count; id++) {
        uint64_t address = image_record_address(&f->table, &f->root->sites, id);
        lost += address + 16 > hole && address < hole + 4096;
    }
    struct tm_snapshot snapshot = take_snapshot(f);
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
    struct tm_info facts = take_info(f);
    assert_int_equal(facts.blocks, 60000 - lost);
    assert_int_equal(facts.damage.unreadable_records, lost);
}

static void test_truncated_core(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    uint64_t chunk = f->root->sites.chunk[11]; // contains ids from 32752 on
    image_hide(f->image, chunk + 4 * 4096, 32768 * 16 - 4 * 4096);
    struct tm_snapshot snapshot = take_snapshot(f);
    uint64_t there = 32752 - 1 - 2 + 4 * 4096 / 16;
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
    struct tm_snapshot snapshot = take_snapshot(f);
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

// The function of a frame is read too, and where it cannot be, nothing else is missing.
static void test_functions(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    struct tm_node *node = image_record(&f->table, &f->root->nodes, site_record(f, f->first_site)->node);
    struct tm_code *code = image_record(&f->table, &f->root->codes, node->code);
    char filling[5000]; // so that the function's name is on another page
    memset(filling, 'x', sizeof(filling));
    image_string(&f->table, filling, sizeof(filling));
    code->qualname = image_string(&f->table, "Basket.add", 10);
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(snapshot.has_functions);
    const struct tm_traceback *traceback = snapshot.groups[0].traceback;
    assert_string_equal(traceback->newest->function->bytes, "Basket.add");
    tm_snapshot_deinit(&snapshot);

    const struct tm_string *string = image_record(&f->table, &f->root->strings, code->qualname);
    image_hide(f->image, image_record_address(&f->table, &f->root->bytes, string->position), 10);
    snapshot = take_snapshot(f);
    traceback = snapshot.groups[0].traceback;
    assert_null(traceback->newest->function);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
    image_show_all(f->image);

    code->qualname = TM_STRING_UNKNOWN;
    image_rehash(&f->table, f->root);
    snapshot = take_snapshot(f);
    traceback = snapshot.groups[0].traceback;
    assert_null(traceback->newest->function);
    tm_snapshot_deinit(&snapshot);
}

static void test_a_traceback_that_was_cut_and_not_counted(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    site_record(f, f->first_site)->flags |= TM_SITE_CUT;
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(undamaged(&snapshot.damage));
    assert_int_equal(snapshot.groups[0].traceback->count, 3);
    assert_int_equal(snapshot.groups[0].traceback->total_frames, TM_TOTAL_UNKNOWN);
    assert_true(tm_traceback_is_cut(snapshot.groups[0].traceback));
    tm_snapshot_deinit(&snapshot);

    // With TM_SITE_CUT, what was counted is known.
    site_record(f, f->first_site)->total_frames = 9;
    image_rehash(&f->table, f->root);
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.groups[0].traceback->total_frames, 9);
    tm_snapshot_deinit(&snapshot);
}

// A frame whose code object the table had no room for is not the frame of a block where no Python code ran.
static void test_frames_that_are_not_recorded(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    site_record(f, f->first_site)->node = image_node(&f->table, f->main_node, TM_CODE_UNKNOWN, 8);
    site_record(f, f->first_site)->total_frames = 2;
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take_snapshot(f);
    const struct tm_traceback *traceback = snapshot.groups[0].traceback;
    assert_int_equal(traceback->count, 2);
    assert_true(tm_traceback_oldest(traceback, 2)->newest->not_recorded &&
                !tm_traceback_oldest(traceback, 1)->newest->not_recorded);
    assert_false(snapshot.codes_full);
    tm_snapshot_deinit(&snapshot);

    site_record(f, f->first_site)->node = TM_NODE_UNKNOWN;
    site_record(f, f->first_site)->total_frames = 1;
    f->root->record_limit = 4 * f->root->codes.count;
    image_rehash(&f->table, f->root);
    snapshot = take_snapshot(f);
    assert_false(tm_traceback_oldest(snapshot.groups[0].traceback, 1)->newest->not_recorded);
    assert_true(snapshot.codes_full);
    tm_snapshot_deinit(&snapshot);
    struct tm_info facts = take_info(f);
    assert_true(facts.tracer.full & TM_FULL_CODES);
    site_record(f, f->first_site)->flags |= TM_SITE_SHORTENED; // no room for any frame
    image_rehash(&f->table, f->root);
    snapshot = take_snapshot(f);
    assert_true(snapshot.groups[0].shortened &&
                tm_traceback_oldest(snapshot.groups[0].traceback, 1)->newest->not_recorded);
    tm_snapshot_deinit(&snapshot);
    assert_int_equal(facts.tracer.code_limit, f->root->codes.count - 1);
    assert_int_equal(facts.tracer.codes, facts.tracer.code_limit);
}

// What was ever allocated is known of each site; of a site without live blocks only to those who want history.
static void test_history(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    struct tm_counters *counters = counters_record(f, f->first_site);
    counters->frees = counters->allocations;
    counters->freed = counters->allocated;
    f->root->owned.traced = 0;
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(snapshot.has_churn);
    assert_int_equal(snapshot.count, 0);
    tm_snapshot_deinit(&snapshot);
    assert_null(tm_source_history(open_source(f), &f->host, f->pool, &snapshot));
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.groups[0].size, 0);
    assert_int_equal(snapshot.groups[0].churn->allocated, 100);
    assert_int_equal(snapshot.groups[0].churn->frees, 1);
    tm_snapshot_deinit(&snapshot);
}

static void test_missing_memory_is_counted_once(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 1000);
    image_hide(f->image, f->root->bytes.chunk[0], 4096);
    struct tm_snapshot snapshot = take_snapshot(f);
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
            struct tm_snapshot snapshot = take_snapshot(f);
            assert_int_equal(snapshot.count, 1);
            assert_int_equal(snapshot.groups[0].size, 100);
            assert_int_equal(snapshot.damage.corrupt_records != 0, i == 0);
            assert_true(tm_target_bytes_read(f->target) - bytes < 512 * KIB);
            tm_snapshot_deinit(&snapshot);
            // A count of more records than 26 chunks can contain is reported as well.
            bool beyond = j >= 2 || (j == 1 && i != 4);
            assert_int_equal(take_info(f).damage.corrupt_records != 0, i == 0 || beyond);
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
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_true(snapshot.damage.unreadable_records > 4000000);
    assert_true(image_reads(f->image) - reads < 20000);
    tm_snapshot_deinit(&snapshot);
}

static void test_readable_pages_between_missing_ones_are_used(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 60000);
    uint64_t start = f->root->sites.chunk[11], length = UINT64_C(32768) * 16, there = 32752 - 1 - 2;
    for (uint64_t page = 0; page < length / 4096; page += 2)
        image_hide(f->image, start + page * 4096, 4096);
    for (uint64_t id = 32752; id < f->root->sites.count; id++) {
        uint64_t offset = image_record_address(&f->table, &f->root->sites, id) - start;
        there += offset / 4096 % 2 && (offset + 15) / 4096 % 2;
    }
    struct tm_snapshot snapshot = take_snapshot(f);
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
    image_hide(f->image, f->root->sites.chunk[9] + 5 * 4096, 4096); // the lost bytes must not be counted twice
    image_hide(f->image, f->root->sites.chunk[11] + 100 * 4096, 4096);
    f->host.callbacks.should_stop = stop_once;
    struct tm_snapshot whole = take_snapshot(f), snapshot;
    uint64_t asked = f->asked;
    assert_int_not_equal(whole.damage.unreadable_records, 0);
    assert_true(asked > 40);
    for (uint64_t stop = 1; stop < asked; stop++) {
        f->asked = f->stop_after = 0;
        tm_target_changed(f->target);
        struct tm_source *source = open_source(f);
        f->stop_after = f->asked + stop;
        struct tm_error *error = tm_source_snapshot(source, &f->host, f->pool, &snapshot);
        if (f->asked < f->stop_after) // it had finished before
            assert_null(error);
        else
            assert_error(error, TM_ERROR_INTERRUPTED, "");
        if (!error)
            tm_snapshot_deinit(&snapshot);
        // And again without a stop: nothing half read was kept.
        f->stop_after = 0;
        assert_null(tm_source_snapshot(source, &f->host, f->pool, &snapshot));
        assert_int_equal(snapshot.count, whole.count);
        assert_memory_equal(&snapshot.damage, &whole.damage, sizeof(whole.damage));
        tm_snapshot_deinit(&snapshot);
    }
    tm_snapshot_deinit(&whole);
}

// So much is missing that single pages are not searched for; what is after it is used anyway.
static void test_sites_behind_a_large_hole(void **state)
{
    struct fixture *f = *state;
    const unsigned chunk = 16; // of 2^20 sites, 16 MiB
    const uint64_t first = (UINT64_C(16) << chunk) - 16, count = UINT64_C(1) << 20;
    for (unsigned i = 1; i <= chunk; i++)
        f->root->sites.chunk[i] = image_map_anywhere(f->image, (UINT64_C(16) << i) * sizeof(struct tm_site));
    f->root->sites.count = first + count;
    struct tm_array *sites = &f->root->sites;
    *(struct tm_site *)image_record(&f->table, sites, first + count - 1) =
        (struct tm_site){.node = f->first_node, .total_frames = 3};
    image_put_block(&f->table, HEAP, 77, (uint32_t)(first + count - 1));
    f->root->flags |= TM_ROOT_LEAN;
    f->root->counters.count = 1;
    image_rehash(&f->table, f->root);
    const uint64_t hole = 12 * UINT64_C(65536) * 16; // of whole pieces, as the array is read
    image_hide(f->image, sites->chunk[chunk], hole);
    uint64_t reads = image_reads(f->image);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.groups[0].size, 77);
    assert_int_equal(snapshot.damage.unreadable_bytes, hole);
    assert_int_equal(snapshot.damage.unreadable_records, hole / 16);
    assert_true(image_reads(f->image) - reads < 6000);
    tm_snapshot_deinit(&snapshot);
}

static void test_second_snapshot_reads_nothing(void **state)
{
    struct fixture *f = *state;
    add_sites(f, 1000);
    struct tm_snapshot snapshot = take_snapshot(f);
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
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(tm_traceback_oldest(snapshot.groups[0].traceback, 3)->newest->file_name->length, MIB);
    tm_snapshot_deinit(&snapshot);
}

// The same table in the lean profile: all is counted in the map.
static void test_the_lean_profile(void **state)
{
    struct fixture *f = *state;
    f->root->flags |= TM_ROOT_LEAN;
    f->root->counters = (struct tm_array){.count = 1, .record_size = sizeof(struct tm_counters), .first_shift = 4};
    image_grid(&f->table, HEAP, 64, 0);
    uint32_t foreign = image_site(&f->table, f->first_node, 389047, 0);
    for (uint64_t i = 0; i < 100; i++)
        image_block(&f->table, HEAP + i * 64, i % 65, f->first_site);
    image_block(&f->table, HEAP + 64 * KIB, 5 * MIB, f->second_site);
    image_track(&f->table, 389047, 12345, 1000, foreign);
    f->root->resize[2] =
        (struct tm_resize){.address = HEAP + GIB, .size = 33, .site = f->second_site, .state = TM_RESIZE_BUSY};
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_true(undamaged(&snapshot.damage));
    assert_false(snapshot.has_churn);
    assert_int_equal(snapshot.count, 3);
    assert_int_equal(snapshot.groups[0].count, 100);
    assert_int_equal(snapshot.groups[0].size, 64 * 65 / 2 + 34 * 35 / 2);
    assert_int_equal(snapshot.groups[1].count, 2);
    assert_int_equal(snapshot.groups[1].size, 5 * MIB + 33);
    assert_int_equal(snapshot.groups[2].size, 1000);
    assert_int_equal(snapshot.in_flight, 0);
    tm_snapshot_deinit(&snapshot);
    struct tm_info facts = take_info(f);
    assert_true(facts.tracer.lean);
    assert_int_equal(facts.blocks, 103);
    assert_int_equal(facts.sites_live, 3);
    // A block that is about to be freed, or was just stored.
    f->root->owned.traced -= 64;
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.in_flight, 64);
    assert_true(undamaged(&snapshot.damage));
    tm_snapshot_deinit(&snapshot);
    // Blocks that have vanished.
    f->root->owned.traced += 128;
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.damage.corrupt_records, 1);
    tm_snapshot_deinit(&snapshot);
    f->root->owned.traced -= 64;
    // Blocks without a site.
    *image_slot(&f->table, HEAP + 64) |= TM_SLOT_SITE_MASK;
    site_record(f, f->second_site)->node = 0;
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(snapshot.damage.corrupt_records, 2);
    tm_snapshot_deinit(&snapshot);
}

// The oldest frames are missing, or the code object of one: the rows by line do not need them.
static void test_a_traceback_without_its_older_frames(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    node_record(f, f->main_node)->depth = 0; // the record is free
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.count, 1);
    assert_true(snapshot.groups[0].traceback->older_missing);
    assert_int_equal(snapshot.groups[0].traceback->count, 2);
    assert_int_equal(snapshot.groups[0].traceback->total_frames, 3);
    assert_frame(snapshot.groups[0].traceback, 0, "work.py", 20);
    assert_frame(snapshot.groups[0].traceback, 1, "work.py", 30);
    tm_snapshot_deinit(&snapshot);
    node_record(f, f->main_node)->depth = 1;
    node_record(f, f->work_node)->code = 100;
    image_rehash(&f->table, f->root);
    snapshot = take_snapshot(f);
    assert_int_equal(snapshot.groups[0].traceback->count, 1);
    assert_frame(snapshot.groups[0].traceback, 0, "work.py", 30);
    assert_int_equal(snapshot.damage.partial_tracebacks, 1);
    tm_snapshot_deinit(&snapshot);
}

// Cut tracebacks have no total where it was not counted.
static void test_totals_of_cut_tracebacks(void **state)
{
    struct fixture *f = *state;
    image_block(&f->table, HEAP, 100, f->first_site);
    image_block(&f->table, HEAP + 256, 100, f->second_site);
    site_record(f, f->first_site)->flags = TM_SITE_CUT;
    site_record(f, f->second_site)->flags = TM_SITE_CUT;
    image_rehash(&f->table, f->root);
    struct tm_snapshot snapshot = take_snapshot(f);
    assert_int_equal(snapshot.groups[0].traceback->total_frames, 0);
    assert_int_equal(snapshot.groups[1].traceback->total_frames, 7);
    tm_snapshot_deinit(&snapshot);
}

// Each page of the first chunks alone is missing, or zeros, or overwritten: nothing is lost, since all have copies.
static void test_copies_of_records(void **state)
{
    struct fixture *f = *state;
    const uint8_t lines[] = {2, 3, 98, 4};
    uint32_t code = image_code(&f->table, "copied.py", 7, TM_LINES_3_10, lines, sizeof(lines), 100);
    uint32_t site = image_site(&f->table, image_node(&f->table, f->main_node, code, 50), 0, 0);
    image_block(&f->table, HEAP, 100, site);
    image_block(&f->table, HEAP + 256, 200, f->second_site);
    struct tm_root *root = f->root;
    struct tm_array *arrays[] = {&root->bytes, &root->strings, &root->codes, &root->nodes, &root->sites, &root->leaves};
    for (size_t i = 0; i < 6; i++)
        image_copy(&f->table, arrays[i], 0);
    for (size_t i = 0; i < 6; i++) {
        uint64_t length = arrays[i]->count * arrays[i]->record_size;
        unsigned char *bytes = image_at(f->image, arrays[i]->chunk[0], length), good[4096];
        memcpy(good, bytes, length);
        for (int damage = 0; damage < 3; damage++) {
            if (damage == 0)
                image_hide(f->image, arrays[i]->chunk[0], 4096);
            else
                memset(bytes, damage == 1 ? 0 : 0xa5, length);
            struct tm_snapshot snapshot = take_snapshot(f);
            assert_int_equal(snapshot.count, 2);
            assert_int_equal(snapshot.groups[0].traceback->count, 3);
            assert_frame(snapshot.groups[1].traceback, 1, "copied.py", 14);
            assert_true(undamaged(&snapshot.damage));
            tm_snapshot_deinit(&snapshot);
            tm_target_changed(f->target);
            struct tm_block block;
            struct tm_damage found;
            assert_int_equal(find_blocks(f, HEAP + 99, &block, 1, &found), 1);
            assert_frame(block.traceback, 1, "copied.py", 14);
            assert_true(undamaged(&found));
            image_show_all(f->image);
            memcpy(bytes, good, length);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        TEST(test_where_counters_are_lost_the_map_is_counted),
        TEST(test_many_sites_in_many_chunks),
        TEST(test_missing_pages_of_sites),
        TEST(test_truncated_core),
        TEST(test_missing_memory_behind_a_group),
        TEST(test_functions),
        TEST(test_a_traceback_that_was_cut_and_not_counted),
        TEST(test_frames_that_are_not_recorded),
        TEST(test_history),
        TEST(test_missing_memory_is_counted_once),
        TEST(test_huge_counts_cost_nothing),
        TEST(test_wild_chunks_end_soon),
        TEST(test_readable_pages_between_missing_ones_are_used),
        TEST(test_snapshot_can_be_stopped),
        TEST(test_sites_behind_a_large_hole),
        TEST(test_second_snapshot_reads_nothing),
        TEST(test_overlong_names_are_refused),
        TEST(test_the_lean_profile),
        TEST(test_a_traceback_without_its_older_frames),
        TEST(test_totals_of_cut_tracebacks),
        TEST(test_copies_of_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
