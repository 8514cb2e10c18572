/** CPython 3.13, free-threaded. */
#ifndef TRACEMORTEM_TRACER_FACTS_3_13T_H
#define TRACEMORTEM_TRACER_FACTS_3_13T_H

#include "tracer/facts.h"

static const struct cpython_facts cpython_3_13t = {
    .version = 0x30d,
    .free_threaded = true,
    .pool_shift = 14,
    .object_type = 24,
    .object_size = 32,
    .thread_is_in_tls = true,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 84,
    .code_filename = 128,
    .code_name = 144,
    .code_name_member = "co_qualname",
    .code_lines = 152,
    .code_lines_member = "co_linetable",
    .code_bytecode = 216,
    .code_first_traceable = 200,
    .line_table_kind = TM_LINES_LOCATIONS,
    .description = {.thread = 176, .frame = 232, .code = 280},
    .counts_frames = true,
};

#endif
