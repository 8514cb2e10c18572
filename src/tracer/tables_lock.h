/**
 * The lock around the look-up by which CPython's function reports a new object (new_reference.h). While the stock tracer is
 * ours, nobody else wants that lock. So the function's calls of the semaphore's functions do nothing, nor does its call of
 * the clock, which CPython reads with the lock. For all other callers, these functions are libc's.
 */
#ifndef TRACEMORTEM_TRACER_TABLES_LOCK_H
#define TRACEMORTEM_TRACER_TABLES_LOCK_H

#include <stdbool.h>

/**
 * Leave the lock out from now on. `try_out` has CPython's function called by probe_run(), so that we learn how it takes the
 * lock; false: that failed. The result is false if the lock is no semaphore, or the interpreter's slots cannot be changed;
 * then all is as before. With the interpreter's lock.
 */
bool tables_lock_skip(bool (*try_out)(void));
/** Take the lock as ever from now on. */
void tables_lock_restore(void);

/** The calling thread, which is inside the function, finds that somebody else uses the table: take the lock after all. */
void tables_lock_take(void);

#endif
