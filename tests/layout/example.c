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

enum {
    ROOT = 0, // an index of `maps`
    DIRECTORY,
    BRANCH,
    LEAF,
    BYTES,
    STRINGS_0,
    STRINGS_1,
    CODES,
    NODES,
    SITES,
    TRACKED,
    INDEX,
    MAPS
};

static struct tm_root root;
static tm_directory directory;
static tm_branch branch;
static tm_leaf leaf;
static char bytes[256];
static struct tm_string strings[2][4]; // two chunks: the first holds 2 records, the second 4
static struct tm_code codes[4];
static struct tm_node nodes[4];
static struct tm_site sites[4];
static struct tm_tracked tracked[2];
static uint32_t tracked_index[sizeof(struct tm_tracked_index) / sizeof(uint32_t) + 4]; // the head and 4 slots

static const struct {
    const char *title;
    uint64_t address;
    const void *content;
    size_t size;
} maps[MAPS] = {
    [ROOT] = {"root", 0x7f5a40000000, &root, sizeof root},
    [DIRECTORY] = {"directory", 0x7f5a40001000, directory, sizeof directory},
    [BYTES] = {"bytes, chunk 0", 0x7f5a40041000, bytes, sizeof bytes},
    [STRINGS_0] = {"strings, chunk 0", 0x7f5a40041100, strings[0], 2 * sizeof strings[0][0]},
    [STRINGS_1] = {"strings, chunk 1", 0x7f5a40041140, strings[1], sizeof strings[1]},
    [CODES] = {"codes, chunk 0", 0x7f5a40041180, codes, sizeof codes},
    [NODES] = {"nodes, chunk 0", 0x7f5a40041240, nodes, sizeof nodes},
    [SITES] = {"sites, chunk 0", 0x7f5a40041280, sites, sizeof sites},
    [TRACKED] = {"tracked, chunk 0", 0x7f5a40041340, tracked, sizeof tracked},
    [INDEX] = {"tracked index", 0x7f5a40041380, tracked_index, sizeof tracked_index},
    [BRANCH] = {"branch", 0x7f5a40042000, branch, sizeof branch},
    [LEAF] = {"leaf", 0x7f5a40080000, leaf, sizeof leaf},
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
    return id;
}

static uint32_t add_site(uint32_t node, uint8_t allocator, uint32_t domain)
{
    uint32_t id = (uint32_t)root.sites.count++;
    sites[id] =
        (struct tm_site){.node = node, .total_frames = nodes[node].depth, .allocator = allocator, .domain = domain};
    sites[id].hash = tm_site_hash(id, &sites[id]);
    return id;
}

static void count(uint32_t site, uint64_t size)
{
    sites[site].allocations++;
    sites[site].allocated += size;
    root.owned.traced += size;
    root.owned.peak = root.owned.traced;
}

static void add_block(uint64_t address, uint32_t size, uint32_t site)
{
    directory[address >> TM_BRANCH_SHIFT] = maps[BRANCH].address;
    uint64_t *entry = &branch[address >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)];
    *entry |= maps[LEAF].address | UINT64_C(1) << (address >> TM_LEAF_PART_SHIFT & (TM_LEAF_PARTS - 1));
    uint32_t *slot = &leaf[address >> TM_SLOT_SHIFT & (TM_LEAF_SLOTS - 1)];
    if (size <= TM_SLOT_SMALL_LIMIT) {
        slot[0] = TM_SLOT_START | (size + 1) << TM_SLOT_SMALL_SHIFT | site;
    } else {
        slot[1] = size;
        slot[0] = TM_SLOT_START | site;
    }
    count(site, size);
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
    root.branch_shift = TM_BRANCH_SHIFT;
    root.leaf_shift = TM_LEAF_SHIFT;
    root.self = maps[ROOT].address;
    root.pid = 4242;
    root.python_version = 0x030b02f0;
    strcpy(root.python_text, "3.11.2");
    strcpy(root.tracer_text, "0.1.0");
    root.state = TM_STATE_TRACING;
    root.frame_limit = 25;
    root.started = UINT64_C(1767225600000000000); // 2026-01-01 00:00:00 UTC
    root.starts = 1;
    root.directory = maps[DIRECTORY].address;
    root.mapped = (1 << 20) + sizeof leaf;
    root.leaves = 1;
    set_array(&root.bytes, 1, 8, BYTES);
    set_array(&root.strings, sizeof strings[0][0], 1, STRINGS_0);
    root.strings.chunk[1] = maps[STRINGS_1].address;
    set_array(&root.codes, sizeof codes[0], 2, CODES);
    set_array(&root.nodes, sizeof nodes[0], 2, NODES);
    set_array(&root.sites, sizeof sites[0], 2, SITES);
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
    add_block(0x55d0c0de1240, 56, object_site);   // the bytearray object
    add_block(0x55d0c0de1280, 1001, object_site); // its bytes
    add_block(0x55d0c0de1670, 16, module_site);
    add_tracked(389047, 0x55d0c0e00010, 8000, told_site);
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
