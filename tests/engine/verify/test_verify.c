/**
 * tm-verify on made-up images: a valid table is healthy; each kind of damaged record is named with its address and
 * what is wrong; an update in flight is not damage; and random damage does no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/text.h"
#include "layout/hash.h"
#include "support/image.h"

#define HEAP UINT64_C(0x7f7000000000)
#define GIB (UINT64_C(1) << 30)
#define UNIT UINT64_C(16384)

struct fixture {
    struct image *image;
    struct image_table table;
    struct tm_root *root;
    struct tm_root arrays; // as they were at first
    bool keep_copies;      // copies of chunks are not made again before each question
    struct tm_session *session;
    struct tm_text output;
    char *message; // of the last error, or NULL
    enum tm_error_code code;
    uint64_t stop_after, asked;
};

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static void keep(void *context, const char *text, size_t length)
{
    tm_text_bytes(&((struct fixture *)context)->output, text, length);
}

static int setup(void **state)
{
    static const struct tm_host_callbacks callbacks = {.should_stop = should_stop, .write = keep};
    struct fixture *f = calloc(1, sizeof(*f));
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    image_table_fill(&f->table, HEAP);
    f->root = f->table.root;
    f->arrays = *f->root;
    *state = f;
    return tm_session_create(&callbacks, f, &f->session) != NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tm_session_destroy(f->session);
    tm_text_deinit(&f->output);
    free(f->message);
    image_destroy(f->image);
    free(f);
    return 0;
}

static const char *verify(struct fixture *f, const char *line)
{
    struct tm_request *request;
    struct tm_target *target = image_new_target(f->image);
    if (!f->keep_copies)
        image_copy_again(&f->table, &f->arrays);
    tm_text_clear(&f->output);
    free(f->message);
    f->message = NULL;
    f->code = (enum tm_error_code)0;
    f->asked = 0;
    struct tm_error *error = tm_request_create(f->session, "tm-verify", line, &request);
    if (!error) {
        error = tm_request_run(request, target);
        tm_request_destroy(request);
    }
    if (error) {
        f->message = strdup(tm_error_message(error));
        f->code = tm_error_code(error);
        tm_error_destroy(error);
    }
    tm_target_destroy(target);
    return tm_text_string(&f->output);
}

#define assert_contains(text, part)                              \
    do {                                                         \
        if (!strstr((text), (part)))                             \
            fail_msg("\"%s\" is not in \"%s\"", (part), (text)); \
    } while (0)

static void assert_healthy(struct fixture *f)
{
    const char *text = verify(f, "--strict");
    if (f->code || strncmp(text, "healthy: ", 9) != 0)
        fail_msg("%s\n%s", f->message, text);
}

// The finding, as `WHAT at ADDRESS: WHY` with the address put in where the words have %llx.
static void assert_named(struct fixture *f, const char *finding, uint64_t address)
{
    char line[256];
    snprintf(line, sizeof(line), finding, (unsigned long long)address);
    const char *text = verify(f, "-n 100");
    assert_int_equal(f->code, TM_ERROR_CORRUPT);
    assert_contains(f->message, "is damaged");
    assert_int_equal(strncmp(text, "damaged: ", 9), 0);
    assert_contains(text, line);
}

static void assert_in_flight(struct fixture *f, const char *part)
{
    const char *text = verify(f, "");
    if (f->code)
        fail_msg("%s\n%s", f->message, text);
    assert_contains(text, "in flight");
    assert_contains(text, part);
    verify(f, "--strict");
    assert_int_equal(f->code, TM_ERROR_CORRUPT);
}

static uint64_t string_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->strings, id);
}
static uint64_t code_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->codes, id);
}
static uint64_t node_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->nodes, id);
}
static uint64_t site_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->sites, id);
}
static uint64_t counters_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->counters, id);
}
static uint64_t tracked_at(struct fixture *f, uint64_t id)
{
    return image_record_address(&f->table, &f->root->tracked, id);
}
#define STRING(f, id) ((struct tm_string *)image_at((f)->image, string_at((f), (id)), sizeof(struct tm_string)))
#define CODE(f, id) ((struct tm_code *)image_at((f)->image, code_at((f), (id)), sizeof(struct tm_code)))
#define NODE(f, id) ((struct tm_node *)image_at((f)->image, node_at((f), (id)), sizeof(struct tm_node)))
#define SITE(f, id) ((struct tm_site *)image_at((f)->image, site_at((f), (id)), sizeof(struct tm_site)))
#define COUNTERS(f, id) ((struct tm_counters *)image_at((f)->image, counters_at((f), (id)), sizeof(struct tm_counters)))
#define TRACKED(f, id) ((struct tm_tracked *)image_at((f)->image, tracked_at((f), (id)), sizeof(struct tm_tracked)))

static uint32_t *index_slots(struct fixture *f)
{
    return image_at(f->image, f->root->tracked_index + sizeof(struct tm_tracked_index),
                    sizeof(uint32_t) << IMAGE_INDEX_SHIFT);
}

static unsigned index_position(struct fixture *f, uint32_t id)
{
    unsigned position = 0;
    while (index_slots(f)[position] != id)
        position++;
    return position;
}

static uint64_t slot_address(struct fixture *f, unsigned position)
{
    return f->root->tracked_index + sizeof(struct tm_tracked_index) + position * sizeof(uint32_t);
}

// ---------------------------------------------------------------------------------------------------------------
// Healthy tables

static void test_a_sound_table_is_healthy_and_its_figures_are_right(void **state)
{
    struct fixture *f = *state;
    assert_healthy(f);
    // 0 + 5 + … + 95, 512, 5000, 0 + 9 + … + 351, 900 MiB, 100, the tracked ones' 100 + … + 119, and 8.
    assert_string_equal(verify(f, ""), "healthy: the trace table at 0x7f5500300000 is consistent\n"
                                       "checked: 85 live blocks of 900 MiB (943734180), 21 of them tracked;\n"
                                       "         6 sites, 7 nodes, 7 code objects, 7 strings, 3 leaves\n");
    assert_string_equal(
        verify(f, "--json"),
        "{\"command\": \"tm-verify\", \"limit\": 10, \"strict\": false, \"table_address\": 140003052093440, "
        "\"verdict\": "
        "\"healthy\", \"damaged\": 0, \"missing\": 0, \"in_flight\": 0, \"unreadable_bytes\": 0, \"full\": [], "
        "\"lost_blocks\": 0, \"lost_frames\": 0, \"hidden_blocks\": 0, "
        "\"hidden_bytes\": 0, \"findings\": [], \"checked\": {\"strings\": 7, \"codes\": 7, \"nodes\": 7, \"sites\": "
        "6, \"leaves\": 3, \"grids\": 2, \"lists\": 19, "
        "\"tracked\": 21, \"watched\": 2, \"blocks\": 85, \"bytes\": 943734180}}\n");
}

static void make_lean(struct fixture *f)
{
    f->root->flags |= TM_ROOT_LEAN;
    f->root->counters.count = 1;
}

static void test_a_sound_lean_table_is_healthy(void **state)
{
    struct fixture *f = *state;
    make_lean(f);
    assert_healthy(f);
    f->root->counters.count = 3;
    assert_named(f, "root at 0x%llx: the lean profile has no counters, and here are 2",
                 IMAGE_ROOT + offsetof(struct tm_root, counters));
}

// It is consistent, but what is new to the program is recorded without its place.
static void test_a_full_table_is_not_simply_healthy(void **state)
{
    struct fixture *f = *state;
    f->root->record_limit = 4 * f->root->codes.count;
    f->root->lost_frames = 12;
    assert_contains(verify(f, ""), "full: the trace table at 0x7f5500300000 is consistent, but has no more room for: "
                                   "code objects, strings");
    assert_contains(verify(f, ""), "\nnot recorded: 0 blocks, 12 frames\n");
    const char *text = verify(f, "--json");
    assert_contains(text, "\"verdict\": \"full\"");
    assert_contains(text, "\"full\": [\"code objects\", \"strings\"");
    assert_contains(text, "\"lost_blocks\": 0, \"lost_frames\": 12");
    f->root->record_limit = 1 << 20;
    assert_contains(verify(f, ""), "healthy: ");
    f->root->record_limit = UINT64_MAX; // absurd: it says nothing
    assert_contains(verify(f, ""), "healthy: ");
}

static void test_an_untraced_table_is_healthy(void **state)
{
    struct fixture *f = *state;
    image_destroy(f->image);
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    f->root = f->table.root;
    f->arrays = *f->root;
    f->root->state = TM_STATE_LOADED;
    f->root->started = f->root->starts = f->root->frame_limit = 0;
    assert_healthy(f);
}

static void test_a_later_minor_version_may_use_what_was_reserved(void **state)
{
    struct fixture *f = *state;
    f->root->layout_minor = TM_LAYOUT_MINOR + 1;
    f->root->_reserved0 = 1;
    f->root->flags = 0x100;
    SITE(f, 1)->flags |= 0x80;
    image_rehash(&f->table, f->root);
    assert_healthy(f);
}

// ---------------------------------------------------------------------------------------------------------------
// Damage, by the kind of record

static void test_a_damaged_root_is_named(void **state)
{
    struct fixture *f = *state;
    f->root->shared._reserved[0] = 1;
    assert_named(f, "root at 0x%llx: a reserved field is not 0", IMAGE_ROOT + offsetof(struct tm_root, _reserved0));
    f->root->shared._reserved[0] = 0;
    f->root->flags = 0x100;
    assert_named(f, "root at 0x%llx: unknown flags: 0x100", IMAGE_ROOT + offsetof(struct tm_root, flags));
    f->root->flags = TM_ROOT_SAMPLED;
    assert_named(f, "root at 0x%llx: blocks are picked, but the mean distance is 0", IMAGE_ROOT + 248);
    f->root->sample_period = 1 << 19;
    assert_named(f, "root at 0x%llx: blocks are picked, but the profile is not lean", IMAGE_ROOT + 248);
    f->root->flags = 0;
    f->root->recorder.state = 4;
    assert_named(f, "root at 0x%llx: its recorder's state is 4", IMAGE_ROOT + offsetof(struct tm_root, recorder.state));
    f->root->recorder.state = TM_RECORDER_FILE;
    assert_named(f, "root at 0x%llx: it is in a file that has no identity",
                 IMAGE_ROOT + offsetof(struct tm_root, recorder));
    f->root->recorder.identity[15] = 1;
    f->root->recorder.state = TM_RECORDER_PRIVATE;
    assert_named(f, "root at 0x%llx: it is in no file, but has a file's identity",
                 IMAGE_ROOT + offsetof(struct tm_root, recorder));
    f->root->recorder = (struct tm_recorder){.limit = 5, .reached = 1, .reached_used = 4};
    assert_named(f, "root at 0x%llx: a limit of 5 bytes was reached with 4",
                 IMAGE_ROOT + offsetof(struct tm_root, recorder.reached));
    f->root->recorder = (struct tm_recorder){._reserved = {1}};
    assert_named(f, "root at 0x%llx: a reserved field of its recorder is not 0",
                 IMAGE_ROOT + offsetof(struct tm_root, recorder._reserved));
    f->root->recorder = (struct tm_recorder){0};
    f->root->started = 0;
    assert_named(f, "root at 0x%llx: it is tracing but was never started", IMAGE_ROOT + 152);
    f->root->started = 1;
    f->root->python_text[60] = 'x';
    assert_named(f, "root at 0x%llx: CPython's version is no text", IMAGE_ROOT + 56);
    f->root->python_text[60] = '\0';
    f->root->mapped = 4096;
    assert_named(f, "root at 0x%llx: 4096 bytes are mapped, but the table takes", IMAGE_ROOT + 192);
    f->root->mapped = GIB;
    assert_healthy(f);
}

static void test_damaged_arrays_are_named(void **state)
{
    struct fixture *f = *state;
    uint64_t chunk = f->root->nodes.chunk[0];
    f->root->nodes.count = 17; // as if chunk 1 were there
    assert_named(f, "nodes at 0x%llx: chunk 1, from record 16 on, is missing",
                 IMAGE_ROOT + offsetof(struct tm_root, nodes));
    f->root->nodes.count = 8;
    f->root->nodes.chunk[7] = chunk + 4096;
    assert_named(f, "nodes at 0x%llx: chunk 7 is at 0x", IMAGE_ROOT + offsetof(struct tm_root, nodes));
    f->root->nodes.chunk[7] = 0;
    f->root->nodes.chunk[1] = f->root->sites.chunk[0] + 8;
    assert_named(f, "nodes at 0x%llx: it shares its memory with: sites at 0x", f->root->sites.chunk[0] + 8);
    f->root->nodes.chunk[1] = 0;
    f->root->nodes.count = UINT64_MAX;
    assert_named(f, "nodes at 0x%llx: its count is 18446744073709551615, more than is possible",
                 IMAGE_ROOT + offsetof(struct tm_root, nodes));
    f->root->nodes.count = 8;
    assert_healthy(f);
}

static void test_damaged_strings_are_named(void **state)
{
    struct fixture *f = *state;
    const struct tm_string good = *STRING(f, 3);
    STRING(f, 3)->length = 1u << 30;
    assert_named(f, "string 3 at 0x%llx: its 1073741824 bytes, from position", string_at(f, 3));
    *STRING(f, 3) = good;
    STRING(f, 3)->position = UINT64_MAX - 1;
    assert_named(f, "string 3 at 0x%llx: its 13 bytes, from position 18446744073709551614 on, are not inside a chunk",
                 string_at(f, 3));
    *STRING(f, 3) = good;
    unsigned char *byte = image_at(f->image, image_record_address(&f->table, &f->root->bytes, good.position), 1);
    *byte = 0xff;
    assert_named(f, "string 3 at 0x%llx: its bytes or its hash changed after it was written", string_at(f, 3));
    image_rehash(&f->table, f->root);
    assert_named(f, "string 3 at 0x%llx: it is not UTF-8", string_at(f, 3));
    // The site whose frame has this name: its blocks, and those whose tracebacks contain it.
    assert_contains(f->output.bytes, "hidden: up to 40 blocks of ");
    *byte = '\x1b';
    *STRING(f, 3) = good;
    STRING(f, TM_STRING_UNKNOWN)->length = 4;
    image_rehash(&f->table, f->root);
    assert_named(f, "string 1 at 0x%llx: it is not <unknown>", string_at(f, 1));
}

static void test_strings_which_share_their_bytes_are_named(void **state)
{
    struct fixture *f = *state;
    for (uint64_t id = 2; id < f->root->strings.count; id++)
        *STRING(f, id) = (struct tm_string){.position = 1, .length = 50};
    verify(f, "-n 100");
    assert_contains(f->output.bytes, "are shared with other records, or there are too many");
}

static void test_damaged_code_objects_are_named(void **state)
{
    struct fixture *f = *state;
    const struct tm_code good = *CODE(f, 4);
    CODE(f, 4)->filename = 99;
    assert_named(f, "code object 4 at 0x%llx: its file name is string 99 of 7", code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, 4)->qualname = 0;
    assert_named(f, "code object 4 at 0x%llx: its name is string 0 of 7", code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, 4)->line_table_kind = 9;
    assert_named(f, "code object 4 at 0x%llx: an impossible line table or length: kind 9", code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, 4)->line_table = UINT64_MAX - 3;
    assert_named(f, "code object 4 at 0x%llx: its line table of 8 bytes, from position 18446744073709551612 on, is not",
                 code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, 4)->line_table_length--;
    assert_named(f, "code object 4 at 0x%llx: it or its line table changed after it was written", code_at(f, 4));
    image_rehash(&f->table, f->root);
    assert_named(f, "code object 4 at 0x%llx: its line table does not decode", code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, 4)->_reserved[2] = 1;
    assert_named(f, "code object 4 at 0x%llx: a reserved field is not 0", code_at(f, 4));
    *CODE(f, 4) = good;
    CODE(f, TM_CODE_UNKNOWN)->filename = 2;
    assert_named(f, "code object 1 at 0x%llx: it is not that of <unknown>", code_at(f, 1));
}

static void test_damaged_location_tables_are_named(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(CODE(f, 5)->line_table_kind, TM_LINES_LOCATIONS);
    unsigned char *table =
        image_at(f->image, image_record_address(&f->table, &f->root->bytes, CODE(f, 5)->line_table), 16);
    const struct {
        unsigned at;
        unsigned char byte;
    } bent[] = {{0, 0}, {1, 0x80}, {5, 0xd0}, {13, 0xf0}, {11, 0x44}, {15, 0x80}};
    for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
        unsigned char good = table[bent[i].at];
        table[bent[i].at] = bent[i].byte;
        image_rehash(&f->table, f->root);
        assert_named(f, "code object 5 at 0x%llx: its line table does not decode", code_at(f, 5));
        table[bent[i].at] = good;
    }
    image_rehash(&f->table, f->root);
    assert_healthy(f);
}

static void test_damaged_nodes_are_named(void **state)
{
    struct fixture *f = *state;
    const struct tm_node good = *NODE(f, 4);
    NODE(f, 4)->parent = 4; // a cycle
    assert_named(f, "node 4 at 0x%llx: its depth is 3, and its parent's 3", node_at(f, 4));
    NODE(f, 4)->parent = 8;
    assert_named(f, "node 4 at 0x%llx: its parent is node 8 of 7", node_at(f, 4));
    *NODE(f, 4) = good;
    NODE(f, 3)->depth = 0; // the record is free, and a child is not
    assert_named(f, "node 4 at 0x%llx: its depth is 3, and its parent's 0", node_at(f, 4));
    assert_contains(f->output.bytes, "the record of its traceback, node 3, is free");
    NODE(f, 3)->depth = 2;
    *NODE(f, 4) = good;
    NODE(f, 4)->depth = 9;
    assert_named(f, "node 4 at 0x%llx: its depth is 9, and its parent's 2", node_at(f, 4));
    *NODE(f, 4) = good;
    NODE(f, 4)->code = 8;
    assert_named(f, "node 4 at 0x%llx: its code object is 8 of 7", node_at(f, 4));
    *NODE(f, 4) = good;
    NODE(f, 4)->instruction = 40;
    assert_named(f, "node 4 at 0x%llx: its instruction is at 40 of 40 bytes of code object 4", node_at(f, 4));
    *NODE(f, 4) = good;
    NODE(f, TM_NODE_UNKNOWN)->code = 2;
    assert_named(f, "node 1 at 0x%llx: it is not that of <unknown>", node_at(f, 1));
}

static void test_damaged_sites_are_named(void **state)
{
    struct fixture *f = *state;
    const struct tm_site good = *SITE(f, 2);
    SITE(f, 2)->node = 8;
    assert_named(f, "site 2 at 0x%llx: its traceback is node 8 of 7", site_at(f, 2));
    assert_contains(f->output.bytes, "hidden: up to 18 blocks of 900 MiB (943720793) have no usable traceback");
    *SITE(f, 2) = good;
    SITE(f, 2)->total_frames = 1;
    assert_named(f, "site 2 at 0x%llx: 1 frames in all, and 2 are kept", site_at(f, 2));
    *SITE(f, 2) = good;
    SITE(f, 2)->allocator = 7;
    assert_named(f, "site 2 at 0x%llx: an unknown allocator: 7", site_at(f, 2));
    *SITE(f, 2) = good;
    SITE(f, 2)->domain = 5;
    assert_named(f, "site 2 at 0x%llx: an allocator of CPython's, 3, in domain 5", site_at(f, 2));
    assert_contains(f->output.bytes, "its site, 2, belongs to another domain than CPython's");
    *SITE(f, 2) = good;
    SITE(f, 2)->flags = 8;
    assert_named(f, "site 2 at 0x%llx: it changed after it was written", site_at(f, 2));
    image_rehash(&f->table, f->root);
    assert_named(f, "site 2 at 0x%llx: a reserved field is not 0", site_at(f, 2));
    *SITE(f, 2) = good;
    SITE(f, 2)->total_frames = 9;
    assert_named(f, "site 2 at 0x%llx: it changed after it was written", site_at(f, 2));
    assert_contains(f->output.bytes, "hidden: up to 18 blocks of 900 MiB (943720793) have no usable traceback");
    *SITE(f, 2) = good;
    COUNTERS(f, 2)->allocations += 1000;
    assert_named(f, "site 2 at 0x%llx: it counts 1018 blocks of 943720793 bytes, and 18 of 943720793 are found",
                 counters_at(f, 2));
    COUNTERS(f, 2)->allocations -= 1000;
    SITE(f, 2)->node = 0; // the record is free, and blocks have it
    assert_named(f, "block at 0x%llx: the record of its site, 2, is free", HEAP + 96);
    *SITE(f, 2) = good;
    f->root->frame_limit = 1;
    assert_named(f, "site 2 at 0x%llx: 2 frames, and the limit is 1", site_at(f, 2));
}

static void test_damaged_slots_are_named(void **state)
{
    struct fixture *f = *state;
    const uint64_t block = HEAP + 10 * 96, other = HEAP + 2 * UNIT + 384; // 50 bytes; 9 bytes, in a list
    uint32_t good = *image_slot(&f->table, block);
    *image_slot(&f->table, block) = (good & ~TM_SLOT_SITE_MASK) | 77;
    assert_named(f, "block at 0x%llx: its site is 77 of 6", block);
    *image_slot(&f->table, block) = good | TM_SLOT_SIZE_MASK << TM_SLOT_SIZE_SHIFT;
    assert_named(f, "block at 0x%llx: its slot has an impossible size", block);
    *image_slot(&f->table, block) = good;
    uint64_t *entry = image_entry(&f->table, other), good_entry = *entry;
    *entry |= UINT64_C(400) << TM_ENTRY_SIZE_SHIFT;
    assert_named(f, "block at 0x%llx: another block begins inside it", other);
    *entry = good_entry;
    entry = image_entry(&f->table, HEAP + 2 * UNIT + 39 * 384); // in a bucket
    *entry ^= UINT64_C(1) << (TM_ENTRY_START_SHIFT + 9);
    assert_named(f, "block at 0x%llx: its entry has an impossible start or size",
                 (HEAP + 2 * UNIT + 39 * 384) ^ 0x2000);
    *entry ^= UINT64_C(1) << (TM_ENTRY_START_SHIFT + 9);
    assert_healthy(f);
}

static void test_a_lost_block_is_missed_by_its_site(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 15; i += 5) // three of one site
        *image_slot(&f->table, HEAP + i * 96) = 0;
    assert_named(f, "site 1 at 0x%llx: it counts 21 blocks of 8127 bytes, and 18 of 8052 are found", counters_at(f, 1));
    assert_contains(f->output.bytes, "hidden: up to 3 blocks of 75 B (75) have no usable traceback");
}

// In the lean profile only the root counts.
static void test_a_lost_block_is_missed_by_the_root(void **state)
{
    struct fixture *f = *state;
    make_lean(f);
    *image_slot(&f->table, HEAP + 10 * 96) = 0;
    assert_named(f, "root at 0x%llx: traced memory is 943734180 bytes, and all blocks have 943734130",
                 IMAGE_ROOT + offsetof(struct tm_root, owned));
    f->root->owned.traced -= 50;
    assert_healthy(f);
    f->root->owned.traced -= 25; // one is about to be freed
    assert_in_flight(f, "traced memory is 943734105 bytes, and all blocks have 943734130");
}

static void test_a_damaged_map_is_named(void **state)
{
    struct fixture *f = *state;
    struct tm_unit *unit = image_unit(&f->table, HEAP), good = *unit;
    struct tm_unit *other = image_unit(&f->table, HEAP + 2 * UNIT), other_good = *other;
    uint64_t array = unit->grid >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK;
    uint64_t chunk = other->list >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK;
    unit->grid ^= 2;
    assert_named(f, "unit at 0x%llx: the word of its grid or of its list is impossible", HEAP);
    *unit = good;
    *(uint64_t *)image_at(f->image, array, 8) ^= 1;
    assert_named(f, "unit at 0x%llx: its grid is that of another unit, or is damaged", HEAP);
    *(uint64_t *)image_at(f->image, array, 8) ^= 1;
    unit->list = image_list_word(&f->table, HEAP, chunk, false);
    assert_named(f, "map at 0x%llx: a grid or a chunk of a list overlaps another one", chunk);
    *unit = good;
    uint64_t long_chunk = image_map_anywhere(f->image, 4096);
    for (uint64_t i = 0; i < 5; i++)
        ((struct tm_list_chunk *)image_at(f->image, long_chunk + i * 64, 64))->next =
            i < 4 ? image_list_word(&f->table, HEAP, long_chunk + (i + 1) * 64, false) : 0;
    unit->list = image_list_word(&f->table, HEAP, long_chunk, false);
    assert_named(f, "unit at 0x%llx: its list is longer than a list can be", HEAP);
    unit->list = image_list_word(&f->table, HEAP, f->root->sites.chunk[0], false);
    verify(f, "-n 100");
    assert_contains(f->output.bytes, "shares its memory with: ");
    *unit = good;
    *other = other_good;
    assert_healthy(f);
}

static void test_damaged_leaves_are_named(void **state)
{
    struct fixture *f = *state;
    uint64_t address = image_record_address(&f->table, &f->root->leaves, 2);
    struct tm_leaf *leaf = image_at(f->image, address, sizeof(*leaf)), good = *leaf;
    const struct tm_leaf *first = image_record(&f->table, &f->root->leaves, 1);
    leaf->units += 64;
    assert_named(f, "leaf 2 at 0x%llx: it changed after it was written", address);
    leaf->start += UNIT;
    image_rehash(&f->table, f->root);
    assert_named(f, "leaf 2 at 0x%llx: no leaf can start there", address);
    *leaf = good;
    leaf->units = 8;
    image_rehash(&f->table, f->root);
    assert_named(f, "leaf 2 at 0x%llx: no units can be there", address);
    *leaf = good;
    leaf->units = first->units + 4096;
    image_rehash(&f->table, f->root);
    assert_named(f, "leaves at 0x%llx: a leaf has the range or the memory of another one", address);
    *leaf = good;
    image_rehash(&f->table, f->root);
    assert_healthy(f);
}

static void test_damaged_copies_are_named(void **state)
{
    struct fixture *f = *state;
    f->keep_copies = true;
    struct tm_node *copy = image_at(f->image, f->root->nodes.copy[0] + 4 * sizeof(*copy), sizeof(*copy));
    const struct tm_node good = *copy;
    copy->code = 3;
    assert_named(f, "node 4 at 0x%llx: this copy of it changed after it was written",
                 f->root->nodes.copy[0] + 4 * sizeof(*copy));
    *copy = good;
    NODE(f, 4)->code = 3;
    assert_named(f, "node 4 at 0x%llx: it changed after it was written, and has a copy", node_at(f, 4));
    assert_null(strstr(f->output.bytes, "hidden"));
    *NODE(f, 4) = good;
    STRING(f, 3)->length = 3;
    assert_named(f, "string 3 at 0x%llx: its copy is different", string_at(f, 3));
    STRING(f, 3)->length = 13;
    // The copy is stored after the record.
    copy->depth = 0;
    assert_in_flight(f, "node 4 at 0x");
    *copy = good;
    f->root->nodes.copy[1] = f->root->sites.chunk[0] + 16;
    assert_named(f, "nodes at 0x%llx: chunk 1 is missing, and has a copy at",
                 IMAGE_ROOT + offsetof(struct tm_root, nodes));
    f->root->nodes.copy[1] = 0;
    image_hide(f->image, f->root->nodes.copy[0], 4096);
    verify(f, "");
    assert_int_equal(f->code, TM_ERROR_FAULT);
    assert_contains(f->output.bytes, "128 bytes of a copy cannot be read");
    assert_null(strstr(f->output.bytes, "hidden"));
}

static uint32_t add_record(struct fixture *f, struct tm_array *array)
{
    if (!array->chunk[0])
        array->chunk[0] = image_map_anywhere(f->image, 16 * array->record_size);
    return (uint32_t)array->count++;
}

static void test_damaged_places_are_named(void **state)
{
    struct fixture *f = *state;
    struct tm_python_arena *arenas[2];
    uint32_t first = add_record(f, &f->root->arenas), second = add_record(f, &f->root->arenas);
    arenas[0] = image_record(&f->table, &f->root->arenas, first);
    arenas[1] = image_record(&f->table, &f->root->arenas, second);
    *arenas[0] = (struct tm_python_arena){.address = HEAP, .size = 1 << 20};
    arenas[0]->hash = tm_python_arena_hash(first, arenas[0]);
    assert_healthy(f); // the second record is free
    *arenas[1] = (struct tm_python_arena){.address = HEAP + (1 << 19), .size = 1 << 20};
    assert_named(f, "arena 2 at 0x%llx: it changed after it was written",
                 image_record_address(&f->table, &f->root->arenas, second));
    arenas[1]->hash = tm_python_arena_hash(second, arenas[1]);
    assert_named(f, "arena at 0x%llx: it overlaps the one at 0x7f7000000000", HEAP + (1 << 19));
    arenas[1]->size = 0;
    struct tm_own *own = image_record(&f->table, &f->root->own, 2), good = *own;
    uint64_t address = image_record_address(&f->table, &f->root->own, 2);
    own->kind = 7;
    own->hash = tm_own_hash(2, own);
    assert_named(f, "mapping 2 at 0x%llx: its kind is 7", address);
    *own = good;
    own->size -= 1;
    assert_named(f, "mapping 2 at 0x%llx: it changed after it was written", address);
    own->size = 0; // the mapping is gone, and the table is in it
    assert_named(f, "sites at 0x%llx: its memory is not recorded as the tracer's", f->root->sites.chunk[0]);
    *own = good;
    assert_healthy(f);
}

static void test_damaged_tracked_blocks_are_named(void **state)
{
    struct fixture *f = *state;
    const struct tm_tracked good = *TRACKED(f, 3);
    TRACKED(f, 3)->site = 40;
    assert_named(f, "tracked block 3 at 0x%llx: its site is 40 of 6", tracked_at(f, 3));
    *TRACKED(f, 3) = good;
    TRACKED(f, 3)->domain = 7;
    assert_named(f, "tracked block 3 at 0x%llx: its domain is 7, and its site's is 389047", tracked_at(f, 3));
    assert_contains(f->output.bytes, "a search for tracked block 3 would end before it");
    *TRACKED(f, 3) = good;
    TRACKED(f, 3)->size ^= 1;
    assert_named(f, "tracked block 3 at 0x%llx: it changed after it was written", tracked_at(f, 3));
}

static void test_a_damaged_index_is_named(void **state)
{
    struct fixture *f = *state;
    struct tm_tracked_index *index = image_at(f->image, f->root->tracked_index, sizeof(*index));
    unsigned fourth = index_position(f, 4), fifth = index_position(f, 5);
    uint32_t *slots = index_slots(f);
    slots[fourth] = 1000;
    assert_named(f, "index of tracked blocks at 0x%llx: it leads to tracked block 1000, which does not exist",
                 slot_address(f, fourth));
    slots[fourth] = 5;
    assert_named(f, "index of tracked blocks at 0x%llx: it leads to tracked block 5 a second time",
                 slot_address(f, fourth > fifth ? fourth : fifth));
    slots[fourth] = slots[fifth] = TM_TRACKED_REMOVED;
    assert_named(f, "tracked block 5 at 0x%llx: it is not in the index", tracked_at(f, 5));
    slots[fourth] = 4;
    slots[fifth] = 5;
    index->_reserved[1] = 1;
    assert_named(f, "index of tracked blocks at 0x%llx: a reserved field is not 0", f->root->tracked_index);
    index->_reserved[1] = 0;
    index->shift = 50;
    assert_named(f, "index of tracked blocks at 0x%llx: it has 2^50 slots", f->root->tracked_index);
    index->shift = IMAGE_INDEX_SHIFT;
    for (unsigned i = 0; i < 1u << IMAGE_INDEX_SHIFT; i++)
        slots[i] = slots[i] ? slots[i] : TM_TRACKED_REMOVED;
    assert_named(f, "index of tracked blocks at 0x%llx: no slot is free", slot_address(f, 0));
}

static void test_a_run_across_the_end_of_the_index_is_sound(void **state)
{
    struct fixture *f = *state;
    // Blocks whose search begins at the last slot: all but one of them are at the beginning.
    const uint64_t last = (1u << IMAGE_INDEX_SHIFT) - 1;
    unsigned found = 0;
    for (uint64_t number = 1000000; found < 5; number++) {
        if ((tm_tracked_key_hash(389047, number) & last) != last)
            continue;
        image_track(&f->table, 389047, number, 1, 6);
        found++;
    }
    assert_healthy(f);
    index_slots(f)[0] = 0;
    assert_named(f, "index of tracked blocks at 0x%llx: a search for tracked block 24 would end before it",
                 slot_address(f, 1));
}

static void test_a_damaged_resize_record_is_named(void **state)
{
    struct fixture *f = *state;
    f->root->resize[3].state = 7;
    assert_named(f, "resize record 3 at 0x%llx: its state is 7", IMAGE_ROOT + offsetof(struct tm_root, resize[3]));
    f->root->resize[3] = (struct tm_resize){.address = HEAP + 6 * GIB, .size = 1, .site = 99, .state = TM_RESIZE_BUSY};
    assert_named(f, "resize record 3 at 0x%llx: its site is 99 of 6", IMAGE_ROOT + offsetof(struct tm_root, resize[3]));
}

static void test_damaged_totals_are_named(void **state)
{
    struct fixture *f = *state;
    uint64_t address = IMAGE_ROOT + offsetof(struct tm_root, owned);
    f->root->owned.traced += UINT64_C(1) << 50;
    f->root->owned.peak += 1;
    assert_named(f, "root at 0x%llx: traced memory is 1125900850576804 bytes, and all sites have 943734180", address);
}

// ---------------------------------------------------------------------------------------------------------------
// Updates in flight

static void assert_damaged(struct fixture *f, const char *part)
{
    const char *text = verify(f, "");
    assert_int_equal(f->code, TM_ERROR_CORRUPT);
    assert_contains(text, part);
}

static void test_a_block_counted_and_not_stored_is_in_flight(void **state)
{
    struct fixture *f = *state;
    COUNTERS(f, 2)->allocated += 1000;
    assert_in_flight(f, "it counts 18 blocks of 943721793 bytes, and 18 of 943720793 are found");
    COUNTERS(f, 2)->allocations++;
    assert_in_flight(f, "it counts 19 blocks of 943721793 bytes, and 18 of 943720793 are found");
    COUNTERS(f, 2)->allocations++; // the lock's holder has one in flight, and no more
    assert_damaged(f, "site 2 at 0x");
}

static void test_a_block_stored_and_not_counted_is_damage(void **state)
{
    struct fixture *f = *state;
    image_put_block(&f->table, HEAP + 6 * GIB, 1000, 2);
    assert_damaged(f, "it counts 18 blocks of 943720793 bytes, and 19 of 943721793 are found");
}

static void share(struct fixture *f, uint32_t site)
{
    SITE(f, site)->flags = TM_SITE_SHARED;
    image_rehash(&f->table, f->root);
}

// A page of zeros among the slots, which no order of the stores leaves.
static void test_a_block_which_vanished_is_damage(void **state)
{
    struct fixture *f = *state;
    share(f, 1);
    *image_slot(&f->table, HEAP + 10 * 96) = 0;
    assert_damaged(f, "site 1 at 0x");
    f->root->owned.traced -= 50; // it was about to be freed
    assert_in_flight(f, "site 1 at 0x");
}

static void test_a_total_without_its_bytes_is_in_flight(void **state)
{
    struct fixture *f = *state;
    image_put_block(&f->table, HEAP + 6 * GIB, 1000, 2);
    COUNTERS(f, 2)->allocations++;
    COUNTERS(f, 2)->allocated += 1000;
    assert_in_flight(f, "traced memory is 943734180 bytes, and all sites have 943735180");
}

static void test_a_block_which_moves_to_another_site_is_in_flight(void **state)
{
    struct fixture *f = *state;
    COUNTERS(f, 3)->allocations++; // first
    COUNTERS(f, 3)->allocated += 50;
    assert_in_flight(f, "site 3 at 0x");
    *image_slot(&f->table, HEAP + 10 * 96) = 50u << TM_SLOT_SIZE_SHIFT | 3; // then
    assert_in_flight(f, "site 1 at 0x");
    COUNTERS(f, 3)->allocations--;
    COUNTERS(f, 3)->allocated -= 50;
    assert_damaged(f, "site 3 at 0x");
}

static void test_shared_sites_may_have_an_update_in_flight_for_each_thread(void **state)
{
    struct fixture *f = *state;
    COUNTERS(f, 2)->allocations += 40;
    COUNTERS(f, 2)->allocated += 40 * 33;
    assert_damaged(f, "site 2 at 0x");
    share(f, 2);
    assert_in_flight(f, "it counts 58 blocks of 943722113 bytes, and 18 of 943720793 are found");
}

static void test_threads_may_leave_blocks_behind_when_tracing_is_stopped(void **state)
{
    struct fixture *f = *state;
    share(f, 2);
    for (unsigned i = 0; i < 40; i++)
        image_put_block(&f->table, HEAP + 6 * GIB + i * 64, 33, 2);
    assert_damaged(f, "site 2 at 0x"); // which it never was
    f->root->starts = 2;
    assert_in_flight(f, "it counts 18 blocks of 943720793 bytes, and 58 of 943722113 are found");
    for (unsigned i = 40; i < 260; i++)
        image_put_block(&f->table, HEAP + 6 * GIB + i * 64, 33, 2);
    assert_damaged(f, "site 2 at 0x");
}

static void test_a_block_being_resized_is_in_flight(void **state)
{
    struct fixture *f = *state;
    const uint64_t block = HEAP + 10 * 96;
    struct tm_resize *resize = &f->root->resize[0];
    *resize = (struct tm_resize){.address = block, .size = 50, .site = 1, .state = TM_RESIZE_BUSY};
    assert_in_flight(f, "the block at 0x7f70000003c0, of 50 bytes, is being resized"); // still in the map
    *image_slot(&f->table, block) = 0;
    assert_in_flight(f, "in flight: 1 record,");
    COUNTERS(f, 1)->frees++; // counted as freed: the record is void
    COUNTERS(f, 1)->freed += 50;
    f->root->owned.traced -= 50;
    assert_in_flight(f, "in flight: 1 record,");
}

static void test_a_tracked_block_not_yet_in_the_index_is_in_flight(void **state)
{
    struct fixture *f = *state;
    uint32_t *slots = index_slots(f);
    unsigned fourth = index_position(f, 4);
    slots[fourth] = TM_TRACKED_REMOVED;
    assert_in_flight(f, "tracked block 4 at 0x");
    slots[fourth] = 4;
    struct tm_tracked *record = TRACKED(f, 4);
    record->site = 0; // removed, but for its slot and its site's counts
    f->root->owned.traced -= record->size;
    assert_in_flight(f, "it leads to tracked block 4, which is free");
}

static void test_while_traces_are_cleared_counters_are_not_compared(void **state)
{
    struct fixture *f = *state;
    f->root->state = TM_STATE_CLEARING;
    COUNTERS(f, 2)->frees += 3;
    assert_in_flight(f, "traces are being cleared");
}

static void test_a_peak_which_lags_behind_is_in_flight(void **state)
{
    struct fixture *f = *state;
    f->root->owned.peak -= 100;
    verify(f, "--strict"); // two counters that grow at once may leave it so
    assert_int_equal(f->code, 0);
    assert_contains(f->output.bytes, "the peak is 943734080 bytes, less than the 943734180 traced now");
}

// ---------------------------------------------------------------------------------------------------------------
// Missing memory, limits, Ctrl-C, hostile tables

static void test_missing_pages_are_incomplete_and_no_damage(void **state)
{
    struct fixture *f = *state;
    image_hide(f->image, f->root->nodes.chunk[0], 1);
    image_hide(f->image, f->root->nodes.copy[0], 1);
    const char *text = verify(f, "");
    assert_int_equal(f->code, TM_ERROR_FAULT);
    assert_contains(f->message, "is incomplete");
    assert_contains(
        text, "incomplete: the trace table at 0x7f5500300000 is consistent as far as it can be read\nmissing: 8 rec");
    assert_contains(text, "hidden: up to 85 blocks of 900 MiB (943734180) have no usable traceback");
    image_show_all(f->image);
    const uint64_t copies = image_unit_address(&f->table, HEAP) + TM_LEAF_UNITS * sizeof(struct tm_unit);
    const uint64_t places[] = {f->root->leaves.chunk[0], image_unit_address(&f->table, HEAP),
                               f->root->tracked_index,   f->root->tracked_index + 4096,
                               f->root->bytes.chunk[0],  f->root->strings.chunk[0]};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        image_hide(f->image, places[i] & ~UINT64_C(4095), 4096);
        image_hide(f->image, copies & ~UINT64_C(4095), 4096);
        verify(f, "");
        if (f->code != TM_ERROR_FAULT)
            fail_msg("%zu: %s\n%s", i, f->message, f->output.bytes);
        image_show_all(f->image);
    }
}

static void test_an_array_at_the_end_of_the_address_space_is_missing(void **state)
{
    struct fixture *f = *state;
    f->root->sites.copy[0] = 0;
    f->root->sites.chunk[0] = UINT64_MAX - 7 * sizeof(struct tm_site);
    verify(f, "");
    assert_int_equal(f->code, TM_ERROR_CORRUPT); // it is not aligned
    assert_contains(f->output.bytes, "sites at 0xffffffffffffff8f: 6 cannot be read: 112 bytes of memory are missing");
}

static void test_findings_are_limited_and_all_are_counted(void **state)
{
    struct fixture *f = *state;
    for (uint64_t id = 2; id < 8; id++)
        NODE(f, id)->code = 100 + (uint32_t)id;
    const char *text = verify(f, "-n 2");
    assert_contains(text, "damaged: 6 records\n  node 2 at");
    assert_contains(text, "  node 6 at"); // the other one of depth 1
    assert_null(strstr(text, "node 3 at"));
    text = verify(f, "-n 1 --json");
    assert_contains(text, "\"verdict\": \"damaged\", \"damaged\": 6,");
    assert_contains(text, "\"findings\": [{\"kind\": \"damaged\", \"what\": \"node\", \"id\": 2, \"address\": ");
    assert_contains(text, "\"why\": \"its code object is 102 of 7\"}], \"checked\"");
}

static void test_it_can_be_stopped_at_every_question(void **state)
{
    struct fixture *f = *state;
    verify(f, "");
    uint64_t questions = f->asked;
    assert_true(questions > 5);
    for (f->stop_after = 1; f->stop_after <= questions; f->stop_after++) {
        verify(f, "");
        assert_int_equal(f->code, TM_ERROR_INTERRUPTED);
        assert_int_equal(f->output.length, 0);
    }
}

static uint64_t random_64(void)
{
    return (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
}

static void bend_at(struct fixture *f, uint64_t address, uint64_t length)
{
    uint64_t at = random_64() % length / 8 * 8, value = random() % 2 ? random_64() : (uint64_t)random() % 64;
    unsigned char *bytes = image_at(f->image, address + at, 8);
    if (random() % 2)
        bytes[random() % 8] ^= (unsigned char)(1u << random() % 8);
    else
        memcpy(bytes, &value, 8);
}

static void test_random_damage_does_no_harm(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 600; seed++) {
        struct fixture *f;
        assert_int_equal(setup((void **)&f), 0);
        const struct {
            uint64_t address, length;
        } areas[] = {
            {IMAGE_ROOT + 64, sizeof(struct tm_root) - 64},
            {f->root->strings.chunk[0], 128},
            {f->root->codes.chunk[0], 384},
            {f->root->nodes.chunk[0], 128},
            {f->root->sites.chunk[0], 112},
            {f->root->counters.chunk[0], 224},
            {f->root->leaves.chunk[0], 96},
            {f->root->own.chunk[0], 96},
            {f->root->tracked.chunk[0], 512},
            {f->root->tracked_index, 256},
            {image_unit_address(&f->table, HEAP), 64},
            {image_unit(&f->table, HEAP)->grid >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK, 4096},
        };
        f->keep_copies = true;
        srandom(seed);
        for (long bends = 1 + random() % 5; bends; bends--) {
            size_t area = (size_t)random() % (sizeof(areas) / sizeof(areas[0]));
            bend_at(f, areas[area].address, areas[area].length);
        }
        if (seed % 3 == 0)
            f->root->flags ^= TM_ROOT_LEAN;
        const char *text = verify(f, seed % 2 ? "-n 1000" : "--json");
        assert_true(f->code == 0 || f->code == TM_ERROR_CORRUPT || f->code == TM_ERROR_FAULT ||
                    f->code == TM_ERROR_UNSUPPORTED || f->code == TM_ERROR_NO_TABLE);
        assert_true(f->code != 0 || strstr(text, "healthy"));
        assert_true(image_reads(f->image) < 20000);
        teardown((void **)&f);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_sound_table_is_healthy_and_its_figures_are_right),
        TEST(test_a_sound_lean_table_is_healthy),
        TEST(test_a_full_table_is_not_simply_healthy),
        TEST(test_an_untraced_table_is_healthy),
        TEST(test_a_later_minor_version_may_use_what_was_reserved),
        TEST(test_a_damaged_root_is_named),
        TEST(test_damaged_arrays_are_named),
        TEST(test_damaged_strings_are_named),
        TEST(test_strings_which_share_their_bytes_are_named),
        TEST(test_damaged_code_objects_are_named),
        TEST(test_damaged_location_tables_are_named),
        TEST(test_damaged_nodes_are_named),
        TEST(test_damaged_sites_are_named),
        TEST(test_damaged_slots_are_named),
        TEST(test_a_lost_block_is_missed_by_its_site),
        TEST(test_a_lost_block_is_missed_by_the_root),
        TEST(test_a_damaged_map_is_named),
        TEST(test_damaged_leaves_are_named),
        TEST(test_damaged_copies_are_named),
        TEST(test_damaged_places_are_named),
        TEST(test_damaged_tracked_blocks_are_named),
        TEST(test_a_damaged_index_is_named),
        TEST(test_a_run_across_the_end_of_the_index_is_sound),
        TEST(test_a_damaged_resize_record_is_named),
        TEST(test_damaged_totals_are_named),
        TEST(test_a_block_counted_and_not_stored_is_in_flight),
        TEST(test_a_block_stored_and_not_counted_is_damage),
        TEST(test_a_block_which_vanished_is_damage),
        TEST(test_a_total_without_its_bytes_is_in_flight),
        TEST(test_a_block_which_moves_to_another_site_is_in_flight),
        TEST(test_shared_sites_may_have_an_update_in_flight_for_each_thread),
        TEST(test_threads_may_leave_blocks_behind_when_tracing_is_stopped),
        TEST(test_a_block_being_resized_is_in_flight),
        TEST(test_a_tracked_block_not_yet_in_the_index_is_in_flight),
        TEST(test_while_traces_are_cleared_counters_are_not_compared),
        TEST(test_a_peak_which_lags_behind_is_in_flight),
        TEST(test_missing_pages_are_incomplete_and_no_damage),
        TEST(test_an_array_at_the_end_of_the_address_space_is_missing),
        TEST(test_findings_are_limited_and_all_are_counted),
        TEST(test_it_can_be_stopped_at_every_question),
        cmocka_unit_test(test_random_damage_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
