// The preloaded tracer: tracing begins before the interpreter's first allocation, as TRACEMORTEM in the environment says. The
// interpreter is there when the program starts, or comes later by dlopen().
//
// In a program that is no Python nothing happens, and it costs nothing. If the tracer cannot do what the environment asks
// for, it says so in one line on stderr.

#define _GNU_SOURCE
#include <string.h>

#include "environment.h"
#include "interpreter.h"
#include "module.h"
#include "recorder.h"
#include "recording.h"
#include "say.h"
#include "signal_switch.h"
#include "stock.h"
#include "table.h"
#include "tracing.h"

// With PYTHONMALLOC and -X dev the interpreter replaces its allocators after we hooked them, and births can be watched only
// once it has a thread. These built-in modules are among the first things it makes then, so we look again when it does. The
// last of them is imported by Python code that Python code has called: their frames must be where we look for them.
#define EARLY_MODULES(X) X(_imp) X(_thread) X(_warnings) X(_weakref) X(_io) X(marshal) X(posix) X(_abc)

enum early_module {
#define ENUM(name) EARLY_##name,
    EARLY_MODULES(ENUM) EARLY_COUNT
};

static PyObject *(*early_init[EARLY_COUNT])(void);

static void complain(const char *what, const char *why)
{
    say("%s: %s; continuing without tracing", what, why);
}

static void look_again(enum early_module module)
{
    if (module == EARLY_posix) // here Python makes os.environ
        environment_show_stock();
    if (module == EARLY__abc)
        signal_install();
    if (!tracing_on())
        return;
    if (module == EARLY__abc) // `signal` was there before, and shows what handlers it found
        recorder_guard();
    if (cpython_look_at_frames(cpython.current_thread()) == CPYTHON_FRAMES_STRANGE ||
        (module == EARLY__abc && cpython.frames < CPYTHON_FRAMES_CALL)) {
        tracing_stop();
        complain("cannot trace", CPYTHON_STRANGE_FRAMES);
        return;
    }
    tracing_catch_up();
}

#define INIT(name)                         \
    static PyObject *init_##name(void)     \
    {                                      \
        look_again(EARLY_##name);          \
        return early_init[EARLY_##name](); \
    }
EARLY_MODULES(INIT)

/** Wrap the early modules; `replaces`: and replace `_tracemalloc` by ours. */
static void take_built_in_modules(bool replaces)
{
    for (struct inittab *entry = PyImport_Inittab; entry->name != NULL; entry++) {
        if (replaces && strcmp(entry->name, "_tracemalloc") == 0 && entry->init != NULL) {
            stock_init = entry->init;
            entry->init = module_init_tracemalloc;
        }
#define WATCH(module)                                                                               \
    if (strcmp(entry->name, #module) == 0 && entry->init != NULL && entry->init != init_##module) { \
        early_init[EARLY_##module] = entry->init;                                                   \
        entry->init = init_##module;                                                                \
    }
        EARLY_MODULES(WATCH)
    }
}

/** The interpreter is loaded, and has not begun. */
static void begin(void)
{
    unsigned frame_limit = environment_frame_limit();
    if (frame_limit != 0)
        recorder_ask();
    profile_t profile = environment_profile(&profile_lean);
    bool takes_signal = environment_signal() != 0;
    environment_restore();
    const char *problem = cpython_attach();
    if (problem == NULL)
        problem = table_create();
    if (problem != NULL) {
        if (frame_limit != 0 || takes_signal)
            complain("cannot trace this Python", problem);
        return;
    }
    if (frame_limit == 0) {
        if (takes_signal)
            take_built_in_modules(false);
        return;
    }
    // The stock tracer would put its hooks on top of ours, and do the same work again. But samples do not replace it.
    if (!profile->picks)
        environment_hide_stock();
    take_built_in_modules(!profile->picks);
    problem = tracing_start(frame_limit, profile);
    if (problem != NULL)
        complain("cannot trace", problem);
}

static bool loaded; // our constructor has run: what we need is relocated, and libc is ready

static __attribute__((constructor)) void preloaded(void)
{
    loaded = true;
    // If it was imported as a module, the program starts tracing itself.
    if (interpreter_present() && !Py_IsInitialized())
        begin();
}

/**
 * Called by the initialization code of each module that is loaded after us, where that code is glibc's crti.o: it calls
 * a function of this name if there is one, for the sake of gprof. The module is relocated, its constructors have not run, and
 * the call comes from dlopen() in the loading thread. A module finds us in whatever scope it is loaded, except in a namespace
 * of its own (dlmopen()). So we need no dlopen() of our own, which would look for libraries by our search path and not by the
 * caller's.
 */
__attribute__((visibility("default"))) void __gmon_start__(void);
void __gmon_start__(void)
{
    if (!loaded || interpreter_present())
        return;
    switch (interpreter_connect(__builtin_return_address(0))) {
    case INTERPRETER_OURS:
        begin();
        break;
    case INTERPRETER_UNREACHABLE:
        if (environment_frame_limit() != 0)
            complain("cannot trace this Python", INTERPRETER_UNREACHABLE_TEXT);
        break;
    case INTERPRETER_ABSENT:
    case INTERPRETER_SECOND:
        break;
    }
}
