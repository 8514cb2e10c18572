/**
 * The table of a forked child.
 */
#ifndef TRACEMORTEM_TRACER_FORK_H
#define TRACEMORTEM_TRACER_FORK_H

#include <stdbool.h>

/** The table is this child's: end what other threads had begun. `others`: some may have gone on while it was copied. */
void fork_repair(bool others);

/** Have forked children repair what was in flight. False: no memory. Once a process. */
bool fork_install(void);

#endif
