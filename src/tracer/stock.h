/**
 * CPython's own tracemalloc, the stock tracer, at work for us: up to 3.12 it looks each new object's block up in its table of
 * traces, so we start it, take its allocator hooks out again, and replace the function by which the table looks up.
 *
 * A program may still use the stock tracer itself, and the interpreter destroys the table at its end. So we touch the table
 * only while the stock tracer traces, since the table exists then, and our functions answer correctly whatever is in it.
 */
#ifndef TRACEMORTEM_TRACER_STOCK_H
#define TRACEMORTEM_TRACER_STOCK_H

#include "cpython.h"

/** Called with the address of an object, or of its block, holding the interpreter's lock, where there is one. */
typedef void (*birth_callback)(uintptr_t object);

/** Called with each block that is looked up while the stock tracer is ours. Never NULL. */
extern birth_callback stock_callback;

/** Start the stock tracer for us. False: the program uses it, or something about it is unexpected. */
bool stock_begin(void);
/** Stop it, if it is still ours. */
void stock_end(void);
/** Whether it still traces for us, and nothing is in its table. Calls no Python. */
bool stock_is_ours(void);
/**
 * The allocator that the stock tracer's hook wraps, if this is such a hook: a place of the stock tracer's, from which it
 * restores the allocator when it stops. Else NULL. Calls no Python.
 */
PyMemAllocatorEx *stock_wrapped_by(const PyMemAllocatorEx *allocator);
/** The program uses the stock tracer, or the table and the module are gone with their interpreter: leave them alone. */
void stock_forget(void);

/** CPython's variable that points to the table of traces; once found, it stays. */
extern uintptr_t *const *stock_table;
enum { STOCK_ENTRIES_3_8 = 1, STOCK_ENTRIES_3_9 = 0 }; // the word of the table with the number of entries

/** The initialization of CPython's own `_tracemalloc`, where ours has replaced it among the built-in modules. */
extern PyObject *(*stock_init)(void);

#endif
