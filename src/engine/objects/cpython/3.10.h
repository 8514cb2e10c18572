/** CPython 3.10 with its global lock. */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_3_10_H
#define TRACEMORTEM_ENGINE_OBJECTS_CPYTHON_3_10_H

#include "engine/objects/cpython.h"

static const struct tm_cpython tm_cpython_3_10 = {
    .minor = 10,
    .heap_type_size = 888,
    .type_qualname = 864,
    .type_cached_keys = 872,
    .str_ascii = 48,
    .str_compact = 72,
    .str_utf8 = 56,
    .function_code = 48,
    .function_qualname = 40,
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
    .frame_instruction = 96,
    .frame_locals = 352,
    .thread_frame = 24,
    .interpreter_threads = 8,
    .thread_next = 8,
    .thread_id = 176,
    .runtime_interpreters = 32,
    .interpreter_next = 0,
    .interpreter_id = 24,
    .weakref_size = 56,
    .code_weakrefs = 136,
    .line_table = TM_LINES_3_10,
    .dict_keys = TM_DICT_KEYS_3_8,
    .attributes = TM_ATTRIBUTES_3_8,
    .instruction_unit = 2,
    .free_dicts = 10688,
    .free_dict_count = 11328,
    .free_lists = 10040,
    .free_list_count = 10680,
    .tuple_items = 24,
};

#endif
