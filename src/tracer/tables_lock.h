/**
 * The lock around the look-up by which CPython's function reports a new object (new_reference.h). While the stock tracer is
 * ours, nobody else wants that lock. From 3.11 on CPython reads the clock whenever it takes a lock, which costs more than all
 * the rest. So for that function the clock and the semaphore's functions do nothing. For all other callers they are libc's.
 */
#ifndef TRACEMORTEM_TRACER_TABLES_LOCK_H
#define TRACEMORTEM_TRACER_TABLES_LOCK_H

#include <stdbool.h>

/**
 * Leave the lock out from now on. `try_out` has CPython's function called by probe_run(), so that we learn how it takes the
 * lock; false: that failed. The result is false if it reads no clock, if the lock is no semaphore, or if the interpreter's
 * slots cannot be changed; then all is as before. With the interpreter's lock.
 */
bool tables_lock_skip(bool (*try_out)(void));
/** Take the lock as ever from now on. If other threads may be inside the function, the slots stay: they pass on to libc. */
void tables_lock_restore(bool alone);

/** The calling thread, which is inside the function, finds that somebody else uses the table: take the lock after all. */
void tables_lock_take(void);

#endif
