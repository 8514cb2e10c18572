/** CPython 3.10 with its global lock. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_10_H
#define TRACEMORTEM_TRACER_FACTS_3_10_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_10 = {
    .version = 0x30a,
    .lock_is_global = true,
    .pool_shift = 14,
    .object_type = 8,
    .object_size = 16,
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
    .code_name_member = "co_name",
    .code_lines = 120,
    .code_lines_member = "co_linetable",
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_3_10,
    .counts_frames = true,
    .stock_table = STOCK_TABLE_3_9,
};

#endif
