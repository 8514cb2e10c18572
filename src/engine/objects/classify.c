// What a block is: tried at the few places where an object can begin, and accepted only if type, reference count and size
// agree.

#include <string.h>

#include "engine/base/number.h"
#include "engine/objects/nodes.h"

enum {
    SMALLEST_TYPE = 408, // bytes of a block that can have a type object
    DEBUG_HEAD = 16,     // PYTHONMALLOC=debug: size and forbidden bytes come first
    FORBIDDEN = 0xfd,
    PLACES = 3,
    MOST_LINKS = 1 << 20,
};

// Whether a type object may be here. Most words are no type, and looking at them all would take as long as all else.
static bool may_be_type(const struct tm_objects *objects, uint64_t address)
{
    if (address % 8 != 0 || address == 0)
        return false;
    if (objects->data_count > 0 && tm_objects_in_data(objects, address))
        return true;
    if (!objects->nodes)
        return true;
    const struct tm_heap_node *node = tm_nodes_find(objects->nodes, address);
    if (!node)
        return objects->data_count == 0;
    uint64_t offset = address - node->address;
    return node->size >= SMALLEST_TYPE && (offset == 16 || offset == 32 || offset == 48);
}

static struct tm_error *type_at(struct tm_objects *objects, uint64_t address, const struct tm_type **result)
{
    *result = NULL;
    if (objects->types.count > 0) {
        const struct tm_type *known = tm_set_find_number(&objects->types, address)->item;
        if (known) {
            *result = known->valid ? known : NULL;
            return NULL;
        }
    }
    return may_be_type(objects, address) ? tm_type_get(objects, address, result) : NULL;
}

// A str has its characters behind a head of two lengths, or else the whole structure.
static bool str_fits(const struct tm_objects *objects, const unsigned char *object, size_t known, uint64_t size)
{
    if (known < TM_STR_STATE + 4)
        return false;
    uint32_t state = tm_load_u32(object + TM_STR_STATE);
    uint64_t length = tm_load_u64(object + TM_STR_LENGTH), kind = state >> 2 & 7;
    bool compact = state >> 5 & 1, ascii = state >> 6 & 1;
    uint64_t head = ascii ? objects->cpython->str_ascii : objects->cpython->str_compact;
    if (kind != 1 && kind != 2 && kind != 4)
        return false;
    if (!compact)
        return size >= objects->cpython->str_compact + 8u;
    return size > head && length <= size && length * kind <= size - head;
}

// Whether the object's items fit in its block too, where their number is known.
static bool items_fit(const struct tm_objects *objects, const struct tm_type *type, const unsigned char *object,
                      size_t known, uint64_t size)
{
    if (type->shape == TM_SHAPE_STR && !type->is_heap)
        return str_fits(objects, object, known, size);
    if (type->shape != TM_SHAPE_TUPLE && type->shape != TM_SHAPE_BYTES && type->shape != TM_SHAPE_INT)
        return true;
    if (known < TM_VAR_SIZE + 8)
        return false;
    uint64_t items = tm_load_u64(object + TM_VAR_SIZE);
    if (type->shape == TM_SHAPE_INT && objects->cpython->int_has_tag)
        items >>= 3;
    else if (type->shape == TM_SHAPE_INT && (int64_t)items < 0)
        items = 0 - items;
    return items <= size && items * type->item_size <= size - type->basic_size;
}

// From 3.14 on dead objects are linked by their first words.
static bool is_link(const struct tm_objects *objects, uint64_t word, unsigned at)
{
    const struct tm_heap_node *other =
        objects->cpython->counts_have_flags && objects->nodes ? tm_nodes_find(objects->nodes, word) : NULL;
    return other && word - other->address == at;
}

static struct tm_error *try_at(struct tm_objects *objects, struct tm_heap_node *node, const unsigned char *bytes,
                               size_t length, unsigned shift, unsigned head)
{
    const struct tm_type *type;
    unsigned at = shift + head;
    if (length < at + TM_OBJECT_SIZE || node->size < at + TM_OBJECT_SIZE)
        return NULL;
    uint64_t count = tm_load_u64(bytes + at);
    bool live = tm_objects_is_count(objects, count);
    bool linked = !live && count != 0 && is_link(objects, count, at);
    if (!live && count != 0 && !linked)
        return NULL;
    struct tm_error *error = type_at(objects, tm_load_u64(bytes + at + TM_OBJECT_TYPE), &type);
    if (error || !type || type->head != head || type->smallest > node->size - at ||
        !items_fit(objects, type, bytes + at, length - at, node->size - at))
        return error;
    if (!live && !linked && !type->has_free_list)
        return NULL;
    node->kind = live ? TM_NODE_OBJECT : TM_NODE_DEAD;
    node->type = type->number + 1;
    node->head = (uint8_t)at;
    return NULL;
}

// Up to 3.12 dead floats are linked by their types.
static bool is_dead_float(const struct tm_objects *objects, const struct tm_heap_node *node, const unsigned char *bytes,
                          size_t length)
{
    if (objects->cpython->minor > 12 || node->size != 24 || length < 16 || tm_load_u64(bytes) != 0 || !objects->nodes)
        return false;
    uint64_t next = tm_load_u64(bytes + TM_OBJECT_TYPE);
    const struct tm_heap_node *other = next ? tm_nodes_find(objects->nodes, next) : NULL;
    return next == 0 || (other && other->address == next && other->size == 24);
}

static unsigned debug_shift(const unsigned char *bytes, size_t length)
{
    for (unsigned i = 9; i < DEBUG_HEAD; i++)
        if (length < DEBUG_HEAD || bytes[i] != FORBIDDEN)
            return 0;
    return DEBUG_HEAD;
}

struct tm_error *tm_node_classify(struct tm_objects *objects, struct tm_heap_node *node, const unsigned char *bytes,
                                  size_t length)
{
    unsigned shift = debug_shift(bytes, length);
    node->kind = TM_NODE_BLOCK;
    node->type = 0;
    node->head = 0;
    for (unsigned place = 0; place < PLACES && node->kind == TM_NODE_BLOCK; place++) {
        struct tm_error *error = try_at(objects, node, bytes, length, shift, place * 16);
        if (error)
            return error;
    }
    if (node->kind == TM_NODE_BLOCK && is_dead_float(objects, node, bytes, length))
        node->kind = TM_NODE_DEAD;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Parts

struct parts {
    struct tm_objects *objects;
    uint64_t address;
    const struct tm_type *type;
    tm_part_visitor visit;
    void *context;
};

static struct tm_error *word_part(const struct parts *parts, uint64_t offset, enum tm_part kind)
{
    uint64_t part;
    return tm_objects_word(parts->objects, parts->address + offset, &part) && part
               ? parts->visit(parts->context, part, kind)
               : NULL;
}

static struct tm_error *dict_parts(const struct parts *parts)
{
    uint64_t keys, values;
    if (!tm_objects_word(parts->objects, parts->address + TM_DICT_KEYS, &keys) ||
        !tm_objects_word(parts->objects, parts->address + TM_DICT_VALUES, &values))
        return NULL;
    // With values apart the keys are shared with other dicts: they belong to the type.
    return values ? parts->visit(parts->context, values, TM_PART_VALUES)
                  : parts->visit(parts->context, keys, TM_PART_KEYS);
}

static struct tm_error *str_parts(const struct parts *parts)
{
    uint32_t state;
    struct tm_error *error = NULL;
    if (!tm_objects_int(parts->objects, parts->address + TM_STR_STATE, &state))
        return NULL;
    bool compact = state >> 5 & 1, ascii = state >> 6 & 1;
    if (!compact)
        error = word_part(parts, parts->objects->cpython->str_compact, TM_PART_BUFFER);
    if (!error && !(compact && ascii))
        error = word_part(parts, parts->objects->cpython->str_utf8, TM_PART_BUFFER);
    return error;
}

static struct tm_error *deque_parts(const struct parts *parts)
{
    uint64_t block, last;
    if (!tm_objects_word(parts->objects, parts->address + TM_DEQUE_LEFT, &block) ||
        !tm_objects_word(parts->objects, parts->address + TM_DEQUE_RIGHT, &last))
        return NULL;
    for (unsigned i = 0; block && i < MOST_LINKS; i++) {
        struct tm_error *error = parts->visit(parts->context, block, TM_PART_LINKS);
        if (!error && i % 4096 == 4095)
            error = tm_host_check(parts->objects->host);
        if (error)
            return error;
        if (block == last || !tm_objects_word(parts->objects, block + 8 * (TM_DEQUE_ITEMS + 1), &block))
            break;
    }
    return NULL;
}

static struct tm_error *type_parts(const struct parts *parts)
{
    const struct tm_type *type;
    struct tm_error *error = tm_type_get(parts->objects, parts->address, &type);
    if (error || !type || !type->is_heap)
        return error;
    if (type->cached_keys)
        error = parts->visit(parts->context, type->cached_keys, TM_PART_KEYS);
    if (!error)
        error = word_part(parts, TM_TYPE_DOC, TM_PART_BUFFER);
    return error ? error : word_part(parts, TM_TYPE_NAME, TM_PART_BUFFER);
}

// Values of an instance that are in a block of their own.
static struct tm_error *attribute_parts(const struct parts *parts)
{
    uint64_t word;
    uint64_t offset = parts->objects->cpython->attributes == TM_ATTRIBUTES_3_11 ? 32 : 24;
    if (!(parts->type->flags & TM_FLAG_MANAGED_DICT) || parts->objects->cpython->attributes == TM_ATTRIBUTES_3_8 ||
        parts->objects->cpython->attributes == TM_ATTRIBUTES_3_13 ||
        !tm_objects_word(parts->objects, parts->address - offset, &word) || word == 0)
        return NULL;
    if (parts->objects->cpython->attributes == TM_ATTRIBUTES_3_11)
        return parts->visit(parts->context, word, TM_PART_VALUES);
    return word & 1 ? parts->visit(parts->context, word + 1, TM_PART_VALUES) : NULL; // stored less 1
}

static struct tm_error *shape_parts(const struct parts *parts)
{
    uint64_t table;
    switch (parts->type->shape) {
    case TM_SHAPE_LIST:
        return word_part(parts, TM_LIST_ITEMS, TM_PART_ITEMS);
    case TM_SHAPE_DICT:
        return dict_parts(parts);
    case TM_SHAPE_SET:
        if (tm_objects_word(parts->objects, parts->address + TM_SET_TABLE, &table) &&
            table != parts->address + TM_SET_SMALL)
            return parts->visit(parts->context, table, TM_PART_TABLE);
        return NULL;
    case TM_SHAPE_STR:
        return str_parts(parts);
    case TM_SHAPE_BYTEARRAY:
        return word_part(parts, TM_BYTEARRAY_DATA, TM_PART_BUFFER);
    case TM_SHAPE_ARRAY:
        return word_part(parts, TM_ARRAY_ITEMS, TM_PART_BUFFER);
    case TM_SHAPE_NDARRAY:
        return word_part(parts, TM_NDARRAY_DATA, TM_PART_BUFFER);
    case TM_SHAPE_DEQUE:
        return deque_parts(parts);
    case TM_SHAPE_TYPE:
        return type_parts(parts);
    default:
        return NULL;
    }
}

struct tm_error *tm_parts_visit(struct tm_objects *objects, uint64_t address, const struct tm_type *type,
                                tm_part_visitor visit, void *context)
{
    const struct parts parts = {objects, address, type, visit, context};
    struct tm_error *error = shape_parts(&parts);
    return error ? error : attribute_parts(&parts);
}
