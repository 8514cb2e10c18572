// Allocates and frees in one of CPython's domains as fast as possible. In the benchmark two threads do this at once.
// Called by ctypes: hammer_raw() without the interpreter's lock, hammer_mem() with it.

#include <Python.h>

#define KEPT 64

void hammer_raw(long count);
void hammer_mem(long count);

#define HAMMER(name, allocate, release)              \
    void name(long count)                            \
    {                                                \
        void *kept[KEPT] = {NULL};                   \
        for (long i = 0; i < count; i++) {           \
            release(kept[i % KEPT]);                 \
            kept[i % KEPT] = allocate(24 + i % 200); \
        }                                            \
        for (int i = 0; i < KEPT; i++)               \
            release(kept[i]);                        \
    }

HAMMER(hammer_raw, PyMem_RawMalloc, PyMem_RawFree)
HAMMER(hammer_mem, PyMem_Malloc, PyMem_Free)
