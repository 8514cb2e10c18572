/**
 * CPython's C API by which extension modules have their own blocks traced.
 *
 * The public names are CPython's (track.c). Inside the tracer they would lead to the first such symbol of the program, so
 * these names are our own.
 */
#ifndef TRACEMORTEM_TRACER_TRACK_H
#define TRACEMORTEM_TRACER_TRACK_H

#include "cpython.h"

/** PyTraceMalloc_Track. 0; -1: no memory; -2: not tracing. May be called without the interpreter's lock. A block that is
 * tracked again replaces what was known of it. */
int track_block(unsigned domain, uintptr_t address, size_t size);
/** PyTraceMalloc_Untrack. 0; -2: not tracing. Likewise. */
int untrack_block(unsigned domain, uintptr_t address);

/** _PyTraceMalloc_GetTraceback, which CPython's tests use: a new reference to the frames, or to None. */
PyObject *tracked_traceback(unsigned domain, uintptr_t address);

#endif
