/**
 * fork() while the table is in a file.
 *
 * Parent and child would write the same pages, so the child must have a file of its own before its first record. It gets a
 * copy of the table as it is at the fork. Until the copy is made, the parent waits, and so do its other threads as soon as
 * they would record. A child that calls exec, or ends, ends the wait at once, and pays nothing. For a child that does none of
 * this, the parent makes the copy after a while, and goes on.
 *
 * While this lasts, `recording_switch` is negative. So each hook comes to recording_pass() first, and the hooks of a process
 * that does not fork pay nothing.
 */
#ifndef TRACEMORTEM_TRACER_HANDOFF_H
#define TRACEMORTEM_TRACER_HANDOFF_H

#include <stdbool.h>

/** Before fork(), and before its table's lock is taken, for which a thread may wait that is inside an update. */
void handoff_announce_fork(void);
/** Around fork(), holding the table's lock. */
void handoff_before_fork(void);
void handoff_after_fork_in_parent(void);
void handoff_after_fork_in_child(void);

/** Whether this is a child whose table is its parent's still. */
bool handoff_is_due(void);
/** Have a table of our own now, if that is due. */
void handoff_take(void);

/** Have the other threads wait before they record, and release them. */
void handoff_hold(void);
void handoff_release(void);

#endif
