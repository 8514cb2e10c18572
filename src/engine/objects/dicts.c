// Dicts of both layouts. Nothing is hashed here: entries are read one after the other.

#include "engine/objects/dicts.h"

#include <string.h>

#include "engine/base/number.h"
#include "engine/objects/strings.h"
#include "engine/objects/types.h"

enum {
    // PyDictKeysObject up to 3.10
    OLD_SIZE = 8,
    OLD_COUNT = 32,
    OLD_INDEX = 40,
    // from 3.11 on
    NEW_LOG_SIZE = 8,
    NEW_LOG_INDEX = 9,
    NEW_KIND = 10,
    NEW_COUNT = 24,
    NEW_INDEX = 32,
    MOST_LOG = 40,
    HEAD = 40,
    GENERAL_ENTRY = 24, // hash, key, value
    STR_ENTRY = 16,     // key, value
    MOST_LOOKED_AT = 1 << 14,
    LONGEST_KEY = 256,
    // _dictvalues from 3.13 on
    VALUES_VALID = 3,
    VALUES_FIRST = 8,
};

static bool open_old(const unsigned char *head, uint64_t keys, struct tm_dict *result)
{
    uint64_t size = tm_load_u64(head + OLD_SIZE);
    if (size == 0 || size & (size - 1) || size >> MOST_LOG)
        return false;
    unsigned width = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
    result->count = tm_load_u64(head + OLD_COUNT);
    result->entries = keys + OLD_INDEX + size * width;
    result->entry_size = GENERAL_ENTRY;
    result->key = 8;
    return result->count <= size;
}

static bool open_new(const unsigned char *head, uint64_t keys, struct tm_dict *result)
{
    unsigned log_size = head[NEW_LOG_SIZE], log_index = head[NEW_LOG_INDEX], kind = head[NEW_KIND];
    if (log_size > MOST_LOG || log_index < log_size || log_index > log_size + 3 || kind > 2)
        return false;
    result->count = tm_load_u64(head + NEW_COUNT);
    result->entries = keys + NEW_INDEX + (UINT64_C(1) << log_index);
    result->entry_size = kind == 0 ? GENERAL_ENTRY : STR_ENTRY;
    result->key = kind == 0 ? 8 : 0;
    return result->count <= UINT64_C(1) << log_size;
}

// From 3.13 on values that are apart say in which order they came.
static void find_order(struct tm_objects *objects, struct tm_dict *dict)
{
    unsigned char head[VALUES_FIRST];
    if (objects->cpython->attributes != TM_ATTRIBUTES_3_13 ||
        !tm_objects_read(objects, dict->values - VALUES_FIRST, head, sizeof(head)) || head[0] < head[1] ||
        dict->count > head[0])
        return;
    dict->slots = dict->count;
    dict->count = head[1];
    dict->order = dict->values + 8 * (uint64_t)head[0];
}

bool tm_dict_open_keys(struct tm_objects *objects, uint64_t keys, uint64_t values, struct tm_dict *result)
{
    unsigned char head[HEAD];
    *result = (struct tm_dict){.keys = keys, .values = values};
    if (keys % 8 != 0 || !tm_objects_read(objects, keys, head, sizeof(head)))
        return false;
    if (!(objects->cpython->dict_keys == TM_DICT_KEYS_3_8 ? open_old : open_new)(head, keys, result))
        return false;
    if (values)
        find_order(objects, result);
    return true;
}

bool tm_dict_open(struct tm_objects *objects, uint64_t address, struct tm_dict *result)
{
    unsigned char head[TM_DICT_SIZE];
    if (address % 8 != 0 || !tm_objects_read(objects, address, head, sizeof(head)))
        return false;
    uint64_t values = tm_load_u64(head + TM_DICT_VALUES);
    if (values && objects->cpython->attributes == TM_ATTRIBUTES_3_13)
        values += VALUES_FIRST;
    return tm_dict_open_keys(objects, tm_load_u64(head + TM_DICT_KEYS), values, result);
}

bool tm_dict_entry(struct tm_objects *objects, const struct tm_dict *dict, uint64_t index, uint64_t *key,
                   uint64_t *value)
{
    unsigned char entry[GENERAL_ENTRY], number;
    if (dict->order) {
        if (!tm_objects_read(objects, dict->order + index, &number, 1) || number >= dict->slots)
            return false;
        index = number;
    }
    if (!tm_objects_read(objects, dict->entries + index * dict->entry_size, entry, dict->entry_size))
        return false;
    *key = tm_load_u64(entry + dict->key);
    *value = tm_load_u64(entry + dict->key + 8);
    if (dict->values && !tm_objects_word(objects, dict->values + 8 * index, value))
        return false;
    return *key && *value;
}

uint64_t tm_dict_find(struct tm_objects *objects, const struct tm_dict *dict, const char *key)
{
    uint64_t name, value;
    char text[LONGEST_KEY];
    for (uint64_t i = 0; i < dict->count && i < MOST_LOOKED_AT; i++)
        if (tm_dict_entry(objects, dict, i, &name, &value) && tm_string_read(objects, name, text, sizeof(text)) &&
            strcmp(text, key) == 0)
            return value;
    return 0;
}

// ---------------------------------------------------------------------------------------------------------------
// Attributes

// The address of the pointer to an instance's dict, where the type has an offset for it; 0: it has none.
static uint64_t dict_place(struct tm_objects *objects, uint64_t address, const struct tm_type *type)
{
    uint64_t items;
    if (type->dict_offset > 0)
        return address + (uint64_t)type->dict_offset;
    if (type->dict_offset == 0 || type->dict_offset < -64 || !tm_objects_word(objects, address + TM_VAR_SIZE, &items))
        return 0;
    if (objects->cpython->int_has_tag && (type->flags & TM_FLAG_INT))
        items >>= 3;
    else if ((int64_t)items < 0)
        items = 0 - items;
    if (items > UINT64_C(1) << 40)
        return 0;
    return address + ((type->basic_size + items * type->item_size + 7) & ~UINT64_C(7)) + (uint64_t)type->dict_offset;
}

uint64_t tm_inline_values(struct tm_objects *objects, uint64_t address, const struct tm_type *type)
{
    unsigned char head[VALUES_FIRST];
    uint64_t values = address + type->basic_size;
    if (objects->cpython->attributes != TM_ATTRIBUTES_3_13 || !(type->flags & TM_FLAG_INLINE_VALUES) ||
        !tm_objects_read(objects, values, head, sizeof(head)) || head[VALUES_VALID] != 1)
        return 0;
    return values + VALUES_FIRST;
}

static bool open_managed(struct tm_objects *objects, uint64_t address, const struct tm_type *type,
                         struct tm_dict *result)
{
    uint64_t dict, values = 0;
    if (!tm_objects_word(objects, address - 24, &dict))
        return false;
    switch (objects->cpython->attributes) {
    case TM_ATTRIBUTES_3_11:
        if (dict || !tm_objects_word(objects, address - 32, &values))
            values = 0;
        break;
    case TM_ATTRIBUTES_3_12:
        values = dict & 1 ? dict + 1 : 0; // less 1, so that it is odd
        break;
    default:
        values = dict ? 0 : tm_inline_values(objects, address, type);
        break;
    }
    return values ? tm_dict_open_keys(objects, type->cached_keys, values, result) : tm_dict_open(objects, dict, result);
}

bool tm_attributes_open(struct tm_objects *objects, uint64_t address, const struct tm_type *type,
                        struct tm_dict *result)
{
    uint64_t dict;
    if (objects->cpython->attributes != TM_ATTRIBUTES_3_8 && (type->flags & TM_FLAG_MANAGED_DICT))
        return open_managed(objects, address, type, result);
    uint64_t place = dict_place(objects, address, type);
    return place && tm_objects_word(objects, place, &dict) && dict && tm_dict_open(objects, dict, result);
}
