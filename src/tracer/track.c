// CPython's C API for tracing blocks of one's own, in front of CPython's. Extension modules which call it reach
// these functions where the tracer was preloaded and the interpreter is a shared library.

#include "hooks.h"
#include "traces.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int PyTraceMalloc_Track(unsigned domain, uintptr_t address, size_t size);
EXPORT int PyTraceMalloc_Untrack(unsigned domain, uintptr_t address);
EXPORT PyObject *_PyTraceMalloc_GetTraceback(unsigned domain, uintptr_t address);

enum { NO_MEMORY = -1, NOT_TRACING = -2 };

int PyTraceMalloc_Track(unsigned domain, uintptr_t address, size_t size)
{
    int (*stock)(unsigned, uintptr_t, size_t);
    if (tracing_on())
        return tracing_track(domain, address, size) ? 0 : NO_MEMORY;
    *(void **)&stock = cpython_function("PyTraceMalloc_Track");
    return stock == NULL ? NOT_TRACING : stock(domain, address, size);
}

int PyTraceMalloc_Untrack(unsigned domain, uintptr_t address)
{
    int (*stock)(unsigned, uintptr_t);
    if (tracing_on()) {
        tracing_untrack(domain, address);
        return 0;
    }
    *(void **)&stock = cpython_function("PyTraceMalloc_Untrack");
    return stock == NULL ? NOT_TRACING : stock(domain, address);
}

PyObject *_PyTraceMalloc_GetTraceback(unsigned domain, uintptr_t address)
{
    PyObject *(*stock)(unsigned, uintptr_t);
    if (tracing_on())
        return traces_of_block(domain, address);
    *(void **)&stock = cpython_function("_PyTraceMalloc_GetTraceback");
    if (stock != NULL)
        return stock(domain, address);
    Py_INCREF(Py_None);
    return Py_None;
}
