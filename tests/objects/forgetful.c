/**
 * An extension module with mistakes of the field: it forgets to release references that it owns.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

// PyList_Append() takes a reference of its own, so the one from PyUnicode_FromFormat() must be released.
static PyObject *append_label(PyObject *module, PyObject *arguments)
{
    PyObject *list;
    long number;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!l", &PyList_Type, &list, &number))
        return NULL;
    PyObject *label = PyUnicode_FromFormat("label %ld", number);
    if (!label || PyList_Append(list, label) < 0)
        return NULL;
    Py_RETURN_NONE;
}

// PySequence_GetItem() returns a new reference, other than PyList_GetItem().
static PyObject *weigh(PyObject *module, PyObject *rows)
{
    Py_ssize_t sum = 0;
    (void)module;
    for (Py_ssize_t i = 0; i < PySequence_Size(rows); i++) {
        PyObject *row = PySequence_GetItem(rows, i);
        if (!row)
            return NULL;
        sum += PyObject_Size(row);
    }
    return PyLong_FromSsize_t(sum);
}

static PyMethodDef methods[] = {
    {"append_label", append_label, METH_VARARGS, NULL},
    {"weigh", weigh, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "forgetful", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_forgetful(void);
PyMODINIT_FUNC PyInit_forgetful(void)
{
    return PyModule_Create(&definition);
}
