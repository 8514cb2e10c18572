// Code objects as C extensions make them: only for a traceback, without a source line, or compiled and run by C; and
// calls from threads that the interpreter does not know.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <frameobject.h>
#include <pthread.h>

/** As Cython does: a frame that never runs, so that the error's traceback names the extension's source. */
static PyObject *fail(PyObject *module, PyObject *unused)
{
    PyCodeObject *code = PyCode_NewEmpty("made_in_c.pyx", "fail", 42);
    PyFrameObject *frame = NULL;
    (void)unused;
    if (code != NULL)
        frame = PyFrame_New(PyThreadState_Get(), code, PyModule_GetDict(module), NULL);
    if (frame != NULL) {
        PyErr_SetString(PyExc_ValueError, "of C");
        PyTraceBack_Here(frame);
    }
    Py_XDECREF((PyObject *)frame);
    Py_XDECREF((PyObject *)code);
    return NULL;
}

/** evaluate(source, file name, globals): compile and run. */
static PyObject *evaluate(PyObject *module, PyObject *arguments)
{
    const char *source, *filename;
    PyObject *globals;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "ssO", &source, &filename, &globals))
        return NULL;
    PyObject *code = Py_CompileString(source, filename, Py_file_input);
    PyObject *result = code == NULL ? NULL : PyEval_EvalCode(code, globals, globals);
    Py_XDECREF(code);
    return result;
}

/** Run code without a source: from CPython 3.11 on it raises AssertionError. */
static PyObject *evaluate_empty(PyObject *module, PyObject *globals)
{
    PyCodeObject *code = PyCode_NewEmpty("empty.pyx", "nothing", 42);
    (void)module;
    PyObject *result = code == NULL ? NULL : PyEval_EvalCode((PyObject *)code, globals, globals);
    Py_XDECREF((PyObject *)code);
    return result;
}

static void *call(void *callable)
{
    PyGILState_STATE state = PyGILState_Ensure();
    Py_XDECREF(PyObject_CallObject(callable, NULL));
    PyGILState_Release(state);
    return NULL;
}

static PyObject *call_in_thread(PyObject *module, PyObject *callable)
{
    pthread_t thread;
    int problem;
    (void)module;
    Py_BEGIN_ALLOW_THREADS problem = pthread_create(&thread, NULL, call, callable);
    if (problem == 0)
        pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS return PyBool_FromLong(problem == 0);
}

static PyMethodDef functions[] = {
    {"fail", fail, METH_NOARGS, NULL},
    {"evaluate", evaluate, METH_VARARGS, NULL},
    {"evaluate_empty", evaluate_empty, METH_O, NULL},
    {"call_in_thread", call_in_thread, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "native_code", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit_native_code(void)
{
    return PyModule_Create(&definition);
}
