// PyTraceMalloc_Track and its kin, in front of CPython's own: whoever calls them while we trace tells us. They are reached
// by their public names where preloading puts those first, and else by bind.h.

#include "track.h"

#include "tracing.h"
#include "traces.h"

enum { NO_MEMORY = -1, NOT_TRACING = -2 };

int track_block(unsigned domain, uintptr_t address, size_t size)
{
    int (*stock)(unsigned, uintptr_t, size_t);
    if (tracing_on())
        return tracing_track(domain, address, size) ? 0 : NO_MEMORY;
    *(void **)&stock = cpython_function("PyTraceMalloc_Track");
    return stock == NULL ? NOT_TRACING : stock(domain, address, size);
}

int untrack_block(unsigned domain, uintptr_t address)
{
    int (*stock)(unsigned, uintptr_t);
    if (tracing_on()) {
        tracing_untrack(domain, address);
        return 0;
    }
    *(void **)&stock = cpython_function("PyTraceMalloc_Untrack");
    return stock == NULL ? NOT_TRACING : stock(domain, address);
}

PyObject *tracked_traceback(unsigned domain, uintptr_t address)
{
    PyObject *(*stock)(unsigned, uintptr_t);
    if (tracing_on())
        return traces_of_block(domain, address);
    *(void **)&stock = cpython_function("_PyTraceMalloc_GetTraceback");
    if (stock != NULL)
        return stock(domain, address);
    Py_IncRef(Py_None);
    return Py_None;
}

#define PUBLIC_NAME_OF(function) __attribute__((visibility("default"), alias(#function)))

PUBLIC_NAME_OF(track_block) int PyTraceMalloc_Track(unsigned domain, uintptr_t address, size_t size);
PUBLIC_NAME_OF(untrack_block) int PyTraceMalloc_Untrack(unsigned domain, uintptr_t address);
PUBLIC_NAME_OF(tracked_traceback) PyObject *_PyTraceMalloc_GetTraceback(unsigned domain, uintptr_t address);
