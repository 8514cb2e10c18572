/**
 * Where each CPython keeps what a traceback needs: one table, mirrored from its headers. A test compares the two.
 *
 * It stands in a header so that the hooks, which are compiled once for each version, have it as constants.
 */
#ifndef TRACEMORTEM_TRACER_FACTS_H
#define TRACEMORTEM_TRACER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/trace_table.h"

/** Offsets in bytes, sizes of x86-64 and aarch64 builds. */
struct cpython_facts {
    uint32_t version;   // (major << 8) | minor
    bool free_threaded; // a build without a global lock, whether or not it runs with one (PYTHON_GIL=1)
    // PyObject, PyVarObject
    uint8_t object_type;
    uint8_t object_size; // of the head which all objects have; a variable one's number of items comes next
    // PyThreadState
    uint16_t thread_frame; // the current frame, or the cframe which holds it
    int16_t cframe_frame;  // in _PyCFrame: the current frame; -1: PyThreadState itself has it
    // PyFrameObject (to 3.10), _PyInterpreterFrame (3.11)
    uint16_t frame_code;
    uint16_t frame_code_tags; // bits of it which are no part of the address
    uint16_t frame_previous;
    uint16_t frame_instruction;
    int16_t frame_owner; // -1: frames have no owner, and all are complete
    uint8_t owner_skip;  // frames with an owner from this on are the interpreter's own; 0: none are
    // how frame_instruction counts: the address of a code unit, or an int of so many bytes
    uint8_t instruction_unit; // 0: an address
    // PyCodeObject
    uint16_t code_first_line;
    uint16_t code_filename;
    uint16_t code_name;            // the qualified one from 3.11 on
    uint16_t code_lines;           // the bytes object with the line table
    uint16_t code_bytecode;        // to 3.10 a bytes object, from 3.11 on the code units themselves
    uint16_t code_first_traceable; // 0: there is no such field
    // Bytecode of each thread's own (free-threaded builds from 3.14 on)
    uint16_t code_copies;    // the array of a code object's copies, the first of which is the object's own; 0: none
    uint16_t frame_copy;     // which one the frame runs
    uint8_t line_table_kind; // enum tm_line_table
    // What tracemalloc makes for its own answers is not recorded: neither a single traceback, nor births in free lists.
    bool answers_unrecorded;
};

// The same in all of them. An array of copies of bytecode begins with how many it has room for, a word.
enum { THREAD_INTERPRETER = 16, CODE_UNIT = 2, OWNER_GENERATOR = 1, COPIES_ENTRIES = 8 };

#define HEAD_WITH_LOCK .object_type = 8, .object_size = 16
#define HEAD_FREE_THREADED .free_threaded = true, .object_type = 24, .object_size = 32

// 3.8 and 3.9 are alike.
static const struct cpython_facts cpython_3_8 = {
    .version = 0x308,
    HEAD_WITH_LOCK,
    .thread_frame = 24,
    .cframe_frame = -1,
    .frame_code = 32,
    .frame_previous = 24,
    .frame_instruction = 104,
    .frame_owner = -1,
    .instruction_unit = 1,
    .code_first_line = 40,
    .code_filename = 104,
    .code_name = 112,
    .code_lines = 120,
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_LNOTAB,
};

static const struct cpython_facts cpython_3_10 = {
    .version = 0x30a,
    HEAD_WITH_LOCK,
    .thread_frame = 24,
    .cframe_frame = -1,
    .frame_code = 32,
    .frame_previous = 24,
    .frame_instruction = 96,
    .frame_owner = -1,
    .instruction_unit = CODE_UNIT,
    .code_first_line = 40,
    .code_filename = 104,
    .code_name = 112,
    .code_lines = 120,
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_3_10,
};

static const struct cpython_facts cpython_3_11 = {
    .version = 0x30b,
    HEAD_WITH_LOCK,
    .thread_frame = 56,
    .cframe_frame = 8,
    .frame_code = 32,
    .frame_previous = 48,
    .frame_instruction = 56,
    .frame_owner = 69,
    .code_first_line = 72,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 184,
    .code_first_traceable = 168,
    .line_table_kind = TM_LINES_LOCATIONS,
};

static const struct cpython_facts cpython_3_12 = {
    .version = 0x30c,
    HEAD_WITH_LOCK,
    .thread_frame = 56,
    .cframe_frame = 0,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 68,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 192,
    .code_first_traceable = 176,
    .line_table_kind = TM_LINES_LOCATIONS,
};

static const struct cpython_facts cpython_3_13 = {
    .version = 0x30d,
    HEAD_WITH_LOCK,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 68,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 200,
    .code_first_traceable = 184,
    .line_table_kind = TM_LINES_LOCATIONS,
};

// 3.14 and 3.15 are alike. A frame's code is a tagged reference.
static const struct cpython_facts cpython_3_14 = {
    .version = 0x30e,
    HEAD_WITH_LOCK,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_code_tags = 3,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 74,
    .owner_skip = 3,
    .code_first_line = 68,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 208,
    .code_first_traceable = 192,
    .line_table_kind = TM_LINES_LOCATIONS,
    .answers_unrecorded = true,
};

static const struct cpython_facts cpython_3_13t = {
    .version = 0x30d,
    HEAD_FREE_THREADED,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 84,
    .code_filename = 128,
    .code_name = 144,
    .code_lines = 152,
    .code_bytecode = 216,
    .code_first_traceable = 200,
    .line_table_kind = TM_LINES_LOCATIONS,
};

// 3.14 and 3.15 are alike, but for the tags: the former has one bit of them only.
static const struct cpython_facts cpython_3_14t = {
    .version = 0x30e,
    HEAD_FREE_THREADED,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_code_tags = 3,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 78,
    .owner_skip = 3,
    .code_first_line = 84,
    .code_filename = 128,
    .code_name = 144,
    .code_lines = 152,
    .code_bytecode = 232,
    .code_first_traceable = 208,
    .code_copies = 224,
    .frame_copy = 72,
    .line_table_kind = TM_LINES_LOCATIONS,
    .answers_unrecorded = true,
};

#endif
