// Having births reported: from CPython 3.13 on by its reference tracer, and before that by its function for the stock tracer.

#include "birth_events.h"

#include "environment.h"

static birth_callback watching;
static enum birth_way way; // in which they come while they arrive

// ---------------------------------------------------------------------------------------------------------------
// From 3.13 on: the reference tracer

enum { CREATED = 0 };

static int on_event(PyObject *object, int event, void *data)
{
    (void)data;
    if (event == CREATED)
        watching((uintptr_t)object);
    return 0;
}

static bool there_is_a_reference_tracer(void)
{
    return PyRefTracer_SetTracer != NULL && PyRefTracer_GetTracer != NULL;
}

static bool we_trace_references(void)
{
    void *data;
    return PyRefTracer_GetTracer(&data) == on_event;
}

static bool watch_references(void)
{
    void *data;
    // There is one place for a reference tracer. If it is taken, it stays taken.
    return we_trace_references() ||
           (PyRefTracer_GetTracer(&data) == NULL && PyRefTracer_SetTracer(on_event, NULL) == 0);
}

static void unwatch_references(void)
{
    // Without a lock, another thread may be about to call our function. So it stays, and does nothing while tracing is off.
    if (!cpython.facts->free_threaded && we_trace_references())
        PyRefTracer_SetTracer(NULL, NULL);
}

// ---------------------------------------------------------------------------------------------------------------
// Up to 3.12: the function for the stock tracer

static enum birth_way watch_new_references(void)
{
    // To start the stock tracer is to have its hooks for a moment. A thread of another interpreter would be inside them.
    if (cpython_others_may_run() || !stock_begin())
        return BIRTHS_MISSED;
    enum birth_way found = environment_reuse() == REUSE_EXACT ? new_reference_take() : BIRTHS_BY_TABLE;
    stock_callback = watching;
    return found;
}

static void unwatch_new_references(void)
{
    new_reference_give_back();
    stock_end();
}

// ---------------------------------------------------------------------------------------------------------------

bool birth_events_wanted(void)
{
    return environment_reuse() != REUSE_FORGET;
}

enum birth_way birth_events_begin(birth_callback callback)
{
    // Before the interpreter has its first thread, no objects are created.
    if (cpython.current_thread() == NULL)
        return BIRTHS_MISSED;
    watching = callback;
    if (birth_events_arrive())
        return way;
    if (there_is_a_reference_tracer())
        way = watch_references() ? BIRTHS_BY_EVENTS : BIRTHS_MISSED;
    else
        way = watch_new_references();
    return way;
}

void birth_events_end(void)
{
    if (there_is_a_reference_tracer())
        unwatch_references();
    else
        unwatch_new_references();
}

bool birth_events_arrive(void)
{
    if (there_is_a_reference_tracer())
        return we_trace_references();
    if (stock_is_ours())
        return true;
    stock_forget();
    return false;
}
