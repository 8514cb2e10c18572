/**
 * Made-up targets: mappings, holes, symbols, and a writer of trace tables.
 */
#include "support/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/hash.h"

#define PAGE UINT64_C(4096)
#define SYMBOLS 16
#define TARGETS 16
#define INDEX_SHIFT IMAGE_INDEX_SHIFT
#define UNIT_SHIFT 14
// Where image_map_anywhere() maps.
#define ANYWHERE UINT64_C(0x7f6000000000)
#define ANYWHERE_SIZE (UINT64_C(1) << 36)

struct mapping {
    uint64_t address;
    uint64_t length;
    unsigned char *bytes;
    struct tm_region region;
};

struct range {
    uint64_t start;
    uint64_t end;
};

struct image {
    struct mapping *mappings; // ascending
    size_t mapping_count;
    struct range *holes;
    size_t hole_count;
    struct {
        char name[32];
        uint64_t address;
    } symbols[SYMBOLS];
    size_t symbol_count;
    struct tm_target *targets[TARGETS];
    size_t target_count;
    bool regions_hidden;
    const char *why_missing;
    uint32_t process;
    uint64_t next; // for image_map_anywhere()
    uint64_t reads;
    uint64_t longest_read;
    uint64_t bytes_read;
    void (*then)(void *context, uint64_t number);
    void *then_context;
};

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "image: %s\n", what);
        abort();
    }
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    require(memory != NULL, "no memory");
    return memory;
}

struct image *image_create(void)
{
    struct image *image = allocate(1, sizeof(*image));
    image->next = ANYWHERE;
    return image;
}

void image_destroy(struct image *image)
{
    for (size_t i = 0; i < image->target_count; i++)
        tm_target_destroy(image->targets[i]);
    for (size_t i = 0; i < image->mapping_count; i++)
        free(image->mappings[i].bytes);
    free(image->mappings);
    free(image->holes);
    free(image);
}

void *image_map(struct image *image, uint64_t address, uint64_t length, const char *name, uint32_t flags)
{
    size_t at = image->mapping_count;
    while (at > 0 && image->mappings[at - 1].address > address)
        at--;
    require(at == 0 || image->mappings[at - 1].address + image->mappings[at - 1].length <= address, "mappings overlap");
    require(at == image->mapping_count || address + length <= image->mappings[at].address, "mappings overlap");
    image->mappings = realloc(image->mappings, (image->mapping_count + 1) * sizeof(*image->mappings));
    require(image->mappings != NULL, "no memory");
    memmove(image->mappings + at + 1, image->mappings + at, (image->mapping_count - at) * sizeof(*image->mappings));
    image->mapping_count++;
    struct mapping *mapping = &image->mappings[at];
    *mapping = (struct mapping){.address = address, .length = length, .bytes = allocate(length, 1)};
    mapping->region = (struct tm_region){.start = address, .end = address + length, .flags = flags};
    snprintf(mapping->region.name, sizeof(mapping->region.name), "%s", name);
    return mapping->bytes;
}

uint64_t image_map_anywhere(struct image *image, uint64_t length)
{
    uint64_t address = image->next;
    image->next += (length + PAGE - 1) / PAGE * PAGE + PAGE;
    image_map(image, address, length, "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    return address;
}

static const struct mapping *find_mapping(const struct image *image, uint64_t address)
{
    size_t low = 0, high = image->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->mappings[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address - image->mappings[low - 1].address >= image->mappings[low - 1].length)
        return NULL;
    return &image->mappings[low - 1];
}

void *image_at(const struct image *image, uint64_t address, uint64_t length)
{
    const struct mapping *mapping = find_mapping(image, address);
    require(mapping && length <= mapping->length - (address - mapping->address), "no such memory");
    return mapping->bytes + (address - mapping->address);
}

void image_hide(struct image *image, uint64_t address, uint64_t length)
{
    image->holes = realloc(image->holes, (image->hole_count + 1) * sizeof(*image->holes));
    require(image->holes != NULL, "no memory");
    image->holes[image->hole_count++] = (struct range){address, address + length};
}

void image_show_all(struct image *image)
{
    image->hole_count = 0;
}

void image_set_symbol(struct image *image, const char *name, uint64_t address)
{
    require(image->symbol_count < SYMBOLS, "too many symbols");
    snprintf(image->symbols[image->symbol_count].name, sizeof(image->symbols[0].name), "%s", name);
    image->symbols[image->symbol_count++].address = address;
}

void image_tell_regions(struct image *image, bool tell)
{
    image->regions_hidden = !tell;
}

void image_set_process(struct image *image, uint32_t process)
{
    image->process = process;
}

void image_set_why_missing(struct image *image, const char *why)
{
    image->why_missing = why;
}

uint64_t image_reads(const struct image *image)
{
    return image->reads;
}

uint64_t image_bytes_read(const struct image *image)
{
    return image->bytes_read;
}

uint64_t image_longest_read(const struct image *image)
{
    return image->longest_read;
}

// ---------------------------------------------------------------------------------------------------------------
// The callbacks

void image_after_reads(struct image *image, void (*then)(void *context, uint64_t number), void *context)
{
    image->then = then;
    image->then_context = context;
    image->reads = 0;
}

static int copy_memory(struct image *image, uint64_t address, void *buffer, uint64_t length)
{
    image->reads++;
    if (length > image->longest_read)
        image->longest_read = length;
    for (size_t i = 0; i < image->hole_count; i++) {
        if (address < image->holes[i].end && address + length > image->holes[i].start)
            return -1;
    }
    for (uint64_t done = 0; done < length;) {
        const struct mapping *mapping = find_mapping(image, address + done);
        if (!mapping)
            return -1;
        uint64_t offset = address + done - mapping->address;
        uint64_t part = length - done < mapping->length - offset ? length - done : mapping->length - offset;
        memcpy((unsigned char *)buffer + done, mapping->bytes + offset, part);
        done += part;
    }
    image->bytes_read += length;
    return 0;
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    struct image *image = context;
    int result = copy_memory(image, address, buffer, length);
    if (image->then)
        image->then(image->then_context, image->reads);
    return result;
}

static uint64_t find_symbol(void *context, const char *name)
{
    const struct image *image = context;
    for (size_t i = 0; i < image->symbol_count; i++) {
        if (strcmp(image->symbols[i].name, name) == 0)
            return image->symbols[i].address;
    }
    return 0;
}

static size_t list_regions(void *context, struct tm_region *regions, size_t capacity)
{
    const struct image *image = context;
    if (image->regions_hidden)
        return 0;
    for (size_t i = 0; i < image->mapping_count && i < capacity; i++)
        regions[i] = image->mappings[i].region;
    return image->mapping_count;
}

static const char *why_missing(void *context, uint64_t address)
{
    const struct image *image = context;
    return find_mapping(image, address) ? image->why_missing : NULL;
}

static uint32_t process(void *context)
{
    return ((const struct image *)context)->process;
}

struct tm_target *image_new_target(struct image *image)
{
    const struct tm_target_callbacks callbacks = {.read = read_memory,
                                                  .symbol = find_symbol,
                                                  .regions = list_regions,
                                                  .why_missing = why_missing,
                                                  .process = process};
    struct tm_target *target;
    require(tm_target_create(&callbacks, image, &target) == NULL, "no target");
    return target;
}

struct tm_target *image_target(struct image *image)
{
    require(image->target_count < TARGETS, "too many targets");
    return image->targets[image->target_count++] = image_new_target(image);
}

// ---------------------------------------------------------------------------------------------------------------
// Arrays

#define FIRST_SHIFT 4

static void array_create(struct tm_array *array, uint32_t record_size, uint32_t first_shift)
{
    *array = (struct tm_array){.count = 0, .record_size = record_size, .first_shift = first_shift};
}

static unsigned chunk_of(const struct tm_array *array, uint64_t id, uint64_t *index)
{
    uint64_t first = UINT64_C(1) << array->first_shift;
    unsigned log2 = 63u - (unsigned)__builtin_clzll(id + first);
    *index = id + first - (UINT64_C(1) << log2);
    return log2 - array->first_shift;
}

uint64_t image_record_address(struct image_table *table, const struct tm_array *array, uint64_t id)
{
    (void)table;
    uint64_t index;
    unsigned chunk = chunk_of(array, id, &index);
    return array->chunk[chunk] + index * array->record_size;
}

void *image_record(struct image_table *table, const struct tm_array *array, uint64_t id)
{
    return image_at(table->image, image_record_address(table, array, id), array->record_size);
}

// The id of a new record of zeros.
static uint64_t array_add(struct image_table *table, struct tm_array *array)
{
    uint64_t id = array->count, index;
    unsigned chunk = chunk_of(array, id, &index);
    require(chunk < TM_ARRAY_CHUNKS, "an array is full");
    if (!array->chunk[chunk])
        array->chunk[chunk] =
            image_map_anywhere(table->image, (UINT64_C(1) << (array->first_shift + chunk)) * array->record_size);
    array->count++;
    return id;
}

static tm_position add_bytes(struct image_table *table, const void *bytes, uint64_t length)
{
    struct tm_array *array = &table->root->bytes;
    uint64_t index;
    unsigned chunk = chunk_of(array, array->count, &index);
    uint64_t room = (UINT64_C(1) << (array->first_shift + chunk)) - index;
    while (length > room) { // the rest of the chunk stays unused
        array->count += room;
        room = UINT64_C(1) << (array->first_shift + ++chunk);
    }
    require(chunk < TM_ARRAY_CHUNKS, "an array is full");
    if (!array->chunk[chunk])
        array->chunk[chunk] = image_map_anywhere(table->image, UINT64_C(1) << (array->first_shift + chunk));
    tm_position position = array->count;
    array->count += length;
    if (length)
        memcpy(image_at(table->image, image_record_address(table, array, position), length), bytes, length);
    return position;
}

// ---------------------------------------------------------------------------------------------------------------
// The table

static void add_own(struct image_table *table, uint64_t address, uint64_t size)
{
    uint32_t id = (uint32_t)array_add(table, &table->root->own);
    struct tm_own *own = image_record(table, &table->root->own, id);
    *own = (struct tm_own){.address = address, .size = size, .kind = TM_OWN_TABLE};
    own->hash = tm_own_hash(id, own);
}

void image_table_create(struct image_table *table, struct image *image, uint64_t address)
{
    *table = (struct image_table){.image = image, .address = address};
    struct tm_root *root =
        image_map(image, address, sizeof(struct tm_root), "", TM_REGION_READABLE | TM_REGION_WRITABLE);
    table->root = root;
    root->byte_order = TM_BYTE_ORDER;
    root->layout_major = TM_LAYOUT_MAJOR;
    root->layout_minor = TM_LAYOUT_MINOR;
    root->root_size = sizeof(*root);
    root->pointer_size = 8;
    root->address_bits = TM_ADDRESS_BITS;
    root->unit_shift = UNIT_SHIFT;
    root->self = address;
    root->pid = 4711;
    root->python_version = 0x030b07f0;
    memcpy(root->python_text, "3.11.7", 6);
    memcpy(root->tracer_text, "1.0", 3);
    root->state = TM_STATE_TRACING;
    root->frame_limit = 25;
    root->started = UINT64_C(1700000000000000000);
    root->starts = 1;
    root->mapped = UINT64_C(1) << 30;
    array_create(&root->bytes, 1, 8);
    array_create(&root->strings, sizeof(struct tm_string), FIRST_SHIFT);
    array_create(&root->codes, sizeof(struct tm_code), FIRST_SHIFT);
    array_create(&root->nodes, sizeof(struct tm_node), FIRST_SHIFT);
    array_create(&root->sites, sizeof(struct tm_site), FIRST_SHIFT);
    array_create(&root->counters, sizeof(struct tm_counters), FIRST_SHIFT);
    array_create(&root->leaves, sizeof(struct tm_leaf), FIRST_SHIFT);
    array_create(&root->tracked, sizeof(struct tm_tracked), FIRST_SHIFT);
    array_create(&root->arenas, sizeof(struct tm_python_arena), FIRST_SHIFT);
    array_create(&root->own, sizeof(struct tm_own), FIRST_SHIFT);
    add_bytes(table, "", 1);
    array_add(table, &root->strings);
    array_add(table, &root->codes);
    array_add(table, &root->nodes);
    array_add(table, &root->sites);
    array_add(table, &root->counters);
    array_add(table, &root->leaves);
    array_add(table, &root->tracked);
    array_add(table, &root->arenas);
    array_add(table, &root->own);
    add_own(table, address, sizeof(*root));
    add_own(table, ANYWHERE, ANYWHERE_SIZE);
    require(image_string(table, "<unknown>", 9) == TM_STRING_UNKNOWN, "the first string");
    require(image_code(table, "<unknown>", 0, TM_LINES_NONE, NULL, 0, 0) == TM_CODE_UNKNOWN, "the first code");
    require(image_node(table, 0, TM_CODE_UNKNOWN, -1) == TM_NODE_UNKNOWN, "the first node");
    memcpy(root->magic, TM_MAGIC, TM_MAGIC_SIZE);
}

uint32_t image_string(struct image_table *table, const char *bytes, uint32_t length)
{
    struct tm_array *strings = &table->root->strings;
    for (uint64_t id = strings->count; id-- > 1;) {
        const struct tm_string *known = image_record(table, strings, id);
        if (known->length == length &&
            memcmp(image_at(table->image, image_record_address(table, &table->root->bytes, known->position), length),
                   bytes, length) == 0)
            return (uint32_t)id;
    }
    tm_position position = add_bytes(table, bytes, length);
    uint32_t id = (uint32_t)array_add(table, strings);
    struct tm_string *string = image_record(table, strings, id);
    *string = (struct tm_string){.position = position, .length = length, .hash = tm_string_hash(bytes, length)};
    return id;
}

uint32_t image_code(struct image_table *table, const char *file_name, int32_t first_line, uint8_t kind,
                    const void *lines, uint32_t lines_length, uint32_t code_length)
{
    uint32_t name = image_string(table, file_name, (uint32_t)strlen(file_name));
    tm_position position = add_bytes(table, lines, lines_length);
    uint32_t id = (uint32_t)array_add(table, &table->root->codes);
    struct tm_code *code = image_record(table, &table->root->codes, id);
    *code = (struct tm_code){.filename = name,
                             .qualname = name,
                             .first_line = first_line,
                             .line_table_kind = kind,
                             .line_table = position,
                             .line_table_length = lines_length,
                             .code_length = code_length};
    code->hash = tm_code_hash(code, lines);
    return id;
}

// What a record refers to, or NULL where that is not inside one chunk.
static const void *bytes_of(struct image_table *table, const struct tm_root *arrays, tm_position position,
                            uint64_t length)
{
    const struct tm_array *bytes = &arrays->bytes;
    if (position >= bytes->count || length > bytes->count - position)
        return NULL;
    uint64_t index;
    unsigned chunk = chunk_of(bytes, position, &index);
    if (index + length > UINT64_C(1) << (bytes->first_shift + chunk))
        return NULL;
    return image_at(table->image, image_record_address(table, bytes, position), length);
}

void image_copy_again(struct image_table *table, const struct tm_root *arrays)
{
    const struct tm_array *all[] = {&arrays->bytes,  &arrays->strings, &arrays->codes,  &arrays->nodes, &arrays->sites,
                                    &arrays->leaves, &arrays->tracked, &arrays->arenas, &arrays->own};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (unsigned chunk = 0; chunk < TM_ARRAY_COPIES; chunk++) {
            uint64_t length = (UINT64_C(1) << (all[i]->first_shift + chunk)) * all[i]->record_size;
            if (all[i]->copy[chunk])
                memcpy(image_at(table->image, all[i]->copy[chunk], length),
                       image_at(table->image, all[i]->chunk[chunk], length), length);
        }
    }
}

void image_rehash(struct image_table *table, const struct tm_root *arrays)
{
    for (uint64_t id = 1; id < arrays->strings.count; id++) {
        struct tm_string *string = image_record(table, &arrays->strings, id);
        const void *bytes = bytes_of(table, arrays, string->position, string->length);
        if (bytes)
            string->hash = tm_string_hash(bytes, string->length);
    }
    for (uint64_t id = 1; id < arrays->codes.count; id++) {
        struct tm_code *code = image_record(table, &arrays->codes, id);
        const void *lines = bytes_of(table, arrays, code->line_table, code->line_table_length);
        if (lines)
            code->hash = tm_code_hash(code, lines);
    }
    for (uint64_t id = 1; id < arrays->nodes.count; id++) {
        struct tm_node *node = image_record(table, &arrays->nodes, id);
        node->hash = tm_node_hash(id, node);
    }
    for (uint64_t id = 1; id < arrays->sites.count; id++) {
        struct tm_site *site = image_record(table, &arrays->sites, id);
        site->hash = tm_site_hash(id, site);
    }
    for (uint64_t id = 1; id < arrays->leaves.count; id++) {
        struct tm_leaf *leaf = image_record(table, &arrays->leaves, id);
        leaf->hash = tm_leaf_hash(id, leaf);
    }
    for (uint64_t id = 1; id < arrays->tracked.count; id++) {
        struct tm_tracked *tracked = image_record(table, &arrays->tracked, id);
        tracked->hash = tm_tracked_hash(id, tracked);
    }
    image_copy_again(table, arrays);
}

uint32_t image_node(struct image_table *table, uint32_t parent, uint32_t code, int32_t instruction)
{
    struct tm_array *nodes = &table->root->nodes;
    const struct tm_node *caller = parent ? image_record(table, nodes, parent) : NULL;
    uint16_t depth = caller ? (uint16_t)(caller->depth + 1) : 1;
    uint32_t id = (uint32_t)array_add(table, nodes);
    struct tm_node *node = image_record(table, nodes, id);
    *node = (struct tm_node){.parent = parent, .code = code, .instruction = instruction, .depth = depth};
    node->hash = tm_node_hash(id, node);
    return id;
}

uint32_t image_frame(struct image_table *table, uint32_t parent, const char *file_name, int32_t line)
{
    return image_node(table, parent, image_code(table, file_name, line, TM_LINES_NONE, NULL, 0, 100), 2);
}

uint32_t image_site(struct image_table *table, uint32_t node, uint32_t domain, uint16_t total_frames)
{
    const struct tm_node *innermost = image_record(table, &table->root->nodes, node);
    uint32_t id = (uint32_t)array_add(table, &table->root->sites);
    struct tm_site *site = image_record(table, &table->root->sites, id);
    *site = (struct tm_site){.node = node,
                             .total_frames = total_frames ? total_frames : innermost->depth,
                             .allocator = domain ? TM_ALLOCATOR_TRACKED : TM_ALLOCATOR_OBJECT,
                             .domain = domain};
    site->hash = tm_site_hash(id, site);
    if (!(table->root->flags & TM_ROOT_LEAN))
        array_add(table, &table->root->counters);
    return id;
}

uint64_t image_copy(struct image_table *table, struct tm_array *array, unsigned chunk)
{
    uint64_t length = (UINT64_C(1) << (array->first_shift + chunk)) * array->record_size;
    require(chunk < TM_ARRAY_COPIES && array->chunk[chunk] && !array->copy[chunk], "no chunk to copy");
    array->copy[chunk] = image_map_anywhere(table->image, length);
    memcpy(image_at(table->image, array->copy[chunk], length), image_at(table->image, array->chunk[chunk], length),
           length);
    return array->copy[chunk];
}

void image_table_make_lean(struct image_table *table)
{
    require(table->root->sites.count == 1, "there are sites already");
    table->root->flags |= TM_ROOT_LEAN;
    table->root->counters = (struct tm_array){.record_size = sizeof(struct tm_counters), .first_shift = FIRST_SHIFT};
    table->root->counters.count = 1;
}

// ---------------------------------------------------------------------------------------------------------------
// The map

#define MAP_STEP (UINT64_C(1) << 16)

// Grids and lists are next to each other, aligned to 64 bytes, as the tracer has them.
static uint64_t map_memory(struct image_table *table, uint64_t size)
{
    size = (size + 63) & ~UINT64_C(63);
    if (table->map_end - table->map_next < size) {
        table->map_next = image_map_anywhere(table->image, MAP_STEP);
        table->map_end = table->map_next + MAP_STEP;
    }
    table->map_next += size;
    return table->map_next - size;
}

uint64_t image_unit_number(const struct image_table *table, uint64_t address)
{
    return address >> table->root->unit_shift;
}

uint64_t image_unit_start(const struct image_table *table, uint64_t address)
{
    return image_unit_number(table, address) << table->root->unit_shift;
}

uint32_t image_leaf(struct image_table *table, uint64_t address)
{
    struct tm_array *leaves = &table->root->leaves;
    uint64_t range = (uint64_t)TM_LEAF_UNITS << table->root->unit_shift, start = address / range * range;
    for (uint32_t id = 1; id < leaves->count; id++) {
        if (((struct tm_leaf *)image_record(table, leaves, id))->start == start)
            return id;
    }
    uint64_t units = image_map_anywhere(table->image, 2 * TM_LEAF_UNITS * sizeof(struct tm_unit));
    uint32_t id = (uint32_t)array_add(table, leaves);
    struct tm_leaf *leaf = image_record(table, leaves, id);
    *leaf = (struct tm_leaf){.start = start, .units = units};
    leaf->hash = tm_leaf_hash(id, leaf);
    return id;
}

uint64_t image_unit_address(struct image_table *table, uint64_t address)
{
    const struct tm_leaf *leaf = image_record(table, &table->root->leaves, image_leaf(table, address));
    return leaf->units + image_unit_number(table, address) % TM_LEAF_UNITS * sizeof(struct tm_unit);
}

struct tm_unit *image_unit(struct image_table *table, uint64_t address)
{
    return image_at(table->image, image_unit_address(table, address), sizeof(struct tm_unit));
}

uint64_t image_grid_word(const struct image_table *table, uint64_t address, uint64_t array, uint32_t stride,
                         uint32_t phase)
{
    uint64_t word = array << TM_GRID_ADDRESS_SHIFT | phase / 16 << TM_GRID_PHASE_SHIFT | stride / 16;
    return word | tm_grid_check(image_unit_number(table, address), word) << TM_GRID_CHECK_SHIFT;
}

uint64_t image_list_word(const struct image_table *table, uint64_t address, uint64_t chunk, bool buckets)
{
    uint64_t word = chunk << TM_LIST_ADDRESS_SHIFT | (buckets ? TM_LIST_BUCKETS : 0);
    return word | tm_list_check(image_unit_number(table, address), word) << TM_LIST_CHECK_SHIFT;
}

uint64_t image_grid(struct image_table *table, uint64_t address, uint32_t stride, uint32_t phase)
{
    uint64_t array =
        map_memory(table, TM_GRID_HEAD + TM_GRID_SLOTS(table->root->unit_shift, stride, phase) * sizeof(uint32_t));
    uint64_t word = image_grid_word(table, address, array, stride, phase);
    *(uint64_t *)image_at(table->image, array, 8) = tm_grid_head(image_unit_number(table, address), word);
    image_unit(table, address)->grid = word;
    return array;
}

static uint32_t stride_of(const struct tm_unit *unit)
{
    return (uint32_t)(unit->grid & TM_GRID_STRIDE_MASK) * 16;
}

// The slot of an address, or NULL if the unit's grid has none for it.
static uint32_t *find_slot(struct image_table *table, uint64_t address)
{
    const struct tm_unit *unit = image_unit(table, address);
    uint32_t stride = stride_of(unit), phase = (unit->grid >> TM_GRID_PHASE_SHIFT & TM_GRID_PHASE_MASK) * 16;
    uint64_t offset = address - image_unit_start(table, address) - phase;
    if (!stride || (int64_t)offset < 0 || offset % stride)
        return NULL;
    uint64_t array = unit->grid >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK;
    return image_at(table->image, array + TM_GRID_HEAD + offset / stride * sizeof(uint32_t), sizeof(uint32_t));
}

uint32_t *image_slot(struct image_table *table, uint64_t address)
{
    uint32_t *slot = find_slot(table, address);
    require(slot != NULL, "the unit has no grid with such a slot");
    return slot;
}

// The entry with these bits, 0 for a free one, in the chunks from `word` on; *last: the word after the last chunk.
static uint64_t *find_in_chunks(struct image_table *table, uint64_t *word, uint64_t mask, uint64_t bits,
                                unsigned *chunks, uint64_t **last)
{
    for (*chunks = 0; *word && !(*word & TM_LIST_BUCKETS); ++*chunks) {
        struct tm_list_chunk *chunk =
            image_at(table->image, *word >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK, sizeof(*chunk));
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++) {
            if (bits ? chunk->entry[i] && (chunk->entry[i] & mask) == (bits & mask) : !chunk->entry[i])
                return &chunk->entry[i];
        }
        word = &chunk->next;
    }
    *last = word;
    return NULL;
}

// The entry, in the list of the unit of the address or in the bucket for it. With `grow`, chunks and buckets are made.
static uint64_t *find_entry(struct image_table *table, uint64_t address, uint64_t mask, uint64_t bits, bool grow)
{
    uint64_t *word = &image_unit(table, address)->list, *last;
    for (int in_bucket = 0;; in_bucket = 1) {
        unsigned chunks;
        uint64_t *entry = find_in_chunks(table, word, mask, bits, &chunks, &last);
        if (entry)
            return entry;
        if (!*last && grow && chunks < TM_LIST_CHUNKS) {
            *last = image_list_word(table, address, map_memory(table, sizeof(struct tm_list_chunk)), false);
            continue;
        }
        require(!in_bucket && (*last || grow), grow ? "the list is full" : "no such entry");
        if (!*last)
            *last = image_list_word(table, address, map_memory(table, TM_LIST_BUCKET_COUNT * sizeof(uint64_t)), true);
        uint64_t part = (address - image_unit_start(table, address)) * TM_LIST_BUCKET_COUNT >> table->root->unit_shift;
        uint64_t buckets = *last >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK;
        word = image_at(table->image, buckets + part * sizeof(uint64_t), sizeof(uint64_t));
    }
}

#define START_BITS (TM_ENTRY_START_MASK << TM_ENTRY_START_SHIFT)

static uint64_t start_bits(struct image_table *table, uint64_t address)
{
    return (address - image_unit_start(table, address)) / 16 << TM_ENTRY_START_SHIFT;
}

uint64_t *image_entry(struct image_table *table, uint64_t address)
{
    // Of a start of 0 all bits are 0: only entries that are not 0 are compared.
    return find_entry(table, address, START_BITS, start_bits(table, address) | 1, false);
}

void image_put_block(struct image_table *table, uint64_t address, uint64_t size, uint32_t site)
{
    require(address % 16 == 0 && size <= TM_ENTRY_SIZE_MASK, "such a block is not in the map");
    uint32_t stride = stride_of(image_unit(table, address)), *slot = find_slot(table, address);
    if (slot && size <= stride && !(stride == TM_GRID_SIZE_MOST && size == 0))
        *slot = (uint32_t)(size & TM_SLOT_SIZE_MASK) << TM_SLOT_SIZE_SHIFT | site;
    else
        *find_entry(table, address, 0, 0, true) = start_bits(table, address) | size << TM_ENTRY_SIZE_SHIFT | site;
}

static struct tm_counters *counters_of(struct image_table *table, uint32_t site)
{
    return table->root->flags & TM_ROOT_LEAN ? NULL : image_record(table, &table->root->counters, site);
}

static void count_block(struct image_table *table, uint64_t size, uint32_t site)
{
    struct tm_counters *counters = counters_of(table, site);
    if (counters) {
        counters->allocations++;
        counters->allocated += size;
    }
    struct tm_memory *owned = &table->root->owned;
    owned->traced += size;
    if (owned->traced > owned->peak)
        owned->peak = owned->traced;
}

void image_block(struct image_table *table, uint64_t address, uint64_t size, uint32_t site)
{
    image_put_block(table, address, size, site);
    count_block(table, size, site);
}

void image_free_block(struct image_table *table, uint64_t address, uint64_t size)
{
    uint32_t *slot = find_slot(table, address), site;
    if (slot && *slot) {
        site = *slot & TM_SLOT_SITE_MASK;
        *slot = 0;
    } else {
        uint64_t *entry = image_entry(table, address);
        site = (uint32_t)(*entry & TM_ENTRY_SITE_MASK);
        *entry = 0;
    }
    struct tm_counters *counters = counters_of(table, site);
    if (counters) {
        counters->frees++;
        counters->freed += size;
    }
    table->root->owned.traced -= size;
}

uint32_t image_track(struct image_table *table, uint32_t domain, uint64_t address, uint64_t size, uint32_t site)
{
    struct tm_root *root = table->root;
    const uint64_t slots = UINT64_C(1) << INDEX_SHIFT;
    if (!root->tracked_index) {
        root->tracked_index =
            image_map_anywhere(table->image, sizeof(struct tm_tracked_index) + slots * sizeof(uint32_t));
        ((struct tm_tracked_index *)image_at(table->image, root->tracked_index, 16))->shift = INDEX_SHIFT;
    }
    uint32_t id = (uint32_t)array_add(table, &root->tracked);
    struct tm_tracked *tracked = image_record(table, &root->tracked, id);
    *tracked = (struct tm_tracked){.address = address, .size = size, .domain = domain, .site = site};
    tracked->hash = tm_tracked_hash(id, tracked);
    uint32_t *slot = image_at(table->image, root->tracked_index + sizeof(struct tm_tracked_index), slots * 4);
    uint64_t position = tm_tracked_key_hash(domain, address);
    while (slot[position % slots])
        position++;
    slot[position % slots] = id;
    count_block(table, size, site);
    return id;
}

// ---------------------------------------------------------------------------------------------------------------
// Something of everything

void image_table_fill(struct image_table *table, uint64_t heap)
{
    static const uint8_t pairs[] = {4, 1, 2, 0x80, 6, 0xfe, 8, 3};
    static const uint8_t locations[] = {0x80, 0, 0xdd, 4, 9, 0xe8, 2, 0xf2, 2, 1, 3, 4, 0xf8, 0xd1, 1, 2};
    static const char *const names[] = {"main.py",         "\x1b]0;title\x07.py", "a\nb.py",
                                        "\xed\xb2\x80.py", "\xe2\x80\xae",        ""};
    const uint64_t gib = UINT64_C(1) << 30, mib = UINT64_C(1) << 20;
    uint32_t node = 0, site[6];
    for (unsigned i = 0; i < 6; i++) {
        bool located = i % 4 == TM_LINES_LOCATIONS;
        uint32_t code = image_code(table, names[i], (int32_t)i * 5, (uint8_t)(i % 4), located ? locations : pairs,
                                   located ? sizeof(locations) : sizeof(pairs), 40);
        node = image_node(table, i % 4 ? node : 0, code, (int32_t)i * 4 - 2);
        site[i] = image_site(table, node, i == 5 ? 389047 : 0, i == 4 ? 7 : 0);
    }
    image_grid(table, heap, 96, 0);
    image_grid(table, heap + 3 * 16384, 512, 48);
    for (unsigned i = 0; i < 20; i++)
        image_block(table, heap + i * 96, i * 5, site[i % 5]);
    *image_slot(table, heap + 18 * 96) |= TM_SLOT_WATCHED;
    image_block(table, heap + 3 * 16384 + 48, 512, site[0]);
    image_block(table, heap + 16384, 5000, site[0]); // of a grid no more
    for (unsigned i = 0; i < 40; i++)                // in chunks, then in buckets
        image_block(table, heap + 2 * 16384 + i * 384, i * 9, site[i % 3]);
    *image_entry(table, heap + 2 * 16384 + 384) |= TM_ENTRY_WATCHED;
    image_block(table, heap + gib, 900 * mib, site[1]);
    image_block(table, heap + 9 * gib - 16, 100, site[2]); // it reaches into the next leaf
    for (unsigned i = 0; i < 20; i++)
        image_track(table, 389047, i * 1000, 100 + i, site[5]);
    image_track(table, 0, heap + 7, 8, site[0]);
    struct tm_root *root = table->root;
    struct tm_array *copied[] = {&root->bytes, &root->strings, &root->codes, &root->nodes, &root->sites, &root->leaves};
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        image_copy(table, copied[i], 0);
}
