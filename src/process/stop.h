/**
 * Holds all threads of a process still for a moment, by ptrace's seize and interrupt: no signal is sent, a system call
 * that waits goes on afterwards, and a process that was stopped by a signal stays stopped. If this process dies, the
 * kernel lets the threads go.
 */
#ifndef TRACEMORTEM_PROCESS_STOP_H
#define TRACEMORTEM_PROCESS_STOP_H

#include "process/live.h"

struct tm_stop;

/**
 * Returns when all threads are still. If that takes more than `most` nanoseconds, or cannot be, the error says why and
 * what to do. If it is TM_ERROR_INTERRUPTED, the kernel did not stop a thread in time. It may stop later, and is let go only
 * by tm_stop_settle() or when this process ends: which must be soon. `should_stop` says that the
 * user interrupts the waiting.
 */
struct tm_error *tm_stop_begin(const struct tm_live *live, uint64_t most, bool (*should_stop)(void),
                               struct tm_stop **result);
/** Thread number `index` that is held, unless a signal is just being delivered to it; 0: there are no more. */
pid_t tm_stop_thread(const struct tm_stop *stop, size_t *index);
/** Lets all threads go but this one. */
void tm_stop_keep(struct tm_stop *stop, pid_t id);
/** This thread has ended, or the process has. */
void tm_stop_forget(struct tm_stop *stop, pid_t id);
/** This thread, which is held, gets this signal when it is let go. */
void tm_stop_deliver(struct tm_stop *stop, pid_t id, int signal);
/** Nanoseconds since the first thread was interrupted. */
uint64_t tm_stop_elapsed(const struct tm_stop *stop);
/** Lets the threads go. Returns how long the process was still, as tm_stop_elapsed(). */
uint64_t tm_stop_end(struct tm_stop *stop);
/**
 * After a tm_stop_begin() that failed: waits up to `most` nanoseconds for threads that were not still in time, and lets each go
 * as it stops. False: one may still stop, until this process ends.
 */
bool tm_stop_settle(uint64_t most);

#endif
