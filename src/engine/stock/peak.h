/**
 * The peak of traced memory where no symbol leads to it, up to CPython 3.11. Knows the variables around the one of the
 * table of traces, and no table.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_PEAK_H
#define TRACEMORTEM_ENGINE_STOCK_PEAK_H

#include "engine/target/target.h"

/**
 * CPython's variables of the traced memory and of its peak are neighbours, in either order. `traced` is the sum of all
 * traces, and `variable` the address of the variable of their table. False if it is not certain which word is the peak.
 */
bool tm_stock_find_peak(struct tm_target *target, uint64_t variable, uint64_t traced, uint64_t *peak);

#endif
