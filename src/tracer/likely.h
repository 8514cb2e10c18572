/**
 * Hints to the compiler: what is inlined whatever it costs, and which way a branch mostly goes.
 */
#ifndef TRACEMORTEM_TRACER_LIKELY_H
#define TRACEMORTEM_TRACER_LIKELY_H

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#endif
