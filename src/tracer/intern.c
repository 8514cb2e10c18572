// Interning by content. Each kind of record has an index private to the tracer: open addressing over ids, grown by doubling.
// Knows the layout and how to read a code object; knows no hook and no stack.

#include "intern.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout/bounds.h"
#include "layout/hash.h"
#include "layout/lines.h"
#include "profile.h"
#include "watched.h"

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

enum { FIRST_INDEX = 1024 };

/** Make room for one more id: the index is at most two thirds full. False: no memory. */
static bool index_reserve(struct index *index)
{
    if (index->ids != NULL && index->used * 3 < index->mask * 2)
        return true;
    uint64_t size = index->ids == NULL ? FIRST_INDEX : (index->mask + 1) * 2;
    uint32_t *ids = table_map(size * sizeof *ids, TM_OWN_PRIVATE);
    if (ids == NULL)
        return false;
    for (uint64_t i = 0; index->ids != NULL && i <= index->mask; i++)
        if (index->ids[i] != 0)
            index_put(ids, size - 1, index->hash_of(index->ids[i]), index->ids[i]);
    if (index->ids != NULL)
        table_unmap(index->ids, size / 2 * sizeof *ids);
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

struct interned_code intern_code(const void *object)
{
    uint32_t id = watched_find(object);
    if (id != 0)
        return (struct interned_code){.id = id, .watched = true};
    id = object != NULL && cpython_is_code(object) ? intern_code_contents(object) : 0;
    if (id == 0) {
        table_lost_frame();
        return (struct interned_code){.id = TM_CODE_UNKNOWN};
    }
    return (struct interned_code){.id = id, .watched = watched_add(object, id)};
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

/** The counters of all sites up to this one. False: no memory. */
static bool append_counters(uint64_t id)
{
    while (table->counters.count <= id) {
        if (table_append(&table->counters) == NULL)
            return false;
        table_publish(&table->counters);
    }
    return true;
}

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
    bool counted = profile_now->counts_sites;
    if (site == NULL || !index_reserve(&sites) || (counted && !append_counters(table->sites.count)))
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

bool intern_begin(void)
{
    table_lock();
    bool ready = !profile_now->counts_sites || append_counters(table->sites.count - 1);
    table_unlock();
    return ready;
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
