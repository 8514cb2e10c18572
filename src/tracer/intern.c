// Interning by content. Knows the layout and how to read a code object; knows no hook and no stack.

#include "intern.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kind.h"
#include "layout/bounds.h"
#include "layout/hash.h"
#include "layout/lines.h"
#include "profile.h"
#include "watched.h"

// ---------------------------------------------------------------------------------------------------------------
// Bytes
//
// docs/layout.md has the limit of each kind of record, for a `record_limit`. Bytes begin at multiples of 8, and those that are
// free again are chained through their first word, by length.

enum { BYTES_STEP = 8, BYTES_CLASSES = 64, BYTES_SPARE_CLASSES = 4 };
static tm_position free_bytes[BYTES_CLASSES]; // by length / 8; [0] is not used

static uint32_t bytes_class(uint32_t length)
{
    return (length + BYTES_STEP - 1) / BYTES_STEP;
}

/** A free place for so many bytes, which may be a little longer. 0: there is none. */
static tm_position reuse_bytes(uint32_t length)
{
    uint32_t first = bytes_class(length);
    for (uint32_t class = first; class < BYTES_CLASSES && class <= first + BYTES_SPARE_CLASSES; class ++) {
        tm_position position = free_bytes[class];
        if (position == 0)
            continue;
        memcpy(&free_bytes[class], table_bytes(position), sizeof(tm_position));
        return position;
    }
    return 0;
}

static bool append_bytes(const char *bytes, uint32_t length, tm_position *position)
{
    if (length == 0)
        return *position = 0, true;
    if ((*position = reuse_bytes(length)) != 0) {
        table_write_bytes(*position, bytes, length);
        return true;
    }
    uint64_t limit = TM_BYTES_LIMIT(table->record_limit);
    if (table->bytes.count + length > limit)
        return collection_wanted(), false;
    return table_append_bytes(bytes, length, BYTES_STEP, position);
}

static void bury_bytes(tm_position position, uint32_t length)
{
    uint32_t class = bytes_class(length);
    if (class == 0 || class >= BYTES_CLASSES)
        return; // nothing, or so long that the next user would hardly fit
    table_write_bytes(position, &free_bytes[class], sizeof(tm_position));
    free_bytes[class] = position;
}

// ---------------------------------------------------------------------------------------------------------------
// Strings

static uint64_t string_hash(uint32_t id)
{
    return TABLE_STRING(id)->hash;
}

static bool string_is_free(uint32_t id)
{
    return TABLE_STRING(id)->position == TM_POSITION_FREE;
}

static void free_string(uint32_t id, uint32_t next)
{
    struct tm_string *string = TABLE_STRING(id), old = *string;
    __atomic_store_n(&string->position, TM_POSITION_FREE, __ATOMIC_RELEASE);
    string->length = next;
    if (old.position != TM_POSITION_FREE)
        bury_bytes(old.position, old.length);
}

static uint32_t next_free_string(uint32_t id)
{
    return TABLE_STRING(id)->length;
}

static struct kind strings = {.array = offsetof(struct tm_root, strings),
                              .free_count = offsetof(struct tm_root, free_strings),
                              .index.hash_of = string_hash,
                              .is_free = string_is_free,
                              .make_free = free_string,
                              .next_free = next_free_string};

static uint32_t intern_string(const char *bytes, uint32_t length)
{
    uint32_t hash = tm_string_hash(bytes, length);
    struct index_probe probe = index_find(&strings.index, hash);
    for (uint32_t id; (id = index_next(&strings.index, &probe)) != 0;) {
        const struct tm_string *string = TABLE_STRING(id);
        if (string->hash == hash && string->length == length &&
            memcmp(table_bytes(string->position), bytes, length) == 0)
            return id;
    }
    uint32_t id = kind_take(&strings, TM_STRINGS_LIMIT(table->record_limit));
    tm_position position;
    if (id == 0)
        return 0;
    if (!append_bytes(bytes, length, &position)) {
        kind_give_back(&strings, id);
        return 0;
    }
    struct tm_string *string = TABLE_STRING(id);
    string->length = length;
    string->hash = hash;
    __atomic_store_n(&string->position, position, __ATOMIC_RELEASE);
    return kind_publish(&strings, id, hash);
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

static bool code_is_free(uint32_t id)
{
    return TABLE_CODE(id)->filename == 0;
}

static void free_code(uint32_t id, uint32_t next)
{
    struct tm_code *code = TABLE_CODE(id);
    bool was_live = code->filename != 0;
    __atomic_store_n(&code->filename, 0, __ATOMIC_RELEASE);
    code->qualname = next;
    if (was_live)
        bury_bytes(code->line_table, code->line_table_length);
}

static uint32_t next_free_code(uint32_t id)
{
    return TABLE_CODE(id)->qualname;
}

static struct kind codes = {.array = offsetof(struct tm_root, codes),
                            .free_count = offsetof(struct tm_root, free_codes),
                            .index.hash_of = code_hash,
                            .is_free = code_is_free,
                            .make_free = free_code,
                            .next_free = next_free_code};

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
    struct index_probe probe = index_find(&codes.index, code.hash);
    for (uint32_t id; (id = index_next(&codes.index, &probe)) != 0;)
        if (same_code(TABLE_CODE(id), &code, lines))
            return id;
    uint32_t id = kind_take(&codes, TM_CODES_LIMIT(table->record_limit)), filename = code.filename;
    if (id == 0)
        return 0;
    if (!append_bytes(lines, code.line_table_length, &code.line_table)) {
        kind_give_back(&codes, id);
        return 0;
    }
    code.filename = 0;
    *TABLE_CODE(id) = code;
    __atomic_store_n(&TABLE_CODE(id)->filename, filename, __ATOMIC_RELEASE);
    return kind_publish(&codes, id, code.hash);
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

enum { LINE_STARTS = 1024 };
static struct line_start {
    uint32_t code;
    int32_t instruction, start;
} line_starts[LINE_STARTS]; // under the lock

static void forget_line_starts(void)
{
    memset(line_starts, 0, sizeof line_starts);
}

int32_t code_line_start(uint32_t code, int32_t instruction)
{
    if (code == TM_CODE_UNKNOWN || instruction <= 0)
        return instruction;
    struct line_start *line = &line_starts[tm_content_mix(code, (uint32_t)instruction) % LINE_STARTS];
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

static bool node_is_free(uint32_t id)
{
    return TABLE_NODE(id)->depth == 0;
}

static void free_node(uint32_t id, uint32_t next)
{
    struct tm_node *node = TABLE_NODE(id);
    __atomic_store_n(&node->depth, 0, __ATOMIC_RELEASE);
    node->parent = next;
}

static uint32_t next_free_node(uint32_t id)
{
    return TABLE_NODE(id)->parent;
}

static struct kind nodes = {.array = offsetof(struct tm_root, nodes),
                            .free_count = offsetof(struct tm_root, free_nodes),
                            .index.hash_of = node_hash,
                            .is_free = node_is_free,
                            .make_free = free_node,
                            .next_free = next_free_node};

uint32_t intern_node(uint32_t parent, uint32_t code, int32_t instruction)
{
    uint64_t hash = node_hash_of(parent, code, instruction);
    struct index_probe probe = index_find(&nodes.index, hash);
    for (uint32_t found; (found = index_next(&nodes.index, &probe)) != 0;) {
        const struct tm_node *node = TABLE_NODE(found);
        if (node->parent == parent && node->code == code && node->instruction == instruction)
            return found;
    }
    uint32_t id = kind_take(&nodes, TM_NODES_LIMIT(table->record_limit) / 4 * (parent == 0 ? 4 : 3));
    if (id == 0)
        return 0;
    uint16_t depth = parent == 0 ? 1 : (uint16_t)(TABLE_NODE(parent)->depth + 1);
    struct tm_node node = {.parent = parent, .code = code, .instruction = instruction, .depth = depth};
    node.hash = tm_node_hash(id, &node);
    node.depth = 0;
    *TABLE_NODE(id) = node;
    __atomic_store_n(&TABLE_NODE(id)->depth, depth, __ATOMIC_RELEASE);
    return kind_publish(&nodes, id, hash);
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

static bool site_is_free(uint32_t id)
{
    return TABLE_SITE(id)->node == 0;
}

static void free_site(uint32_t id, uint32_t next)
{
    struct tm_site *site = TABLE_SITE(id);
    __atomic_store_n(&site->node, 0, __ATOMIC_RELEASE);
    site->domain = next;
    site->generation++;
}

static uint32_t next_free_site(uint32_t id)
{
    return TABLE_SITE(id)->domain;
}

static struct kind sites = {.array = offsetof(struct tm_root, sites),
                            .free_count = offsetof(struct tm_root, free_sites),
                            .index.hash_of = site_hash,
                            .is_free = site_is_free,
                            .make_free = free_site,
                            .next_free = next_free_site};

/** The counters of all sites up to this one, which is new. False: no memory. */
static bool make_counters(uint64_t id)
{
    for (; table->counters.count <= id; table_publish(&table->counters))
        if (table_append(&table->counters) == NULL)
            return false;
    *TABLE_COUNTERS(id) = (struct tm_counters){0};
    return true;
}

static uint32_t intern_site_within(const struct site_key *key, uint64_t limit)
{
    uint32_t kind = site_kind(key->total_frames, key->allocator, key->flags);
    uint64_t hash = site_hash_of(key->node, kind, key->domain);
    struct index_probe probe = index_find(&sites.index, hash);
    for (uint32_t found; (found = index_next(&sites.index, &probe)) != 0;) {
        const struct tm_site *site = TABLE_SITE(found);
        if (site->node == key->node && site->domain == key->domain &&
            site_kind(site->total_frames, site->allocator, site->flags) == kind)
            return found;
    }
    uint32_t id = kind_take(&sites, limit);
    if (id == 0)
        return 0;
    if (profile_now->counts_sites && !make_counters(id)) {
        kind_give_back(&sites, id);
        return 0;
    }
    struct tm_site *record = TABLE_SITE(id), site = {.node = key->node,
                                                     .domain = key->domain,
                                                     .total_frames = key->total_frames,
                                                     .allocator = key->allocator & 15,
                                                     .flags = key->flags & 15,
                                                     .generation = record->generation};
    site.hash = tm_site_hash(id, &site);
    site.node = 0;
    *record = site;
    __atomic_store_n(&record->node, key->node, __ATOMIC_RELEASE);
    return kind_publish(&sites, id, hash);
}

void intern_after_fork_in_child(void)
{
    index_seal(&strings.index);
    index_seal(&codes.index);
    index_seal(&nodes.index);
    index_seal(&sites.index);
}

bool intern_begin(void)
{
    table_lock();
    bool ready = !profile_now->counts_sites || make_counters(table->sites.count - 1);
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

// ---------------------------------------------------------------------------------------------------------------
// Collecting what no block refers to

/** Mark what a site refers to. */
static void mark_node(struct marks *node_marks, struct marks *code_marks, uint32_t id)
{
    while (id != 0 && !marks_set(node_marks, id)) {
        marks_set(code_marks, TABLE_NODE(id)->code);
        id = TABLE_NODE(id)->parent;
    }
}

struct intern_marks {
    struct marks sites, nodes, codes, strings;
};

static void mark_all(struct intern_marks *marks)
{
    for (uint32_t id = 1; id < table->sites.count; id++)
        if (marks_get(&marks->sites, id))
            mark_node(&marks->nodes, &marks->codes, TABLE_SITE(id)->node);
    for (uint32_t id = 1; id < table->codes.count; id++)
        if (marks_get(&marks->codes, id)) {
            marks_set(&marks->strings, TABLE_CODE(id)->filename);
            marks_set(&marks->strings, TABLE_CODE(id)->qualname);
        }
}

static uint64_t count_free(void)
{
    return (uint64_t)table->free_strings + table->free_codes + table->free_nodes + table->free_sites;
}

bool intern_collect(bool (*mark_roots)(struct marks *live_sites, struct marks *live_codes))
{
    struct intern_marks marks = {0};
    bool collected = marks_init(&marks.sites, &sites) && marks_init(&marks.nodes, &nodes) &&
                     marks_init(&marks.codes, &codes) && marks_init(&marks.strings, &strings) &&
                     mark_roots(&marks.sites, &marks.codes);
    if (collected) {
        mark_all(&marks);
        __atomic_fetch_add(&table->reuses, 1, __ATOMIC_SEQ_CST);
        uint64_t free = count_free();
        kind_sweep(&sites, &marks.sites, 0);
        kind_sweep(&nodes, &marks.nodes, TM_NODE_UNKNOWN);
        kind_sweep(&codes, &marks.codes, TM_CODE_UNKNOWN);
        kind_sweep(&strings, &marks.strings, TM_STRING_UNKNOWN);
        forget_line_starts();
        collection_made(count_free() - free > table->record_limit / 64);
    }
    marks_deinit(&marks.sites);
    marks_deinit(&marks.nodes);
    marks_deinit(&marks.codes);
    marks_deinit(&marks.strings);
    return collected;
}
