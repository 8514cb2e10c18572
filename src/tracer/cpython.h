/**
 * CPython as the tracer sees it: the few functions it calls, and the few interpreter fields it reads.
 *
 * All symbols of CPython are weak. In a program that is no Python, into which the tracer was preloaded, they are NULL and
 * the tracer does nothing, until an interpreter comes (interpreter.h). The offsets of the fields are facts (facts.h). A test compares them with the real headers, and
 * cpython_attach() compares them with the running interpreter, and refuses one that it does not know.
 */
#ifndef TRACEMORTEM_TRACER_CPYTHON_H
#define TRACEMORTEM_TRACER_CPYTHON_H

#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "family.h"
#include "likely.h"

// Not in the limited API, but stable since 3.5 (PEP 445). Wrapping these is what the tracer does.
typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
} PyMemAllocatorEx;

typedef enum { PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ } PyMemAllocatorDomain;

typedef struct {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *arena, size_t size);
} PyObjectArenaAllocator;

struct inittab {
    const char *name;
    PyObject *(*init)(void);
};

extern void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator);
extern void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator);
extern void PyObject_GetArenaAllocator(PyObjectArenaAllocator *allocator);
extern void PyObject_SetArenaAllocator(PyObjectArenaAllocator *allocator);
extern PyThreadState *_PyThreadState_UncheckedGet(void); // 3.8 to 3.12
extern PyThreadState *PyThreadState_GetUnchecked(void);  // 3.13
extern PyThreadState *PyGILState_GetThisThreadState(void);
extern PyInterpreterState *PyInterpreterState_Main(void);
extern PyInterpreterState *PyInterpreterState_Head(void);                                       // the newest
extern int _Py_IsFinalizing(void);                                                              // 3.8 to 3.12
extern int Py_IsFinalizing(void);                                                               // 3.13
extern int PyRefTracer_SetTracer(int (*tracer)(PyObject *, int event, void *data), void *data); // 3.13
extern int (*PyRefTracer_GetTracer(void **data))(PyObject *, int event, void *data);            // 3.13
extern uintptr_t _Py_hashtable_hash_ptr(const void *key);                    // to 3.12: only its address is used
extern int _Py_hashtable_compare_direct(const void *key1, const void *key2); // likewise
extern const int _Py_tracemalloc_config[2]; // to 3.11: whether the stock tracer is initialized, and whether it traces
extern int _PyTraceMalloc_IsTracing(void);  // 3.12: the latter
extern void _Py_NegativeRefcount(const char *file, int line, PyObject *object); // debug builds only
extern int PyUnstable_Module_SetGIL(PyObject *module, void *gil);               // free-threaded builds only
#define GIL_NOT_USED ((void *)1)                                                // to it
extern PyTypeObject PyCode_Type;
extern PyTypeObject PyFrame_Type;
extern const char _PyRuntime[]; // from 3.13 on it begins with a description of itself
extern struct inittab *PyImport_Inittab;

// Inlined into the tracer, these would work as in the interpreter whose headers it is built with, not in the running one.
#undef Py_INCREF
#undef Py_DECREF
#undef Py_XDECREF
#undef Py_TYPE
#undef Py_SIZE
#undef Py_REFCNT
#undef Py_XINCREF
#undef Py_CLEAR
#undef Py_RETURN_NONE
#pragma GCC poison Py_INCREF Py_DECREF Py_XDECREF Py_XINCREF Py_CLEAR Py_TYPE Py_SIZE Py_REFCNT Py_RETURN_NONE

// clang-format off
#pragma weak Py_GetVersion
#pragma weak PyMem_GetAllocator
#pragma weak PyMem_SetAllocator
#pragma weak PyObject_GetArenaAllocator
#pragma weak PyObject_SetArenaAllocator
#pragma weak _PyThreadState_UncheckedGet
#pragma weak PyThreadState_GetUnchecked
#pragma weak PyGILState_GetThisThreadState
#pragma weak PyGILState_Ensure
#pragma weak PyGILState_Release
#pragma weak PyInterpreterState_Main
#pragma weak PyInterpreterState_Head
#pragma weak _Py_IsFinalizing
#pragma weak Py_IsFinalizing
#pragma weak Py_IsInitialized
#pragma weak PyRefTracer_SetTracer
#pragma weak PyRefTracer_GetTracer
#pragma weak _Py_hashtable_hash_ptr
#pragma weak _Py_hashtable_compare_direct
#pragma weak _Py_tracemalloc_config
#pragma weak _PyTraceMalloc_IsTracing
#pragma weak PyObject_CallMethod
#pragma weak PyObject_GetAttrString
#pragma weak PyImport_ImportModule
#pragma weak PyCFunction_NewEx
#pragma weak PyCFunction_New
#pragma weak PyErr_Clear
#pragma weak PyErr_Fetch
#pragma weak _Py_TrueStruct
#pragma weak _Py_NegativeRefcount
#pragma weak PyCode_Type
#pragma weak PyFrame_Type
#pragma weak _PyRuntime
#pragma weak PyUnicode_Type
#pragma weak PyBytes_Type
#pragma weak PyImport_Inittab
#pragma weak PyUnicode_GetLength
#pragma weak PyUnicode_ReadChar
#pragma weak PyUnicode_DecodeUTF8
#pragma weak PyType_IsSubtype
#pragma weak PyType_GetFlags
#pragma weak PyUnstable_Module_SetGIL
#pragma weak Py_IncRef
#pragma weak PyEval_SaveThread
#pragma weak PyEval_RestoreThread
#pragma weak Py_DecRef
#pragma weak PyBytes_AsString
#pragma weak PyBytes_Size
#pragma weak PyArg_ParseTuple
#pragma weak Py_BuildValue
#pragma weak PyBool_FromLong
#pragma weak PyLong_FromLong
#pragma weak PyLong_FromSize_t
#pragma weak PyLong_FromUnsignedLongLong
#pragma weak PyErr_Format
#pragma weak PyErr_SetString
#pragma weak PyErr_NoMemory
#pragma weak PyErr_Occurred
#pragma weak PyExc_ImportError
#pragma weak PyExc_RuntimeError
#pragma weak PyExc_ValueError
#pragma weak PyDict_New
#pragma weak PyDict_GetItemWithError
#pragma weak PyDict_SetItem
#pragma weak PyList_New
#pragma weak PyList_Append
#pragma weak PyTuple_New
#pragma weak PyTuple_SetItem
#pragma weak PyModule_Create2
#pragma weak PyModule_AddStringConstant
#pragma weak _Py_NoneStruct
// clang-format on

/** Which frames were found where the facts say; each says more than the one before it. */
enum cpython_frames {
    CPYTHON_FRAMES_STRANGE, // something is there, but no frames
    CPYTHON_FRAMES_NONE,
    CPYTHON_FRAMES_RUN,  // Python code runs
    CPYTHON_FRAMES_CALL, // Python code runs which other Python code has called
};

/** The running interpreter, once attached. */
struct cpython {
    int family; // its row in families.h
    const struct cpython_facts *facts;
    uint32_t version_hex; // PY_VERSION_HEX
    bool debug_build;
    enum cpython_frames frames;             // the greatest found so far; below CPYTHON_FRAMES_RUN no frames are read
    PyThreadState *(*current_thread)(void); // see cpython_current_thread()
    PyInterpreterState *main;               // the main interpreter as last seen
};
extern struct cpython cpython;

/**
 * Find the facts of the running interpreter, and compare them with what it says about itself before it has any frame.
 * NULL, or why it cannot be traced (a static text).
 */
const char *cpython_attach(void);

/** The calling thread's copy of CPython's variable for the current thread state; NULL: not found, or there is none. */
extern __thread PyThreadState *const *cpython_thread_variable;

/** cpython_current_thread() where the variable is not known. */
PyThreadState *cpython_ask_current_thread(void);

/**
 * The current thread state. The answer is that of CPython's own function, mostly without a call. NULL: there is none, or no
 * frames are known yet.
 */
static ALWAYS_INLINE PyThreadState *cpython_current_thread(void)
{
    PyThreadState *const *variable = cpython_thread_variable;
    return LIKELY(variable != NULL) ? *variable : cpython_ask_current_thread();
}

/** Find that variable among CPython's thread-local ones, if it has one; there must be a current thread. */
void cpython_find_current_thread(void);

/** Check the facts against the frames of the calling thread, which must hold the lock. Reads nothing that may be absent. */
enum cpython_frames cpython_look_at_frames(const void *thread);

/** Whether frames may be read. */
static inline bool cpython_frames_are_known(void)
{
    return __atomic_load_n(&cpython.frames, __ATOMIC_RELAXED) >= CPYTHON_FRAMES_RUN;
}
/** Whether the calling thread, which may not hold the lock, runs what its own thread state says. */
bool cpython_own_frames_are_known(void);
#define CPYTHON_STRANGE_FRAMES "the frames of this CPython differ from those of its version (a modified build?)"

/** Whether threads may run that the calling thread's lock does not hold off: from 3.12 on each interpreter may have its own. */
static inline bool cpython_others_may_run(void)
{
    return !cpython.facts->lock_is_global && PyInterpreterState_Head() != PyInterpreterState_Main();
}

/** Read up to a page of memory that may be absent. False: it is absent, or the system cannot say. */
bool cpython_read(const void *address, void *buffer, size_t length);

/** A field of a CPython object. */
#define FIELD(type, base, offset) (*(type const *)((const char *)(base) + (offset)))

/** Py_TYPE(), for the running interpreter and not for the one whose headers the tracer is built with. */
static inline PyTypeObject *cpython_type_of(const void *object)
{
    return FIELD(PyTypeObject *, object, cpython.facts->object_type);
}

/** Py_SIZE(), likewise: the number of items of a variable object. */
static inline Py_ssize_t cpython_items_of(const void *object)
{
    return FIELD(Py_ssize_t, object, cpython.facts->object_size);
}

static inline bool cpython_is_code(const void *object)
{
    return cpython_type_of(object) == &PyCode_Type;
}

#endif
