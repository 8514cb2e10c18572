/**
 * Tracing on and off, and the allocator hooks in between.
 */
#ifndef TRACEMORTEM_TRACER_TRACING_H
#define TRACEMORTEM_TRACER_TRACING_H

#include "table.h"

enum { FRAME_LIMIT_MAX = 65535 };

/** Begin to trace with up to `frame_limit` frames a block. While tracing: nothing. NULL, or why not. */
const char *tracing_start(unsigned frame_limit);
/** Forget all traces and trace no more. */
void tracing_stop(void);
/** Forget all traces and go on. */
void tracing_clear(void);
bool tracing_on(void);
/** Install the hooks again if somebody has replaced the allocators since; for a start before the interpreter's own. */
void tracing_rehook(void);

/** Watch objects being born, once the interpreter is up; what a start before that could not do. */
void tracing_watch_births(void);

/** A block of a domain of its own, told by whoever allocated it; may be called without the interpreter's lock. Told again,
 * it replaces what was known. False: no memory. */
bool tracing_track(uint32_t domain, uintptr_t address, size_t size);
void tracing_untrack(uint32_t domain, uintptr_t address);

/** Record no allocation of the calling thread's until tracing_resume() is given what this returned. */
bool tracing_pause(void);
void tracing_resume(bool was_paused);

/** Bytes in live blocks now, and at most since the start or the last reset. */
void tracing_memory(uint64_t *traced, uint64_t *peak);
void tracing_reset_peak(void);

#endif
