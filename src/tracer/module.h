/**
 * The tracer as a module that can replace CPython's own `_tracemalloc`.
 */
#ifndef TRACEMORTEM_TRACER_MODULE_H
#define TRACEMORTEM_TRACER_MODULE_H

#include "cpython.h"

/** As PyInit__tracer(), but the module's name is `_tracemalloc`. */
PyObject *module_init_tracemalloc(void);

#endif
