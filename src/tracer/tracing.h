/**
 * Tracing on and off, and what the process asks about it. Functions that start, stop or clear need the interpreter's lock,
 * where there is one.
 */
#ifndef TRACEMORTEM_TRACER_TRACING_H
#define TRACEMORTEM_TRACER_TRACING_H

#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

enum { FRAME_LIMIT_MAX = 65535, FRAME_LIMIT_SAMPLED = 25 }; // the second: where samples are asked for without a limit

/** Begin to trace, with up to `frame_limit` frames for each block. While tracing: nothing, but a trace of samples ends where all
 * blocks are wanted. NULL, or why not. */
const char *tracing_start(unsigned frame_limit, profile_t profile);
/** Whether tracing_start() would begin a trace in this profile: nothing is traced, or samples are and all blocks are wanted. */
bool tracing_would_start(profile_t profile);
/** Forget all traces, and stop. */
void tracing_stop(void);
/** Forget all traces, and go on. */
void tracing_clear(void);

/** Once the interpreter has come up: do what tracing_start() could not do before, and undo what happened to the hooks. */
void tracing_catch_up(void);

/** Bytes in live blocks now, and at most since the start or the last reset. */
void tracing_memory(uint64_t *traced, uint64_t *peak);
void tracing_reset_peak(void);

#endif
