// Prints the worked example of docs/layout.md: a small trace table at made-up addresses, in hex.
//
// The table is what the tracer would write for this program, app.py, under CPython 3.11. The data of the code objects
// is the real compiler's. There are fewer records, and the first chunks are smaller than the tracer's:
//
//     1  CACHE = []
//     4  def load(n):
//     5      CACHE.append(bytearray(n))
//     8  load(1000)
//
// A test compares the output with the document, and reads the document's copy by the document's tables alone.

#include <stdio.h>
#include <string.h>

#include "layout/hash.h"
#include "layout/trace_table.h"

#define UNIT_SHIFT 14
#define STRIDE 64u
#define MAPPED UINT64_C(0x100000) // bytes, from the root on

enum {
    ROOT = 0, // an index of `maps`
    BYTES,
    STRINGS_0,
    STRINGS_1,
    CODES,
    NODES,
    SITES,
    COUNTERS,
    LEAVES,
    TRACKED,
    ARENAS,
    OWN,
    INDEX,
    NODES_COPY,
    GRID,
    LIST,
    UNITS,
    MAPS
};

static struct tm_root root;
static char bytes[256];
static struct tm_string strings[2][4]; // two chunks: the first holds 2 records, the second 4
static struct tm_code codes[4];
static struct tm_node nodes[4], nodes_copy[4];
static struct tm_site sites[4];
static struct tm_counters counters[4];
static struct tm_leaf leaves[2];
static struct tm_tracked tracked[2];
static struct tm_python_arena arenas[2];
static struct tm_own own[2];
static uint32_t tracked_index[sizeof(struct tm_tracked_index) / sizeof(uint32_t) + 4]; // the head and 4 slots
static uint32_t grid[2 + TM_GRID_SLOTS(UNIT_SHIFT, STRIDE, 0)];                        // the head and the slots
static struct tm_list_chunk list;
static struct tm_unit units[2][TM_LEAF_UNITS]; // the second ones are the copies

static const struct {
    const char *title;
    uint64_t address;
    const void *content;
    size_t size;
} maps[MAPS] = {
    [ROOT] = {"root", 0x7f5a40000000, &root, sizeof root},
    [BYTES] = {"bytes, chunk 0", 0x7f5a40002000, bytes, sizeof bytes},
    [STRINGS_0] = {"strings, chunk 0", 0x7f5a40002100, strings[0], 2 * sizeof strings[0][0]},
    [STRINGS_1] = {"strings, chunk 1", 0x7f5a40002140, strings[1], sizeof strings[1]},
    [CODES] = {"codes, chunk 0", 0x7f5a40002180, codes, sizeof codes},
    [NODES] = {"nodes, chunk 0", 0x7f5a40002240, nodes, sizeof nodes},
    [SITES] = {"sites, chunk 0", 0x7f5a40002280, sites, sizeof sites},
    [COUNTERS] = {"counters, chunk 0", 0x7f5a400022c0, counters, sizeof counters},
    [LEAVES] = {"leaves, chunk 0", 0x7f5a40002340, leaves, sizeof leaves},
    [TRACKED] = {"tracked, chunk 0", 0x7f5a40002380, tracked, sizeof tracked},
    [ARENAS] = {"arenas, chunk 0", 0x7f5a400023c0, arenas, sizeof arenas},
    [OWN] = {"own, chunk 0", 0x7f5a40002400, own, sizeof own},
    [INDEX] = {"tracked index", 0x7f5a40002440, tracked_index, sizeof tracked_index},
    [NODES_COPY] = {"nodes, copy of chunk 0", 0x7f5a40003000, nodes_copy, sizeof nodes_copy},
    [GRID] = {"grid", 0x7f5a40004000, grid, sizeof grid},
    [LIST] = {"list, its chunk", 0x7f5a40004440, &list, sizeof list},
    [UNITS] = {"units, and their copies", 0x7f5a40010000, units, sizeof units},
};

// ---------------------------------------------------------------------------------------------------------------

static tm_position append(const void *data, uint32_t length)
{
    tm_position position = root.bytes.count;
    memcpy(bytes + position, data, length);
    root.bytes.count += length;
    return position;
}

static uint32_t add_string(const char *text)
{
    uint32_t id = (uint32_t)root.strings.count++;
    uint32_t length = (uint32_t)strlen(text);
    *(id < 2 ? &strings[0][id] : &strings[1][id - 2]) =
        (struct tm_string){.position = append(text, length), .length = length, .hash = tm_string_hash(text, length)};
    return id;
}

static struct tm_code *add_code(uint32_t filename, uint32_t qualname, int32_t first_line)
{
    struct tm_code *code = &codes[root.codes.count++];
    *code = (struct tm_code){.filename = filename, .qualname = qualname, .first_line = first_line};
    code->hash = tm_code_hash(code, "");
    return code;
}

static void set_lines(struct tm_code *code, const void *table, uint32_t length, uint32_t code_length)
{
    code->line_table_kind = TM_LINES_LOCATIONS;
    code->line_table = append(table, length);
    code->line_table_length = length;
    code->code_length = code_length;
    code->hash = tm_code_hash(code, table);
}

static uint32_t add_node(uint32_t parent, uint32_t code, int32_t instruction)
{
    uint32_t id = (uint32_t)root.nodes.count++;
    nodes[id] = (struct tm_node){.parent = parent,
                                 .code = code,
                                 .instruction = instruction,
                                 .depth = (uint16_t)(parent ? nodes[parent].depth + 1 : 1)};
    nodes[id].hash = tm_node_hash(id, &nodes[id]);
    nodes_copy[id] = nodes[id];
    return id;
}

static uint32_t add_site(uint32_t node, uint8_t allocator, uint32_t domain)
{
    uint32_t id = (uint32_t)root.sites.count++;
    sites[id] =
        (struct tm_site){.node = node, .total_frames = nodes[node].depth, .allocator = allocator, .domain = domain};
    sites[id].hash = tm_site_hash(id, &sites[id]);
    root.counters.count++;
    return id;
}

static void count(uint32_t site, uint64_t size)
{
    counters[site].allocations++;
    counters[site].allocated += size;
    root.owned.traced += size;
    root.owned.peak = root.owned.traced;
}

static void add_leaf(uint64_t address)
{
    const uint64_t range = (uint64_t)TM_LEAF_UNITS << UNIT_SHIFT;
    uint64_t id = root.leaves.count++;
    leaves[id] = (struct tm_leaf){.start = address / range * range, .units = maps[UNITS].address};
    leaves[id].hash = tm_leaf_hash(id, &leaves[id]);
}

static void add_grid(uint64_t address)
{
    uint64_t unit = address >> UNIT_SHIFT, word = maps[GRID].address << TM_GRID_ADDRESS_SHIFT | STRIDE / 16;
    word |= tm_grid_check(unit, word) << TM_GRID_CHECK_SHIFT;
    uint64_t head = tm_grid_head(unit, word);
    memcpy(grid, &head, sizeof head);
    units[0][unit % TM_LEAF_UNITS].grid = units[1][unit % TM_LEAF_UNITS].grid = word;
}

static void add_small_block(uint64_t address, uint32_t size, uint32_t site)
{
    grid[2 + (address & ((1u << UNIT_SHIFT) - 1)) / STRIDE] = size << TM_SLOT_SIZE_SHIFT | site;
    count(site, size);
}

static void add_large_block(uint64_t address, uint64_t size, uint32_t site)
{
    uint64_t unit = address >> UNIT_SHIFT, word = maps[LIST].address << TM_LIST_ADDRESS_SHIFT;
    uint64_t start = (address & ((1u << UNIT_SHIFT) - 1)) >> TM_GRAIN_SHIFT;
    list.entry[0] = start << TM_ENTRY_START_SHIFT | size << TM_ENTRY_SIZE_SHIFT | site;
    word |= tm_list_check(unit, word) << TM_LIST_CHECK_SHIFT;
    units[0][unit % TM_LEAF_UNITS].list = units[1][unit % TM_LEAF_UNITS].list = word;
    count(site, size);
}

static void add_places(void)
{
    arenas[1] = (struct tm_python_arena){.address = 0x55d0c0d00000, .size = 1 << 20};
    arenas[1].hash = tm_python_arena_hash(1, &arenas[1]);
    own[1] = (struct tm_own){.address = maps[ROOT].address, .size = MAPPED, .kind = TM_OWN_TABLE};
    own[1].hash = tm_own_hash(1, &own[1]);
    root.arenas.count++;
    root.own.count++;
}

static void add_tracked(uint32_t domain, uint64_t address, uint64_t size, uint32_t site)
{
    uint32_t id = (uint32_t)root.tracked.count++;
    tracked[id] = (struct tm_tracked){.address = address, .size = size, .domain = domain, .site = site};
    tracked[id].hash = tm_tracked_hash(id, &tracked[id]);
    const struct tm_tracked_index head = {.shift = 2};
    memcpy(tracked_index, &head, sizeof head);
    tracked_index[sizeof head / sizeof(uint32_t) + (tm_tracked_key_hash(domain, address) & 3)] = id;
    root.tracked_index = maps[INDEX].address;
    count(site, size);
}

// ---------------------------------------------------------------------------------------------------------------

static void set_array(struct tm_array *array, uint32_t record_size, uint32_t first_shift, int map)
{
    *array = (struct tm_array){.count = 1, .record_size = record_size, .first_shift = first_shift};
    array->chunk[0] = maps[map].address;
}

static void make_root(void)
{
    memcpy(root.magic, TM_MAGIC, TM_MAGIC_SIZE);
    root.byte_order = TM_BYTE_ORDER;
    root.layout_major = TM_LAYOUT_MAJOR;
    root.layout_minor = TM_LAYOUT_MINOR;
    root.root_size = sizeof root;
    root.pointer_size = 8;
    root.address_bits = TM_ADDRESS_BITS;
    root.unit_shift = UNIT_SHIFT;
    root.self = maps[ROOT].address;
    root.pid = 4242;
    root.python_version = 0x030b02f0;
    strcpy(root.python_text, "3.11.2");
    strcpy(root.tracer_text, "0.1.0");
    root.state = TM_STATE_TRACING;
    root.frame_limit = 25;
    root.started = UINT64_C(1767225600000000000); // 2026-01-01 00:00:00 UTC
    root.starts = 1;
    root.mapped = MAPPED;
    set_array(&root.bytes, 1, 8, BYTES);
    set_array(&root.strings, sizeof strings[0][0], 1, STRINGS_0);
    root.strings.chunk[1] = maps[STRINGS_1].address;
    set_array(&root.codes, sizeof codes[0], 2, CODES);
    set_array(&root.nodes, sizeof nodes[0], 2, NODES);
    set_array(&root.sites, sizeof sites[0], 2, SITES);
    root.nodes.copy[0] = maps[NODES_COPY].address;
    set_array(&root.counters, sizeof counters[0], 2, COUNTERS);
    set_array(&root.leaves, sizeof leaves[0], 1, LEAVES);
    set_array(&root.arenas, sizeof arenas[0], 1, ARENAS);
    set_array(&root.own, sizeof own[0], 1, OWN);
    set_array(&root.tracked, sizeof tracked[0], 1, TRACKED);
}

static void make_table(void)
{
    static const unsigned char module_lines[] = {0xf0, 0x03, 0x01, 0x01, 0x01, 0xd8, 0x08, 0x0a, 0x80, 0x05, 0xf0,
                                                 0x06, 0x01, 0x01, 0x1f, 0xf0, 0x00, 0x01, 0x01, 0x1f, 0xf0, 0x00,
                                                 0x01, 0x01, 0x1f, 0xf0, 0x08, 0x00, 0x01, 0x05, 0x80, 0x04, 0x80,
                                                 0x54, 0x81, 0x0a, 0x84, 0x0a, 0x80, 0x0a, 0x80, 0x0a, 0x80, 0x0a};
    static const unsigned char load_lines[] = {0x80, 0x00, 0xdd, 0x04, 0x09, 0x87, 0x4c, 0x82, 0x4c, 0x95, 0x19,
                                               0x98, 0x31, 0x91, 0x1c, 0x94, 0x1c, 0xd1, 0x04, 0x1e, 0xd4, 0x04,
                                               0x1e, 0xd0, 0x04, 0x1e, 0xd0, 0x04, 0x1e, 0xd0, 0x04, 0x1e};
    make_root();
    uint32_t unknown = add_string("<unknown>"), app = add_string("app.py");
    uint32_t module = add_string("<module>"), load = add_string("load");
    add_code(unknown, unknown, 0);
    struct tm_code *module_code = add_code(app, module, 1), *load_code = add_code(app, load, 4);
    set_lines(module_code, module_lines, sizeof module_lines, 38);
    set_lines(load_code, load_lines, sizeof load_lines, 84);
    module_code->address = 0x7f5a3fe10c60;
    load_code->address = 0x7f5a3fe11f00;

    add_node(0, TM_CODE_UNKNOWN, -1);
    uint32_t in_module = add_node(0, 2, 12);       // the start of the line that calls load
    uint32_t in_load = add_node(in_module, 3, 54); // CALL of bytearray
    uint32_t object_site = add_site(in_load, TM_ALLOCATOR_OBJECT, 0);
    uint32_t module_site = add_site(in_module, TM_ALLOCATOR_MEM, 0);
    uint32_t told_site = add_site(in_load, TM_ALLOCATOR_TRACKED, 389047);
    add_leaf(0x55d0c0de0000);
    add_grid(0x55d0c0de0000);
    add_small_block(0x55d0c0de1240, 56, object_site);   // the bytearray object
    add_large_block(0x55d0c0de4280, 1001, object_site); // its bytes
    add_small_block(0x55d0c0de1680, 16, module_site);
    add_tracked(389047, 0x55d0c0e00010, 8000, told_site);
    add_places();
}

static void dump(uint64_t address, const unsigned char *content, size_t size)
{
    static const unsigned char zeros[16];
    for (size_t at = 0; at < size; at += 16) {
        size_t length = size - at < 16 ? size - at : 16;
        if (memcmp(content + at, zeros, length) == 0)
            continue;
        printf("%012llx ", (unsigned long long)(address + at));
        for (size_t i = 0; i < length; i++)
            printf("%s%02x", i == 8 ? "  " : " ", content[at + i]);
        putchar('\n');
    }
}

int main(void)
{
    make_table();
    for (int i = 0; i < MAPS; i++) {
        printf("%s%012llx..%012llx  %s\n", i == 0 ? "" : "\n", (unsigned long long)maps[i].address,
               (unsigned long long)(maps[i].address + maps[i].size), maps[i].title);
        dump(maps[i].address, maps[i].content, maps[i].size);
    }
    return 0;
}
