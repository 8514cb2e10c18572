/**
 * How CPython reports births (births.h). From 3.13 on it has a reference tracer for that. Before, its own tracemalloc hears
 * of each birth, and we replace a function which that calls.
 */
#ifndef TRACEMORTEM_TRACER_BIRTH_EVENTS_H
#define TRACEMORTEM_TRACER_BIRTH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpython.h"

/** Called with the address of an object, or of its block, holding the interpreter's lock, where there is one. */
typedef void (*birth_callback)(uintptr_t object);

/** Whether TRACEMORTEM_REUSE=0 does not forbid it. */
bool birth_events_wanted(void);

/** Call `callback` at each birth from now on. False: this interpreter does not let us, or is not up yet. */
bool birth_events_begin(birth_callback callback);
void birth_events_end(void);

/** Whether births are still reported to us; the program may have given our place away. For the hooks: calls no Python. The
 * caller has an interpreter's lock, where there is one. */
bool birth_events_arrive(void);

/** The initialization of CPython's own `_tracemalloc`, where ours has replaced it among the built-in modules. */
extern PyObject *(*birth_events_stock_init)(void);

#endif
