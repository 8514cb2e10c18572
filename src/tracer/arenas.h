/**
 * The arenas of CPython's object allocator, as they come and go. A reader of the heap finds untraced blocks by them.
 */
#ifndef TRACEMORTEM_TRACER_ARENAS_H
#define TRACEMORTEM_TRACER_ARENAS_H

#include "table.h"

/** An arena has come. Without memory it is left out. */
void arena_add(uintptr_t address, size_t size);
/** An arena is about to go. */
void arena_remove(uintptr_t address);

#endif
