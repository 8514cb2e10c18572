// The tracer as an extension module: the interface of CPython's `_tracemalloc`, over our table.
//
// One binary serves all versions: it uses only the limited API, and all symbols are weak (cpython.h).

#include "module.h"

#include <stdio.h>

#include "environment.h"
#include "interpreter.h"
#include "recording.h"
#include "signal_switch.h"
#include "switch.h"
#include "table.h"
#include "traces.h"
#include "tracing.h"

static PyObject *none(void)
{
    Py_IncRef(Py_None);
    return Py_None;
}

static PyObject *start(unsigned limit, profile_t profile)
{
    const char *problem = tracing_start(limit, profile);
    if (problem != NULL) {
        PyErr_Format(PyExc_RuntimeError, "tracemortem: %s", problem);
        return NULL;
    }
    return none();
}

static PyObject *module_start(PyObject *module, PyObject *arguments)
{
    profile_t profile = environment_profile(&profile_full);
    int limit = profile->picks ? FRAME_LIMIT_SAMPLED : 1;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "|i:start", &limit))
        return NULL;
    if (limit < 1 || limit > FRAME_LIMIT_MAX) {
        PyErr_Format(PyExc_ValueError, "the number of frames must be in range [1; %i]", FRAME_LIMIT_MAX);
        return NULL;
    }
    return environment_is_sound() ? start((unsigned)limit, profile) : none();
}

static PyObject *module_start_as_asked(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    signal_install();
    unsigned limit = tracing_on() ? 0 : environment_frame_limit();
    return limit == 0 ? none() : start(limit, environment_profile(&profile_lean));
}

static PyObject *module_start_for_launcher(PyObject *module, PyObject *arguments)
{
    int limit;
    const char *detail;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "is:_start_for_launcher", &limit, &detail))
        return NULL;
    profile_t profile = profile_called(detail);
    if (profile == NULL)
        profile = environment_profile(&profile_lean);
    return environment_is_sound() ? start((unsigned)limit, profile) : none();
}

static PyObject *module_switch(PyObject *module, PyObject *arguments)
{
    struct tm_switch_request request = {.magic = TM_SWITCH_MAGIC};
    const char *detail, *file;
    int order, limit;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "iisy:_switch", &order, &limit, &detail, &file))
        return NULL;
    request.order = (uint32_t)order;
    request.frame_limit = (uint32_t)limit;
    snprintf(request.detail, sizeof request.detail, "%s", detail);
    if ((size_t)snprintf(request.file, sizeof request.file, "%s", file) >= sizeof request.file)
        request.magic = 0;
    const struct tm_switch *found = switch_now(&request);
    return Py_BuildValue("iis", (int)found->state, (int)found->frame_limit, found->message);
}

static PyObject *module_stop(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    tracing_stop();
    return none();
}

static PyObject *module_is_tracing(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyBool_FromLong(tracing_on());
}

static PyObject *module_clear_traces(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    tracing_clear();
    return none();
}

static PyObject *module_get_traceback_limit(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(table->frame_limit == 0 ? 1 : (long)table->frame_limit);
}

static PyObject *module_get_traced_memory(PyObject *module, PyObject *unused)
{
    uint64_t traced, peak;
    (void)module, (void)unused;
    tracing_memory(&traced, &peak);
    return Py_BuildValue("KK", (unsigned long long)traced, (unsigned long long)peak);
}

static PyObject *module_reset_peak(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (tracing_on())
        tracing_reset_peak();
    return none();
}

static PyObject *module_get_tracemalloc_memory(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromUnsignedLongLong(table->mapped);
}

static PyObject *module_get_traces(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return traces_list();
}

static PyObject *module_get_object_traceback(PyObject *module, PyObject *object)
{
    (void)module;
    return traces_of_object(object);
}

static PyMethodDef functions[] = {
    {"start", module_start, METH_VARARGS,
     "start($module, nframe=1, /)\n--\n\nStart tracing, with up to nframe frames for each memory block."},
    {"_start_as_asked", module_start_as_asked, METH_NOARGS,
     "_start_as_asked($module, /)\n--\n\nStart tracing if TRACEMORTEM in the environment says so."},
    {"_start_for_launcher", module_start_for_launcher, METH_VARARGS,
     "_start_for_launcher($module, nframe, detail, /)\n--\n\nStart tracing in this detail, or by default if it is "
     "empty."},
    {"_switch", module_switch, METH_VARARGS,
     "_switch($module, order, nframe, detail, file, /)\n--\n\nStart (1) or stop (2), for `tracemortem start` and "
     "`stop`. "
     "Returns the switch's state, frame limit and message."},
    {"stop", module_stop, METH_NOARGS, "stop($module, /)\n--\n\nStop tracing and forget all traces."},
    {"is_tracing", module_is_tracing, METH_NOARGS, "is_tracing($module, /)\n--\n\nTrue while tracing."},
    {"clear_traces", module_clear_traces, METH_NOARGS, "clear_traces($module, /)\n--\n\nForget all traces so far."},
    {"get_traceback_limit", module_get_traceback_limit, METH_NOARGS,
     "get_traceback_limit($module, /)\n--\n\nThe greatest number of frames kept for each memory block."},
    {"get_traced_memory", module_get_traced_memory, METH_NOARGS,
     "get_traced_memory($module, /)\n--\n\nBytes in traced blocks: (now, at most)."},
    {"reset_peak", module_reset_peak, METH_NOARGS, "reset_peak($module, /)\n--\n\nSet the peak to the present size."},
    {"get_tracemalloc_memory", module_get_tracemalloc_memory, METH_NOARGS,
     "get_tracemalloc_memory($module, /)\n--\n\nBytes of address space that the tracer has mapped for itself."},
    {"_get_traces", module_get_traces, METH_NOARGS,
     "_get_traces($module, /)\n--\n\nAll traces, as a list of tuples (domain, size, frames, total number of frames)."},
    {"_get_object_traceback", module_get_object_traceback, METH_O,
     "_get_object_traceback($module, obj, /)\n--\n\nThe frames of the block that holds an object, or None."},
    {NULL, NULL, 0, NULL},
};

// A PyModuleDef without its object head, which is longer in free-threaded builds. There is room for the longest head before
// the rest, and the object begins one head of the running interpreter before the rest. PyModule_Create2() fills in the head.
enum { LONGEST_HEAD = 32 };
struct definition {
    char head[LONGEST_HEAD];
    PyObject *(*init)(void);
    Py_ssize_t index;
    PyObject *copy;
    const char *name;
    const char *documentation;
    Py_ssize_t size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
};
_Static_assert(sizeof(struct definition) - LONGEST_HEAD == sizeof(PyModuleDef) - sizeof(PyObject),
               "PyModuleDef has changed");

#define DEFINITION(module)                                                                                     \
    {                                                                                                          \
        .name = (module),                                                                                      \
        .documentation =                                                                                       \
            "The tracer: records who allocated each memory block, for tracemalloc's users and for debuggers.", \
        .size = -1, .methods = functions,                                                                      \
    }
static struct definition as_tracer = DEFINITION("_tracer"), as_tracemalloc = DEFINITION("_tracemalloc");

static PyObject *create(struct definition *definition)
{
    void *object = (char *)definition + LONGEST_HEAD - cpython.facts->object_size;
    PyObject *module = PyModule_Create2(object, PYTHON_ABI_VERSION);
    // Otherwise a free-threaded interpreter would use its lock from now on.
    if (module != NULL && PyUnstable_Module_SetGIL != NULL)
        PyUnstable_Module_SetGIL(module, GIL_NOT_USED);
    return module;
}

/** An ImportError of the interpreter that contains `caller`, which need not be the one that we know. Returns NULL. */
static PyObject *refuse(const void *caller, const char *problem)
{
    char text[200];
    PyObject **error = interpreter_function_at(caller, "PyExc_ImportError");
    void (*set)(PyObject *, const char *);
    *(void **)&set = interpreter_function_at(caller, "PyErr_SetString");
    snprintf(text, sizeof text, "tracemortem cannot trace this Python: %s", problem);
    if (set != NULL && error != NULL)
        set(*error, text);
    return NULL;
}

static const char *find_interpreter(const void *caller)
{
    switch (interpreter_connect(caller)) {
    case INTERPRETER_OURS:
        return NULL;
    case INTERPRETER_SECOND:
        return INTERPRETER_SECOND_TEXT;
    case INTERPRETER_UNREACHABLE:
        return INTERPRETER_UNREACHABLE_TEXT;
    case INTERPRETER_ABSENT:
        break;
    }
    return "it does not export its symbols";
}

static PyObject *init(struct definition *definition, const void *caller)
{
    const char *problem = find_interpreter(caller);
    if (problem == NULL)
        problem = cpython_attach();
    if (problem == NULL)
        problem = table_create();
    return problem == NULL ? create(definition) : refuse(caller, problem);
}

PyObject *module_init_tracemalloc(void)
{
    return init(&as_tracemalloc, __builtin_return_address(0));
}

PyMODINIT_FUNC PyInit__tracer(void)
{
    return init(&as_tracer, __builtin_return_address(0));
}
