/** CPython 3.13 with its global lock. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_13_H
#define TRACEMORTEM_TRACER_FACTS_3_13_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_13 = {
    .version = 0x30d,
    .pool_shift = 14,
    .object_type = 8,
    .object_size = 16,
    .thread_is_in_tls = true,
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
    .code_name_member = "co_qualname",
    .code_lines = 136,
    .code_lines_member = "co_linetable",
    .code_bytecode = 200,
    .code_first_traceable = 184,
    .line_table_kind = TM_LINES_LOCATIONS,
    .description = {.thread = 176, .frame = 232, .code = 280},
    .counts_frames = true,
};

#endif
