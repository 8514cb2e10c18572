/**
 * The allocator hooks: those of the running CPython's family and of the present profile, installing and removing them.
 */
#ifndef TRACEMORTEM_TRACER_HOOKS_H
#define TRACEMORTEM_TRACER_HOOKS_H

#include "birth_events.h"
#include "cpython.h"

enum { HOOKED = 3 }; // the domains raw, mem and object, in CPython's order

/** What is compiled for each family and profile (hooks.inc.h). */
struct family_hooks {
    const PyMemAllocatorEx *allocators; // HOOKED of them
    birth_callback on_birth;
    uint32_t (*walked_site)(const PyThreadState *thread, unsigned allocator, uint32_t domain);
};

/** Those of the running CPython, in the present profile. */
const struct family_hooks *hooks_now(void);

/** Wrap CPython's allocators, also if the program has replaced them since. Again is no error. */
void hooks_install(void);
/** Take the hooks away. Where the program has wrapped them they stay, and only pass on; as they do without a global lock,
 * where other threads may be inside them. */
void hooks_remove(void);

#endif
