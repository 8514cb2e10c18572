/**
 * Makes extension modules call our PyTraceMalloc_Track and its kin instead of CPython's.
 *
 * Preloading replaces the symbols of a shared interpreter. But those of an executable always come first, and an imported
 * tracer comes too late. So we change the modules' global offset tables.
 */
#ifndef TRACEMORTEM_TRACER_BIND_H
#define TRACEMORTEM_TRACER_BIND_H

/** Change all modules that are loaded now, and those that the interpreter will load. Again is no error. */
void bind_modules(void);

#endif
