/**
 * Debug builds (`make DEBUG=1`): the engine's own checker runs inside the tracer, on the table it has just written.
 *
 * Nothing of it is in other builds. A table which does not agree with itself ends the process, with what tm-verify says.
 */
#ifndef TRACEMORTEM_TRACER_SELFCHECK_H
#define TRACEMORTEM_TRACER_SELFCHECK_H

#ifdef TRACEMORTEM_SELFCHECK

/** Check now, between two updates of the calling thread. `when` is for the message. */
void selfcheck(const char *when);
/** Check at every so manyth call, as TRACEMORTEM_SELFCHECK in the environment says (default 50000; 0: at none). */
void selfcheck_now_and_then(void);
/** Check at exit, and know of forks. Once a process. */
void selfcheck_install(void);

#else

static inline void selfcheck(const char *when)
{
    (void)when;
}
static inline void selfcheck_now_and_then(void)
{
}
static inline void selfcheck_install(void)
{
}

#endif
#endif
