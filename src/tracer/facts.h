/**
 * What the tracer knows about a release of CPython: offsets in bytes, as x86-64 and aarch64 builds have them, and habits.
 *
 * Each release and build has one header of facts (facts/3.13.h), and families.h has one row for each. The facts are
 * constants in headers because the hooks are compiled once for each family: the compiler then folds them into the code.
 * A test compares the facts with CPython's own headers.
 */
#ifndef TRACEMORTEM_TRACER_FACTS_H
#define TRACEMORTEM_TRACER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/trace_table.h"

/** How CPython's own tracemalloc keeps its table of traces, for those releases where births are noticed by its look-ups. */
enum stock_table {
    STOCK_TABLE_UNUSED = 0, // there is a reference tracer, which reports births
    STOCK_TABLE_3_8,        // a look-up calls the function that hashes a key
    STOCK_TABLE_3_9,        // a look-up calls the function that gets an entry
};

struct cpython_facts {
    uint32_t version;    // (major << 8) | minor
    bool free_threaded;  // a build without a global lock, even if it runs with one (PYTHON_GIL=1)
    bool lock_is_global; // one lock for all interpreters: the current thread state is that of the lock's holder
    uint8_t pool_shift; // log2 of POOL_SIZE, of the object allocator (obmalloc.c); without a global lock, of our choice
    // PyObject, PyVarObject
    uint8_t object_type;
    uint8_t object_size; // of the head of every object; the number of items of a variable object comes next
    // PyThreadState
    bool thread_is_in_tls; // CPython keeps the current thread state in a thread-local variable
    uint16_t thread_frame; // the current frame, or the cframe which holds it
    int16_t cframe_frame;  // in _PyCFrame: the current frame; -1: PyThreadState itself has it
    // PyFrameObject (up to 3.10), _PyInterpreterFrame (from 3.11 on)
    uint16_t frame_code;
    uint16_t frame_code_tags; // bits of frame_code that are not part of the address
    uint16_t frame_previous;
    uint16_t frame_instruction;
    int16_t frame_owner;      // -1: frames have no owner, and all are complete
    uint8_t owner_skip;       // frames with this owner or a greater one are the interpreter's own; 0: there are none
    uint8_t instruction_unit; // 0: frame_instruction is the address of a code unit; else an int of so many bytes
    // PyCodeObject
    uint16_t code_first_line;
    uint16_t code_filename;
    uint16_t code_name; // the qualified name from 3.11 on
    const char *code_name_member;
    uint16_t code_lines; // the bytes object with the line table
    const char *code_lines_member;
    uint16_t code_bytecode;        // up to 3.10 a bytes object, from 3.11 on the code units themselves
    uint16_t code_first_traceable; // 0: there is no such field
    uint8_t line_table_kind;       // enum tm_line_table
    // Bytecode of each thread's own (free-threaded builds from 3.14 on)
    uint16_t code_copies; // the array of a code object's copies; the first one is the object's own; 0: none
    uint16_t frame_copy;  // the index of the copy that the frame runs
    // From 3.13 on _PyRuntime begins with the offsets of many fields, 8 bytes each, for debuggers. Where ours are in it: the
    // words of a thread state from `interp` on, of a frame from `previous`, of a code object from `filename`.
    struct {
        uint16_t thread, frame, code; // 0: there is no description
    } description;
    // tracemalloc
    bool counts_frames;      // it counts all frames of a stack, not only those it keeps
    bool answers_unrecorded; // it does not record what it allocates for its own answers
    uint8_t stock_table;     // enum stock_table
};

/** In the functions that are compiled for each family this is a constant. */
typedef const struct cpython_facts *facts_t;

// The same in all of them. An array of copies of bytecode begins with its capacity, a word.
enum { THREAD_INTERPRETER = 16, CODE_UNIT = 2, OWNER_GENERATOR = 1, COPIES_ENTRIES = 8 };

#endif
