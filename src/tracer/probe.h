/**
 * Calling a function of the interpreter in such a way that what it calls can tell which way it was reached. Knows modules and
 * machine code; nothing of CPython. Only on x86-64.
 *
 * The function runs with zeros in all registers that it may keep, and on a stack that was filled with zeros. So every word
 * between it and us has been put there by its own code, and all return addresses are among the words that point into code.
 */
#ifndef TRACEMORTEM_TRACER_PROBE_H
#define TRACEMORTEM_TRACER_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/** Call function(object), with signals blocked. False: not on this machine, or the function is in no module. */
bool probe_run(void *function, void *object);

enum { PROBE_STEPS = 12 };

/** A word on the stack that points into code of the probed function's module: a return address, or looks like one. */
struct probe_step {
    const uintptr_t *word;
    uintptr_t address;
};

/** The oldest step comes first: it is in the function that was called. */
struct probe_path {
    unsigned count;
    struct probe_step steps[PROBE_STEPS];
};

/** The steps from the probed function down to the word `lowest`. False: this thread does not probe, or there are too many. */
bool probe_path(const uintptr_t *lowest, struct probe_path *path);

/** What the direct call before a return address calls, in the same module, also by way of a stub. NULL: something else. */
void *probe_called(uintptr_t address);

/** Where the calling function's return address is. The function then has a frame pointer. */
#define OWN_RETURN_ADDRESS ((const uintptr_t *)__builtin_frame_address(0) + 1)

#endif
