/**
 * The table as Python objects, for the process's own questions: what tracemalloc's Python half is built on.
 *
 * The caller holds the interpreter's lock. While objects are made here nothing is traced (tracing_pause in tracing.h).
 */
#ifndef TRACEMORTEM_TRACER_TRACES_H
#define TRACEMORTEM_TRACER_TRACES_H

#include "cpython.h"

/**
 * A list of all live blocks as tuples (domain, size, ((file name, line), ...), total number of frames); up to 3.8
 * without the last. The newest frame comes first; equal tracebacks are one object. NULL: an exception is set.
 */
PyObject *traces_list(void);

/** The traceback of the block which holds an object, like above; None where it is not traced. */
PyObject *traces_of_object(const void *object);

/** The traceback of the block which starts at an address, likewise. */
PyObject *traces_of_block(uint32_t domain, uintptr_t address);

#endif
