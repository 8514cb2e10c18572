/**
 * The threads which write the table in a build of CPython without a global lock: who is at it, and having all of them wait.
 *
 * There, every thread is one which holds no lock: it writes the slots of its own blocks, counts atomically, and interns
 * under the table's lock. What concerns all blocks at once (starting, stopping, clearing, a snapshot, a fork) is done
 * while no thread is in the midst of an update: each says so before and after one, and waits while it is held.
 *
 * Where CPython has its lock, which does all this, these functions do nothing.
 */
#ifndef TRACEMORTEM_TRACER_WRITERS_H
#define TRACEMORTEM_TRACER_WRITERS_H

#include "cpython.h"

/** One thread. Records are never given back, but to the next thread. */
struct writer {
    struct writer *next; // all there ever were
    unsigned busy;       // updates begun and not ended; more than one only where threads share the record
    bool taken;          // under the table's lock
};

/** Before the first of the functions below. False: no memory. Once a process. */
bool writers_create(void);

/** The calling thread begins an update, or one inside of another; waits while all are held. */
void writer_begin(void);
void writer_end(void);

/** Only one at a time: starts, stops, and whoever holds all. May let go of the interpreter while it waits. */
void writers_lock(void);
void writers_unlock(void);

/** No update is under way any more, and none begins. With writers_lock(); nothing of CPython's may be called until the
 * release, for a thread which waits for it cannot be stopped by the interpreter. */
void writers_hold(void);
void writers_release(void);

/** Around a fork(): the child has a table at rest, and one thread. */
void writers_before_fork(void);
void writers_after_fork_in_parent(void);
void writers_after_fork_in_child(void);

#endif
