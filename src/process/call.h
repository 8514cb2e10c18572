/**
 * Calls functions in a process that is held still: the one thing here that changes a process, for `tracemortem start` and
 * `stop`.
 *
 * A call happens in one of its threads, at a point where that thread holds none of libc's locks: it runs the interpreter's own
 * code, or waits in a system call for something from outside. All other threads run on meanwhile. Afterwards the thread is
 * as it was, with all registers, and a system call that waited goes on. Knows no Python and no tracer.
 */
#ifndef TRACEMORTEM_PROCESS_CALL_H
#define TRACEMORTEM_PROCESS_CALL_H

#include "process/stop.h"

struct tm_call;

/** Whether this machine's registers are known. */
bool tm_call_is_supported(void);

/**
 * Looks for a thread of a process that is held. `code` is the interpreter's code, [start, end). NULL: no thread is at such a
 * point now, so let the process go on and try again; *where then gets a word on it. Otherwise all other threads are let go.
 */
struct tm_call *tm_call_begin(const struct tm_live *live, struct tm_stop *stop, const uint64_t code[2],
                              const char **where);
/** Whether the thread waits in a system call. */
bool tm_call_waits(const struct tm_call *call);
/** `say_slow` is called once if a function has not returned after a second. Were this process to end then, the other would
 * crash. */
void tm_call_on_delay(struct tm_call *call, void (*say_slow)(pid_t pid, pid_t thread));

/** Puts bytes on the thread's stack, below all that is in use. Returns their address; 0: there is no room. */
uint64_t tm_call_put(struct tm_call *call, const void *bytes, size_t length);

enum { TM_CALL_ARGUMENTS = 3 };
/** Calls a function. The error says that the process ended meanwhile, or that the function crashed and was abandoned. */
struct tm_error *tm_call_run(struct tm_call *call, uint64_t function, const uint64_t arguments[TM_CALL_ARGUMENTS],
                             uint64_t *result);

/** The thread is as it was, and gets signals that were sent to it meanwhile. tm_stop_end() lets it go on. */
void tm_call_end(struct tm_call *call);

#endif
