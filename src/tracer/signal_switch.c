// The handler is one of Python's own, as signal.signal() installs it: Python calls it between two instructions of the main
// thread, holding its lock, and wakes calls of Python's own that wait (PEP 475). It survives fork(), and execve() ends it.
// Nothing that goes wrong here reaches the program.

#define _GNU_SOURCE
#include "signal_switch.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "environment.h"
#include "recording.h"
#include "say.h"
#include "switch.h"
#include "table.h"
#include "traces.h"
#include "tracing.h"

enum { LONGEST = PATH_MAX };

/** Drop the exception that is set, and say that something could not be done because of it. */
static void say_failed(const char *what)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value == NULL ? NULL : PyObject_CallMethod(value, "__str__", NULL);
    PyObject *bytes = text == NULL ? NULL : PyObject_CallMethod(text, "encode", "ss", "utf-8", "backslashreplace");
    const char *why = bytes == NULL ? NULL : PyBytes_AsString(bytes);
    say("TRACEMORTEM_SIGNAL: cannot %s: %s", what, why == NULL ? "no memory" : why);
    PyErr_Clear();
    Py_DecRef(bytes);
    Py_DecRef(text);
    Py_DecRef(type);
    Py_DecRef(value);
    Py_DecRef(traceback);
}

// ---------------------------------------------------------------------------------------------------------------
// The snapshot

/** A new name in the folder. False: it is too long. */
static bool make_name(char *name)
{
    char folder[LONGEST], when[32];
    time_t now = time(NULL);
    struct tm utc;
    environment_folder(folder, sizeof folder);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    for (unsigned more = 0; more < 1000; more++) {
        char number[16] = "";
        if (more != 0)
            snprintf(number, sizeof number, "-%u", more);
        if (snprintf(name, LONGEST, "%s/tracemortem-%ld-%s%s.snapshot", folder, (long)getpid(), when, number) >=
            LONGEST)
            return false;
        if (access(name, F_OK) != 0)
            return true;
    }
    return false;
}

/** All traces as a tracemalloc.Snapshot. NULL: an exception is set. */
static PyObject *make_snapshot(void)
{
    PyObject *module = PyImport_ImportModule("tracemalloc");
    PyObject *traces = module == NULL ? NULL : traces_list();
    PyObject *snapshot = NULL;
    if (traces != NULL)
        snapshot = PyObject_CallMethod(module, "Snapshot", "Oi", traces, (int)table->frame_limit);
    Py_DecRef(traces);
    Py_DecRef(module);
    return snapshot;
}

/** Into a file beside it first, so that nobody finds half a snapshot. False: said why. */
static bool write_snapshot(const char *name)
{
    char unfinished[LONGEST + 16];
    snprintf(unfinished, sizeof unfinished, "%s.XXXXXX", name);
    int file = mkostemp(unfinished, O_CLOEXEC);
    if (file < 0) {
        say("TRACEMORTEM_SIGNAL: cannot write %s: %m; tracing goes on", unfinished);
        return false;
    }
    close(file);
    PyObject *snapshot = make_snapshot();
    PyObject *done = snapshot == NULL ? NULL : PyObject_CallMethod(snapshot, "dump", "y", unfinished);
    if (done == NULL)
        say_failed("write a snapshot, and tracing goes on");
    Py_DecRef(done);
    Py_DecRef(snapshot);
    if (done != NULL && rename(unfinished, name) == 0)
        return true;
    if (done != NULL)
        say("TRACEMORTEM_SIGNAL: cannot rename %s: %m; tracing goes on", unfinished);
    unlink(unfinished);
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// The handler

static void start_by_signal(void)
{
    unsigned frames = environment_dormant_frames();
    const char *problem = environment_is_sound() ? switch_start(frames, environment_profile(&profile_lean))
                                                 : "its variables make no sense";
    if (problem != NULL)
        say("TRACEMORTEM_SIGNAL: cannot trace the process %ld: %s", (long)getpid(), problem);
    else
        say("the process %ld is traced from now on; frames: %u", (long)getpid(), frames);
}

static void stop_by_signal(void)
{
    static char name[LONGEST]; // used with the interpreter's lock
    if (!make_name(name)) {
        say("TRACEMORTEM_SIGNAL: the folder of TRACEMORTEM_FILE has too long a name; tracing goes on");
    } else if (write_snapshot(name)) {
        tracing_stop();
        say("the process %ld is no longer traced; its snapshot: %s", (long)getpid(), name);
    }
}

static PyObject *on_signal(PyObject *self, PyObject *arguments)
{
    (void)self, (void)arguments;
    if (tracing_on())
        stop_by_signal();
    else
        start_by_signal();
    Py_IncRef(Py_None);
    return Py_None;
}

static PyMethodDef handler = {"on_tracemortem_signal", on_signal, METH_VARARGS, NULL};

void signal_install(void)
{
    static bool looked;
    int number = environment_signal();
    struct sigaction before;
    if (looked || number == 0 || cpython.current_thread() == NULL)
        return;
    looked = true;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_DFL) {
        say("TRACEMORTEM_SIGNAL=%s: the program handles or ignores this signal itself; continuing without it",
            getenv("TRACEMORTEM_SIGNAL"));
        return;
    }
    PyObject *module = PyImport_ImportModule("_signal");
    PyObject *function = module == NULL ? NULL : PyCFunction_NewEx(&handler, NULL, NULL);
    PyObject *old = function == NULL ? NULL : PyObject_CallMethod(module, "signal", "iO", number, function);
    if (old == NULL)
        say_failed("handle the signal");
    Py_DecRef(old);
    Py_DecRef(function);
    Py_DecRef(module);
}
