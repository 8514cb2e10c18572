#include "support/object_image.h"

#include <string.h>

#include "engine/objects/cpython.h"

#define READY_GC (TM_FLAG_READY | TM_FLAG_GC)

static void put(const struct object_image *objects, uint64_t address, uint64_t value)
{
    memcpy(image_at(objects->image, address, 8), &value, 8);
}

static void put32(const struct object_image *objects, uint64_t address, uint32_t value)
{
    memcpy(image_at(objects->image, address, 4), &value, 4);
}

static void put8(const struct object_image *objects, uint64_t address, uint8_t value)
{
    memcpy(image_at(objects->image, address, 1), &value, 1);
}

static uint64_t in_data(struct object_image *objects, uint64_t size)
{
    uint64_t address = objects->data_end;
    objects->data_end += (size + 15) & ~UINT64_C(15);
    return address;
}

// A block with an object that is `head` bytes into it.
static uint64_t in_heap(struct object_image *objects, uint64_t size, uint64_t head, uint64_t type)
{
    uint64_t block = objects->heap_end;
    objects->heap_end += (head + size + 15) & ~UINT64_C(15);
    image_block(&objects->table, block, head + size, objects->site);
    if (type) {
        put(objects, block + head, 1);
        put(objects, block + head + TM_OBJECT_TYPE, type);
    }
    return block + head;
}

static uint64_t static_type(struct object_image *objects, uint64_t address, const char *name, uint64_t basic_size,
                            uint64_t item_size, uint64_t flags)
{
    uint64_t text = in_data(objects, strlen(name) + 1);
    memcpy(image_at(objects->image, text, strlen(name) + 1), name, strlen(name) + 1);
    put(objects, address, 1);
    put(objects, address + TM_OBJECT_TYPE, objects->type);
    put(objects, address + TM_TYPE_NAME, text);
    put(objects, address + TM_TYPE_BASIC_SIZE, basic_size);
    put(objects, address + TM_TYPE_ITEM_SIZE, item_size);
    put(objects, address + TM_TYPE_FLAGS, flags | TM_FLAG_READY);
    put(objects, address + TM_TYPE_BASE, address == objects->object ? 0 : objects->object);
    return address;
}

static uint64_t make_str(struct object_image *objects, const char *text)
{
    size_t length = strlen(text);
    uint64_t address = in_heap(objects, objects->cpython->str_ascii + length + 1, 0, objects->str);
    put(objects, address + TM_STR_LENGTH, length);
    put32(objects, address + TM_STR_STATE, 1u << 2 | 1u << 5 | 1u << 6);
    memcpy(image_at(objects->image, address + objects->cpython->str_ascii, length + 1), text, length + 1);
    return address;
}

static uint64_t make_int(struct object_image *objects, uint32_t value)
{
    uint64_t address = in_heap(objects, 28, 0, objects->integer);
    put(objects, address + TM_VAR_SIZE, objects->cpython->int_has_tag ? 1 << 3 : 1);
    put32(objects, address + TM_INT_DIGITS, value);
    return address;
}

static uint64_t make_tuple(struct object_image *objects, uint64_t first, uint64_t second)
{
    uint64_t address = in_heap(objects, objects->cpython->tuple_items + 16u, TM_GC_HEAD, objects->tuple);
    put(objects, address + TM_VAR_SIZE, second ? 2 : 1);
    put(objects, address + objects->cpython->tuple_items, first);
    put(objects, address + objects->cpython->tuple_items + 8, second);
    return address;
}

static uint64_t make_list(struct object_image *objects, uint64_t first, uint64_t second)
{
    uint64_t items = in_heap(objects, 32, 0, 0);
    uint64_t address = in_heap(objects, 40, TM_GC_HEAD, objects->list);
    put(objects, items, first ? first : address);
    put(objects, items + 8, second);
    put(objects, address + TM_VAR_SIZE, second ? 2 : 1);
    put(objects, address + TM_LIST_ITEMS, items);
    return address;
}

// Keys with one entry, which is a str.
static uint64_t make_keys(struct object_image *objects, uint64_t key, uint64_t value)
{
    uint64_t keys = in_heap(objects, 128, 0, 0);
    if (objects->cpython->dict_keys == TM_DICT_KEYS_3_8) {
        put(objects, keys, 1);
        put(objects, keys + 8, 8);
        put(objects, keys + 32, 1);
        put(objects, keys + 48 + 8, key);
        put(objects, keys + 48 + 16, value);
        return keys;
    }
    put(objects, keys, 1);
    put8(objects, keys + 8, 3);
    put8(objects, keys + 9, 3);
    put8(objects, keys + 10, 1);
    put(objects, keys + 24, 1);
    put(objects, keys + 40, key);
    put(objects, keys + 48, value);
    return keys;
}

static uint64_t make_dict(struct object_image *objects, uint64_t keys, uint64_t values)
{
    uint64_t address = in_heap(objects, TM_DICT_SIZE, TM_GC_HEAD, objects->dict);
    put(objects, address + TM_VAR_SIZE, 1);
    put(objects, address + TM_DICT_KEYS, keys);
    put(objects, address + TM_DICT_VALUES, values);
    return address;
}

static uint64_t make_set(struct object_image *objects, uint64_t member)
{
    uint64_t address = in_heap(objects, 200, TM_GC_HEAD, objects->set);
    put(objects, address + TM_SET_USED, 1);
    put(objects, address + TM_SET_MASK, 7);
    put(objects, address + TM_SET_TABLE, address + TM_SET_SMALL);
    put(objects, address + TM_SET_SMALL + 2 * TM_SET_ENTRY, member);
    put(objects, address + TM_SET_SMALL + 2 * TM_SET_ENTRY + 8, 12345);
    return address;
}

static void make_types(struct object_image *objects)
{
    const struct tm_cpython *cpython = objects->cpython;
    objects->type = in_data(objects, 1024);
    objects->object = in_data(objects, 512);
    static_type(objects, objects->type, "type", cpython->heap_type_size, 40, READY_GC | TM_FLAG_TYPE);
    static_type(objects, objects->object, "object", 16, 0, 0);
    objects->str = static_type(objects, in_data(objects, 512), "str", cpython->str_compact + 8u, 0, TM_FLAG_STR);
    objects->integer = static_type(objects, in_data(objects, 512), "int", 24, 4, TM_FLAG_INT);
    objects->list = static_type(objects, in_data(objects, 512), "list", 40, 0, READY_GC | TM_FLAG_LIST);
    objects->tuple = static_type(objects, in_data(objects, 512), "tuple", 24, 8, READY_GC | TM_FLAG_TUPLE);
    objects->dict = static_type(objects, in_data(objects, 512), "dict", TM_DICT_SIZE, 0, READY_GC | TM_FLAG_DICT);
    objects->set = static_type(objects, in_data(objects, 512), "set", 200, 0, READY_GC);
    objects->code = static_type(objects, in_data(objects, 512), "code", cpython->code_bytecode, 2, 0);
}

static void make_class(struct object_image *objects)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t before = cpython->attributes == TM_ATTRIBUTES_3_8 ? 0 : TM_FLAG_MANAGED_DICT;
    uint64_t inline_values = cpython->attributes == TM_ATTRIBUTES_3_13 ? TM_FLAG_INLINE_VALUES : 0;
    uint64_t module = make_keys(objects, make_str(objects, "__module__"), make_str(objects, "shop"));
    objects->made = in_heap(objects, cpython->heap_type_size, TM_GC_HEAD, objects->type);
    static_type(objects, objects->made, "Basket", before ? 16 : 24, 0,
                READY_GC | TM_FLAG_HEAP_TYPE | before | inline_values);
    put(objects, objects->made + TM_TYPE_DICT, make_dict(objects, module, 0));
    put(objects, objects->made + TM_TYPE_DICT_OFFSET, before ? UINT64_MAX : 16);
    put(objects, objects->made + cpython->type_qualname, make_str(objects, "Basket"));
    put(objects, objects->made + cpython->type_cached_keys, make_keys(objects, make_str(objects, "owner"), 0));
}

static void make_instance(struct object_image *objects)
{
    uint64_t keys = 0, owner = make_str(objects, "mary");
    memcpy(&keys, image_at(objects->image, objects->made + objects->cpython->type_cached_keys, 8), 8);
    if (objects->cpython->attributes == TM_ATTRIBUTES_3_8) {
        uint64_t dict = make_dict(objects, make_keys(objects, make_str(objects, "owner"), owner), 0);
        objects->instance = in_heap(objects, 24, TM_GC_HEAD, objects->made);
        put(objects, objects->instance + 16, dict);
    } else if (objects->cpython->attributes == TM_ATTRIBUTES_3_11) {
        uint64_t values = in_heap(objects, 64, 0, 0);
        objects->instance = in_heap(objects, 16, 32, objects->made);
        put(objects, values + 8, owner);
        put(objects, objects->instance - 32, values + 8);
    } else {
        objects->instance = in_heap(objects, 16 + 8 + 64, 32, objects->made);
        put32(objects, objects->instance + 16, 1u << 24 | 1u << 16 | 1u << 8 | 8u);
        put(objects, objects->instance + 24, owner);
    }
}

static void make_objects(struct object_image *objects)
{
    objects->text = make_str(objects, "a text");
    objects->number = make_int(objects, 4711);
    objects->items = make_list(objects, objects->text, objects->number);
    objects->pair = make_tuple(objects, objects->items, objects->number);
    objects->mapping = make_dict(objects, make_keys(objects, make_str(objects, "pair"), objects->pair), 0);
    objects->members = make_set(objects, objects->text);
    make_class(objects);
    make_instance(objects);
    objects->lost = make_str(objects, "lost");
    objects->cycle = make_list(objects, 0, 0);
    // What holds them: variables of a module.
    uint64_t variables = in_data(objects, 64);
    put(objects, variables, objects->mapping);
    put(objects, variables + 8, objects->members);
    put(objects, variables + 16, objects->instance);
    put(objects, objects->text, 2);
    put(objects, objects->number, 2);
}

static uint64_t make_code(struct object_image *objects)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t code = in_heap(objects, 256, 0, objects->code);
    uint64_t lines = in_heap(objects, 48, 0, objects->object);
    put(objects, lines + TM_VAR_SIZE, 4);
    put32(objects, lines + TM_BYTES_DATA, 0x00d80280);
    put32(objects, code + cpython->code_first_line, 7);
    put(objects, code + cpython->code_filename, make_str(objects, "shop.py"));
    put(objects, code + cpython->code_name, make_str(objects, "buy"));
    if (cpython->code_qualname)
        put(objects, code + cpython->code_qualname, make_str(objects, "Basket.buy"));
    put(objects, code + cpython->code_lines, lines);
    put32(objects, code + cpython->code_local_count, 1);
    put(objects, code + cpython->code_locals, make_tuple(objects, make_str(objects, "basket"), 0));
    return code;
}

static void make_thread(struct object_image *objects)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t code = make_code(objects);
    uint64_t runtime = in_data(objects, 4096), interpreter = in_data(objects, 8192), thread = in_data(objects, 512);
    uint64_t frame = in_data(objects, 512), cframe = in_data(objects, 64);
    put(objects, runtime + cpython->runtime_interpreters, interpreter);
    put(objects, interpreter + cpython->interpreter_threads, thread);
    put(objects, thread + 16, interpreter);
    put(objects, thread + cpython->thread_id, 0x7f12);
    put(objects, cframe + cpython->cframe_frame, frame);
    put(objects, thread + (cpython->thread_cframe ? cpython->thread_cframe : cpython->thread_frame),
        cpython->thread_cframe ? cframe : frame);
    put(objects, frame + cpython->frame_code, code);
    put(objects, frame + cpython->frame_locals, objects->instance);
    if (cpython->instruction_unit)
        put32(objects, frame + cpython->frame_instruction, 0);
    else
        put(objects, frame + cpython->frame_instruction, code + cpython->code_bytecode);
    image_set_symbol(objects->image, "_PyRuntime", runtime);
}

void object_image_create(struct object_image *objects, struct image *image, uint32_t version)
{
    const uint32_t flags = TM_REGION_READABLE | TM_REGION_WRITABLE;
    *objects = (struct object_image){.image = image, .cpython = tm_cpython_of(version)};
    image_table_create(&objects->table, image, IMAGE_ROOT);
    objects->table.root->python_version = version;
    uint64_t variable = image_map_anywhere(image, 8);
    memcpy(image_at(image, variable, 8), &objects->table.address, 8);
    image_set_symbol(image, TM_ROOT_SYMBOL, variable);
    uint32_t code = image_code(&objects->table, "shop.py", 3, TM_LINES_NONE, NULL, 0, 40);
    objects->site = image_site(&objects->table, image_node(&objects->table, 0, code, 0), 0, 0);
    image_map(image, OBJECT_IMAGE_DATA, OBJECT_IMAGE_DATA_SIZE, "/usr/bin/python3", flags | TM_REGION_FILE);
    image_map(image, OBJECT_IMAGE_HEAP, OBJECT_IMAGE_HEAP_SIZE, "", flags);
    objects->data_end = OBJECT_IMAGE_DATA;
    objects->heap_end = OBJECT_IMAGE_HEAP + 256;
    make_types(objects);
    make_objects(objects);
    make_thread(objects);
}
