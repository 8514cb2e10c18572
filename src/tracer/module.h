/**
 * The tracer as a module, for who puts it in the place of CPython's own `_tracemalloc`.
 */
#ifndef TRACEMORTEM_TRACER_MODULE_H
#define TRACEMORTEM_TRACER_MODULE_H

#include "cpython.h"

/** What PyInit__tracer() makes, under the name `_tracemalloc`. */
PyObject *module_init_tracemalloc(void);

#endif
