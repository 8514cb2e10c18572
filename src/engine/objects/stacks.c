// From _PyRuntime to interpreters, thread states, frames and code objects.

#include "engine/objects/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/objects/strings.h"
#include "engine/objects/types.h"
#include "layout/lines.h"

enum {
    MOST_INTERPRETERS = 256,
    MOST_THREADS = 1 << 16,
    MOST_FRAMES = 1 << 20, // of a thread: a runaway recursion has many
    MOST_LOCALS = 1 << 16,
    MOST_LINE_BYTES = 1 << 22,
    THREAD_INTERPRETER = 16, // PyThreadState.interp, in all releases
    OWNER_GENERATOR = 1,
    OWNER_C_STACK = 3, // a frame of the interpreter's own
    LONGEST_NAME = 1024,
    // _PyStackChunk
    CHUNK_PREVIOUS = 0,
    CHUNK_SIZE = 8,
    CHUNK_TOP = 16, // words in use, of all chunks but the newest
    CHUNK_DATA = 24,
};
#define MOST_CHUNK_SIZE (UINT64_C(1) << 32)
static const char cookie[8] = "xdebugpy"; // from 3.13 on _PyRuntime begins with it

// ---------------------------------------------------------------------------------------------------------------
// Code

static struct tm_error *read_name(struct tm_objects *objects, uint64_t code, unsigned offset,
                                  const struct tm_name **result)
{
    char name[LONGEST_NAME];
    uint64_t address;
    *result = NULL;
    if (!offset || !tm_objects_word(objects, code + offset, &address) ||
        !tm_string_read(objects, address, name, sizeof(name)))
        return tm_heap_cache_error(objects->heap);
    return tm_pool_name(objects->pool, name, (uint32_t)strlen(name), result);
}

// The line of an instruction, by its offset in bytes; 0: not known.
static struct tm_error *read_line(struct tm_objects *objects, uint64_t code, int64_t instruction, int64_t *result)
{
    uint64_t table, length;
    uint32_t first_line;
    *result = 0;
    if (!tm_objects_int(objects, code + objects->cpython->code_first_line, &first_line) ||
        !tm_objects_word(objects, code + objects->cpython->code_lines, &table) ||
        !tm_objects_word(objects, table + TM_VAR_SIZE, &length) || length > MOST_LINE_BYTES ||
        instruction > INT32_MAX || instruction < -2)
        return tm_heap_cache_error(objects->heap);
    uint8_t *bytes = malloc(length + 1);
    if (!bytes)
        return tm_error_no_memory();
    if (tm_objects_read(objects, table + TM_BYTES_DATA, bytes, length)) {
        const struct tm_lines lines = {bytes, (uint32_t)length, objects->cpython->line_table, (int32_t)first_line};
        int64_t line = tm_lines_at(&lines, (int32_t)instruction);
        *result = line > 0 ? line : 0;
    }
    free(bytes);
    return tm_heap_cache_error(objects->heap);
}

// How many variables the frames of a code object have. Up to 3.10 they are in three tuples.
static uint32_t count_locals(struct tm_objects *objects, uint64_t code)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint32_t count = 0;
    uint64_t tuple, length;
    if (!tm_objects_int(objects, code + cpython->code_local_count, &count))
        return 0;
    const unsigned more[] = {cpython->code_cells, cpython->code_free};
    for (unsigned i = 0; i < 2; i++)
        if (more[i] && tm_objects_word(objects, code + more[i], &tuple) &&
            tm_objects_word(objects, tuple + TM_VAR_SIZE, &length) && length < MOST_LOCALS)
            count += (uint32_t)length;
    return count < MOST_LOCALS ? count : 0;
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

// Where a frame is in its code, in bytes. False: it does not run yet, or is not one of Python's.
static bool read_instruction(struct tm_objects *objects, uint64_t frame, uint64_t code, int64_t *result)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t instruction;
    uint32_t index, first;
    unsigned char owner;
    if (cpython->instruction_unit) {
        if (!tm_objects_int(objects, frame + cpython->frame_instruction, &index))
            return false;
        *result = (int64_t)(int32_t)index * cpython->instruction_unit;
        return true;
    }
    if (!tm_objects_word(objects, frame + cpython->frame_instruction, &instruction) ||
        !tm_objects_read(objects, frame + cpython->frame_owner, &owner, 1) ||
        !tm_objects_int(objects, code + cpython->code_first_traceable, &first))
        return false;
    *result = (int64_t)(instruction - (code + cpython->code_bytecode));
    return owner < OWNER_C_STACK && (owner == OWNER_GENERATOR || *result >= (int64_t)first * 2);
}

static struct tm_error *visit_frame(struct tm_objects *objects, const struct tm_stack_visitor *visitor,
                                    uint64_t address)
{
    const struct tm_cpython *cpython = objects->cpython;
    struct tm_python_frame frame = {.address = address, .locals = address + cpython->frame_locals};
    const struct tm_type *type;
    uint64_t type_address;
    int64_t instruction;
    if (!tm_objects_word(objects, address + cpython->frame_code, &frame.code))
        return tm_objects_check(objects);
    frame.code &= ~(uint64_t)cpython->frame_tags;
    if (!tm_objects_word(objects, frame.code + TM_OBJECT_TYPE, &type_address))
        return tm_objects_check(objects);
    struct tm_error *error = tm_type_get(objects, type_address, &type);
    if (error || !type || !read_instruction(objects, address, frame.code, &instruction))
        return error;
    if (type->name && type->shape != TM_SHAPE_CODE)
        return NULL; // the interpreter's own, which runs no code object
    error = read_name(objects, frame.code, cpython->code_filename, &frame.file_name);
    if (!error)
        error = read_name(objects, frame.code, cpython->code_name, &frame.name);
    if (!error)
        error = read_name(objects, frame.code, cpython->code_qualname, &frame.qualified_name);
    if (!error)
        error = read_line(objects, frame.code, instruction, &frame.line);
    frame.local_count = count_locals(objects, frame.code);
    return error ? error : visitor->frame(visitor->context, &frame);
}

static bool newest_frame(struct tm_objects *objects, uint64_t state, uint64_t *result)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t cframe;
    if (!cpython->thread_cframe)
        return tm_objects_word(objects, state + cpython->thread_frame, result);
    return tm_objects_word(objects, state + cpython->thread_cframe, &cframe) &&
           tm_objects_word(objects, cframe + cpython->cframe_frame, result);
}

static struct tm_error *visit_frames(struct tm_objects *objects, const struct tm_stack_visitor *visitor, uint64_t state,
                                     bool *incomplete)
{
    uint64_t frame;
    bool readable = newest_frame(objects, state, &frame);
    for (unsigned i = 0; readable && frame && i < MOST_FRAMES; i++) {
        struct tm_error *error = visit_frame(objects, visitor, frame);
        if (!error && i % 1024 == 1023)
            error = tm_objects_check(objects);
        if (error)
            return error;
        readable = tm_objects_word(objects, frame + objects->cpython->frame_previous, &frame);
    }
    *incomplete = *incomplete || !readable || frame;
    return NULL;
}

bool tm_local_name(struct tm_objects *objects, uint64_t code, uint32_t index, char *name, size_t capacity)
{
    const struct tm_cpython *cpython = objects->cpython;
    const unsigned tuples[] = {cpython->code_locals, cpython->code_cells, cpython->code_free};
    uint64_t tuple, length, text;
    for (unsigned i = 0; i < 3 && tuples[i]; i++) {
        if (!tm_objects_word(objects, code + tuples[i], &tuple) ||
            !tm_objects_word(objects, tuple + TM_VAR_SIZE, &length))
            return false;
        if (index < length)
            return tm_objects_word(objects, tuple + cpython->tuple_items + 8 * (uint64_t)index, &text) &&
                   tm_string_read(objects, text, name, capacity);
        index -= (uint32_t)length;
    }
    return false;
}

bool tm_frame_local(struct tm_objects *objects, const struct tm_python_frame *frame, uint32_t index, char *name,
                    size_t capacity, uint64_t *value)
{
    const struct tm_type *type;
    uint64_t type_address;
    if (!tm_local_name(objects, frame->code, index, name, capacity) ||
        !tm_objects_word(objects, frame->locals + 8 * (uint64_t)index, value))
        return false;
    const uint64_t tags = objects->cpython->frame_tags;
    if (*value == 0 || (tags && (*value & tags) == tags)) // a number of the interpreter's own, and no object
        return false;
    *value &= ~tags;
    if (!tm_objects_word(objects, *value + TM_OBJECT_TYPE, &type_address))
        return true;
    struct tm_error *error = tm_type_get(objects, type_address, &type);
    if (!error && type && type->shape == TM_SHAPE_CELL)
        return tm_objects_word(objects, *value + TM_CELL_VALUE, value) && *value != 0;
    tm_error_destroy(error); // there will be no memory for the answer either
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// Threads

static struct tm_error *visit_thread(struct tm_objects *objects, const struct tm_stack_visitor *visitor, uint64_t state,
                                     uint64_t interpreter, bool *incomplete)
{
    const struct tm_cpython *cpython = objects->cpython;
    struct tm_python_thread thread = {.state = state, .interpreter = interpreter};
    if (!tm_objects_word(objects, state + cpython->thread_id, &thread.id) ||
        (cpython->thread_native_id &&
         !tm_objects_word(objects, state + cpython->thread_native_id, &thread.native_id))) {
        *incomplete = true;
        return NULL;
    }
    struct tm_error *error = visitor->thread(visitor->context, &thread);
    return error ? error : visit_frames(objects, visitor, state, incomplete);
}

static struct tm_error *visit_threads(struct tm_objects *objects, const struct tm_stack_visitor *visitor,
                                      uint64_t interpreter, bool *incomplete)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t state, id, of;
    bool readable = tm_objects_word(objects, interpreter + cpython->interpreter_threads, &state) &&
                    tm_objects_word(objects, interpreter + cpython->interpreter_id, &id);
    for (unsigned i = 0; readable && state && i < MOST_THREADS; i++) {
        if (!tm_objects_word(objects, state + THREAD_INTERPRETER, &of) || of != interpreter) {
            readable = false;
            break;
        }
        struct tm_error *error = visit_thread(objects, visitor, state, id, incomplete);
        if (!error)
            error = tm_objects_check(objects);
        if (error)
            return error;
        readable = tm_objects_word(objects, state + cpython->thread_next, &state);
    }
    *incomplete = *incomplete || !readable || state;
    return NULL;
}

// Without symbols: from 3.13 on the runtime is recognized by its first bytes.
static void search_runtime(struct tm_objects *objects)
{
    unsigned char bytes[4096];
    if (objects->cpython->minor < 13)
        return;
    for (size_t i = 0; i < objects->data_count; i++) {
        uint64_t start = (objects->data[i].start + 7) & ~UINT64_C(7);
        for (uint64_t at = start; at < objects->data[i].end; at += sizeof(bytes)) {
            uint64_t length = objects->data[i].end - at < sizeof(bytes) ? objects->data[i].end - at : sizeof(bytes);
            if (!tm_objects_read(objects, at, bytes, length))
                continue;
            for (uint64_t offset = 0; offset + 8 <= length; offset += 8)
                if (memcmp(bytes + offset, cookie, sizeof(cookie)) == 0)
                    objects->runtime = at + offset;
        }
    }
}

static struct tm_error *no_runtime(void)
{
    return tm_error_create(
        TM_ERROR_NOT_FOUND,
        "the interpreter's state is not found: the debugger knows no symbol _PyRuntime\nGive it the "
        "program that made the core: file PROGRAM in gdb, target create PROGRAM --core FILE in lldb");
}

struct tm_error *tm_stacks_visit(struct tm_objects *objects, const struct tm_stack_visitor *visitor, bool *incomplete)
{
    uint64_t interpreter;
    *incomplete = false;
    if (!objects->runtime)
        search_runtime(objects);
    if (!objects->runtime ||
        !tm_objects_word(objects, objects->runtime + objects->cpython->runtime_interpreters, &interpreter) ||
        !interpreter)
        return no_runtime();
    for (unsigned i = 0; interpreter && i < MOST_INTERPRETERS; i++) {
        struct tm_error *error = visit_threads(objects, visitor, interpreter, incomplete);
        if (error)
            return error;
        if (!tm_objects_word(objects, interpreter + objects->cpython->interpreter_next, &interpreter)) {
            *incomplete = true;
            break;
        }
    }
    return NULL;
}

struct tm_error *tm_stack_chunks_visit(struct tm_objects *objects, const struct tm_python_thread *thread, size_t most,
                                       tm_stack_chunk_visitor visit, void *context)
{
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t chunk, top, size, previous;
    struct tm_error *error = NULL;
    if (!cpython->thread_stack_chunk ||
        !tm_objects_word(objects, thread->state + cpython->thread_stack_chunk, &chunk) ||
        !tm_objects_word(objects, thread->state + cpython->thread_stack_top, &top))
        return NULL;
    for (size_t i = 0; !error && chunk && i < most; i++) {
        if (!tm_objects_word(objects, chunk + CHUNK_SIZE, &size) || size > MOST_CHUNK_SIZE ||
            !tm_objects_word(objects, chunk + CHUNK_PREVIOUS, &previous))
            break;
        if (i > 0 && (!tm_objects_word(objects, chunk + CHUNK_TOP, &top) || top > size / 8))
            break;
        uint64_t end = i == 0 ? top : chunk + CHUNK_DATA + 8 * top;
        if (end < chunk || end > chunk + size)
            break;
        error = visit(context, chunk + CHUNK_DATA, end, chunk + size);
        chunk = previous;
    }
    return error;
}
