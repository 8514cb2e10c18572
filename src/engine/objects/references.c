// The words of each kind of block, as a few ranges with a step.

#include "engine/objects/references.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/objects/dicts.h"
#include "engine/objects/show.h"
#include "engine/objects/stacks.h"
#include "engine/objects/strings.h"

enum {
    MOST_PARTS = 16,
    PIECE = 4096,
    LARGEST_SKIP = 1 << 20,
    WORD = 8,
    FRAME_OBJECT_FRAME = 24, // PyFrameObject.f_frame, from 3.11 on: not owned
    GENERATOR_RUNNING = 24,  // PyGenObject.gi_running, up to 3.9
    DEQUE_COUNTED = 80,      // what a deque keeps behind it is unused blocks
    SET_WEAKREFS = 192,
    SET_SIZE = 200,
    SMALL_ENTRIES = 8,
    NO_STACK_TOP = -1,
    MOST_SLOTS = 1 << 30,
    VALUES_HEAD = 8,
    LONGEST_NAME = 256,
};

/** Words at start, start + step, … below end: offsets in the block. */
struct part {
    uint64_t start, end;
    uint32_t step;
};

struct parts {
    struct tm_objects *objects;
    const struct tm_nodes *nodes;
    const struct tm_heap_node *node;
    const struct tm_type *type; // of the node, or of its owner
    struct part items[MOST_PARTS];
    unsigned count;
};

static void add(struct parts *parts, uint64_t start, uint64_t end, uint32_t step)
{
    if (end > parts->node->size)
        end = parts->node->size;
    if (start < end && parts->count < MOST_PARTS)
        parts->items[parts->count++] = (struct part){start, end, step};
}

// All words of [start, end) but the one at `without`, if that is among them.
static void add_without(struct parts *parts, uint64_t start, uint64_t end, uint64_t without)
{
    if (without < start || without >= end) {
        add(parts, start, end, WORD);
        return;
    }
    add(parts, start, without, WORD);
    add(parts, without + WORD, end, WORD);
}

// ---------------------------------------------------------------------------------------------------------------
// Parts of objects

static void list_items(struct parts *parts, uint64_t owner)
{
    uint64_t items, length;
    if (tm_objects_word(parts->objects, owner + TM_LIST_ITEMS, &items) &&
        tm_objects_word(parts->objects, owner + TM_VAR_SIZE, &length) && length < MOST_SLOTS)
        add(parts, items - parts->node->address, items - parts->node->address + WORD * length, WORD);
}

static void dict_keys(struct parts *parts, uint64_t owner)
{
    uint64_t keys = parts->type->cached_keys;
    struct tm_dict dict;
    const struct tm_type *type;
    if (parts->type->shape == TM_SHAPE_TYPE) {
        struct tm_error *error = tm_type_get(parts->objects, owner, &type);
        tm_error_destroy(error); // the next read has it again
        keys = !error && type ? type->cached_keys : 0;
    } else if (!tm_objects_word(parts->objects, owner + TM_DICT_KEYS, &keys)) {
        return;
    }
    if (!tm_dict_open_keys(parts->objects, keys, 0, &dict) || dict.count >= MOST_SLOTS)
        return;
    uint64_t first = dict.entries - parts->node->address + dict.key;
    uint64_t end = first - dict.key + dict.count * dict.entry_size;
    add(parts, first, end, dict.entry_size);
    add(parts, first + WORD, end, dict.entry_size);
}

// Where the values of an instance begin that are apart: in 3.11 and 3.12.
static uint64_t values_of_instance(struct parts *parts, uint64_t owner)
{
    uint64_t word, offset = parts->objects->cpython->attributes == TM_ATTRIBUTES_3_11 ? 32 : 24;
    if (!tm_objects_word(parts->objects, owner - offset, &word))
        return 0;
    return word + (word & 1); // in 3.12 it is stored less 1
}

// Before the values is the order in which they came, in memory that may have had other uses.
static void dict_values(struct parts *parts, uint64_t owner)
{
    uint64_t values = 0;
    if (parts->type->shape != TM_SHAPE_DICT)
        values = values_of_instance(parts, owner);
    else if (tm_objects_word(parts->objects, owner + TM_DICT_VALUES, &values) &&
             parts->objects->cpython->attributes == TM_ATTRIBUTES_3_13)
        values += VALUES_HEAD;
    uint64_t start = values >= parts->node->address ? values - parts->node->address : 0;
    add(parts, start & ~(uint64_t)(WORD - 1), parts->node->size, WORD);
}

static void set_table(struct parts *parts, uint64_t owner)
{
    uint64_t table, mask;
    if (tm_objects_word(parts->objects, owner + TM_SET_TABLE, &table) &&
        tm_objects_word(parts->objects, owner + TM_SET_MASK, &mask) && mask < MOST_SLOTS)
        add(parts, table - parts->node->address, table - parts->node->address + (mask + 1) * TM_SET_ENTRY,
            TM_SET_ENTRY);
}

static bool contains(const struct tm_heap_node *node, uint64_t address)
{
    return address >= node->address && address - node->address < node->size;
}

// A block of a deque: the link to the left, the items, the link to the right, which owns the next block.
static void deque_links(struct parts *parts, uint64_t owner)
{
    uint64_t left, right, first, last;
    if (!tm_objects_word(parts->objects, owner + TM_DEQUE_LEFT, &left) ||
        !tm_objects_word(parts->objects, owner + TM_DEQUE_RIGHT, &right) ||
        !tm_objects_word(parts->objects, owner + TM_DEQUE_LEFT_INDEX, &first) ||
        !tm_objects_word(parts->objects, owner + TM_DEQUE_RIGHT_INDEX, &last))
        return;
    uint64_t block = contains(parts->node, left) ? left : contains(parts->node, right) ? right : parts->node->address;
    uint64_t at = block - parts->node->address;
    uint64_t begin = block == left && first <= TM_DEQUE_ITEMS ? first : 0;
    uint64_t end = block == right && last < TM_DEQUE_ITEMS ? last + 1 : TM_DEQUE_ITEMS;
    add(parts, at + WORD * (1 + begin), at + WORD * (1 + end), WORD);
    if (block != right)
        add(parts, at + WORD * (1 + TM_DEQUE_ITEMS), at + WORD * (2 + TM_DEQUE_ITEMS), WORD);
}

static void part_words(struct parts *parts)
{
    const struct tm_heap_node *owner = tm_node_owner(parts->nodes, parts->node);
    uint64_t address = tm_node_object(owner);
    parts->type = tm_node_type(parts->objects, owner);
    if (!parts->type) {
        add(parts, 0, parts->node->size, WORD);
        return;
    }
    switch ((enum tm_part)parts->node->part) {
    case TM_PART_ITEMS:
        list_items(parts, address);
        break;
    case TM_PART_KEYS:
        dict_keys(parts, address);
        break;
    case TM_PART_VALUES:
        dict_values(parts, address);
        break;
    case TM_PART_TABLE:
        set_table(parts, address);
        break;
    case TM_PART_LINKS:
        deque_links(parts, address);
        break;
    case TM_PART_BUFFER:
        if (parts->type->shape == TM_SHAPE_NDARRAY) // its items may be objects
            add(parts, 0, parts->node->size, WORD);
        break;
    case TM_PART_NONE:
        break;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Objects

// While the frame runs, its stack pointer is not stored.
static void add_up_to_stack_pointer(struct parts *parts, uint64_t frame, uint64_t locals)
{
    uint64_t pointer, first = parts->node->address + locals;
    if (!tm_objects_word(parts->objects, parts->node->address + frame + parts->objects->cpython->frame_stack_top,
                         &pointer))
        return;
    add(parts, locals, pointer >= first ? locals + (pointer - first) : parts->node->size, WORD);
}

// A frame inside of an object, from 3.11 on: `frame` is its offset in the block.
static void frame_words(struct parts *parts, uint64_t frame)
{
    const struct tm_cpython *cpython = parts->objects->cpython;
    uint32_t top;
    uint64_t locals = frame + cpython->frame_locals, function = cpython->minor == 11 ? 0 : 16;
    const uint64_t owned[] = {cpython->frame_code, function, cpython->frame_locals_dict, cpython->frame_object};
    for (unsigned i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        add(parts, frame + owned[i], frame + owned[i] + WORD, WORD);
    if (cpython->frame_has_stack_pointer) {
        add_up_to_stack_pointer(parts, frame, locals);
        return;
    }
    if (!tm_objects_int(parts->objects, parts->node->address + frame + cpython->frame_stack_top, &top))
        return;
    bool known = (int32_t)top != NO_STACK_TOP && top < MOST_SLOTS;
    add(parts, locals, known ? locals + WORD * (uint64_t)top : parts->node->size, WORD);
}

static void generator_words(struct parts *parts, uint64_t object, uint64_t weaklist)
{
    const struct tm_cpython *cpython = parts->objects->cpython;
    unsigned char state;
    uint64_t frame = object + cpython->generator_frame;
    if (cpython->minor < 11) {
        uint64_t rest = object + TM_OBJECT_TYPE;
        if (cpython->minor < 10) { // gi_running is one byte: the seven behind it are from before
            add(parts, rest, object + GENERATOR_RUNNING, WORD);
            rest = object + GENERATOR_RUNNING + WORD;
        }
        add_without(parts, rest, parts->node->size, weaklist);
        return;
    }
    add_without(parts, object + TM_OBJECT_TYPE, object + cpython->generator_state / WORD * WORD, weaklist);
    if (tm_objects_read(parts->objects, parts->node->address + object + cpython->generator_state, &state, 1) &&
        (int8_t)state < parts->objects->cpython->generator_ended)
        frame_words(parts, frame);
}

static void frame_object_words(struct parts *parts, uint64_t object)
{
    const struct tm_cpython *cpython = parts->objects->cpython;
    if (!cpython->frame_in_object) {
        add(parts, object + TM_OBJECT_TYPE, parts->node->size, WORD);
        return;
    }
    uint64_t frame = object + cpython->frame_in_object, running;
    add_without(parts, object + TM_OBJECT_TYPE, frame, object + FRAME_OBJECT_FRAME);
    // While its function runs, the frame is elsewhere, and this copy is not in use.
    if (tm_objects_word(parts->objects, parts->node->address + object + FRAME_OBJECT_FRAME, &running) &&
        running == parts->node->address + frame)
        frame_words(parts, frame);
}

static void set_words(struct parts *parts, uint64_t object)
{
    uint64_t table;
    add(parts, object + TM_OBJECT_TYPE, object + TM_OBJECT_TYPE + WORD, WORD);
    add(parts, object + TM_SET_TABLE, object + TM_SET_TABLE + WORD, WORD);
    // A small table that was left for a larger one is stale.
    if (tm_objects_word(parts->objects, parts->node->address + object + TM_SET_TABLE, &table) &&
        table == parts->node->address + object + TM_SET_SMALL)
        add(parts, object + TM_SET_SMALL, object + TM_SET_SMALL + SMALL_ENTRIES * TM_SET_ENTRY, TM_SET_ENTRY);
    add(parts, object + SET_SIZE, parts->node->size, WORD);
}

static void str_words(struct parts *parts, uint64_t object)
{
    const struct tm_cpython *cpython = parts->objects->cpython;
    uint32_t state;
    if (!tm_objects_int(parts->objects, parts->node->address + object + TM_STR_STATE, &state))
        return;
    bool compact = state >> 5 & 1, ascii = state >> 6 & 1;
    if (!(compact && ascii))
        add(parts, object + cpython->str_utf8, object + cpython->str_utf8 + WORD, WORD);
    if (!compact)
        add(parts, object + cpython->str_compact, object + cpython->str_compact + WORD, WORD);
}

// Words of the object up to its end, and values behind it from 3.13 on, if they are in use.
static void plain_words(struct parts *parts, uint64_t object, uint64_t weaklist)
{
    const struct tm_type *type = parts->type;
    if (parts->objects->cpython->attributes != TM_ATTRIBUTES_3_13 || !(type->flags & TM_FLAG_INLINE_VALUES)) {
        add_without(parts, object + TM_OBJECT_TYPE, parts->node->size, weaklist);
        return;
    }
    add_without(parts, object + TM_OBJECT_TYPE, object + type->basic_size, weaklist);
    if (tm_inline_values(parts->objects, parts->node->address + object, type))
        add(parts, object + type->basic_size + VALUES_HEAD, parts->node->size, WORD);
}

static bool has_no_words(enum tm_shape shape)
{
    return shape == TM_SHAPE_INT || shape == TM_SHAPE_FLOAT || shape == TM_SHAPE_BYTES || shape == TM_SHAPE_LEAF;
}

static void object_words(struct parts *parts)
{
    const struct tm_cpython *cpython = parts->objects->cpython;
    const struct tm_type *type = parts->type;
    uint64_t object = parts->node->head;
    uint64_t weaklist = type->weaklist_offset ? object + type->weaklist_offset : UINT64_MAX;

    // Before the object and the collector's head: from 3.12 on the first word is the list of weak references.
    if (type->head == 32)
        add(parts, cpython->attributes == TM_ATTRIBUTES_3_11 ? object - 32 : object - 24, object - 16, WORD);
    if (type->is_heap && (has_no_words(type->shape) || type->shape == TM_SHAPE_STR)) {
        add_without(parts, object + TM_OBJECT_TYPE, parts->node->size, weaklist);
        return;
    }
    switch (type->shape) {
    case TM_SHAPE_INT:
    case TM_SHAPE_FLOAT:
    case TM_SHAPE_BYTES:
    case TM_SHAPE_LEAF:
        break;
    case TM_SHAPE_STR:
        str_words(parts, object);
        break;
    case TM_SHAPE_WEAKREF:
        add(parts, object + TM_OBJECT_TYPE, object + TM_OBJECT_TYPE + WORD, WORD);
        add(parts, object + TM_WEAKREF_CALLBACK, object + TM_WEAKREF_CALLBACK + WORD, WORD);
        add(parts, object + cpython->weakref_size, parts->node->size, WORD);
        break;
    case TM_SHAPE_CODE:
        add_without(parts, object + TM_OBJECT_TYPE,
                    cpython->minor < 11 ? parts->node->size : object + cpython->code_bytecode,
                    object + cpython->code_weakrefs);
        break;
    case TM_SHAPE_GENERATOR:
        generator_words(parts, object, weaklist);
        break;
    case TM_SHAPE_FRAME:
        frame_object_words(parts, object);
        break;
    case TM_SHAPE_DEQUE:
        add_without(parts, object + TM_OBJECT_TYPE, object + DEQUE_COUNTED, weaklist);
        if (type->is_heap)
            add(parts, object + type->basic_size, parts->node->size, WORD);
        break;
    case TM_SHAPE_SET:
        set_words(parts, object);
        break;
    case TM_SHAPE_TUPLE:
        add(parts, object + TM_OBJECT_TYPE, object + TM_OBJECT_TYPE + WORD, WORD);
        add(parts, object + cpython->tuple_items, parts->node->size, WORD);
        break;
    default:
        plain_words(parts, object, weaklist);
        break;
    }
}

static void find_parts(struct parts *parts)
{
    parts->type = tm_node_type(parts->objects, parts->node);
    if (parts->node->kind == TM_NODE_DEAD)
        return;
    if (parts->node->owner)
        part_words(parts);
    else if (parts->node->kind == TM_NODE_OBJECT && parts->type)
        object_words(parts);
    else
        add(parts, 0, parts->node->size, WORD);
}

// ---------------------------------------------------------------------------------------------------------------
// Visiting

static struct tm_error *visit_part(const struct parts *parts, const struct part *part, tm_reference_visitor visit,
                                   void *context, bool *unreadable)
{
    unsigned char bytes[PIECE];
    const uint64_t address = parts->node->address;
    uint64_t at = part->start, skip = PIECE;
    struct tm_error *error = NULL;
    while (!error && at + WORD <= part->end) {
        // To the end of a page, so that a missing one costs its own words only.
        uint64_t length = PIECE - (address + at) % PIECE;
        if (length > part->end - at)
            length = part->end - at;
        if (length < WORD) {
            at += part->step;
            continue;
        }
        uint64_t next = at + (length - WORD) / part->step * part->step + part->step;
        if (!tm_objects_read(parts->objects, address + at, bytes, length)) {
            *unreadable = true;
            error = tm_objects_check(parts->objects);
            // A large hole, or a size that is a lie: the steps grow, so that it costs little.
            if (skip > PIECE)
                next += (skip - PIECE) / part->step * part->step;
            skip = skip < LARGEST_SKIP ? 2 * skip : skip;
        } else {
            skip = PIECE;
            for (uint64_t offset = 0; !error && offset + WORD <= length; offset += part->step) {
                uint64_t word = tm_load_u64(bytes + offset);
                if (word)
                    error = visit(context, at + offset, word);
            }
        }
        at = next;
    }
    return error;
}

struct tm_error *tm_references_visit(struct tm_objects *objects, const struct tm_nodes *nodes,
                                     const struct tm_heap_node *node, tm_reference_visitor visit, void *context,
                                     bool *unreadable)
{
    struct parts parts = {.objects = objects, .nodes = nodes, .node = node};
    struct tm_error *error = NULL;
    find_parts(&parts);
    for (unsigned i = 0; !error && i < parts.count; i++)
        error = visit_part(&parts, &parts.items[i], visit, context, unreadable);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Labels

static void label_attribute(struct tm_text *text, const char *name)
{
    tm_text_add(text, ".");
    tm_text_escape(text, name, strlen(name));
}

// The label of entry `index` of a dict whose object is an instance's dict or a dict of its own.
static struct tm_error *label_key(struct tm_objects *objects, uint64_t key, bool attribute, struct tm_text *text)
{
    char name[LONGEST_NAME];
    if (attribute && tm_string_read(objects, key, name, sizeof(name))) {
        label_attribute(text, name);
        return NULL;
    }
    tm_text_add(text, "[");
    struct tm_error *error = tm_show_key(objects, key, text);
    tm_text_add(text, "]");
    return error;
}

static struct tm_error *label_keys(struct tm_objects *objects, const struct tm_heap_node *node, uint64_t keys,
                                   uint64_t offset, struct tm_text *text)
{
    struct tm_dict dict;
    uint64_t key, value, place = node->address + offset;
    if (!tm_dict_open_keys(objects, keys, 0, &dict) || place < dict.entries)
        return NULL;
    uint64_t index = (place - dict.entries) / dict.entry_size, within = (place - dict.entries) % dict.entry_size;
    if (within == dict.key) {
        tm_text_add(text, " key");
        return NULL;
    }
    return tm_dict_entry(objects, &dict, index, &key, &value) ? label_key(objects, key, false, text) : NULL;
}

static struct tm_error *label_value(struct tm_objects *objects, uint64_t keys, uint64_t index, bool attribute,
                                    struct tm_text *text)
{
    struct tm_dict dict;
    uint64_t key;
    if (!tm_dict_open_keys(objects, keys, 0, &dict) || index >= dict.count ||
        !tm_objects_word(objects, dict.entries + index * dict.entry_size + dict.key, &key) || !key)
        return NULL;
    return label_key(objects, key, attribute, text);
}

static struct tm_error *label_part(struct tm_objects *objects, const struct tm_nodes *nodes,
                                   const struct tm_heap_node *node, uint64_t offset, struct tm_text *text)
{
    const struct tm_heap_node *owner = tm_node_owner(nodes, node);
    const struct tm_type *type = tm_node_type(objects, owner);
    uint64_t address = tm_node_object(owner), word = 0;
    if (!type)
        return NULL;
    switch ((enum tm_part)node->part) {
    case TM_PART_ITEMS:
        if (tm_objects_word(objects, address + TM_LIST_ITEMS, &word))
            tm_text_printf(text, "[%" PRIu64 "]", (node->address + offset - word) / WORD);
        return NULL;
    case TM_PART_KEYS:
        if (type->shape != TM_SHAPE_DICT || !tm_objects_word(objects, address + TM_DICT_KEYS, &word))
            return NULL;
        return label_keys(objects, node, word, offset, text);
    case TM_PART_VALUES:
        if (type->shape == TM_SHAPE_DICT) {
            uint64_t values;
            if (!tm_objects_word(objects, address + TM_DICT_KEYS, &word) ||
                !tm_objects_word(objects, address + TM_DICT_VALUES, &values))
                return NULL;
            values += objects->cpython->attributes == TM_ATTRIBUTES_3_13 ? VALUES_HEAD : 0;
            return label_value(objects, word, (node->address + offset - values) / WORD, false, text);
        }
        if (!tm_objects_word(objects, address - (objects->cpython->attributes == TM_ATTRIBUTES_3_11 ? 32 : 24), &word))
            return NULL;
        word += word & 1;
        return label_value(objects, type->cached_keys, (node->address + offset - word) / WORD, true, text);
    case TM_PART_TABLE:
        tm_text_add(text, " item");
        return NULL;
    case TM_PART_LINKS:
        tm_text_add(text, offset == WORD * (1 + TM_DEQUE_ITEMS) ? "" : " item");
        return NULL;
    default:
        return NULL;
    }
}

// A member that the type or one of its bases lists at this offset of the object.
static bool label_member(struct tm_objects *objects, const struct tm_type *type, uint64_t offset, struct tm_text *text)
{
    enum { MEMBER_SIZE = 40, MEMBER_OFFSET = 16, MOST_MEMBERS = 128, MOST_BASES = 64 };
    for (unsigned depth = 0; type && depth < MOST_BASES; type = type->base, depth++) {
        uint64_t members;
        if (!tm_objects_word(objects, type->address + TM_TYPE_MEMBERS, &members) || members == 0)
            continue;
        for (unsigned i = 0; i < MOST_MEMBERS; i++) {
            unsigned char bytes[MEMBER_SIZE];
            char name[LONGEST_NAME];
            if (!tm_objects_read(objects, members + i * MEMBER_SIZE, bytes, sizeof(bytes)) || tm_load_u64(bytes) == 0)
                break;
            if (tm_load_u64(bytes + MEMBER_OFFSET) == offset &&
                tm_string_read_c(objects, tm_load_u64(bytes), name, sizeof(name))) {
                label_attribute(text, name);
                return true;
            }
        }
    }
    return false;
}

// A variable of a frame object, or of the frame in a generator.
static bool label_frame(struct tm_objects *objects, const struct tm_heap_node *node, uint64_t offset,
                        struct tm_text *text)
{
    const struct tm_type *type = tm_node_type(objects, node);
    const struct tm_cpython *cpython = objects->cpython;
    bool in_generator = type->shape == TM_SHAPE_GENERATOR && cpython->minor >= 11;
    uint64_t frame = in_generator ? cpython->generator_frame : cpython->frame_in_object, code;
    uint64_t first = frame + cpython->frame_locals;
    char name[LONGEST_NAME];
    if ((!in_generator && type->shape != TM_SHAPE_FRAME) || offset < first ||
        !tm_objects_word(objects, tm_node_object(node) + frame + cpython->frame_code, &code))
        return false;
    tm_text_add(text, " local ");
    if (tm_local_name(objects, code, (uint32_t)((offset - first) / WORD), name, sizeof(name)))
        tm_text_escape(text, name, strlen(name));
    else
        tm_text_add(text, "value"); // on the frame's own stack
    return true;
}

// What types and functions keep beside their members.
static bool label_field(const struct tm_objects *objects, const struct tm_type *type, uint64_t offset,
                        struct tm_text *text)
{
    const char *name = NULL;
    if (type->shape == TM_SHAPE_FUNCTION && offset == objects->cpython->function_code)
        name = ".__code__";
    else if (type->shape == TM_SHAPE_FUNCTION && offset == objects->cpython->function_qualname)
        name = ".__qualname__";
    else if (type->shape == TM_SHAPE_TYPE && offset == TM_TYPE_BASE)
        name = ".__base__";
    else if (type->shape == TM_SHAPE_TYPE && offset == TM_TYPE_BASES)
        name = ".__bases__";
    else if (type->shape == TM_SHAPE_TYPE && offset == TM_TYPE_MRO)
        name = ".__mro__";
    else if (type->shape == TM_SHAPE_TYPE && offset == objects->cpython->type_qualname)
        name = ".__qualname__";
    else if (type->shape == TM_SHAPE_CODE && offset == objects->cpython->code_filename)
        name = ".co_filename";
    else if (type->shape == TM_SHAPE_CODE && offset == objects->cpython->code_name)
        name = ".co_name";
    if (name)
        tm_text_add(text, name);
    return name;
}

// What exceptions keep, which their types do not list as members.
static bool label_exception(const struct tm_objects *objects, const struct tm_type *type, uint64_t offset,
                            struct tm_text *text)
{
    static const char *const names[] = {".__traceback__", ".__context__", ".__cause__"};
    uint64_t first = objects->cpython->minor < 11 ? 32 : 40;
    if (!(type->flags & TM_FLAG_EXCEPTION))
        return false;
    if (offset == 24)
        tm_text_add(text, ".args");
    else if (offset >= first && offset < first + sizeof(names) / sizeof(names[0]) * WORD)
        tm_text_add(text, names[(offset - first) / WORD]);
    else
        return false;
    return true;
}

struct tm_error *tm_reference_label(struct tm_objects *objects, const struct tm_nodes *nodes,
                                    const struct tm_heap_node *node, uint64_t offset, struct tm_text *text)
{
    const struct tm_type *type = tm_node_type(objects, node);
    size_t length = text->length;
    if (node->owner) {
        struct tm_error *error = label_part(objects, nodes, node, offset, text);
        if (error || text->length > length || node->part == TM_PART_LINKS)
            return error;
    } else if (type && offset >= node->head) {
        uint64_t place = offset - node->head;
        if (place == TM_OBJECT_TYPE) {
            tm_text_add(text, ".__class__");
            return NULL;
        }
        if (type->shape == TM_SHAPE_TUPLE && place >= objects->cpython->tuple_items) {
            tm_text_printf(text, "[%" PRIu64 "]", (place - objects->cpython->tuple_items) / WORD);
            return NULL;
        }
        if ((type->shape == TM_SHAPE_CELL && place == TM_CELL_VALUE) ||
            (type->shape == TM_SHAPE_SET && place >= TM_SET_SMALL)) {
            tm_text_add(text, type->shape == TM_SHAPE_CELL ? ".cell_contents" : " item");
            return NULL;
        }
        if ((type->flags & TM_FLAG_INLINE_VALUES) && objects->cpython->attributes == TM_ATTRIBUTES_3_13 &&
            place >= type->basic_size + VALUES_HEAD)
            return label_value(objects, type->cached_keys, (place - type->basic_size - VALUES_HEAD) / WORD, true, text);
        if ((type->shape == TM_SHAPE_MODULE && place == TM_MODULE_DICT) ||
            (type->dict_offset > 0 && place == (uint64_t)type->dict_offset)) {
            tm_text_add(text, ".__dict__");
            return NULL;
        }
        if (label_field(objects, type, place, text) || label_frame(objects, node, place, text) ||
            label_exception(objects, type, place, text) || label_member(objects, type, place, text))
            return NULL;
    } else if (type && node->head == 32) {
        tm_text_add(text, ".__dict__"); // or its values
        return NULL;
    }
    if (text->length == length) // from where the object begins, as far as there is one
        tm_text_printf(text, "+%" PRIu64, offset >= node->head ? offset - node->head : offset);
    return NULL;
}

bool tm_reference_is_key(struct tm_objects *objects, const struct tm_nodes *nodes, const struct tm_heap_node *node,
                         uint64_t offset)
{
    const struct tm_heap_node *owner = tm_node_owner(nodes, node);
    const struct tm_type *type = tm_node_type(objects, owner);
    uint64_t keys, place = node->address + offset;
    struct tm_dict dict;
    return node->part == TM_PART_KEYS && type && type->shape == TM_SHAPE_DICT &&
           tm_objects_word(objects, tm_node_object(owner) + TM_DICT_KEYS, &keys) &&
           tm_dict_open_keys(objects, keys, 0, &dict) && place >= dict.entries &&
           (place - dict.entries) % dict.entry_size == dict.key;
}
