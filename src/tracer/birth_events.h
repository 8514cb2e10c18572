/**
 * Blocks which are used again: CPython keeps floats, tuples, lists, dicts and more in free lists, and an object out of
 * one has a block which no allocator was asked for. Each CPython has some way to hear of every object's birth.
 */
#ifndef TRACEMORTEM_TRACER_BIRTH_EVENTS_H
#define TRACEMORTEM_TRACER_BIRTH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpython.h"

/** Called with the address of an object, or with that of its block, holding the interpreter's lock, where there is one. */
typedef void (*reuse_callback)(uintptr_t object);

/** Not switched off by TRACEMORTEM_REUSE=0. */
bool reuse_wanted(void);

/** Call `callback` for each birth from now on. False: this interpreter does not let us, or is not up yet. */
bool reuse_watch(reuse_callback callback);
void reuse_unwatch(void);

/** Whether births are told to us still: the program may have given our place to somebody else. Calls nothing of Python's, for
 * it is asked by the hooks; but whoever asks has an interpreter's lock, where there is one. */
bool reuse_is_told(void);

/** The initialization of CPython's own `_tracemalloc`, where ours has taken its place in the built-in modules. */
extern PyObject *(*reuse_stock_init)(void);

#endif
