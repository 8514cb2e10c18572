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
    image->next = UINT64_C(0x7f6000000000);
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

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    struct image *image = context;
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
    root->branch_shift = TM_BRANCH_SHIFT;
    root->leaf_shift = TM_LEAF_SHIFT;
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
    root->directory = image_map_anywhere(image, sizeof(tm_directory));
    array_create(&root->bytes, 1, 8);
    array_create(&root->strings, sizeof(struct tm_string), FIRST_SHIFT);
    array_create(&root->codes, sizeof(struct tm_code), FIRST_SHIFT);
    array_create(&root->nodes, sizeof(struct tm_node), FIRST_SHIFT);
    array_create(&root->sites, sizeof(struct tm_site), FIRST_SHIFT);
    array_create(&root->tracked, sizeof(struct tm_tracked), FIRST_SHIFT);
    add_bytes(table, "", 1);
    array_add(table, &root->strings);
    array_add(table, &root->codes);
    array_add(table, &root->nodes);
    array_add(table, &root->sites);
    array_add(table, &root->tracked);
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
    for (uint64_t id = 1; id < arrays->tracked.count; id++) {
        struct tm_tracked *tracked = image_record(table, &arrays->tracked, id);
        tracked->hash = tm_tracked_hash(id, tracked);
    }
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
    return id;
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks

static uint64_t *entry(struct image_table *table, uint64_t array, uint64_t index)
{
    return image_at(table->image, array + index * sizeof(uint64_t), sizeof(uint64_t));
}

uint64_t image_leaf(struct image_table *table, uint64_t address)
{
    uint64_t *branch = entry(table, table->root->directory, address >> TM_BRANCH_SHIFT);
    if (!*branch)
        *branch = image_map_anywhere(table->image, sizeof(tm_branch));
    uint64_t *leaf = entry(table, *branch, address >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1));
    if (!*leaf) {
        uint64_t *next = &table->image->next;
        *next = (*next + sizeof(tm_leaf) - 1) & ~(uint64_t)(sizeof(tm_leaf) - 1);
        *leaf = image_map_anywhere(table->image, sizeof(tm_leaf));
        table->root->leaves++;
    }
    *leaf |= UINT64_C(1) << (address >> TM_LEAF_PART_SHIFT & (TM_LEAF_PARTS - 1));
    return *leaf & ~TM_LEAF_PARTS_MASK;
}

uint32_t *image_slot(struct image_table *table, uint64_t address)
{
    uint64_t slot = address >> TM_SLOT_SHIFT & (TM_LEAF_SLOTS - 1);
    return image_at(table->image, image_leaf(table, address) + slot * sizeof(uint32_t), sizeof(uint32_t));
}

void image_put_block(struct image_table *table, uint64_t address, uint64_t size, uint32_t site)
{
    require(address % 16 == 0, "a block in the shadow map is aligned");
    uint32_t start = TM_SLOT_START | site;
    if (size <= TM_SLOT_SMALL_LIMIT) {
        start |= (uint32_t)(size + 1) << TM_SLOT_SMALL_SHIFT;
    } else if (size <= TM_SIZE_MASK) {
        *image_slot(table, address + 16) = (uint32_t)size;
    } else {
        *image_slot(table, address + 32) = (uint32_t)(size >> TM_SIZE_BITS);
        *image_slot(table, address + 16) = TM_SIZE_ESCAPE | (uint32_t)(size & TM_SIZE_MASK);
    }
    *image_slot(table, address) = start;
}

static void count_block(struct image_table *table, uint64_t size, uint32_t site_id)
{
    struct tm_site *site = image_record(table, &table->root->sites, site_id);
    site->allocations++;
    site->allocated += size;
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
    uint32_t *slot = image_slot(table, address);
    require(*slot & TM_SLOT_START, "no block there");
    struct tm_site *site = image_record(table, &table->root->sites, *slot & TM_SLOT_SITE_MASK);
    *slot = 0;
    site->frees++;
    site->freed += size;
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
    const uint64_t gib = UINT64_C(1) << 30;
    uint32_t node = 0, site[6];
    for (unsigned i = 0; i < 6; i++) {
        bool located = i % 4 == TM_LINES_LOCATIONS;
        uint32_t code = image_code(table, names[i], (int32_t)i * 5, (uint8_t)(i % 4), located ? locations : pairs,
                                   located ? sizeof(locations) : sizeof(pairs), 40);
        node = image_node(table, i % 4 ? node : 0, code, (int32_t)i * 4 - 2);
        site[i] = image_site(table, node, i == 5 ? 389047 : 0, i == 4 ? 7 : 0);
    }
    for (unsigned i = 0; i < 20; i++)
        image_block(table, heap + i * 96, i * 5, site[i % 5]);
    *image_slot(table, heap + 18 * 96) |= TM_SLOT_WATCHED;
    *image_slot(table, heap + 18 * 96 + 32) = 2;
    image_block(table, heap + 4096, 5 * gib, site[1]);
    image_block(table, heap + 9 * gib - 16, 100, site[2]); // its size is in the next leaf
    for (unsigned i = 0; i < 20; i++)
        image_track(table, 389047, i * 1000, 100 + i, site[5]);
    image_track(table, 0, heap + 7, 8, site[0]);
}
