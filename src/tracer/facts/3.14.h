/** CPython 3.14 with its global lock. A frame's code is a tagged reference. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_14_H
#define TRACEMORTEM_TRACER_FACTS_3_14_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_14 = {
    .version = 0x30e,
    .pool_shift = 14,
    .object_type = 8,
    .object_size = 16,
    .thread_is_in_tls = true,
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
    .code_name_member = "co_qualname",
    .code_lines = 136,
    .code_lines_member = "co_linetable",
    .code_bytecode = 208,
    .code_first_traceable = 192,
    .line_table_kind = TM_LINES_LOCATIONS,
    .description = {.thread = 200, .frame = 256, .code = 320},
    .counts_frames = true,
    .answers_unrecorded = true,
};

#endif
