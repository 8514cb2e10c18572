/** CPython 3.8 with its global lock. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_8_H
#define TRACEMORTEM_TRACER_FACTS_3_8_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_8 = {
    .version = 0x308,
    .lock_is_global = true,
    .pool_shift = 12,
    .object_type = 8,
    .object_size = 16,
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
    .code_name_member = "co_name",
    .code_lines = 120,
    .code_lines_member = "co_lnotab",
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_LNOTAB,
    .stock_table = STOCK_TABLE_3_8,
};

#endif
