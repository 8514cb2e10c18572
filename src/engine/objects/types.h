/**
 * Types: what a type object says of its instances. An address is a type if its own type leads to `type`, and if its
 * flags and sizes make sense. Knows no block and no graph.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_TYPES_H
#define TRACEMORTEM_ENGINE_OBJECTS_TYPES_H

#include "engine/base/text.h"
#include "engine/objects/objects.h"

/** How instances keep their references and their parts: that of the first built-in type among the bases. */
enum tm_shape {
    TM_SHAPE_WORDS, // nothing is known: every word may be a reference
    TM_SHAPE_LEAF,  // no references: int, float, complex, bytes and the like
    TM_SHAPE_INT,
    TM_SHAPE_FLOAT,
    TM_SHAPE_BYTES,
    TM_SHAPE_STR,
    TM_SHAPE_BYTEARRAY,
    TM_SHAPE_TUPLE,
    TM_SHAPE_LIST,
    TM_SHAPE_DICT,
    TM_SHAPE_SET,
    TM_SHAPE_TYPE,
    TM_SHAPE_FUNCTION,
    TM_SHAPE_CODE,
    TM_SHAPE_GENERATOR,
    TM_SHAPE_FRAME,
    TM_SHAPE_WEAKREF,
    TM_SHAPE_DEQUE,
    TM_SHAPE_ARRAY,
    TM_SHAPE_NDARRAY,
    TM_SHAPE_MODULE,
    TM_SHAPE_CELL,
};

struct tm_type {
    uint64_t address;
    bool valid;
    bool is_heap; // made at run time, by a class statement for instance
    bool has_free_list;
    uint8_t head; // bytes from the start of a block to the object
    enum tm_shape shape;
    uint32_t number; // in tm_objects.list
    uint64_t flags;
    uint64_t basic_size, item_size;
    uint64_t smallest;        // bytes of an instance, at least: some kinds leave out their last fields
    uint64_t weaklist_offset; // 0: none
    int64_t dict_offset;      // 0: none; negative: from the end
    uint64_t cached_keys;     // of the instances' attributes; 0: none
    const struct tm_type *base;
    const struct tm_name *name; // "shop.Basket", "dict"; NULL: it cannot be read
};

/** The type at this address; NULL in *result: there is none. Fails only without memory or if interrupted. */
struct tm_error *tm_type_get(struct tm_objects *objects, uint64_t address, const struct tm_type **result);

/** The type's name, or a name made of its address. Escaped. */
void tm_type_write_name(const struct tm_type *type, struct tm_text *text);
/** Whether the type is this one exactly, by the name of a built-in type. */
bool tm_type_is(const struct tm_type *type, const char *name);

#endif
