// A pool of threads as a data frame engine has: they never hold the interpreter's lock, and report their blocks to
// tracemalloc while the thread that waits for them holds it.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define DOMAIN 36740582
#define THREADS 4

struct work {
    int blocks, kept;
    size_t size;
    int ready; // a file that gets a line when a thread begins; -1: none
};

static void *allocate(void *argument)
{
    const struct work *work = argument;
    if (work->ready >= 0 && write(work->ready, "ready\n", 6) != 6)
        abort();
    for (int i = 0; i < work->blocks; i++) {
        void *block = malloc(work->size);
        PyTraceMalloc_Track(DOMAIN, (uintptr_t)block, work->size);
        if (i < work->kept)
            continue; // for ever
        PyTraceMalloc_Untrack(DOMAIN, (uintptr_t)block);
        free(block);
    }
    return NULL;
}

/** run(blocks of each thread, how many of them are kept, their size, the file) */
static PyObject *run(PyObject *module, PyObject *arguments)
{
    struct work work;
    Py_ssize_t size;
    pthread_t threads[THREADS];
    (void)module;
    if (!PyArg_ParseTuple(arguments, "iini", &work.blocks, &work.kept, &size, &work.ready))
        return NULL;
    work.size = (size_t)size;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate, &work) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL); // with the lock held
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"run", run, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "pool", .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit_pool(void)
{
    return PyModule_Create(&definition);
}
