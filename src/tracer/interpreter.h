/**
 * Which of the loaded modules is the interpreter.
 *
 * Mostly the dynamic linker finds the interpreter's symbols for us. But an interpreter may come by dlopen() after the tracer
 * (uwsgi, mod_wsgi, programs that embed Python on demand), or into a scope that is not ours (RTLD_LOCAL). Then all that we
 * know of CPython is NULL, and interpreter_connect() finds it. From then on everything else works as ever.
 */
#ifndef TRACEMORTEM_TRACER_INTERPRETER_H
#define TRACEMORTEM_TRACER_INTERPRETER_H

#include <stdbool.h>

/** Whether CPython's symbols are known: whether this process is a Python, as far as we can reach. */
bool interpreter_present(void);

enum interpreter {
    INTERPRETER_ABSENT,      // no CPython is known
    INTERPRETER_OURS,        // CPython's symbols are those of this interpreter
    INTERPRETER_SECOND,      // they are those of another one
    INTERPRETER_UNREACHABLE, // the system does not let us change our own memory
};

#define INTERPRETER_SECOND_TEXT "this process has another CPython, which came first; only one is traced"
#define INTERPRETER_UNREACHABLE_TEXT "its symbols cannot be bound, since mprotect() fails"

/**
 * If the module that contains this address is an interpreter, and none is known, make its symbols ours. The module then stays
 * loaded for good, since we call into it. The address may be in an interpreter which does not export its symbols.
 */
enum interpreter interpreter_connect(const void *address);

/** The same where nobody says which module it is: the first that is one. */
enum interpreter interpreter_connect_any(void);

/** What the module that contains this address exports by this name; NULL: nothing. */
void *interpreter_function_at(const void *address, const char *name);

/** Remember which module the interpreter is. With the interpreter's lock, or before there are threads. */
void interpreter_find(void);

struct module;
/** Whether this module is the interpreter. After interpreter_find(). */
bool interpreter_is(const struct module *module);

/** CPython's own function, even where one of ours hides it. NULL: there is none. After interpreter_find(). */
void *interpreter_function(const char *name);

#endif
