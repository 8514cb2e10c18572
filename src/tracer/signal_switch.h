/**
 * TRACEMORTEM_SIGNAL: a signal that starts tracing, and the next one writes a snapshot and stops.
 */
#ifndef TRACEMORTEM_TRACER_SIGNAL_SWITCH_H
#define TRACEMORTEM_TRACER_SIGNAL_SWITCH_H

/** Handle the signal that the environment names, if it names one. Once a process, while Python starts. */
void signal_install(void);

#endif
