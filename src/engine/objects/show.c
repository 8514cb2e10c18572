// Values of built-in types, each read with a budget.

#include "engine/objects/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/base/text.h"
#include "engine/objects/dicts.h"
#include "engine/objects/strings.h"

enum {
    MOST_CHARACTERS = 200,
    MOST_INNER_CHARACTERS = 60, // of a string inside a container
    MOST_ITEMS = 10,
    MOST_DIGITS = 40, // of 30 bits
    DIGIT_BITS = 30,
    LONGEST_NAME = 256,
};
#define MOST_SLOTS (UINT64_C(1) << 26) // of a hash table that is looked at

// One value that is being shown.
struct show {
    struct tm_objects *objects;
    struct tm_text *text;
    bool truncated;
    unsigned level; // 0: the value that was asked for
};

// ---------------------------------------------------------------------------------------------------------------
// Objects

static uint64_t length_of(struct tm_objects *objects, uint64_t address, const struct tm_type *type, bool *known)
{
    uint64_t length = 0;
    uint64_t offset;
    switch (type->shape) {
    case TM_SHAPE_LIST:
    case TM_SHAPE_TUPLE:
    case TM_SHAPE_BYTES:
    case TM_SHAPE_BYTEARRAY:
    case TM_SHAPE_STR:
    case TM_SHAPE_DICT:
    case TM_SHAPE_DEQUE:
    case TM_SHAPE_ARRAY:
        offset = TM_VAR_SIZE; // the length of a str and the used entries of a dict are there too
        break;
    case TM_SHAPE_SET:
        offset = TM_SET_USED;
        break;
    default:
        *known = false;
        return 0;
    }
    *known = tm_objects_word(objects, address + offset, &length) && length >> 62 == 0;
    return length;
}

// Type objects that the interpreter or an extension module has as variables are not the collector's.
static bool is_static_type(struct tm_objects *objects, const struct tm_object *object)
{
    uint64_t flags;
    return object->type->shape == TM_SHAPE_TYPE && tm_objects_word(objects, object->address + TM_TYPE_FLAGS, &flags) &&
           !(flags & TM_FLAG_HEAP_TYPE);
}

struct tm_error *tm_object_at(struct tm_objects *objects, uint64_t address, struct tm_object *object, bool *found)
{
    unsigned char head[TM_OBJECT_SIZE];
    uint64_t next;
    *object = (struct tm_object){.address = address};
    *found = false;
    if (address % 8 != 0 || address == 0 || !tm_objects_read(objects, address, head, sizeof(head)) ||
        !tm_objects_is_count(objects, tm_load_u64(head)))
        return tm_objects_check(objects);
    struct tm_error *error = tm_type_get(objects, tm_load_u64(head + TM_OBJECT_TYPE), &object->type);
    if (error || !object->type)
        return error;
    object->references = tm_objects_count(objects, tm_load_u64(head));
    object->immortal = tm_objects_is_immortal(objects, tm_load_u64(head));
    object->is_gc = (object->type->flags & TM_FLAG_GC) && !is_static_type(objects, object);
    object->tracked = object->is_gc && tm_objects_word(objects, address - TM_GC_HEAD, &next) && next != 0;
    object->length = length_of(objects, address, object->type, &object->has_length);
    *found = true;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Names

static bool string_field(struct tm_objects *objects, uint64_t address, unsigned offset, char *name, size_t capacity)
{
    uint64_t field;
    return offset && tm_objects_word(objects, address + offset, &field) && field &&
           tm_string_read(objects, field, name, capacity);
}

static void add_escaped(struct tm_text *text, const char *name)
{
    tm_text_escape(text, name, strlen(name));
}

static void show_at(const struct tm_object *object, struct tm_text *text)
{
    tm_type_write_name(object->type, text);
    tm_text_printf(text, " object at 0x%" PRIx64, object->address);
}

static bool show_function(struct tm_objects *objects, uint64_t address, struct tm_text *text)
{
    char name[LONGEST_NAME], file[LONGEST_NAME];
    uint64_t code;
    uint32_t line;
    const struct tm_cpython *cpython = objects->cpython;
    if (!string_field(objects, address, cpython->function_qualname, name, sizeof(name)))
        return false;
    tm_text_add(text, "function ");
    add_escaped(text, name);
    if (tm_objects_word(objects, address + cpython->function_code, &code) &&
        string_field(objects, code, cpython->code_filename, file, sizeof(file)) &&
        tm_objects_int(objects, code + cpython->code_first_line, &line)) {
        tm_text_add(text, " at ");
        add_escaped(text, file);
        tm_text_printf(text, ":%" PRIu32, line);
    }
    return true;
}

static bool show_code(struct tm_objects *objects, uint64_t address, struct tm_text *text)
{
    char name[LONGEST_NAME], file[LONGEST_NAME];
    uint32_t line;
    const struct tm_cpython *cpython = objects->cpython;
    unsigned offset = cpython->code_qualname ? cpython->code_qualname : cpython->code_name;
    if (!string_field(objects, address, offset, name, sizeof(name)) ||
        !string_field(objects, address, cpython->code_filename, file, sizeof(file)) ||
        !tm_objects_int(objects, address + cpython->code_first_line, &line))
        return false;
    tm_text_add(text, "code ");
    add_escaped(text, name);
    tm_text_add(text, " at ");
    add_escaped(text, file);
    tm_text_printf(text, ":%" PRIu32, line);
    return true;
}

static bool show_module(struct tm_objects *objects, uint64_t address, struct tm_text *text)
{
    char name[LONGEST_NAME];
    uint64_t dict_address, value;
    struct tm_dict dict;
    if (!tm_objects_word(objects, address + TM_MODULE_DICT, &dict_address) ||
        !tm_dict_open(objects, dict_address, &dict) || !(value = tm_dict_find(objects, &dict, "__name__")) ||
        !tm_string_read(objects, value, name, sizeof(name)))
        return false;
    tm_text_add(text, "module ");
    add_escaped(text, name);
    return true;
}

struct tm_error *tm_show_name(struct tm_objects *objects, const struct tm_object *object, struct tm_text *text)
{
    const struct tm_type *shown;
    struct tm_error *error;
    switch (object->type->shape) {
    case TM_SHAPE_FUNCTION:
        if (show_function(objects, object->address, text))
            return NULL;
        break;
    case TM_SHAPE_CODE:
        if (show_code(objects, object->address, text))
            return NULL;
        break;
    case TM_SHAPE_MODULE:
        if (show_module(objects, object->address, text))
            return NULL;
        break;
    case TM_SHAPE_TYPE:
        error = tm_type_get(objects, object->address, &shown);
        if (error)
            return error;
        if (shown && shown->name) {
            tm_text_add(text, "class ");
            tm_type_write_name(shown, text);
            return NULL;
        }
        break;
    default:
        break;
    }
    show_at(object, text);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Strings and numbers

static uint64_t characters_left(const struct show *show)
{
    return show->level ? MOST_INNER_CHARACTERS : MOST_CHARACTERS;
}

static void end_string(struct show *show, bool cut)
{
    if (cut) {
        tm_text_add(show->text, "...");
        show->truncated = true;
    }
}

// As repr() quotes: single quotes, unless there are some and no double quotes.
static void add_character(struct tm_text *text, uint32_t c, char quote)
{
    char bytes[4];
    if (c == '\\' || c == (unsigned char)quote)
        tm_text_add(text, "\\");
    tm_text_escape(text, bytes, tm_utf8_encode(c, bytes));
}

static bool show_str(struct show *show, uint64_t address)
{
    unsigned char bytes[4 * MOST_CHARACTERS];
    struct tm_str str;
    bool has_single = false, has_double = false;
    if (!tm_str_open(show->objects, address, &str))
        return false;
    uint64_t count = str.length < characters_left(show) ? str.length : characters_left(show);
    if (!tm_objects_read(show->objects, str.characters, bytes, count * str.kind))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t c = tm_load_number(bytes + i * str.kind, str.kind);
        if (c > 0x10ffff)
            return false;
        has_single = has_single || c == '\'';
        has_double = has_double || c == '"';
    }
    char quote = has_single && !has_double ? '"' : '\'';
    tm_text_printf(show->text, "%c", quote);
    for (uint64_t i = 0; i < count; i++)
        add_character(show->text, (uint32_t)tm_load_number(bytes + i * str.kind, str.kind), quote);
    tm_text_printf(show->text, "%c", quote);
    end_string(show, count < str.length);
    return true;
}

static bool show_bytes(struct show *show, uint64_t data, uint64_t length)
{
    unsigned char bytes[MOST_CHARACTERS];
    uint64_t count = length < characters_left(show) ? length : characters_left(show);
    if (!tm_objects_read(show->objects, data, bytes, count))
        return false;
    bool double_quote = memchr(bytes, '\'', count) && !memchr(bytes, '"', count);
    char quote = double_quote ? '"' : '\'';
    tm_text_printf(show->text, "b%c", quote);
    for (uint64_t i = 0; i < count; i++) {
        if (bytes[i] == '\\' || bytes[i] == (unsigned char)quote)
            tm_text_printf(show->text, "\\%c", bytes[i]);
        else if (bytes[i] == '\n' || bytes[i] == '\t' || bytes[i] == '\r')
            tm_text_add(show->text, bytes[i] == '\n' ? "\\n" : bytes[i] == '\t' ? "\\t" : "\\r");
        else
            tm_text_printf(show->text, bytes[i] >= 0x20 && bytes[i] < 0x7f ? "%c" : "\\x%02x", bytes[i]);
    }
    tm_text_printf(show->text, "%c", quote);
    end_string(show, count < length);
    return true;
}

static void show_large_int(struct show *show, const uint32_t *digits, uint64_t count, bool negative)
{
    unsigned char nibbles[MOST_DIGITS * DIGIT_BITS / 4 + 8] = {0};
    size_t used = 0;
    uint64_t bits = 0;
    unsigned have = 0;
    for (uint64_t i = 0; i < count || have > 0;) {
        if (have < 4 && i < count) {
            bits |= (uint64_t)digits[i++] << have;
            have += DIGIT_BITS;
            continue;
        }
        nibbles[used++] = bits & 15;
        bits >>= 4;
        have = have > 4 ? have - 4 : 0;
    }
    while (used > 1 && nibbles[used - 1] == 0)
        used--;
    tm_text_add(show->text, negative ? "-0x" : "0x");
    while (used > 0)
        tm_text_printf(show->text, "%x", nibbles[--used]);
}

static bool show_int(struct show *show, uint64_t address)
{
    uint32_t digits[MOST_DIGITS] = {0};
    uint64_t word;
    if (!tm_objects_word(show->objects, address + TM_VAR_SIZE, &word))
        return false;
    bool tagged = show->objects->cpython->int_has_tag;
    bool negative = tagged ? (word & 3) == 2 : (int64_t)word < 0;
    uint64_t count = tagged ? word >> 3 : negative ? 0 - word : word;
    if (tagged && (word & 3) == 1)
        count = 0;
    if (count > MOST_DIGITS) {
        tm_text_printf(show->text, "int of about %" PRIu64 " bits", count * DIGIT_BITS);
        show->truncated = true;
        return count < UINT64_C(1) << 40;
    }
    if (!tm_objects_read(show->objects, address + TM_INT_DIGITS, digits, count * sizeof(digits[0])))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (digits[i] >> DIGIT_BITS)
            return false;
    if (count > 2) {
        show_large_int(show, digits, count, negative);
        return true;
    }
    uint64_t value = (uint64_t)digits[1] << DIGIT_BITS | digits[0];
    tm_text_printf(show->text, "%s%" PRIu64, negative ? "-" : "", value);
    return true;
}

// As repr(): the shortest digits that give the number back, with an exponent where Python writes one.
static void add_float(struct tm_text *text, double value)
{
    char digits[40];
    int precision = 0;
    if (value != value || value - value != 0) {
        tm_text_add(text, value != value ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    do
        snprintf(digits, sizeof(digits), "%.*e", precision, value);
    while (strtod(digits, NULL) != value && ++precision < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        tm_text_add(text, digits);
        return;
    }
    snprintf(digits, sizeof(digits), "%.*f", precision > exponent ? precision - exponent : 0, value);
    tm_text_printf(text, "%s%s", digits, strchr(digits, '.') ? "" : ".0");
}

static bool show_float(struct show *show, uint64_t address)
{
    double value;
    if (!tm_objects_read(show->objects, address + TM_FLOAT_VALUE, &value, sizeof(value)))
        return false;
    add_float(show->text, value);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// Members

static struct tm_error *tell(tm_member_visitor visit, void *context, struct tm_member member)
{
    // cppcheck-suppress returnDanglingLifetime ; the visitor returns an error and no member
    return visit(context, &member);
}

static struct tm_error *visit_words(struct tm_objects *objects, uint64_t items, uint64_t count, uint64_t most,
                                    tm_member_visitor visit, void *context)
{
    struct tm_error *error = NULL;
    struct tm_member member;
    for (uint64_t i = 0; !error && i < count && i < most; i++) {
        member = (struct tm_member){.has_index = true, .index = i};
        if (!tm_objects_word(objects, items + 8 * i, &member.value))
            return tm_objects_check(objects);
        error = tell(visit, context, member);
    }
    return error;
}

static struct tm_error *visit_dict(struct tm_objects *objects, const struct tm_dict *dict, bool attributes,
                                   uint64_t most, tm_member_visitor visit, void *context, uint64_t *shown)
{
    struct tm_error *error = NULL;
    char name[LONGEST_NAME];
    for (uint64_t i = 0; !error && i < dict->count && i < MOST_SLOTS && *shown < most; i++) {
        struct tm_member member = {0};
        if (i % 4096 == 4095 && (error = tm_objects_check(objects)))
            break;
        if (!tm_dict_entry(objects, dict, i, &member.key, &member.value))
            continue;
        if (attributes && tm_string_read(objects, member.key, name, sizeof(name)))
            member.attribute = name;
        ++*shown;
        error = tell(visit, context, member);
    }
    return error;
}

static struct tm_error *visit_set(struct tm_objects *objects, uint64_t address, uint64_t most, tm_member_visitor visit,
                                  void *context)
{
    uint64_t mask, table, shown = 0;
    struct tm_error *error = NULL;
    if (!tm_objects_word(objects, address + TM_SET_MASK, &mask) ||
        !tm_objects_word(objects, address + TM_SET_TABLE, &table) || mask >= MOST_SLOTS)
        return NULL;
    for (uint64_t i = 0; !error && i <= mask && shown < most; i++) {
        struct tm_member member = {0};
        uint64_t hash;
        if (i % 4096 == 4095 && (error = tm_objects_check(objects)))
            break;
        if (!tm_objects_word(objects, table + i * TM_SET_ENTRY, &member.value) ||
            !tm_objects_word(objects, table + i * TM_SET_ENTRY + 8, &hash) || member.value == 0 || hash == UINT64_MAX)
            continue; // empty, or its item was removed
        shown++;
        error = tell(visit, context, member);
    }
    return error;
}

static struct tm_error *visit_deque(struct tm_objects *objects, uint64_t address, uint64_t count, uint64_t most,
                                    tm_member_visitor visit, void *context)
{
    uint64_t block, index;
    struct tm_error *error = NULL;
    if (!tm_objects_word(objects, address + TM_DEQUE_LEFT, &block) ||
        !tm_objects_word(objects, address + TM_DEQUE_LEFT_INDEX, &index))
        return NULL;
    for (uint64_t i = 0; !error && i < count && i < most; i++, index++) {
        struct tm_member member = {.has_index = true, .index = i};
        if (index >= TM_DEQUE_ITEMS) {
            index = 0;
            if (!tm_objects_word(objects, block + 8 * (TM_DEQUE_ITEMS + 1), &block))
                break;
        }
        if (!tm_objects_word(objects, block + 8 * (1 + index), &member.value))
            break;
        error = tell(visit, context, member);
    }
    return error;
}

enum { MEMBER_SIZE = 40, MEMBER_OFFSET = 16, MOST_MEMBERS = 256, MOST_BASES = 64 };

// The __slots__ of a class and of its bases, which type objects list as members.
static struct tm_error *visit_slots(struct tm_objects *objects, const struct tm_object *object, uint64_t most,
                                    tm_member_visitor visit, void *context, uint64_t *shown)
{
    struct tm_error *error = NULL;
    const struct tm_type *type = object->type;
    for (unsigned depth = 0; type && depth < MOST_BASES; type = type->base, depth++) {
        uint64_t members;
        if (!type->is_heap || !tm_objects_word(objects, type->address + TM_TYPE_MEMBERS, &members) || members == 0)
            continue;
        for (unsigned i = 0; !error && i < MOST_MEMBERS && *shown < most; i++) {
            unsigned char bytes[MEMBER_SIZE];
            char name[LONGEST_NAME];
            struct tm_member member = {.attribute = name};
            if (!tm_objects_read(objects, members + i * MEMBER_SIZE, bytes, sizeof(bytes)) || tm_load_u64(bytes) == 0)
                break;
            uint32_t kind = tm_load_u32(bytes + 8);
            uint64_t offset = tm_load_u64(bytes + MEMBER_OFFSET);
            if ((kind != 6 && kind != 16) || offset + 8 > type->basic_size || // T_OBJECT, T_OBJECT_EX
                !tm_string_read_c(objects, tm_load_u64(bytes), name, sizeof(name)) ||
                !tm_objects_word(objects, object->address + offset, &member.value) || member.value == 0)
                continue;
            ++*shown;
            error = tell(visit, context, member);
        }
        if (error)
            break;
    }
    return error;
}

static struct tm_error *visit_attributes(struct tm_objects *objects, const struct tm_object *object, uint64_t most,
                                         tm_member_visitor visit, void *context, uint64_t *total)
{
    struct tm_dict dict;
    uint64_t shown = 0, used = 0;
    struct tm_error *error = visit_slots(objects, object, most, visit, context, &shown);
    if (!error && tm_attributes_open(objects, object->address, object->type, &dict)) {
        uint64_t key, value;
        for (uint64_t i = 0; i < dict.count && i < MOST_CHARACTERS; i++)
            used += tm_dict_entry(objects, &dict, i, &key, &value);
        used += shown;
        error = visit_dict(objects, &dict, true, most, visit, context, &shown);
    }
    *total += used > shown ? used : shown;
    return error;
}

static struct tm_error *visit_items(struct tm_objects *objects, const struct tm_object *object, uint64_t most,
                                    tm_member_visitor visit, void *context)
{
    uint64_t items, shown = 0;
    struct tm_dict dict;
    switch (object->type->shape) {
    case TM_SHAPE_LIST:
        if (!tm_objects_word(objects, object->address + TM_LIST_ITEMS, &items))
            return NULL;
        return visit_words(objects, items, object->length, most, visit, context);
    case TM_SHAPE_TUPLE:
        return visit_words(objects, object->address + objects->cpython->tuple_items, object->length, most, visit,
                           context);
    case TM_SHAPE_DICT:
        return tm_dict_open(objects, object->address, &dict)
                   ? visit_dict(objects, &dict, false, most, visit, context, &shown)
                   : NULL;
    case TM_SHAPE_SET:
        return visit_set(objects, object->address, most, visit, context);
    case TM_SHAPE_DEQUE:
        return visit_deque(objects, object->address, object->length, most, visit, context);
    default:
        return NULL;
    }
}

static bool has_items(const struct tm_object *object)
{
    switch (object->type->shape) {
    case TM_SHAPE_LIST:
    case TM_SHAPE_TUPLE:
    case TM_SHAPE_DICT:
    case TM_SHAPE_SET:
    case TM_SHAPE_DEQUE:
        return object->has_length;
    default:
        return false;
    }
}

struct tm_error *tm_members_visit(struct tm_objects *objects, const struct tm_object *object, uint64_t most,
                                  tm_member_visitor visit, void *context, uint64_t *total)
{
    struct tm_error *error = NULL;
    *total = 0;
    if (has_items(object)) {
        *total = object->length;
        error = visit_items(objects, object, most, visit, context);
        most -= object->length < most ? object->length : most;
    }
    if (!error && object->type->shape == TM_SHAPE_TYPE)
        return NULL;
    return error ? error : visit_attributes(objects, object, most, visit, context, total);
}

// ---------------------------------------------------------------------------------------------------------------
// Values

static struct tm_error *show(struct show *show, uint64_t address);

struct items {
    struct show *show;
    uint64_t count;
};

static struct tm_error *show_item(void *context, const struct tm_member *member)
{
    struct items *items = context;
    struct tm_error *error = NULL;
    if (items->count++ > 0)
        tm_text_add(items->show->text, ", ");
    if (member->key) {
        error = show(items->show, member->key);
        tm_text_add(items->show->text, ": ");
    }
    return error ? error : show(items->show, member->value);
}

static struct tm_error *show_container(struct show *outer, const struct tm_object *object)
{
    static const struct {
        const char *type, *begin, *end, *empty;
    } brackets[] = {{"list", "[", "]", "[]"},
                    {"tuple", "(", ")", "()"},
                    {"dict", "{", "}", "{}"},
                    {"set", "{", "}", "set()"},
                    {"frozenset", "frozenset({", "})", "frozenset()"}};
    unsigned which = 0;
    while (which < 4 && !tm_type_is(object->type, brackets[which].type))
        which++;
    if (object->length == 0) {
        tm_text_add(outer->text, brackets[which].empty);
        return NULL;
    }
    tm_text_add(outer->text, brackets[which].begin);
    struct items items = {outer, 0};
    struct tm_error *error = NULL;
    if (outer->level == 0) {
        outer->level++;
        error = visit_items(outer->objects, object, MOST_ITEMS, show_item, &items);
        outer->level--;
    }
    if (items.count < object->length) {
        tm_text_add(outer->text, items.count ? ", ..." : "...");
        outer->truncated = true;
    } else if (which == 1 && object->length == 1) {
        tm_text_add(outer->text, ",");
    }
    tm_text_add(outer->text, brackets[which].end);
    return error;
}

// Whether the object is a container with a repr() of its own; exactly that type, since a subclass may have another.
static bool is_container(const struct tm_object *object)
{
    static const char *const names[] = {"list", "tuple", "dict", "set", "frozenset"};
    for (size_t i = 0; object->has_length && i < sizeof(names) / sizeof(names[0]); i++)
        if (tm_type_is(object->type, names[i]))
            return true;
    return false;
}

// False: the object has no value that can be shown.
static bool show_scalar(struct show *show, const struct tm_object *object)
{
    const struct tm_type *type = object->type;
    uint64_t word;
    if (type->is_heap)
        return false;
    if (tm_type_is(type, "str"))
        return show_str(show, object->address);
    if (tm_type_is(type, "bytes"))
        return object->has_length && show_bytes(show, object->address + TM_BYTES_DATA, object->length);
    if (tm_type_is(type, "int"))
        return show_int(show, object->address);
    if (tm_type_is(type, "float"))
        return show_float(show, object->address);
    if (tm_type_is(type, "bool") && tm_objects_word(show->objects, object->address + TM_VAR_SIZE, &word)) {
        bool tagged = show->objects->cpython->int_has_tag;
        tm_text_add(show->text, (tagged ? word >> 3 : word) ? "True" : "False");
        return true;
    }
    const char *constant = tm_type_is(type, "NoneType")             ? "None"
                           : tm_type_is(type, "ellipsis")           ? "Ellipsis"
                           : tm_type_is(type, "NotImplementedType") ? "NotImplemented"
                                                                    : NULL;
    if (constant)
        tm_text_add(show->text, constant);
    return constant;
}

static struct tm_error *show(struct show *show, uint64_t address)
{
    struct tm_object object;
    bool found;
    if (address == 0) {
        tm_text_add(show->text, "NULL");
        return NULL;
    }
    struct tm_error *error = tm_object_at(show->objects, address, &object, &found);
    if (error)
        return error;
    if (!found) {
        tm_text_printf(show->text, "<unknown at 0x%" PRIx64 ">", address);
        return NULL;
    }
    size_t length = show->text->length;
    if (show_scalar(show, &object))
        return tm_objects_check(show->objects);
    if (show->text->length > length) { // what was begun made no sense
        show->text->length = length;
        show->text->bytes[length] = '\0';
    }
    if (!object.type->is_heap && is_container(&object))
        return show_container(show, &object);
    return tm_show_name(show->objects, &object, show->text);
}

struct tm_error *tm_show_value(struct tm_objects *objects, uint64_t address, struct tm_text *text, bool *truncated)
{
    struct show context = {.objects = objects, .text = text};
    struct tm_error *error = show(&context, address);
    *truncated = context.truncated;
    return error;
}

struct tm_error *tm_show_key(struct tm_objects *objects, uint64_t address, struct tm_text *text)
{
    struct show context = {.objects = objects, .text = text, .level = 1};
    return show(&context, address);
}

struct tm_error *tm_show_short(struct tm_objects *objects, uint64_t address, struct tm_text *text)
{
    struct show context = {.objects = objects, .text = text, .level = 1};
    struct tm_object object;
    bool found;
    struct tm_error *error = tm_object_at(objects, address, &object, &found);
    if (error || !found || !has_items(&object))
        return error ? error : show(&context, address);
    show_at(&object, text);
    tm_text_printf(text, " (%" PRIu64 " item%s)", object.length, object.length == 1 ? "" : "s");
    return NULL;
}
