// A library whose handlers of fork() are registered before the tracer's, so that they run between those. They allocate,
// resize and free by CPython, and track blocks of their own.

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

void *PyMem_RawMalloc(size_t size);
void *PyMem_RawRealloc(void *block, size_t size);
void PyMem_RawFree(void *block);
int PyTraceMalloc_Track(unsigned domain, uintptr_t address, size_t size);
int PyTraceMalloc_Untrack(unsigned domain, uintptr_t address);

void begin_handling(void);
void allocate_before(void);

enum { DOMAIN = 7 };
static char tracked[2];
static void *resized, *prepared, *late;

static void prepare(void)
{
    prepared = PyMem_RawMalloc(70001);
    resized = PyMem_RawRealloc(resized, 70003);
    PyTraceMalloc_Untrack(DOMAIN, (uintptr_t)&tracked[0]);
    PyTraceMalloc_Track(DOMAIN, (uintptr_t)&tracked[1], 70005);
}

static void in_parent(void)
{
    PyMem_RawFree(resized);
    late = PyMem_RawMalloc(70006);
}

static void in_child(void)
{
    PyMem_RawFree(prepared);
    resized = PyMem_RawRealloc(resized, 70007);
    PyTraceMalloc_Untrack(DOMAIN, (uintptr_t)&tracked[1]);
    late = PyMem_RawMalloc(70008);
}

void begin_handling(void)
{
    if (pthread_atfork(prepare, in_parent, in_child) != 0)
        abort();
}

void allocate_before(void)
{
    resized = PyMem_RawMalloc(70002);
    PyTraceMalloc_Track(DOMAIN, (uintptr_t)&tracked[0], 70004);
}
