/**
 * The threads that write the table in a build of CPython without a global lock: which are writing, and making all wait.
 *
 * In such a build no thread holds a lock. Each writes the slots of its own blocks, counts atomically, and interns under the
 * table's lock. What concerns all blocks at once (a start, a stop, a clear, a snapshot, a fork) happens while no thread is
 * inside an update. So each thread notes where its updates begin and end, and waits while the writers are held.
 *
 * Where CPython has its lock, which does all this, these functions do nothing.
 */
#ifndef TRACEMORTEM_TRACER_WRITERS_H
#define TRACEMORTEM_TRACER_WRITERS_H

#include "cpython.h"

/** A thread. Its record goes to the next new thread when it ends. */
struct writer {
    struct writer *next; // of all records
    unsigned busy;       // updates begun and not ended; more than one only if threads share the record
    bool taken;          // under the table's lock
};

/** To be called before the functions below, once a process. False: no memory. */
bool writers_create(void);

/** The calling thread begins an update, perhaps inside another one. Waits while the writers are held. */
void writer_begin(void);
void writer_end(void);

/** Taken by starts, by stops, and to hold the writers. May release the interpreter's thread state while it waits. */
void writers_lock(void);
void writers_unlock(void);

/** From the return on, no update is under way and none begins. With writers_lock(). Do not call CPython before the release:
 * the interpreter cannot stop a thread that waits for it. */
void writers_hold(void);
void writers_release(void);

/** Around fork(): the child has one thread, and a table on which no other was writing. */
void writers_before_fork(void);
void writers_after_fork_in_parent(void);
void writers_after_fork_in_child(void);

#endif
