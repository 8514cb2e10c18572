/** CPython 3.11 with its global lock. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_11_H
#define TRACEMORTEM_TRACER_FACTS_3_11_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_11 = {
    .version = 0x30b,
    .lock_is_global = true,
    .pool_shift = 14,
    .object_type = 8,
    .object_size = 16,
    .thread_frame = 56,
    .cframe_frame = 8,
    .frame_code = 32,
    .frame_previous = 48,
    .frame_instruction = 56,
    .frame_owner = 69,
    .code_first_line = 72,
    .code_filename = 112,
    .code_name = 128,
    .code_name_member = "co_qualname",
    .code_lines = 136,
    .code_lines_member = "co_linetable",
    .code_bytecode = 184,
    .code_first_traceable = 168,
    .line_table_kind = TM_LINES_LOCATIONS,
    .counts_frames = true,
    .stock_table = STOCK_TABLE_3_9,
};

#endif
