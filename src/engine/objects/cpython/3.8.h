/** CPython 3.8 with its global lock. */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_3_8_H
#define TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_3_8_H

#include "engine/objects/cpython.h"

static const struct tm_cpython tm_cpython_3_8 = {
    .minor = 8,
    .heap_type_size = 880,
    .type_qualname = 864,
    .type_cached_keys = 872,
    .str_ascii = 48,
    .str_compact = 72,
    .str_utf8 = 56,
    .function_code = 16,
    .function_qualname = 104,
    .code_first_line = 40,
    .code_filename = 104,
    .code_name = 112,
    .code_bytecode = 48,
    .code_locals = 72,
    .code_cells = 88,
    .code_free = 80,
    .code_local_count = 28,
    .code_lines = 120,
    .generator_frame = 16,
    .frame_code = 32,
    .frame_previous = 24,
    .frame_instruction = 104,
    .frame_locals = 360,
    .thread_frame = 24,
    .interpreter_threads = 8,
    .thread_next = 8,
    .thread_id = 176,
    .runtime_interpreters = 32,
    .interpreter_next = 0,
    .interpreter_id = 16,
    .weakref_size = 56,
    .code_weakrefs = 136,
    .line_table = TM_LINES_LNOTAB,
    .dict_keys = TM_DICT_KEYS_3_8,
    .attributes = TM_ATTRIBUTES_3_8,
    .instruction_unit = 1,
    .tuple_items = 24,
};

#endif
