/**
 * What the reader of objects knows about a release of CPython: offsets in bytes and habits, as x86-64 builds have them.
 *
 * Each release has one header of facts, cpython/3.13.h, and cpython.c one row for it. A test compares the facts with
 * CPython's own headers. What is the same in all releases from 3.8 to 3.15 is below. Knows no target.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_H
#define TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/trace_table.h"

/** How the keys of a dict lie in memory. */
enum tm_dict_keys_layout {
    TM_DICT_KEYS_3_8,  // size, entries of hash, key and value
    TM_DICT_KEYS_3_11, // logarithms of the size and of the index's bytes; entries without hash if all keys are str
};

/** Where an instance has its attributes, beside the dict at tp_dictoffset. */
enum tm_attributes_layout {
    TM_ATTRIBUTES_3_8,  // nowhere else
    TM_ATTRIBUTES_3_11, // before the object: a pointer to values, and a dict
    TM_ATTRIBUTES_3_12, // before the object: the list of weak references, and a dict or a tagged pointer to values
    TM_ATTRIBUTES_3_13, // before the object: the list of weak references, and a dict; values are behind the object
};

/** 0 in a field: this release has no such thing. */
struct tm_cpython {
    uint8_t minor; // of version 3.minor
    uint8_t dict_keys;
    uint8_t attributes;
    uint8_t line_table;       // enum tm_line_table
    uint8_t instruction_unit; // bytes of a unit of frame_instruction; 0: it is an address
    bool int_has_tag;         // the size and the sign of an int are in one word, the size from bit 3 on
    bool immortal;            // reference counts have 32 bits, and the highest of them says "for ever"
    bool counts_have_flags;   // the highest 16 bits of the word with the count; and dead objects are linked through it
    uint8_t tuple_items;      // where a tuple has its items; a hash is before them if that is not 24
    uint8_t frame_tags;       // bits of the references in frames that are no address
    bool frame_has_stack_pointer; // frame_stack_top is one, and no number of words
    uint8_t generator_ended;      // states from this one on: the frame has nothing any more
    // PyTypeObject, PyHeapTypeObject
    uint16_t heap_type_size, type_qualname, type_cached_keys;
    // str: where the characters of a compact string begin, and the pointer to its UTF-8
    uint8_t str_ascii, str_compact, str_utf8;
    // function, code, weakref
    uint8_t function_code, function_qualname;
    uint8_t code_first_line, code_filename, code_name, code_qualname, code_bytecode, code_lines, code_weakrefs;
    uint8_t code_first_traceable, weakref_size;
    // Names of local variables: one tuple from 3.11 on, three before. `code_local_count` is of the (first) tuple.
    uint8_t code_locals, code_cells, code_free, code_local_count;
    // generator, coroutine, async_generator: up to 3.10 a pointer to the frame, then the frame itself
    uint8_t generator_frame, generator_state;
    // _PyInterpreterFrame, up to 3.10 PyFrameObject
    uint16_t frame_code, frame_previous, frame_instruction, frame_locals;
    uint8_t frame_locals_dict, frame_object, frame_stack_top, frame_owner;
    uint8_t frame_in_object; // where a frame object's own copy of the frame is
    // PyThreadState, PyInterpreterState, _PyRuntime
    uint16_t thread_next, thread_id, thread_native_id, thread_frame, thread_cframe, cframe_frame;
    uint16_t thread_stack_chunk, thread_stack_top;
    uint16_t interpreter_threads, interpreter_next, interpreter_id, runtime_interpreters;
    // PyInterpreterState, 3.10 to 3.13: arrays of dead dicts and lists, and how many of each count
    uint32_t free_dicts, free_dict_count, free_lists, free_list_count;
};

/** The row of a release, by PY_VERSION_HEX; NULL: this release is not known. */
const struct tm_cpython *tm_cpython_of(uint32_t version);
/** All rows, oldest first; NULL at the end. */
const struct tm_cpython *tm_cpython_row(unsigned index);

// The same in all of them.
enum {
    TM_OBJECT_SIZE = 16,
    TM_OBJECT_TYPE = 8, // PyObject.ob_type
    TM_VAR_SIZE = 16,   // PyVarObject.ob_size
    TM_GC_HEAD = 16,
    TM_TYPE_NAME = 24,
    TM_TYPE_BASIC_SIZE = 32,
    TM_TYPE_ITEM_SIZE = 40,
    TM_TYPE_FLAGS = 168,
    TM_TYPE_DOC = 176,
    TM_TYPE_WEAKLIST = 208,
    TM_TYPE_MEMBERS = 240,
    TM_TYPE_BASE = 256,
    TM_TYPE_DICT = 264,
    TM_TYPE_DICT_OFFSET = 288,
    TM_TYPE_READ = 296, // so much of a type is read
    TM_TYPE_BASES = 336,
    TM_TYPE_MRO = 344,
    TM_LIST_ITEMS = 24,
    TM_DICT_KEYS = 32,
    TM_DICT_VALUES = 40,
    TM_DICT_SIZE = 48,
    TM_SET_USED = 24,
    TM_SET_MASK = 32,
    TM_SET_TABLE = 40,
    TM_SET_SMALL = 64, // 8 entries of key and hash
    TM_SET_ENTRY = 16,
    TM_STR_LENGTH = 16,
    TM_STR_STATE = 32, // kind from bit 2 on, then compact, ascii
    TM_BYTES_DATA = 32,
    TM_BYTEARRAY_DATA = 32,
    TM_INT_DIGITS = 24,
    TM_FLOAT_VALUE = 16,
    TM_CELL_VALUE = 16,
    TM_WEAKREF_CALLBACK = 24,
    TM_DEQUE_LEFT = 24,
    TM_DEQUE_RIGHT = 32,
    TM_DEQUE_LEFT_INDEX = 40,
    TM_DEQUE_RIGHT_INDEX = 48,
    TM_DEQUE_ITEMS = 64, // of a block: the link to the left, the items, the link to the right
    TM_ARRAY_ITEMS = 24,
    TM_MODULE_DICT = 16,
    TM_NDARRAY_DATA = 16,
};
#define TM_FLAG_INLINE_VALUES (UINT64_C(1) << 2)
#define TM_FLAG_MANAGED_WEAKREF (UINT64_C(1) << 3)
#define TM_FLAG_MANAGED_DICT (UINT64_C(1) << 4)
#define TM_FLAG_HEAP_TYPE (UINT64_C(1) << 9)
#define TM_FLAG_READY (UINT64_C(1) << 12)
#define TM_FLAG_READYING (UINT64_C(1) << 13)
#define TM_FLAG_GC (UINT64_C(1) << 14)
#define TM_FLAG_INT (UINT64_C(1) << 24)
#define TM_FLAG_LIST (UINT64_C(1) << 25)
#define TM_FLAG_TUPLE (UINT64_C(1) << 26)
#define TM_FLAG_BYTES (UINT64_C(1) << 27)
#define TM_FLAG_STR (UINT64_C(1) << 28)
#define TM_FLAG_DICT (UINT64_C(1) << 29)
#define TM_FLAG_EXCEPTION (UINT64_C(1) << 30)
#define TM_FLAG_TYPE (UINT64_C(1) << 31)

#endif
