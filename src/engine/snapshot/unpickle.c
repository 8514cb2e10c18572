// A pickle is a program for a machine with a stack, a memo and marks. This is that machine without its dangerous
// half: it builds values in an arena, each a few words for the bytes that made it, and refuses what it does not know.

#include "engine/snapshot/unpickle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/text.h"
#include "engine/base/utf8.h"
#include "engine/snapshot/opcodes.h"
#include "engine/target/target.h"

#define WINDOW ((size_t)256 << 10)
#define PROTOCOL_LEAST 2u
#define PROTOCOL_MOST 5u
// No file name is longer; a longer one would only make the debugger allocate.
#define STRING_LIMIT TM_READ_LIMIT
#define CLASS_NAME_LIMIT 256u
#define KIND_BITS 4u
#define SMALL_LIMIT (UINT64_C(1) << (64 - KIND_BITS))

// Opcodes that no snapshot contains, by name, for the error.
static const struct {
    unsigned char opcode;
    const char *name;
} refused_opcodes[] = {
    {'R', "REDUCE"},
    {'i', "INST"},
    {'o', "OBJ"},
    {0x92, "NEWOBJ_EX"},
    {'P', "PERSID"},
    {'Q', "BINPERSID"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x88, "NEWTRUE"},
    {0x89, "NEWFALSE"},
    {'F', "FLOAT"},
    {'G', "BINFLOAT"},
    {'I', "INT"},
    {'L', "LONG"},
    {'S', "STRING"},
    {'T', "BINSTRING"},
    {'U', "SHORT_BINSTRING"},
    {'V', "UNICODE"},
    {'B', "BINBYTES"},
    {'C', "SHORT_BINBYTES"},
    {0x8e, "BINBYTES8"},
    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
    {0x8f, "EMPTY_SET"},
    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},
    {'d', "DICT"},
    {'l', "LIST"},
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'g', "GET"},
    {'p', "PUT"},
};

struct tuple {
    uint64_t count;
    tm_pickled items[];
};

// Values that grow: of a list, of a dict (keys and values alternate), on the stack, in the memo.
struct values {
    tm_pickled *items;
    size_t count;
    size_t capacity;
};

// A list or a dict; listed, so that its values are freed.
struct container {
    struct values values;
    struct container *next;
};

struct object {
    enum tm_pickled_class class_;
    tm_pickled state; // 0: none yet
};

struct tm_unpickled {
    struct tm_arena arena;
    struct container *containers;
    tm_pickled value;
};

struct reader {
    struct tm_target *file;
    const struct tm_host *host;
    struct tm_pool *pool;
    struct tm_unpickled *result;
    uint64_t size;     // of the file
    uint64_t position; // of the next byte
    uint64_t opcode_position;
    unsigned char opcode;
    unsigned char *window; // bytes [window_start, window_end) of the file
    uint64_t window_start;
    uint64_t window_end;
    struct values stack;
    struct values memo; // 0: not there
    uint64_t memoized;  // how many indices are used: the index of the next MEMOIZE
    uint64_t *marks;    // heights of the stack
    size_t mark_count;
    size_t mark_capacity;
};

// ---------------------------------------------------------------------------------------------------------------
// Errors

#define WHAT_TO_GIVE "Give a file that tm-save or Snapshot.dump() of tracemalloc wrote."

static struct tm_error *make_error(enum tm_error_code code, const char *format, va_list arguments)
{
    char reason[2 * CLASS_NAME_LIMIT + 256];
    vsnprintf(reason, sizeof(reason), format, arguments);
    return tm_error_create(code, "this is not a snapshot of tracemalloc: %s\n" WHAT_TO_GIVE, reason);
}

struct tm_error *tm_not_a_snapshot(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct tm_error *error = make_error(TM_ERROR_CORRUPT, format, arguments);
    va_end(arguments);
    return error;
}

static struct tm_error *corrupt(const struct reader *reader, const char *what)
{
    return tm_not_a_snapshot("at byte %" PRIu64 ": %s", reader->opcode_position, what);
}

__attribute__((format(printf, 1, 2))) static struct tm_error *refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct tm_error *error = make_error(TM_ERROR_UNSUPPORTED, format, arguments);
    va_end(arguments);
    return error;
}

static struct tm_error *refuse_opcode(const struct reader *reader)
{
    for (size_t i = 0; i < sizeof(refused_opcodes) / sizeof(refused_opcodes[0]); i++) {
        if (refused_opcodes[i].opcode == reader->opcode)
            return refuse("at byte %" PRIu64 ": the pickle opcode %s, which no snapshot contains and which is not run",
                          reader->opcode_position, refused_opcodes[i].name);
    }
    return corrupt(reader, "this is not an opcode of a pickle");
}

// ---------------------------------------------------------------------------------------------------------------
// Bytes

static uint64_t bytes_left(const struct reader *reader)
{
    return reader->size - reader->position;
}

// Have the next `length` bytes, at most WINDOW, in the window, at *bytes.
static struct tm_error *need(struct reader *reader, uint64_t length, const unsigned char **bytes)
{
    if (length > bytes_left(reader))
        return corrupt(reader, "the file ends too early");
    if (reader->position + length > reader->window_end) {
        struct tm_error *error = tm_host_check(reader->host);
        if (error)
            return error;
        uint64_t count = bytes_left(reader) < WINDOW ? bytes_left(reader) : WINDOW;
        if (!tm_target_try_read(reader->file, reader->position, reader->window, count))
            return tm_error_create(TM_ERROR_FAULT, "cannot read %" PRIu64 " bytes of the file at byte %" PRIu64, count,
                                   reader->position);
        reader->window_start = reader->position;
        reader->window_end = reader->position + count;
        tm_host_progress(reader->host, "reading the snapshot", reader->window_end, reader->size);
    }
    *bytes = reader->window + (reader->position - reader->window_start);
    return NULL;
}

// A little-endian number of `width` bytes.
static struct tm_error *take_number(struct reader *reader, unsigned width, uint64_t *result)
{
    const unsigned char *bytes;
    struct tm_error *error = need(reader, width, &bytes);
    if (error)
        return error;
    *result = tm_load_number(bytes, width);
    reader->position += width;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Values

static tm_pickled make(enum tm_pickled_kind kind, const void *pointer)
{
    return (tm_pickled){(uint64_t)(uintptr_t)pointer | kind};
}

// Arenas and pools align what they allocate, so that the kind has room.
static const void *pointer_of(tm_pickled value)
{
    return (const void *)(uintptr_t)(value.word & ~(uint64_t)15);
}

static struct tm_error *values_push(struct values *values, tm_pickled value)
{
    if (!TM_GROW(&values->items, values->count + 1, &values->capacity))
        return tm_error_no_memory();
    values->items[values->count++] = value;
    return NULL;
}

static struct tm_error *push(struct reader *reader, tm_pickled value)
{
    return values_push(&reader->stack, value);
}

// The height below which an opcode may not take anything from the stack.
static uint64_t floor_of(const struct reader *reader)
{
    return reader->mark_count ? reader->marks[reader->mark_count - 1] : 0;
}

// The `count` values on top of the stack; if `count` is 0, *values stays as it is.
static struct tm_error *top(const struct reader *reader, uint64_t count, tm_pickled **values)
{
    if (reader->stack.count - floor_of(reader) < count)
        return corrupt(reader, "an opcode finds too little on the stack");
    if (count > 0)
        *values = reader->stack.items + (reader->stack.count - count);
    return NULL;
}

static struct tm_error *push_mark(struct reader *reader)
{
    if (!TM_GROW(&reader->marks, reader->mark_count + 1, &reader->mark_capacity))
        return tm_error_no_memory();
    reader->marks[reader->mark_count++] = reader->stack.count;
    return NULL;
}

// How many values are above the last mark, which is then removed.
static struct tm_error *pop_mark(struct reader *reader, uint64_t *count)
{
    if (reader->mark_count == 0)
        return corrupt(reader, "an opcode finds no mark");
    *count = reader->stack.count - reader->marks[--reader->mark_count];
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Numbers and strings

static struct tm_error *push_number(struct reader *reader, uint64_t number)
{
    if (number < SMALL_LIMIT)
        return push(reader, (tm_pickled){number << KIND_BITS | TM_PICKLED_NUMBER});
    uint64_t *big = tm_arena_allocate(&reader->result->arena, sizeof(*big));
    if (!big)
        return tm_error_no_memory();
    *big = number;
    return push(reader, make(TM_PICKLED_BIG_NUMBER, big));
}

static struct tm_error *push_negative(struct reader *reader)
{
    return push(reader,
                (tm_pickled){TM_PICKLED_NEGATIVE}); // how far below 0 does not matter: no number in a snapshot is
}

static struct tm_error *load_number(struct reader *reader, unsigned width)
{
    uint64_t number;
    struct tm_error *error = take_number(reader, width, &number);
    if (error)
        return error;
    bool negative = reader->opcode == TM_PICKLE_BININT && number >> 31;
    return negative ? push_negative(reader) : push_number(reader, number);
}

// A number of any length, in two's complement.
static struct tm_error *load_long(struct reader *reader, unsigned width)
{
    uint64_t length, number = 0;
    struct tm_error *error = take_number(reader, width, &length);
    if (error)
        return error;
    const unsigned char *bytes = NULL;
    if (length > WINDOW)
        return corrupt(reader, "a number is too large");
    error = need(reader, length, &bytes);
    if (error)
        return error;
    reader->position += length;
    if (length && bytes[length - 1] & 0x80)
        return push_negative(reader);
    for (uint64_t i = 0; i < length; i++) {
        if (i >= sizeof(number) && bytes[i])
            return corrupt(reader, "a number is too large");
        if (i < sizeof(number))
            number |= (uint64_t)bytes[i] << 8 * i;
    }
    return push_number(reader, number);
}

static bool is_utf8(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t size = tm_utf8_decode(bytes + i, length - i, &code_point);
        if (size == 1 && code_point >= 0x80) // a stray byte
            return false;
        i += size;
    }
    return true;
}

static struct tm_error *push_string(struct reader *reader, const char *bytes, uint64_t length)
{
    const struct tm_name *name;
    if (!is_utf8(bytes, (size_t)length))
        return corrupt(reader, "a string is not UTF-8");
    struct tm_error *error = tm_pool_name(reader->pool, bytes, (uint32_t)length, &name);
    return error ? error : push(reader, make(TM_PICKLED_STRING, name));
}

// A string that is longer than the window.
static struct tm_error *load_long_string(struct reader *reader, uint64_t length)
{
    char *bytes = malloc((size_t)length);
    if (!bytes)
        return tm_error_no_memory();
    struct tm_error *error = NULL;
    for (uint64_t done = 0; done < length && !error;) {
        const unsigned char *part;
        uint64_t count = length - done < WINDOW ? length - done : WINDOW;
        error = need(reader, count, &part);
        if (error)
            break;
        memcpy(bytes + done, part, (size_t)count);
        reader->position += count;
        done += count;
    }
    if (!error)
        error = push_string(reader, bytes, length);
    free(bytes);
    return error;
}

static struct tm_error *load_string(struct reader *reader, unsigned width)
{
    uint64_t length;
    const unsigned char *bytes;
    struct tm_error *error = take_number(reader, width, &length);
    if (error)
        return error;
    if (length > bytes_left(reader))
        return corrupt(reader, "the file ends too early");
    if (length > STRING_LIMIT)
        return corrupt(reader, "a string is too long");
    if (length > WINDOW)
        return load_long_string(reader, length);
    error = need(reader, length, &bytes);
    if (error)
        return error;
    reader->position += length;
    return push_string(reader, (const char *)bytes, length);
}

// ---------------------------------------------------------------------------------------------------------------
// Tuples, lists and dicts

// Makes a tuple of the `count` values on top of the stack.
static struct tm_error *make_tuple(struct reader *reader, uint64_t count)
{
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, count, &values);
    if (error)
        return error;
    struct tuple *tuple = tm_arena_allocate(&reader->result->arena, sizeof(*tuple) + count * sizeof(*values));
    if (!tuple)
        return tm_error_no_memory();
    tuple->count = count;
    if (count)
        memcpy(tuple->items, values, count * sizeof(*values));
    reader->stack.count -= count;
    return push(reader, make(TM_PICKLED_TUPLE, tuple));
}

static struct tm_error *make_marked_tuple(struct reader *reader)
{
    uint64_t count = 0;
    struct tm_error *error = pop_mark(reader, &count);
    return error ? error : make_tuple(reader, count);
}

static struct tm_error *make_container(struct reader *reader, enum tm_pickled_kind kind)
{
    struct container *container = tm_arena_allocate(&reader->result->arena, sizeof(*container));
    if (!container)
        return tm_error_no_memory();
    *container = (struct container){.next = reader->result->containers};
    reader->result->containers = container;
    return push(reader, make(kind, container));
}

// Move the `count` values on top of the stack into the list or dict below them.
static struct tm_error *fill(struct reader *reader, enum tm_pickled_kind kind, uint64_t count)
{
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, count + 1, &values);
    if (error)
        return error;
    if (tm_pickled_kind(values[0]) != kind)
        return corrupt(reader, kind == TM_PICKLED_LIST ? "something is appended to what is not a list"
                                                       : "an item is set in what is not a dict");
    if (kind == TM_PICKLED_DICT && count % 2)
        return corrupt(reader, "a key has no value");
    struct container *container = (struct container *)(uintptr_t)pointer_of(values[0]);
    for (uint64_t i = 1; i <= count && !error; i++)
        error = values_push(&container->values, values[i]);
    reader->stack.count -= count;
    return error;
}

static struct tm_error *fill_marked(struct reader *reader, enum tm_pickled_kind kind)
{
    uint64_t count = 0;
    struct tm_error *error = pop_mark(reader, &count);
    return error ? error : fill(reader, kind, count);
}

// ---------------------------------------------------------------------------------------------------------------
// Classes and objects

static const char *const class_names[] = {"Snapshot", "_Traces"};

static bool is_word(const char *bytes, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(bytes, word, length) == 0;
}

static struct tm_error *push_class(struct reader *reader, const char *module, size_t module_length, const char *name,
                                   size_t name_length)
{
    char shown_module[CLASS_NAME_LIMIT], shown_name[CLASS_NAME_LIMIT];
    for (uint64_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++) {
        if (is_word(module, module_length, "tracemalloc") && is_word(name, name_length, class_names[i]))
            return push(reader, (tm_pickled){i << KIND_BITS | TM_PICKLED_CLASS});
    }
    tm_escape_into(shown_module, sizeof(shown_module), module, module_length);
    tm_escape_into(shown_name, sizeof(shown_name), name, name_length);
    return refuse("at byte %" PRIu64 ": the class %s.%s, but a snapshot contains only tracemalloc.Snapshot and "
                  "tracemalloc._Traces",
                  reader->opcode_position, shown_module, shown_name);
}

// A line of text without its newline. It is copied, since the window moves on.
static struct tm_error *take_line(struct reader *reader, char *line, size_t *length)
{
    for (*length = 0; *length < CLASS_NAME_LIMIT; ++*length) {
        uint64_t byte;
        struct tm_error *error = take_number(reader, 1, &byte);
        if (error)
            return error;
        if (byte == '\n')
            return NULL;
        line[*length] = (char)byte;
    }
    return corrupt(reader, "a name is too long");
}

static struct tm_error *load_global(struct reader *reader)
{
    char module[CLASS_NAME_LIMIT], name[CLASS_NAME_LIMIT];
    size_t module_length, name_length;
    struct tm_error *error = take_line(reader, module, &module_length);
    if (!error)
        error = take_line(reader, name, &name_length);
    return error ? error : push_class(reader, module, module_length, name, name_length);
}

static struct tm_error *load_stack_global(struct reader *reader)
{
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, 2, &values);
    if (error)
        return error;
    const struct tm_name *module = tm_pickled_string(values[0]), *name = tm_pickled_string(values[1]);
    if (!module || !name)
        return corrupt(reader, "the name of a class is not a string");
    reader->stack.count -= 2;
    return push_class(reader, module->bytes, module->length, name->bytes, name->length);
}

// Class, arguments -> object.
static struct tm_error *make_object(struct reader *reader)
{
    tm_pickled *values = NULL;
    const tm_pickled *arguments;
    uint64_t count;
    struct tm_error *error = top(reader, 2, &values);
    if (error)
        return error;
    if (tm_pickled_kind(values[0]) != TM_PICKLED_CLASS)
        return corrupt(reader, "an object is made of what is not a class");
    if (!tm_pickled_tuple(values[1], &arguments, &count) || count != 0)
        return corrupt(reader, "an object is made with arguments");
    struct object *object = tm_arena_allocate(&reader->result->arena, sizeof(*object));
    if (!object)
        return tm_error_no_memory();
    *object = (struct object){(enum tm_pickled_class)(values[0].word >> KIND_BITS), {0}};
    reader->stack.count -= 2;
    return push(reader, make(TM_PICKLED_OBJECT, object));
}

// Object, state -> object.
static struct tm_error *build(struct reader *reader)
{
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, 2, &values);
    if (error)
        return error;
    if (tm_pickled_kind(values[0]) != TM_PICKLED_OBJECT || tm_pickled_kind(values[1]) != TM_PICKLED_DICT)
        return corrupt(reader, "a state is not a dict, or is given to what is not an object");
    ((struct object *)(uintptr_t)pointer_of(values[0]))->state = values[1];
    reader->stack.count--;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The memo

static struct tm_error *put(struct reader *reader, uint64_t index)
{
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, 1, &values);
    if (error)
        return error;
    // Writers count upwards and use at least a byte for each index, so the memo is no larger than the file.
    if (index >= reader->size)
        return corrupt(reader, "an impossible index for the memo");
    while (index >= reader->memo.count && !error)
        error = values_push(&reader->memo, (tm_pickled){0});
    if (error)
        return error;
    reader->memoized += !reader->memo.items[index].word;
    reader->memo.items[index] = values[0];
    return NULL;
}

static struct tm_error *load_put(struct reader *reader, unsigned width)
{
    uint64_t index;
    struct tm_error *error = take_number(reader, width, &index);
    return error ? error : put(reader, index);
}

static struct tm_error *load_get(struct reader *reader, unsigned width)
{
    uint64_t index;
    struct tm_error *error = take_number(reader, width, &index);
    if (error)
        return error;
    if (index >= reader->memo.count || !reader->memo.items[index].word)
        return corrupt(reader, "the memo has nothing under this index");
    return push(reader, reader->memo.items[index]);
}

// ---------------------------------------------------------------------------------------------------------------
// The machine

static struct tm_error *load_protocol(struct reader *reader)
{
    uint64_t protocol;
    struct tm_error *error = take_number(reader, 1, &protocol);
    if (error || (protocol >= PROTOCOL_LEAST && protocol <= PROTOCOL_MOST))
        return error;
    return refuse("its pickle protocol is %" PRIu64 ", and only %u to %u are read", protocol, PROTOCOL_LEAST,
                  PROTOCOL_MOST);
}

static struct tm_error *load_frame(struct reader *reader)
{
    uint64_t length;
    struct tm_error *error = take_number(reader, 8, &length);
    return error || length <= bytes_left(reader) ? error : corrupt(reader, "a frame is cut short");
}

static struct tm_error *step(struct reader *reader)
{
    switch (reader->opcode) {
    case TM_PICKLE_PROTO:
        return load_protocol(reader);
    case TM_PICKLE_FRAME:
        return load_frame(reader);
    case TM_PICKLE_MARK:
        return push_mark(reader);
    case TM_PICKLE_NONE:
        return push(reader, (tm_pickled){TM_PICKLED_NONE});
    case TM_PICKLE_BININT:
        return load_number(reader, 4);
    case TM_PICKLE_BININT1:
        return load_number(reader, 1);
    case TM_PICKLE_BININT2:
        return load_number(reader, 2);
    case TM_PICKLE_LONG1:
        return load_long(reader, 1);
    case TM_PICKLE_LONG4:
        return load_long(reader, 4);
    case TM_PICKLE_SHORT_BINUNICODE:
        return load_string(reader, 1);
    case TM_PICKLE_BINUNICODE:
        return load_string(reader, 4);
    case TM_PICKLE_BINUNICODE8:
        return load_string(reader, 8);
    case TM_PICKLE_EMPTY_TUPLE:
        return make_tuple(reader, 0);
    case TM_PICKLE_TUPLE1:
        return make_tuple(reader, 1);
    case TM_PICKLE_TUPLE2:
        return make_tuple(reader, 2);
    case TM_PICKLE_TUPLE3:
        return make_tuple(reader, 3);
    case TM_PICKLE_TUPLE:
        return make_marked_tuple(reader);
    case TM_PICKLE_EMPTY_LIST:
        return make_container(reader, TM_PICKLED_LIST);
    case TM_PICKLE_APPEND:
        return fill(reader, TM_PICKLED_LIST, 1);
    case TM_PICKLE_APPENDS:
        return fill_marked(reader, TM_PICKLED_LIST);
    case TM_PICKLE_EMPTY_DICT:
        return make_container(reader, TM_PICKLED_DICT);
    case TM_PICKLE_SETITEM:
        return fill(reader, TM_PICKLED_DICT, 2);
    case TM_PICKLE_SETITEMS:
        return fill_marked(reader, TM_PICKLED_DICT);
    case TM_PICKLE_GLOBAL:
        return load_global(reader);
    case TM_PICKLE_STACK_GLOBAL:
        return load_stack_global(reader);
    case TM_PICKLE_NEWOBJ:
        return make_object(reader);
    case TM_PICKLE_BUILD:
        return build(reader);
    case TM_PICKLE_BINPUT:
        return load_put(reader, 1);
    case TM_PICKLE_LONG_BINPUT:
        return load_put(reader, 4);
    case TM_PICKLE_MEMOIZE:
        return put(reader, reader->memoized);
    case TM_PICKLE_BINGET:
        return load_get(reader, 1);
    case TM_PICKLE_LONG_BINGET:
        return load_get(reader, 4);
    default:
        return refuse_opcode(reader);
    }
}

static struct tm_error *run(struct reader *reader)
{
    for (;;) {
        const unsigned char *opcode;
        reader->opcode_position = reader->position;
        struct tm_error *error = need(reader, 1, &opcode);
        if (error)
            return error;
        reader->opcode = *opcode;
        reader->position++;
        if (reader->opcode == TM_PICKLE_STOP)
            break;
        error = step(reader);
        if (error)
            return error;
    }
    tm_pickled *values = NULL;
    struct tm_error *error = top(reader, 1, &values);
    if (!error)
        reader->result->value = values[0];
    return error;
}

struct tm_error *tm_unpickle(struct tm_target *file, const struct tm_host *host, struct tm_pool *pool,
                             struct tm_unpickled **result)
{
    struct reader reader = {.file = file, .host = host, .pool = pool, .size = tm_target_file_size(file)};
    reader.result = calloc(1, sizeof(*reader.result));
    reader.window = malloc(reader.size < WINDOW ? (size_t)reader.size + 1 : WINDOW);
    struct tm_error *error = reader.result && reader.window ? run(&reader) : tm_error_no_memory();
    free(reader.window);
    free(reader.stack.items);
    free(reader.memo.items);
    free(reader.marks);
    if (error)
        tm_unpickled_destroy(reader.result);
    else
        *result = reader.result;
    return error;
}

void tm_unpickled_destroy(struct tm_unpickled *unpickled)
{
    if (!unpickled)
        return;
    for (struct container *container = unpickled->containers; container; container = container->next)
        free(container->values.items);
    tm_arena_deinit(&unpickled->arena);
    free(unpickled);
}

// ---------------------------------------------------------------------------------------------------------------
// Access

tm_pickled tm_unpickled_value(const struct tm_unpickled *unpickled)
{
    return unpickled->value;
}

const char *tm_pickled_describe(tm_pickled value)
{
    switch (tm_pickled_kind(value)) {
    case TM_PICKLED_NONE:
        return "None";
    case TM_PICKLED_NUMBER:
    case TM_PICKLED_BIG_NUMBER:
        return "a number";
    case TM_PICKLED_NEGATIVE:
        return "a negative number";
    case TM_PICKLED_STRING:
        return "a string";
    case TM_PICKLED_TUPLE:
        return "a tuple";
    case TM_PICKLED_LIST:
        return "a list";
    case TM_PICKLED_DICT:
        return "a dict";
    case TM_PICKLED_CLASS:
        return "a class";
    case TM_PICKLED_OBJECT:
        return "an object";
    }
    return "nothing";
}

bool tm_pickled_number(tm_pickled value, uint64_t *result)
{
    if (tm_pickled_kind(value) == TM_PICKLED_NUMBER)
        *result = value.word >> KIND_BITS;
    else if (tm_pickled_kind(value) == TM_PICKLED_BIG_NUMBER)
        *result = *(const uint64_t *)pointer_of(value);
    else
        return false;
    return true;
}

const struct tm_name *tm_pickled_string(tm_pickled value)
{
    return tm_pickled_kind(value) == TM_PICKLED_STRING ? pointer_of(value) : NULL;
}

bool tm_pickled_tuple(tm_pickled value, const tm_pickled **items, uint64_t *count)
{
    if (tm_pickled_kind(value) != TM_PICKLED_TUPLE)
        return false;
    const struct tuple *tuple = pointer_of(value);
    *items = tuple->items;
    *count = tuple->count;
    return true;
}

bool tm_pickled_list(tm_pickled value, const tm_pickled **items, uint64_t *count)
{
    if (tm_pickled_kind(value) != TM_PICKLED_LIST)
        return false;
    const struct container *list = pointer_of(value);
    *items = list->values.items;
    *count = list->values.count;
    return true;
}

bool tm_pickled_attribute(tm_pickled value, enum tm_pickled_class class_, const char *name, tm_pickled *result)
{
    if (tm_pickled_kind(value) != TM_PICKLED_OBJECT)
        return false;
    const struct object *object = pointer_of(value);
    if (object->class_ != class_ || tm_pickled_kind(object->state) != TM_PICKLED_DICT)
        return false;
    const struct values *values = &((const struct container *)pointer_of(object->state))->values;
    for (uint64_t i = values->count; i >= 2; i -= 2) { // the last one counts
        const struct tm_name *key = tm_pickled_string(values->items[i - 2]);
        if (key && is_word(key->bytes, key->length, name)) {
            *result = values->items[i - 1];
            return true;
        }
    }
    return false;
}
