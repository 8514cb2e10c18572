/** CPython 3.12 with its global lock. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_12_H
#define TRACEMORTEM_TRACER_FACTS_3_12_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_12 = {
    .version = 0x30c,
    .pool_shift = 14,
    .object_type = 8,
    .object_size = 16,
    .thread_is_in_tls = true,
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
    .code_name_member = "co_qualname",
    .code_lines = 136,
    .code_lines_member = "co_linetable",
    .code_bytecode = 192,
    .code_first_traceable = 176,
    .line_table_kind = TM_LINES_LOCATIONS,
    .counts_frames = true,
    .stock_table = STOCK_TABLE_3_9,
};

#endif
