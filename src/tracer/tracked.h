/**
 * Blocks whose address is no key for the shadow map: those of foreign domains (PyTraceMalloc_Track) and those at
 * addresses which are no multiple of 16. All functions take the lock.
 */
#ifndef TRACEMORTEM_TRACER_TRACKED_H
#define TRACEMORTEM_TRACER_TRACKED_H

#include "table.h"

struct tracked_block {
    uint64_t size;
    uint32_t site;
};

/** Add a block, or replace what is known of the address. False: no memory. `replaced` tells of the one before. */
bool tracked_put(uint32_t domain, uint64_t address, struct tracked_block block, struct tracked_block *replaced);
/** Remove a block; false: it was not there. */
bool tracked_take(uint32_t domain, uint64_t address, struct tracked_block *block);
/** The site of a block, or 0. */
uint32_t tracked_site(uint32_t domain, uint64_t address);
/** Remove all. */
void tracked_reset(void);
/** Remove the block of a record, whichever it is; false: the record is free. */
bool tracked_take_record(uint32_t id, struct tracked_block *block);

extern uint64_t tracked_in_domain_0; // changed under the lock
/** Whether there are any in domain 0. */
static inline bool tracked_any_in_domain_0(void)
{
    return __atomic_load_n(&tracked_in_domain_0, __ATOMIC_RELAXED) != 0;
}

#endif
