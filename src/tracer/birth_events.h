/**
 * How CPython reports births (births.h). From 3.13 on it has a reference tracer for that. Before, its own tracemalloc hears
 * of each birth, and we take over a function of that.
 */
#ifndef TRACEMORTEM_TRACER_BIRTH_EVENTS_H
#define TRACEMORTEM_TRACER_BIRTH_EVENTS_H

#include <stdbool.h>

#include "new_reference.h"
#include "stock.h"

/** Whether TRACEMORTEM_REUSE=0 does not forbid it. */
bool birth_events_wanted(void);

/** Call `callback` at each birth from now on. BIRTHS_MISSED: this interpreter does not let us, or is not up yet. */
enum birth_way birth_events_begin(birth_callback callback);
void birth_events_end(void);

/** Whether births are still reported to us; the program may have given our place away. For the hooks: calls no Python. The
 * caller has an interpreter's lock, where there is one. */
bool birth_events_arrive(void);

#endif
