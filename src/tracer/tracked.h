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
/** How many there are in domain 0. */
extern uint64_t tracked_in_domain_0;

#endif
