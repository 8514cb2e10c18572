/**
 * The table of a forked child.
 */
#ifndef TRACEMORTEM_TRACER_FORK_H
#define TRACEMORTEM_TRACER_FORK_H

#include <stdbool.h>

/** Have forked children repair what was in flight. False: no memory. Once a process. */
bool fork_install(void);

#endif
