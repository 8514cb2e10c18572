/** CPython 3.15, free-threaded. A frame's code is a tagged reference. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_15T_H
#define TRACEMORTEM_TRACER_FACTS_3_15T_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_15t = {
    .version = 0x30f,
    .free_threaded = true,
    .pool_shift = 14,
    .object_type = 24,
    .object_size = 32,
    .thread_is_in_tls = true,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_code_tags = 3,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 78,
    .owner_skip = 3,
    .code_first_line = 84,
    .code_filename = 128,
    .code_name = 144,
    .code_name_member = "co_qualname",
    .code_lines = 152,
    .code_lines_member = "co_linetable",
    .code_bytecode = 232,
    .code_first_traceable = 208,
    .code_copies = 224,
    .frame_copy = 72,
    .line_table_kind = TM_LINES_LOCATIONS,
    .description = {.thread = 200, .frame = 320, .code = 384},
    .counts_frames = true,
    .answers_unrecorded = true,
};

#endif
