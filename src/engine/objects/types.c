// Types: validated once, then remembered by address, whether they are types or not.

#include "engine/objects/types.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/text.h"
#include "engine/objects/dicts.h"
#include "engine/objects/strings.h"

enum {
    MOST_METATYPES = 3,
    MOST_BASES = 64,
    MOST_BASIC_SIZE = 1 << 20,
    MOST_ITEM_SIZE = 1 << 16,
    MEMBER_SIZE = 40, // of a PyMemberDef: what a type object has for each of its __slots__
    LONGEST_NAME = 256,
    MOST_DICT_ENTRIES = 1 << 14,
};

// ---------------------------------------------------------------------------------------------------------------
// Shapes

struct named_shape {
    const char *name;
    enum tm_shape shape;
};

// Types with a shape of their own, by their names.
static const struct named_shape shapes[] = {
    {"float", TM_SHAPE_FLOAT},
    {"complex", TM_SHAPE_LEAF},
    {"set", TM_SHAPE_SET},
    {"frozenset", TM_SHAPE_SET},
    {"bytearray", TM_SHAPE_BYTEARRAY},
    {"function", TM_SHAPE_FUNCTION},
    {"code", TM_SHAPE_CODE},
    {"generator", TM_SHAPE_GENERATOR},
    {"coroutine", TM_SHAPE_GENERATOR},
    {"async_generator", TM_SHAPE_GENERATOR},
    {"frame", TM_SHAPE_FRAME},
    {"weakref", TM_SHAPE_WEAKREF},
    {"weakref.ReferenceType", TM_SHAPE_WEAKREF},
    {"weakproxy", TM_SHAPE_WEAKREF},
    {"weakref.ProxyType", TM_SHAPE_WEAKREF},
    {"weakcallableproxy", TM_SHAPE_WEAKREF},
    {"weakref.CallableProxyType", TM_SHAPE_WEAKREF},
    {"collections.deque", TM_SHAPE_DEQUE},
    {"array.array", TM_SHAPE_ARRAY},
    {"numpy.ndarray", TM_SHAPE_NDARRAY},
    {"module", TM_SHAPE_MODULE},
    {"cell", TM_SHAPE_CELL},
};

// Types with free lists: their objects may be dead and their blocks live.
static const char *const with_free_lists[] = {
    "float",
    "tuple",
    "list",
    "dict",
    "frame",
    "Context",
    "context",
    "async_generator_asend",
    "async_generator_wrapped_value",
    "slice",
    "method",
    "builtin_function_or_method",
    "PyCFunctionObject",
};

// The exported variables of types, for a core that lacks their names.
static const char *const symbols[][2] = {
    {"PyType_Type", "type"},
    {"PyBaseObject_Type", "object"},
    {"PyUnicode_Type", "str"},
    {"PyBytes_Type", "bytes"},
    {"PyByteArray_Type", "bytearray"},
    {"PyLong_Type", "int"},
    {"PyBool_Type", "bool"},
    {"PyFloat_Type", "float"},
    {"PyComplex_Type", "complex"},
    {"PyTuple_Type", "tuple"},
    {"PyList_Type", "list"},
    {"PyDict_Type", "dict"},
    {"PySet_Type", "set"},
    {"PyFrozenSet_Type", "frozenset"},
    {"PyFunction_Type", "function"},
    {"PyCode_Type", "code"},
    {"PyFrame_Type", "frame"},
    {"PyGen_Type", "generator"},
    {"PyCoro_Type", "coroutine"},
    {"PyAsyncGen_Type", "async_generator"},
    {"PyCell_Type", "cell"},
    {"PyMethod_Type", "method"},
    {"PyModule_Type", "module"},
    {"PyCFunction_Type", "builtin_function_or_method"},
    {"PyMethodDescr_Type", "method_descriptor"},
    {"PyGetSetDescr_Type", "getset_descriptor"},
    {"PyMemberDescr_Type", "member_descriptor"},
    {"PyWrapperDescr_Type", "wrapper_descriptor"},
    {"PyClassMethod_Type", "classmethod"},
    {"PyStaticMethod_Type", "staticmethod"},
    {"PyProperty_Type", "property"},
    {"PySlice_Type", "slice"},
    {"PyMemoryView_Type", "memoryview"},
    {"PyTraceBack_Type", "traceback"},
    {"PyODict_Type", "collections.OrderedDict"},
    {"_PyWeakref_RefType", "weakref.ReferenceType"},
};

bool tm_type_is(const struct tm_type *type, const char *name)
{
    return type->name && type->name->length == strlen(name) && memcmp(type->name->bytes, name, type->name->length) == 0;
}

static enum tm_shape shape_by_flags(uint64_t flags)
{
    static const struct {
        uint64_t flag;
        enum tm_shape shape;
    } by_flag[] = {
        {TM_FLAG_INT, TM_SHAPE_INT},     {TM_FLAG_LIST, TM_SHAPE_LIST}, {TM_FLAG_TUPLE, TM_SHAPE_TUPLE},
        {TM_FLAG_BYTES, TM_SHAPE_BYTES}, {TM_FLAG_STR, TM_SHAPE_STR},   {TM_FLAG_DICT, TM_SHAPE_DICT},
        {TM_FLAG_TYPE, TM_SHAPE_TYPE},
    };
    for (size_t i = 0; i < sizeof(by_flag) / sizeof(by_flag[0]); i++)
        if (flags & by_flag[i].flag)
            return by_flag[i].shape;
    return TM_SHAPE_WORDS;
}

static enum tm_shape shape_of(const struct tm_type *type)
{
    enum tm_shape shape = shape_by_flags(type->flags);
    if (shape == TM_SHAPE_WORDS && type->base)
        shape = type->base->shape;
    for (size_t i = 0; !type->is_heap && i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (tm_type_is(type, shapes[i].name))
            return shapes[i].shape;
    // Types of the standard library's extension modules are made at run time too, from some version on.
    for (size_t i = 0; type->is_heap && shape == TM_SHAPE_WORDS && i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (strchr(shapes[i].name, '.') && tm_type_is(type, shapes[i].name))
            return shapes[i].shape;
    return shape;
}

// And from 3.14 on.
static const char *const more_free_lists[] = {
    "int", "complex", "range", "range_iterator", "list_iterator", "tuple_iterator", "builtin_method",
};

static bool is_one_of(const struct tm_type *type, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tm_type_is(type, names[i]))
            return true;
    return false;
}

static bool has_free_list(const struct tm_objects *objects, const struct tm_type *type)
{
    return !type->is_heap && (is_one_of(type, with_free_lists, sizeof(with_free_lists) / sizeof(with_free_lists[0])) ||
                              (objects->cpython->counts_have_flags &&
                               is_one_of(type, more_free_lists, sizeof(more_free_lists) / sizeof(more_free_lists[0]))));
}

// ---------------------------------------------------------------------------------------------------------------
// Names

static struct tm_error *ask_symbols(struct tm_objects *objects)
{
    objects->symbols_asked = true;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        uint64_t address = tm_target_symbol(objects->target, symbols[i][0]);
        if (!address)
            continue;
        if (!tm_set_reserve(&objects->symbols))
            return tm_error_no_memory();
        struct tm_set_entry *entry = tm_set_find_number(&objects->symbols, address);
        if (!entry->item)
            tm_set_put_number(&objects->symbols, entry, address, (void *)(uintptr_t)symbols[i][1]);
    }
    return NULL;
}

static struct tm_error *name_by_symbol(struct tm_objects *objects, struct tm_type *type)
{
    struct tm_error *error = objects->symbols_asked ? NULL : ask_symbols(objects);
    if (error || objects->symbols.count == 0)
        return error;
    const char *name = tm_set_find_number(&objects->symbols, type->address)->item;
    return name ? tm_pool_name(objects->pool, name, (uint32_t)strlen(name), &type->name) : NULL;
}

static struct tm_error *static_name(struct tm_objects *objects, uint64_t address, struct tm_type *type)
{
    char name[LONGEST_NAME];
    if (!tm_string_read_c(objects, address, name, sizeof(name)))
        return name_by_symbol(objects, type);
    return tm_pool_name(objects->pool, name, (uint32_t)strlen(name), &type->name);
}

// The value that a type's dict has for "__module__", as text. False: it has none that is a str.
static bool module_of(struct tm_objects *objects, uint64_t dict_address, char *module, size_t capacity)
{
    struct tm_dict dict;
    uint64_t key, value;
    char name[16];
    if (!tm_dict_open(objects, dict_address, &dict))
        return false;
    for (uint64_t i = 0; i < dict.count && i < MOST_DICT_ENTRIES; i++)
        if (tm_dict_entry(objects, &dict, i, &key, &value) && tm_string_read(objects, key, name, sizeof(name)) &&
            strcmp(name, "__module__") == 0)
            return tm_string_read(objects, value, module, capacity);
    return false;
}

// As type.__repr__() names it: the module, unless it is "builtins", and the qualified name.
static struct tm_error *heap_name(struct tm_objects *objects, uint64_t dict, struct tm_type *type)
{
    char text[2 * LONGEST_NAME + 2], module[LONGEST_NAME], name[LONGEST_NAME];
    uint64_t qualified;
    if (!tm_objects_word(objects, type->address + objects->cpython->type_qualname, &qualified) ||
        !tm_string_read(objects, qualified, name, sizeof(name)))
        return NULL;
    bool has_module = module_of(objects, dict, module, sizeof(module)) && strcmp(module, "builtins") != 0;
    int length = snprintf(text, sizeof(text), "%s%s%s", has_module ? module : "", has_module ? "." : "", name);
    return tm_pool_name(objects->pool, text, (uint32_t)length, &type->name);
}

void tm_type_write_name(const struct tm_type *type, struct tm_text *text)
{
    if (type->name)
        tm_text_escape(text, type->name->bytes, type->name->length);
    else
        tm_text_printf(text, "<type at 0x%" PRIx64 ">", type->address);
}

// ---------------------------------------------------------------------------------------------------------------
// Validation

// Whether `type` is here: its own type, with the size that this CPython gives it.
static bool is_type_type(const struct tm_objects *objects, uint64_t address, const unsigned char *bytes)
{
    return tm_load_u64(bytes + TM_OBJECT_TYPE) == address &&
           tm_load_u64(bytes + TM_TYPE_BASIC_SIZE) == objects->cpython->heap_type_size &&
           tm_load_u64(bytes + TM_TYPE_ITEM_SIZE) == MEMBER_SIZE && (tm_load_u64(bytes + TM_TYPE_FLAGS) & TM_FLAG_TYPE);
}

static bool leads_to_type(struct tm_objects *objects, uint64_t address, const unsigned char *bytes)
{
    unsigned char other[TM_TYPE_READ];
    for (unsigned i = 0; i <= MOST_METATYPES; i++) {
        uint64_t meta = tm_load_u64(bytes + TM_OBJECT_TYPE);
        if (objects->type_type ? meta == objects->type_type : is_type_type(objects, address, bytes)) {
            if (!objects->type_type)
                objects->type_type = address;
            return true;
        }
        if (meta == address || meta % 8 != 0 || !tm_objects_read(objects, meta, other, sizeof(other)) ||
            !(tm_load_u64(other + TM_TYPE_FLAGS) & TM_FLAG_TYPE))
            return false;
        address = meta;
        bytes = other;
    }
    return false;
}

static bool makes_sense(const struct tm_objects *objects, const unsigned char *bytes)
{
    uint64_t flags = tm_load_u64(bytes + TM_TYPE_FLAGS), basic_size = tm_load_u64(bytes + TM_TYPE_BASIC_SIZE);
    uint64_t weaklist = tm_load_u64(bytes + TM_TYPE_WEAKLIST);
    return tm_objects_is_count(objects, tm_load_u64(bytes)) && (flags & (TM_FLAG_READY | TM_FLAG_READYING)) &&
           basic_size >= TM_OBJECT_SIZE && basic_size <= MOST_BASIC_SIZE &&
           tm_load_u64(bytes + TM_TYPE_ITEM_SIZE) <= MOST_ITEM_SIZE && tm_load_u64(bytes + TM_TYPE_NAME) != 0 &&
           (weaklist >> 63 || weaklist <= MOST_BASIC_SIZE);
}

// How far the object is into its block: behind the words that the collector and the interpreter keep before it.
static uint8_t head_of(const struct tm_objects *objects, uint64_t flags)
{
    uint64_t before = objects->cpython->attributes == TM_ATTRIBUTES_3_11 ? TM_FLAG_MANAGED_DICT
                      : objects->cpython->attributes >= TM_ATTRIBUTES_3_12
                          ? TM_FLAG_MANAGED_DICT | TM_FLAG_MANAGED_WEAKREF
                          : 0;
    return (uint8_t)((flags & TM_FLAG_GC ? TM_GC_HEAD : 0) + (flags & before ? 16 : 0));
}

// A str without other characters than ASCII, and a time without a zone, are shorter than their types say.
static uint64_t smallest_of(const struct tm_objects *objects, const struct tm_type *type)
{
    if (type->is_heap)
        return type->basic_size;
    if (type->flags & TM_FLAG_STR)
        return objects->cpython->str_ascii + 1u;
    if (tm_type_is(type, "datetime.datetime") || tm_type_is(type, "datetime.time"))
        return type->basic_size - 8;
    return type->basic_size;
}

static struct tm_error *fill(struct tm_objects *objects, const unsigned char *bytes, struct tm_type *type)
{
    int64_t weaklist = (int64_t)tm_load_u64(bytes + TM_TYPE_WEAKLIST);
    type->flags = tm_load_u64(bytes + TM_TYPE_FLAGS);
    type->is_heap = type->flags & TM_FLAG_HEAP_TYPE;
    type->basic_size = tm_load_u64(bytes + TM_TYPE_BASIC_SIZE);
    type->item_size = tm_load_u64(bytes + TM_TYPE_ITEM_SIZE);
    type->weaklist_offset = weaklist > 0 ? (uint64_t)weaklist : 0;
    type->dict_offset = (int64_t)tm_load_u64(bytes + TM_TYPE_DICT_OFFSET);
    type->head = head_of(objects, type->flags);
    if (type->is_heap &&
        !tm_objects_word(objects, type->address + objects->cpython->type_cached_keys, &type->cached_keys))
        type->cached_keys = 0;
    struct tm_error *error = type->is_heap ? heap_name(objects, tm_load_u64(bytes + TM_TYPE_DICT), type) : NULL;
    if (!error && !type->name)
        error = static_name(objects, tm_load_u64(bytes + TM_TYPE_NAME), type);
    if (!type->name)
        objects->unnamed++;
    type->smallest = smallest_of(objects, type);
    return error;
}

static struct tm_error *get(struct tm_objects *objects, uint64_t address, unsigned depth, struct tm_type **result)
{
    unsigned char bytes[TM_TYPE_READ];
    if (!tm_set_reserve(&objects->types))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&objects->types, address);
    *result = entry->item;
    if (*result)
        return NULL;
    struct tm_type *type = tm_arena_allocate(&objects->arena, sizeof(*type));
    if (!type || !TM_GROW(&objects->list, objects->type_count + 1, &objects->type_capacity))
        return tm_error_no_memory();
    memset(type, 0, sizeof(*type));
    type->address = address;
    tm_set_put_number(&objects->types, entry, address, type); // from now on a cycle of bases ends here
    *result = type;
    if (address % 8 != 0 || !tm_objects_read(objects, address, bytes, sizeof(bytes)) || !makes_sense(objects, bytes) ||
        !leads_to_type(objects, address, bytes))
        return tm_heap_cache_error(objects->heap);
    uint64_t base = tm_load_u64(bytes + TM_TYPE_BASE);
    struct tm_type *base_type = NULL;
    struct tm_error *error = base && depth < MOST_BASES ? get(objects, base, depth + 1, &base_type) : NULL;
    if (!error)
        error = fill(objects, bytes, type);
    if (error || !TM_GROW(&objects->list, objects->type_count + 1, &objects->type_capacity))
        return error ? error : tm_error_no_memory();
    type->base = base_type && base_type->valid ? base_type : NULL;
    type->shape = shape_of(type);
    type->has_free_list = has_free_list(objects, type);
    type->valid = true;
    type->number = (uint32_t)objects->type_count;
    objects->list[objects->type_count++] = type;
    return NULL;
}

struct tm_error *tm_type_get(struct tm_objects *objects, uint64_t address, const struct tm_type **result)
{
    struct tm_type *type;
    *result = NULL;
    struct tm_error *error = get(objects, address, 0, &type);
    if (!error && type->valid)
        *result = type;
    return error;
}
