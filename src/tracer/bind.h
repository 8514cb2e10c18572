/**
 * Makes extension modules call our functions instead of CPython's of the same name: PyTraceMalloc_Track and its kin.
 *
 * A shared interpreter's symbols are replaced by preloading; those of an executable come first whatever is loaded, and an
 * imported tracer comes too late. So the modules' own global offset tables are changed.
 */
#ifndef TRACEMORTEM_TRACER_BIND_H
#define TRACEMORTEM_TRACER_BIND_H

/** Change all modules which are loaded now, and those which the interpreter will load. Again is no error. */
void bind_modules(void);

#endif
