/**
 * The units of a leaf: their words, each of which is there twice.
 *
 * Knows words, and nothing of what they lead to.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_UNITS_H
#define TRACEMORTEM_ENGINE_TABLE_UNITS_H

#include "engine/table/map.h"

/** The bytes of a leaf's units, and then of their copies. */
#define TM_UNITS_SIZE (TM_LEAF_UNITS * sizeof(struct tm_unit))
/** As many units are read at once by tm_units_read(). */
#define TM_UNITS_MOST 1024u

/**
 * Take the copy of each word that leads nowhere: it is missing (the caller makes it 0), damaged, or became 0. `first` is the
 * number of the first of these units in the address space. Returns how many words were taken.
 */
uint32_t tm_units_mend(unsigned unit_shift, uint64_t first, struct tm_unit *units, const struct tm_unit *copies,
                       uint32_t count);

/**
 * Read and mend `count` units of a leaf, at most TM_UNITS_MOST, from its unit `first` on. False: neither all of them nor all
 * of their copies can be read.
 */
bool tm_units_read(const struct tm_map *map, const struct tm_map_leaf *leaf, uint32_t first, uint32_t count,
                   struct tm_unit *units);

#endif
