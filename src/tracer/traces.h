/**
 * The table as Python objects, for the process's own questions. tracemalloc's Python part is built on this.
 *
 * The caller holds the interpreter's lock. While these functions make objects, nothing is recorded (tracing_pause() in
 * recording.h), except where CPython's own tracer records it.
 */
#ifndef TRACEMORTEM_TRACER_TRACES_H
#define TRACEMORTEM_TRACER_TRACES_H

#include "cpython.h"

/**
 * A list of all live blocks as tuples (domain, size, ((file name, line), ...), total number of frames); the last only where
 * tracemalloc counts frames. The newest frame comes first. Equal tracebacks are one object. NULL: an exception is set.
 */
PyObject *traces_list(void);

/** The traceback of the block that holds an object, as above; None if it is not traced. */
PyObject *traces_of_object(const void *object);

/** The traceback of the block that starts at an address, likewise. */
PyObject *traces_of_block(uint32_t domain, uintptr_t address);

#endif
