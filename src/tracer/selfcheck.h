/**
 * Debug builds (`make DEBUG=1`): the engine's own checker runs inside the tracer, on the table it has just written.
 *
 * Other builds have nothing of it. An inconsistent table ends the process, with the answer of tm-verify.
 */
#ifndef TRACEMORTEM_TRACER_SELFCHECK_H
#define TRACEMORTEM_TRACER_SELFCHECK_H

#ifdef TRACEMORTEM_SELFCHECK

/** Check now, between two updates of the calling thread. `when` is for the message. */
void selfcheck(const char *when);
/** Check at each Nth call; N is TRACEMORTEM_SELFCHECK in the environment (default 50000; 0: never). */
void selfcheck_now_and_then(void);
/** Check at exit, and notice forks. Once a process. */
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
