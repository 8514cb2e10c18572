// Interning by content. Each kind of record has an index private to the tracer: open addressing over ids, grown by doubling.
// Knows the layout and how to read a code object; knows no hook and no stack.

#include "intern.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout/bounds.h"
#include "layout/hash.h"
#include "layout/lines.h"
#include "pages.h"
#include "shadow.h"

// ---------------------------------------------------------------------------------------------------------------
// Indexes

struct index {
    uint32_t *ids; // 0: free
    uint64_t mask;
    uint64_t used;
    uint64_t (*hash_of)(uint32_t id); // of a record in the table
};

static void index_put(uint32_t *ids, uint64_t mask, uint64_t hash, uint32_t id)
{
    uint64_t i = hash & mask;
    while (ids[i] != 0)
        i = (i + 1) & mask;
    ids[i] = id;
}

enum { FIRST_INDEX = 512 };

/** Make room for one more id: the index is at most two thirds full. False: no memory. */
static bool index_reserve(struct index *index)
{
    if (index->ids != NULL && index->used * 3 < index->mask * 2)
        return true;
    uint64_t size = index->ids == NULL ? FIRST_INDEX : (index->mask + 1) * 2;
    uint32_t *ids = size == FIRST_INDEX ? table_allocate(size * sizeof *ids) : pages_map(size * sizeof *ids);
    if (ids == NULL)
        return false;
    if (size != FIRST_INDEX)
        table_account((int64_t)(size * sizeof *ids));
    for (uint64_t i = 0; index->ids != NULL && i <= index->mask; i++)
        if (index->ids[i] != 0)
            index_put(ids, size - 1, index->hash_of(index->ids[i]), index->ids[i]);
    if (size > 2 * FIRST_INDEX) {
        pages_unmap(index->ids, size / 2 * sizeof *ids);
        table_account(-(int64_t)(size / 2 * sizeof *ids));
    }
    index->ids = ids;
    index->mask = size - 1;
    return true;
}

static void index_add(struct index *index, uint64_t hash, uint32_t id)
{
    index_put(index->ids, index->mask, hash, id);
    index->used++;
}

static uint32_t index_home(const struct index *index, uint64_t hash)
{
    return (uint32_t)(hash & index->mask);
}

static uint32_t index_at(const struct index *index, uint32_t probe)
{
    return index->ids == NULL ? 0 : index->ids[probe & index->mask];
}

/** Go through the ids that may have this hash: for (INDEX_PROBE(index, hash, id)) { is it this one? } */
#define INDEX_PROBE(index, hash, id)                                             \
    uint32_t probe = index_home((index), (hash)), id = index_at((index), probe); \
    id != 0;                                                                     \
    probe++, id = index_at((index), probe)

// ---------------------------------------------------------------------------------------------------------------
// Room
//
// docs/layout.md has the limit of each kind of record, for a `record_limit`.

static void *append(struct tm_array *array, uint64_t limit)
{
    return array->count < limit ? table_append(array) : NULL;
}

static bool append_bytes(const char *bytes, uint32_t length, tm_position *position)
{
    return table->bytes.count + length <= TM_BYTES_LIMIT(table->record_limit) &&
           table_append_bytes(bytes, length, position);
}

// ---------------------------------------------------------------------------------------------------------------
// Strings

static uint64_t string_hash(uint32_t id)
{
    return TABLE_STRING(id)->hash;
}
static struct index strings = {.hash_of = string_hash};

static uint32_t intern_string(const char *bytes, uint32_t length)
{
    uint32_t hash = tm_string_hash(bytes, length);
    for (INDEX_PROBE(&strings, hash, id)) {
        const struct tm_string *string = TABLE_STRING(id);
        if (string->hash == hash && string->length == length &&
            memcmp(table_bytes(string->position), bytes, length) == 0)
            return id;
    }
    tm_position position;
    struct tm_string *string = append(&table->strings, TM_STRINGS_LIMIT(table->record_limit));
    if (string == NULL || !index_reserve(&strings) || !append_bytes(bytes, length, &position))
        return 0;
    *string = (struct tm_string){.position = position, .length = length, .hash = hash};
    index_add(&strings, hash, (uint32_t)table->strings.count);
    return table_publish(&table->strings);
}

/** As UTF-8, with surrogates as three bytes. Returns the number of bytes. */
static uint32_t encode(char *out, uint32_t character)
{
    unsigned char *bytes = (unsigned char *)out;
    if (character < 0x80) {
        bytes[0] = (unsigned char)character;
        return 1;
    }
    if (character < 0x800) {
        bytes[0] = (unsigned char)(0xc0 | character >> 6);
        bytes[1] = (unsigned char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        bytes[0] = (unsigned char)(0xe0 | character >> 12);
        bytes[1] = (unsigned char)(0x80 | (character >> 6 & 0x3f));
        bytes[2] = (unsigned char)(0x80 | (character & 0x3f));
        return 3;
    }
    bytes[0] = (unsigned char)(0xf0 | character >> 18);
    bytes[1] = (unsigned char)(0x80 | (character >> 12 & 0x3f));
    bytes[2] = (unsigned char)(0x80 | (character >> 6 & 0x3f));
    bytes[3] = (unsigned char)(0x80 | (character & 0x3f));
    return 4;
}

// Longer names are cut, and end with their length and hash. Such a name is hardly an accident: it would fill our memory.
enum { NAME_LIMIT = 4096, NAME_BYTES = NAME_LIMIT * 4, CUT_BYTES = 64 };
static char name_buffer[NAME_BYTES + CUT_BYTES]; // under the lock

static uint32_t end_cut_name(char *end, PyObject *text, Py_ssize_t characters)
{
    uint64_t hash = tm_content_begin((uint64_t)characters);
    for (Py_ssize_t i = 0; i < characters; i++)
        hash = tm_content_mix(hash, PyUnicode_ReadChar(text, i));
    return (uint32_t)snprintf(end, CUT_BYTES, "... (%zd characters, %016" PRIx64 ")", characters, hash);
}

/** The string of a str object; TM_STRING_UNKNOWN for anything else, as in tracemalloc. */
static uint32_t intern_str(PyObject *text)
{
    if (text == NULL || cpython_type_of(text) != &PyUnicode_Type)
        return TM_STRING_UNKNOWN;
    // Neither call allocates, and a str never changes, so this is safe even without the interpreter's lock.
    Py_ssize_t characters = PyUnicode_GetLength(text);
    uint32_t length = 0;
    for (Py_ssize_t i = 0; i < characters && i < NAME_LIMIT; i++)
        length += encode(name_buffer + length, PyUnicode_ReadChar(text, i));
    if (characters > NAME_LIMIT)
        length += end_cut_name(name_buffer + length, text, characters);
    return intern_string(name_buffer, length);
}

// ---------------------------------------------------------------------------------------------------------------
// Codes

static uint64_t code_hash(uint32_t id)
{
    return TABLE_CODE(id)->hash;
}
static struct index codes = {.hash_of = code_hash};

static void describe_code(const void *object, struct tm_code *code, const char **lines)
{
    const struct cpython_facts *facts = cpython.facts;
    PyObject *line_table = FIELD(PyObject *, object, facts->code_lines);
    code->filename = intern_str(FIELD(PyObject *, object, facts->code_filename));
    code->qualname = intern_str(FIELD(PyObject *, object, facts->code_name));
    code->first_line = FIELD(int32_t, object, facts->code_first_line);
    code->address = (uint64_t)(uintptr_t)object;
    *lines = "";
    if (line_table != NULL && cpython_type_of(line_table) == &PyBytes_Type) {
        *lines = PyBytes_AsString(line_table);
        code->line_table_length = (uint32_t)PyBytes_Size(line_table);
        code->line_table_kind = facts->line_table_kind;
    }
    Py_ssize_t size;
    if (facts->code_first_traceable != 0)
        size = cpython_items_of(object) * CODE_UNIT;
    else
        size = cpython_items_of(FIELD(PyObject *, object, facts->code_bytecode));
    code->code_length = size > 0 && size <= INT32_MAX ? (uint32_t)size : 0;
    code->hash = tm_code_hash(code, *lines);
}

static bool same_code(const struct tm_code *a, const struct tm_code *b, const char *b_lines)
{
    return a->hash == b->hash && a->filename == b->filename && a->qualname == b->qualname &&
           a->first_line == b->first_line && a->code_length == b->code_length &&
           a->line_table_kind == b->line_table_kind && a->line_table_length == b->line_table_length &&
           memcmp(table_bytes(a->line_table), b_lines, b->line_table_length) == 0;
}

/** Code objects with the same names and lines share a record: a program that keeps calling exec() does not grow the table. */
static uint32_t intern_code_contents(const void *object)
{
    struct tm_code code = {0};
    const char *lines;
    describe_code(object, &code, &lines);
    if (code.filename == 0 || code.qualname == 0)
        return 0;
    for (INDEX_PROBE(&codes, code.hash, id))
        if (same_code(TABLE_CODE(id), &code, lines))
            return id;
    struct tm_code *record = append(&table->codes, TM_CODES_LIMIT(table->record_limit));
    if (record == NULL || !index_reserve(&codes) || !append_bytes(lines, code.line_table_length, &code.line_table))
        return 0;
    *record = code;
    index_add(&codes, code.hash, (uint32_t)table->codes.count);
    return table_publish(&table->codes);
}

// The map remembers a code object by two slots of the block that holds it. TM_SLOT_WATCHED in the slot of the block's start is
// the mark: a free reads that slot anyway, so noticing the block's end costs nothing. The slot 32 bytes further on, behind
// those of the block's size, has the id.
//
// Mostly the block begins with the object. An allocator that wraps ours, such as that of PyMem_SetupDebugHooks(), may keep
// something of its own before the object. Then free() is called with the start that we have seen, not with the object.
//
// If the map shows no block and no allocator wraps ours, the block is the object. If that is not at a multiple of 16, it does
// not own the slot it starts in, and is marked further in, with its own address. In all other cases we do not notice its end.

enum { MOST_BEFORE = 4 * SLOT_BYTES }; // bytes of the block before the object's own slot

static void (*hooked_free)(void *context, void *block);

void code_set_free(void (*object_free)(void *context, void *block))
{
    hooked_free = object_free;
}

static bool free_names_object(void)
{
    PyMemAllocatorEx allocator;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &allocator);
    return allocator.free == hooked_free;
}

static uint32_t slot_value(uintptr_t address)
{
    const uint32_t *slot = shadow_slot(address);
    return slot == NULL ? 0 : __atomic_load_n(slot, __ATOMIC_RELAXED);
}

static uintptr_t aligned_down(uintptr_t address)
{
    return address & ~(uintptr_t)(SLOT_BYTES - 1);
}

static uintptr_t id_address(uintptr_t mark)
{
    return mark + 2 * SLOT_BYTES;
}

/** The place of the mark for a block that is not in the map, or not at a multiple of 16. */
static uintptr_t own_address(uintptr_t block)
{
    return block % SLOT_BYTES == 0 ? block : aligned_down(block) + 2 * SLOT_BYTES;
}

/** If the block is small, the slot there may be another block's, so the mark has the address of its own. */
static uint32_t own_mark(uintptr_t block)
{
    return block % SLOT_BYTES == 0 ? TM_SLOT_WATCHED : TM_SLOT_WATCHED | (block & (TM_SLOT_WATCHED - 1));
}

static bool has_own_mark(uintptr_t block)
{
    uint32_t value = slot_value(own_address(block));
    return block % SLOT_BYTES == 0 ? (value & TM_SLOT_WATCHED) != 0 : value == own_mark(block);
}

/** Whether the slot is a size slot, after a start. There TM_SIZE_ESCAPE is the same bit as TM_SLOT_WATCHED. */
static bool is_size(uintptr_t address)
{
    uint32_t before = slot_value(address - SLOT_BYTES);
    return (before & (TM_SLOT_START | TM_SLOT_SMALL_MASK << TM_SLOT_SMALL_SHIFT)) == TM_SLOT_START;
}

/** The mark of a living code object; 0: none. A mark so near before it is not another object's: the two would overlap. */
static uintptr_t find_mark(uintptr_t object)
{
    if (object % SLOT_BYTES != 0 && has_own_mark(object))
        return own_address(object);
    for (uintptr_t slot = aligned_down(object), end = slot - MOST_BEFORE; slot >= end; slot -= SLOT_BYTES) {
        uint32_t value = slot_value(slot);
        if (value & TM_SLOT_WATCHED && (value & TM_SLOT_START || !is_size(slot)))
            return slot;
        if (value & TM_SLOT_START)
            return 0;
    }
    return 0;
}

/** The least length of a code object. */
static size_t object_length(const void *object)
{
    const struct cpython_facts *facts = cpython.facts;
    if (facts->code_first_traceable == 0)
        return facts->code_lines + sizeof(PyObject *);
    return facts->code_bytecode + (size_t)cpython_items_of(object) * CODE_UNIT;
}

/** The start of the block that holds this code object, and no room for a second one; 0: it is not in the map. */
static uintptr_t find_block(const void *object)
{
    uintptr_t first = (uintptr_t)object, length = object_length(object), block;
    const uint32_t *slot = shadow_find_start(first, MOST_BEFORE, &block);
    if (slot == NULL)
        return 0;
    uintptr_t end = block + shadow_size(slot, *slot, block);
    return end >= first + length && end < first + 2 * length ? block : 0;
}

static uint32_t *slot_to_mark(uintptr_t address)
{
    uint32_t *slot = shadow_slot(address);
    return slot != NULL ? slot : shadow_slot_create_locked(address);
}

/** Mark an object with its id. False: we would not notice its end, or there is no memory. */
static bool mark(const void *object, uint32_t id)
{
    uintptr_t block = find_block(object), address = block != 0 ? block : own_address((uintptr_t)object);
    if (block == 0 && !free_names_object())
        return false;
    uint32_t *slot = slot_to_mark(address), *remembered = slot_to_mark(id_address(address));
    if (slot == NULL || remembered == NULL)
        return false;
    uint32_t value = __atomic_load_n(slot, __ATOMIC_RELAXED);
    uint32_t marked = block != 0 ? value | TM_SLOT_WATCHED : own_mark((uintptr_t)object);
    *remembered = id;
    // A thread that clears all traces may have changed the slot meanwhile.
    return (value & TM_SLOT_START) == (block != 0 ? TM_SLOT_START : 0) &&
           __atomic_compare_exchange_n(slot, &value, marked, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/** The id of a mark; 0: it was no mark. */
static uint32_t marked_id(uintptr_t mark)
{
    uint32_t id = slot_value(id_address(mark));
    return id < table->codes.count ? id : 0;
}

struct interned_code intern_code(const void *object)
{
    uintptr_t known = find_mark((uintptr_t)object);
    uint32_t id = known == 0 ? 0 : marked_id(known);
    if (id != 0)
        return (struct interned_code){.id = id, .watched = true};
    id = object != NULL && cpython_is_code(object) ? intern_code_contents(object) : 0;
    if (id == 0) {
        table_lost_frame();
        return (struct interned_code){.id = TM_CODE_UNKNOWN};
    }
    return (struct interned_code){.id = id, .watched = known == 0 && mark(object, id)};
}

size_t code_forget(uintptr_t address)
{
    if (!has_own_mark(address))
        return 0;
    uint32_t id = marked_id(own_address(address));
    __atomic_fetch_and(shadow_slot(own_address(address)), ~TM_SLOT_WATCHED, __ATOMIC_RELAXED);
    if (id == 0)
        return 0;
    // The object itself may be overwritten already, by an allocator that wraps ours.
    const struct cpython_facts *facts = cpython.facts;
    size_t bytecode = facts->code_first_traceable == 0 ? 0 : TABLE_CODE(id)->code_length + CODE_UNIT;
    return MOST_BEFORE + SLOT_BYTES + facts->code_bytecode + bytecode;
}

static int32_t find_line_start(const struct tm_code *code, int32_t instruction)
{
    struct tm_lines lines = {.table = (const uint8_t *)table_bytes(code->line_table),
                             .length = code->line_table_length,
                             .kind = code->line_table_kind,
                             .first_line = code->first_line};
    int64_t line = tm_lines_at(&lines, instruction);
    struct tm_line_cursor cursor;
    tm_line_cursor_init(&cursor, &lines);
    while (tm_line_cursor_next(&cursor, &lines) && cursor.start <= (uint64_t)instruction)
        if (cursor.line == line && cursor.end > cursor.start)
            return (int32_t)cursor.start;
    return instruction;
}

int32_t code_line_start(uint32_t code, int32_t instruction)
{
    enum { REMEMBERED = 1024 };
    static struct line_start {
        uint32_t code;
        int32_t instruction, start;
    } remembered[REMEMBERED]; // under the lock
    if (code == TM_CODE_UNKNOWN || instruction <= 0)
        return instruction;
    struct line_start *line = &remembered[tm_content_mix(code, (uint32_t)instruction) % REMEMBERED];
    if (line->code != code || line->instruction != instruction)
        *line = (struct line_start){code, instruction, find_line_start(TABLE_CODE(code), instruction)};
    return line->start;
}

// ---------------------------------------------------------------------------------------------------------------
// Nodes and sites

static uint64_t node_hash_of(uint32_t parent, uint32_t code, int32_t instruction)
{
    return tm_content_mix(tm_content_mix(parent, code), (uint32_t)instruction);
}
static uint64_t node_hash(uint32_t id)
{
    const struct tm_node *node = TABLE_NODE(id);
    return node_hash_of(node->parent, node->code, node->instruction);
}
static struct index nodes = {.hash_of = node_hash};

uint32_t intern_node(uint32_t parent, uint32_t code, int32_t instruction)
{
    uint64_t hash = node_hash_of(parent, code, instruction);
    for (INDEX_PROBE(&nodes, hash, id)) {
        const struct tm_node *node = TABLE_NODE(id);
        if (node->parent == parent && node->code == code && node->instruction == instruction)
            return id;
    }
    struct tm_node *node = append(&table->nodes, TM_NODES_LIMIT(table->record_limit) / 4 * (parent == 0 ? 4 : 3));
    if (node == NULL || !index_reserve(&nodes))
        return 0;
    uint16_t depth = parent == 0 ? 1 : (uint16_t)(TABLE_NODE(parent)->depth + 1);
    *node = (struct tm_node){.parent = parent, .code = code, .instruction = instruction, .depth = depth};
    node->hash = tm_node_hash(table->nodes.count, node);
    index_add(&nodes, hash, (uint32_t)table->nodes.count);
    return table_publish(&table->nodes);
}

static uint64_t site_hash_of(uint32_t node, uint32_t kind, uint32_t domain)
{
    return tm_content_mix(tm_content_mix(node, kind), domain);
}
static uint32_t site_kind(uint16_t total_frames, uint8_t allocator, uint8_t flags)
{
    return (uint32_t)total_frames << 16 | (uint32_t)allocator << 8 | flags;
}
static uint64_t site_hash(uint32_t id)
{
    const struct tm_site *site = TABLE_SITE(id);
    return site_hash_of(site->node, site_kind(site->total_frames, site->allocator, site->flags), site->domain);
}
static struct index sites = {.hash_of = site_hash};

static uint32_t intern_site_within(const struct site_key *key, uint64_t limit)
{
    uint32_t kind = site_kind(key->total_frames, key->allocator, key->flags);
    uint64_t hash = site_hash_of(key->node, kind, key->domain);
    for (INDEX_PROBE(&sites, hash, id)) {
        const struct tm_site *site = TABLE_SITE(id);
        if (site->node == key->node && site->domain == key->domain &&
            site_kind(site->total_frames, site->allocator, site->flags) == kind)
            return id;
    }
    struct tm_site *site = append(&table->sites, limit);
    if (site == NULL || !index_reserve(&sites))
        return 0;
    *site = (struct tm_site){.node = key->node,
                             .total_frames = key->total_frames,
                             .allocator = key->allocator,
                             .flags = key->flags,
                             .domain = key->domain};
    site->hash = tm_site_hash(table->sites.count, site);
    index_add(&sites, hash, (uint32_t)table->sites.count);
    return table_publish(&table->sites);
}

uint32_t intern_site(const struct site_key *key)
{
    const struct tm_node *node = TABLE_NODE(key->node);
    uint64_t limit = table->record_limit;
    uint32_t site = intern_site_within(key, node->parent == 0 ? limit : limit / 4 * 3);
    struct site_key shorter = *key;
    shorter.flags |= TM_SITE_SHORTENED;
    if (site == 0 && node->parent != 0 && (shorter.node = intern_node(0, node->code, node->instruction)) != 0)
        site = intern_site_within(&shorter, limit);
    if (site != 0)
        return site;
    shorter.node = TM_NODE_UNKNOWN;
    shorter.total_frames = 1;
    return intern_site_within(&shorter, TM_SITE_LIMIT);
}
