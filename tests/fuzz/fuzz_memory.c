/**
 * Memory: every command on a target with hostile memory.
 *
 * An input does not contain a whole memory: few mutations of one would pass the first check. It patches one of a few
 * healthy images, which are made once. Its first 4 bytes choose the image, the command, its options and the address to ask
 * for; then come patches of 12 bytes:
 *
 *     kind, area, offset (2 bytes), value (8 bytes)
 *
 * An area is a part of an image that is worth patching: the root, an array, a leaf. The kind of a patch says what it
 * writes: a number, a number near a power of two, an address inside an area, the old value changed a little; or the page
 * becomes unreadable. In some images the records then get correct hashes, as an attacker would give them.
 * A new kind of table is a new function in `images`, with its symbols, regions and areas.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "support/image.h"
#include "support/object_image.h"
#include "support/stock_image.h"

#define HEAP UINT64_C(0x7f7000000000) // of the traced program: only compared, never read
#define GIB (UINT64_C(1) << 30)
#define AREAS 64
#define PATCHES 64
#define PATCH_SIZE 12

struct area {
    uint64_t address;
    uint64_t length;
};

struct memory {
    struct image *image;
    struct area areas[AREAS];
    size_t area_count;
    struct image_table rehashed; // the table whose hashes are made right, if there is one
    struct tm_root sound;        // its root, as it was
};

static void add_area(struct memory *memory, uint64_t address, uint64_t length)
{
    if (memory->area_count < AREAS)
        memory->areas[memory->area_count++] = (struct area){address, length};
}

// ---------------------------------------------------------------------------------------------------------------
// Images

static void add_array_areas(struct memory *memory, const struct tm_array *array)
{
    for (unsigned chunk = 0; chunk < 3 && array->chunk[chunk]; chunk++)
        add_area(memory, array->chunk[chunk], (UINT64_C(1) << (array->first_shift + chunk)) * array->record_size);
}

static void add_table_areas(struct memory *memory, struct image_table *table)
{
    const struct tm_root *root = table->root;
    add_area(memory, table->address, sizeof(*root));
    add_area(memory, table->address + offsetof(struct tm_root, bytes), 10 * sizeof(struct tm_array));
    add_area(memory, table->address + offsetof(struct tm_root, resize), sizeof(root->resize));
    add_array_areas(memory, &root->bytes);
    add_array_areas(memory, &root->strings);
    add_array_areas(memory, &root->codes);
    add_array_areas(memory, &root->nodes);
    add_array_areas(memory, &root->sites);
    add_array_areas(memory, &root->counters);
    add_array_areas(memory, &root->leaves);
    add_array_areas(memory, &root->tracked);
    add_array_areas(memory, &root->own);
    if (root->tracked_index)
        add_area(memory, root->tracked_index, sizeof(struct tm_tracked_index) + (4u << IMAGE_INDEX_SHIFT));
    add_area(memory, image_unit_address(table, HEAP), 256);
    // Grids and lists are next to each other.
    add_area(memory, image_unit(table, HEAP)->grid >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK, 4096);
}

static void add_resizes(struct image_table *table)
{
    table->root->resize[0] =
        (struct tm_resize){.address = HEAP + 6 * GIB, .size = 10, .site = 3, .state = TM_RESIZE_BUSY};
    table->root->resize[9].state = TM_RESIZE_CLAIMED;
}

static void make_table(struct memory *memory)
{
    struct image_table table;
    memory->image = image_create();
    image_table_create(&table, memory->image, IMAGE_ROOT);
    image_table_fill(&table, HEAP);
    add_resizes(&table);
    add_table_areas(memory, &table);
    uint64_t variable = image_map_anywhere(memory->image, 8);
    memcpy(image_at(memory->image, variable, 8), &table.address, 8);
    image_set_symbol(memory->image, TM_ROOT_SYMBOL, variable);
    image_set_symbol(memory->image, "_PyRuntime", variable);
    add_area(memory, variable, 8);
}

// The same without a symbol, so that the engine searches for the table. Two mappings have the root's name, and one of them
// contains a copy. Patched records get correct hashes, so that they get further.
static void make_hidden_table(struct memory *memory)
{
    struct image_table table;
    const uint32_t flags = TM_REGION_READABLE | TM_REGION_WRITABLE;
    memory->image = image_create();
    image_table_create(&table, memory->image, IMAGE_ROOT);
    image_table_fill(&table, HEAP);
    add_resizes(&table);
    memory->rehashed = table;
    memory->sound = *table.root;
    void *copy = image_map(memory->image, IMAGE_ROOT - 2 * TM_ROOT_ALIGN, 8192, "[anon:" TM_MAPPING_NAME "]", flags);
    memcpy(copy, table.root, sizeof(*table.root));
    image_map(memory->image, UINT64_C(1) << 44, 65536, "[heap]", flags);
    add_area(memory, IMAGE_ROOT - 2 * TM_ROOT_ALIGN, sizeof(*table.root));
    add_table_areas(memory, &table);
}

// The lean profile: blocks are counted in the map. The hashes of patched records are correct.
static void make_lean_table(struct memory *memory)
{
    struct image_table table;
    memory->image = image_create();
    image_table_create(&table, memory->image, IMAGE_ROOT);
    image_table_fill(&table, HEAP);
    table.root->flags |= TM_ROOT_LEAN;
    table.root->counters.count = 1;
    memory->rehashed = table;
    memory->sound = *table.root;
    add_resizes(&table);
    add_table_areas(memory, &table);
}

// A tracer that never traced: its table has hardly anything.
static void make_empty_table(struct memory *memory)
{
    struct image_table table;
    memory->image = image_create();
    image_table_create(&table, memory->image, IMAGE_ROOT);
    table.root->state = TM_STATE_LOADED;
    add_area(memory, table.address, sizeof(*table.root));
    add_array_areas(memory, &table.root->bytes);
    add_array_areas(memory, &table.root->nodes);
    add_array_areas(memory, &table.root->sites);
}

// ---------------------------------------------------------------------------------------------------------------
// CPython's own tables

static void add_stock_table(struct memory *memory, const struct stock_image *stock, uint64_t table)
{
    uint64_t count;
    if (!table)
        return;
    add_area(memory, table, 64);
    uint64_t buckets = stock_image_buckets(stock, table, &count);
    add_area(memory, buckets, count * sizeof(uint64_t));
}

static void make_stock(struct memory *memory, unsigned minor, bool free_threaded, bool symbols)
{
    struct stock_image stock;
    memory->image = image_create();
    stock_image_create(&stock, memory->image, minor, free_threaded, 5, 16);
    stock_image_fill(&stock);
    if (symbols)
        stock_image_tell_symbols(&stock);
    add_area(memory, stock.state, 512);
    add_area(memory, stock.config, 16);
    add_area(memory, stock.traces_at & ~UINT64_C(7), 64);
    add_area(memory, stock.lock, 8);
    add_area(memory, STOCK_IMAGE_MODULE, STOCK_IMAGE_MODULE_SIZE);
    add_stock_table(memory, &stock, stock.traces);
    add_stock_table(memory, &stock, stock.tracebacks);
    add_stock_table(memory, &stock, stock.filenames);
    add_stock_table(memory, &stock, stock.domains);
    add_stock_table(memory, &stock, stock_image_domain(&stock, 389047));
    for (uint64_t at = STOCK_IMAGE_HEAP; at < stock.heap_end; at += 1024) // entries, tracebacks, names
        add_area(memory, at, 1024);
}

static void make_stock_3_8(struct memory *memory)
{
    make_stock(memory, 8, false, true);
}

static void make_stock_3_11(struct memory *memory)
{
    make_stock(memory, 11, false, false);
}

static void make_stock_3_13(struct memory *memory)
{
    make_stock(memory, 13, false, true);
}

static void make_stock_3_14t(struct memory *memory)
{
    make_stock(memory, 14, true, false);
}

// ---------------------------------------------------------------------------------------------------------------
// Python objects

static void make_objects(struct memory *memory, uint32_t version)
{
    struct object_image objects;
    memory->image = image_create();
    object_image_create(&objects, memory->image, version);
    for (uint64_t at = OBJECT_IMAGE_DATA; at < objects.data_end; at += 1024)
        add_area(memory, at, 1024);
    for (uint64_t at = OBJECT_IMAGE_HEAP; at < objects.heap_end; at += 512)
        add_area(memory, at, 512);
}

static void make_objects_3_8(struct memory *memory)
{
    make_objects(memory, 0x030812f0);
}

static void make_objects_3_11(struct memory *memory)
{
    make_objects(memory, 0x030b07f0);
}

static void make_objects_3_13(struct memory *memory)
{
    make_objects(memory, 0x030d00f0);
}

static void make_objects_3_14(struct memory *memory)
{
    make_objects(memory, 0x030e02f0);
}

// Append a new one: the first bytes of the inputs in the corpus are indices below the old number of images.
static void (*const images[])(struct memory *memory) = {
    make_table,       make_hidden_table, make_empty_table,  make_stock_3_8,    make_stock_3_11, make_stock_3_13,
    make_stock_3_14t, make_objects_3_8,  make_objects_3_11, make_objects_3_13, make_lean_table, make_objects_3_14};
enum { IMAGES = sizeof(images) / sizeof(images[0]) };

static struct memory *get_memory(uint8_t choice)
{
    static struct memory memories[IMAGES];
    struct memory *memory = &memories[choice % IMAGES];
    if (!memory->image)
        images[choice % IMAGES](memory);
    return memory;
}

// ---------------------------------------------------------------------------------------------------------------
// Patches

struct undo {
    unsigned char *at;
    unsigned char old[8];
    size_t length;
};

static uint64_t address_in(const struct memory *memory, uint64_t value)
{
    const struct area *area = &memory->areas[(value & 0xff) % memory->area_count];
    return area->address + (value >> 8 & 0xffff) % area->length;
}

enum { NUMBER, POWER, ADDRESS, ADDED, FLIPPED, MISSING, KINDS };

static uint64_t new_value(const struct memory *memory, unsigned kind, uint64_t old, uint64_t value)
{
    switch (kind) {
    case POWER: // 2^n - 128 to 2^n + 127; n = 64 gives 2^64 - 128 and so on
        return ((value & 0x7f) < 64 ? UINT64_C(1) << (value & 0x3f) : 0) + (uint64_t)(int8_t)(value >> 8);
    case ADDRESS:
        return address_in(memory, value);
    case ADDED:
        return old + (uint64_t)(int16_t)value;
    case FLIPPED:
        return old ^ UINT64_C(1) << (value & 63);
    default:
        return value;
    }
}

static void apply(struct memory *memory, struct fuzz_input *input, struct undo *undo)
{
    static const size_t widths[] = {8, 4, 2, 1};
    uint8_t kind = fuzz_byte(input);
    const struct area *area = &memory->areas[fuzz_byte(input) % memory->area_count];
    uint64_t offset = fuzz_number(input, 2) % area->length, value = fuzz_number(input, 8), old = 0;
    size_t width = widths[kind / KINDS % 4];
    undo->length = 0;
    if (kind % KINDS == MISSING) {
        image_hide(memory->image, (area->address + offset) & ~UINT64_C(4095), 4096);
        return;
    }
    offset -= offset % width; // fields are aligned
    if (width > area->length - offset)
        return;
    undo->length = width;
    undo->at = image_at(memory->image, area->address + offset, width);
    memcpy(undo->old, undo->at, width);
    memcpy(&old, undo->at, width);
    value = new_value(memory, kind % KINDS, old, value);
    memcpy(undo->at, &value, width);
}

static void revert(struct memory *memory, struct undo *undo, size_t count)
{
    while (count-- > 0) {
        if (undo[count].length)
            memcpy(undo[count].at, undo[count].old, undo[count].length);
    }
    image_show_all(memory->image);
}

static void rehash(struct memory *memory)
{
    if (memory->rehashed.image)
        image_rehash(&memory->rehashed, &memory->sound);
}

// ---------------------------------------------------------------------------------------------------------------
// Questions

static const char *const lines[] = {
    "",
    "--json",
    "-n 3",
    "traceback",
    "traceback -n 2 --json",
    "filename -c",
    "core",
    "core core traceback",
    "core filename --json -c",
    "--sort site --traceback",
    "--sort address --json -n 100",
    "--include *main* --exclude *:3 --all-frames",
    "--domain 389047",
    "expression",
    "--json expression",
    "file --force",
    "file --traces 3.8",
    "-n 0",
    "--mine *main* --json",
    "--mine main.py:3 -n 2",
    "type -n 100",
    "type,lineno --type *a* --json",
    "--type * --attr owner=mary -n 100",
    "--type * --json -n 1000",
    "--locals --json",
    "--kind lost --json",
    "--direct expression",
    "core --mine *",
    "--help",
    "html file --base core",
    "pprof file --mine *main*",
    "collapsed file --base core",
    "json file filename -c --base core",
    "csv file --domain 0",
    "speedscope file --json",
    "heapsnapshot file --json",
    "heapsnapshot file",
    "--paths 5 --depth 2 expression",
    "type --retained -n 100",
    "--type * --depth 3 -n 100",
    "file --core --force",
};

static const char *pick_command(uint8_t choice)
{
    size_t count = 0;
    while (tm_command_name(count))
        count++;
    return tm_command_name(choice % count);
}

static uint64_t pick_address(const struct memory *memory, uint8_t choice)
{
    static const uint64_t addresses[] = {HEAP,
                                         HEAP + 101,
                                         HEAP + 4096 + 3 * GIB,
                                         HEAP + 9 * GIB + 50,
                                         HEAP + 7,
                                         HEAP + 8195,
                                         12345,
                                         5050,
                                         0,
                                         UINT64_MAX,
                                         UINT64_C(1) << 48,
                                         OBJECT_IMAGE_HEAP + 272,
                                         OBJECT_IMAGE_HEAP + 1200,
                                         OBJECT_IMAGE_DATA};
    size_t count = sizeof(addresses) / sizeof(addresses[0]);
    return choice < 2 * count ? addresses[choice % count] : memory->areas[choice % memory->area_count].address;
}

// What a command may cost on images of a few MiB: far above what any command needs. Only a loop that no longer depends on
// what there is to read reaches these bounds.
#define BYTES_LIMIT (UINT64_C(1) << 28)
#define READS_LIMIT (UINT64_C(1) << 20)
#define STEPS_LIMIT (UINT64_C(1) << 20)

static void ask(struct memory *memory, const uint8_t *choices)
{
    struct tm_session *session = fuzz_session_create();
    const char *command = pick_command(choices[1] & 0x7f),
               *line = lines[choices[2] % (sizeof(lines) / sizeof(lines[0]))];
    struct tm_target *target = image_new_target(memory->image), *other = image_new_target(memory->image);
    uint64_t address = pick_address(memory, choices[3]);
    tm_target_set_running(target, choices[1] & 0x80); // and then nothing changes
    tm_target_set_moving(target, choices[1] >> 6 == 3);
    uint64_t bytes = image_bytes_read(memory->image), reads = image_reads(memory->image);
    fuzz_run(session, command, line, target, other, address);
    if (choices[2] & 0x80) // what was remembered of the target must be as good
        fuzz_run(session, pick_command(choices[3]), "", target, other, address);
    fuzz_require(image_bytes_read(memory->image) - bytes <= BYTES_LIMIT);
    fuzz_require(image_reads(memory->image) - reads <= READS_LIMIT && fuzz_steps() <= STEPS_LIMIT);
    tm_target_destroy(target);
    tm_target_destroy(other);
    tm_session_destroy(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct undo undo[PATCHES];
    uint8_t choices[4];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(choices); i++)
        choices[i] = fuzz_byte(&input);
    struct memory *memory = get_memory(choices[0]);
    for (; input.length >= PATCH_SIZE && count < PATCHES; count++)
        apply(memory, &input, &undo[count]);
    rehash(memory);
    ask(memory, choices);
    revert(memory, undo, count);
    rehash(memory);
    return 0;
}
