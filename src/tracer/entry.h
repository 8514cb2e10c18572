/**
 * Redirecting a function by its entry: its first instruction becomes a jump to a function of ours. Knows machine code and
 * modules; nothing of CPython.
 *
 * Only on x86-64. Elsewhere, and wherever something about the function is unexpected, the answer is no, and nothing has
 * changed.
 */
#ifndef TRACEMORTEM_TRACER_ENTRY_H
#define TRACEMORTEM_TRACER_ENTRY_H

#include <stdbool.h>

enum { ENTRY_JUMP = 6 }; // bytes of the jump

/** A function and its jump. All zero: not redirected. */
struct entry {
    unsigned char *at;              // where the jump is, behind an endbr64; NULL: nowhere
    int protection;                 // of the code, as the module's file says
    unsigned char kept[ENTRY_JUMP]; // what was there before
    unsigned char jump[ENTRY_JUMP];
    void *own_target;     // where the jump leads
    void **target, *page; // that word, or one in a page near the function if this record is too far away for a jump
};

/**
 * Make a call of `function` a call of `to`, which has the same arguments and result. False: its first instructions are not
 * such as begin a function (there may be a breakpoint), or the system does not let us write there.
 *
 * No thread may be at the function's first bytes, nor begin a call of it meanwhile: the caller has the lock without which
 * nobody calls it. Other threads run the new bytes after they have got that lock; mprotect() has made their processors
 * forget the old ones.
 */
bool entry_redirect(struct entry *entry, void *function, void *to);

/**
 * Put the function's own bytes back, if it is still loaded. False: the jump is not as it was made (a debugger has set a
 * breakpoint on it), or the system does not let us. Then it stays, and `to` is still called. The same condition as above.
 */
bool entry_restore(struct entry *entry);

#endif
