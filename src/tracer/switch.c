// Takes requests to start and to stop. What needs the interpreter's lock is done by a thread that waits for the lock as any
// thread of the program does, so nothing depends on where the others are. Knows no signal, and not how it was called.

#define _GNU_SOURCE
#include "switch.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "environment.h"
#include "interpreter.h"
#include "recorder.h"
#include "recording.h"
#include "table.h"
#include "tracing.h"

static struct tm_switch shown = {.magic = TM_SWITCH_MAGIC};
static struct tm_switch_request wanted; // while `shown.state` is TM_SWITCH_SETTING, only its setter touches it
static pid_t waiting_in;                // the process whose thread waits; a forked child has no such thread

static void store_state(uint32_t state)
{
    __atomic_store_n(&shown.state, state, __ATOMIC_RELEASE);
}

static uint32_t load_state(void)
{
    return __atomic_load_n(&shown.state, __ATOMIC_ACQUIRE);
}

static bool change_state(uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&shown.state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static struct tm_switch *fail(const char *why)
{
    snprintf(shown.message, sizeof shown.message, "%s", why);
    store_state(TM_SWITCH_FAILED);
    return &shown;
}

// ---------------------------------------------------------------------------------------------------------------
// With the interpreter's lock

const char *switch_connect(void)
{
    enum interpreter found = interpreter_connect_any();
    if (found == INTERPRETER_ABSENT)
        return "it has no CPython that exports its symbols";
    if (found == INTERPRETER_UNREACHABLE)
        return INTERPRETER_UNREACHABLE_TEXT;
    if (!Py_IsInitialized())
        return "its Python has not begun to run, or has ended";
    return NULL;
}

const char *switch_start(unsigned frame_limit, profile_t profile)
{
    const char *problem = cpython_attach();
    if (problem == NULL)
        problem = table_create();
    return problem == NULL ? tracing_start(frame_limit, profile) : problem;
}

static void obey_start(void)
{
    profile_t profile = profile_called(wanted.detail);
    if (profile == NULL)
        profile = environment_profile(&profile_lean);
    if (!tracing_would_start(profile)) {
        shown.frame_limit = table->frame_limit;
        store_state(TM_SWITCH_NOTHING);
        return;
    }
    if (!environment_is_sound()) {
        fail("a variable TRACEMORTEM_... in its environment makes no sense; one line on its standard error says which");
        return;
    }
    if (wanted.file[0] != '\0' && !recorder_want(wanted.file)) {
        fail("its trace table has its place already, from an earlier start: leave out the file");
        return;
    }
    bool was_on = tracing_on();
    const char *problem = switch_start(wanted.frame_limit, profile);
    if (problem != NULL) {
        if (wanted.file[0] != '\0')
            recorder_unwant();
        char why[sizeof shown.message];
        snprintf(why, sizeof why, "%s%s", problem, was_on && !tracing_on() ? "; its samples were given up" : "");
        fail(why);
        return;
    }
    if (wanted.file[0] != '\0' && !recorder_is_on())
        snprintf(shown.message, sizeof shown.message, "the file could not be made; its standard error says why");
    store_state(TM_SWITCH_DONE);
}

static void obey_stop(void)
{
    if (!tracing_on()) {
        store_state(TM_SWITCH_NOTHING);
        return;
    }
    tracing_stop();
    store_state(TM_SWITCH_DONE);
}

static void obey_order(void)
{
    if (wanted.order == TM_SWITCH_START)
        obey_start();
    else
        obey_stop();
}

/** Do what is wanted, unless that was cancelled. */
static void obey(void)
{
    while (!change_state(TM_SWITCH_WAITING, TM_SWITCH_WORKING)) {
        if (load_state() != TM_SWITCH_SETTING)
            return;
        sched_yield();
    }
    if (__atomic_load_n(&shown.cancelled, __ATOMIC_ACQUIRE) != 0)
        store_state(TM_SWITCH_CANCELLED);
    else
        obey_order();
}

// ---------------------------------------------------------------------------------------------------------------
// The thread

static void *wait_for_lock(void *unused)
{
    const char *problem = switch_connect();
    (void)unused;
    if (problem != NULL) {
        fail(problem);
        return NULL;
    }
    PyGILState_STATE before = PyGILState_Ensure();
    obey();
    PyGILState_Release(before);
    return NULL;
}

/** No signal of the program's is handled in our thread. */
static bool start_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t every, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    bool started = pthread_create(&thread, &attributes, wait_for_lock, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

/** Whether the calling thread has the interpreter's lock, as a server has that waits for requests without giving it up. */
static bool has_lock(void)
{
    if (switch_connect() != NULL || cpython_attach() != NULL || cpython.facts->free_threaded)
        return false;
    // With one lock for all, the current state is that of the lock's holder; else it is the calling thread's.
    const PyThreadState *current = cpython.current_thread();
    return current != NULL && current == PyGILState_GetThisThreadState() && in_main_interpreter(current);
}

/** While a request is being worked on, nothing of it may change. */
static struct tm_switch *refuse_if_busy(void)
{
    static struct tm_switch busy = {
        .magic = TM_SWITCH_MAGIC, .state = TM_SWITCH_FAILED, .message = "another request is at work; try again"};
    return load_state() == TM_SWITCH_WORKING && waiting_in == getpid() ? &busy : NULL;
}

/** Whether our thread of an earlier request still waits, and takes this one. */
static bool hand_over(const struct tm_switch_request *request)
{
    if (waiting_in != getpid() || !change_state(TM_SWITCH_WAITING, TM_SWITCH_SETTING))
        return false;
    wanted = *request;
    shown.cancelled = 0;
    store_state(TM_SWITCH_WAITING);
    return true;
}

static bool makes_sense(const struct tm_switch_request *request)
{
    bool starts = request->order == TM_SWITCH_START;
    if (request->magic != TM_SWITCH_MAGIC || (!starts && request->order != TM_SWITCH_STOP) ||
        memchr(request->detail, '\0', sizeof request->detail) == NULL ||
        memchr(request->file, '\0', sizeof request->file) == NULL)
        return false;
    return !starts || (request->frame_limit >= 1 && request->frame_limit <= FRAME_LIMIT_MAX &&
                       (request->detail[0] == '\0' || profile_called(request->detail) != NULL));
}

const struct tm_switch *switch_now(const struct tm_switch_request *request)
{
    const struct tm_switch *busy = refuse_if_busy();
    if (busy != NULL)
        return busy;
    if (!makes_sense(request))
        return fail("the request makes no sense to this tracer; it may be of another version");
    if (load_state() == TM_SWITCH_WAITING && waiting_in == getpid())
        return fail("another request waits for Python's lock");
    wanted = *request;
    shown.message[0] = '\0';
    shown.frame_limit = 0;
    waiting_in = getpid();
    store_state(TM_SWITCH_WORKING);
    obey_order();
    return &shown;
}

struct tm_switch *tracemortem_switch(const struct tm_switch_request *request)
{
    struct tm_switch *busy = refuse_if_busy();
    if (busy != NULL)
        return busy;
    if (!makes_sense(request))
        return fail("the request makes no sense to this tracer; it may be of another version");
    if (hand_over(request))
        return &shown;
    busy = refuse_if_busy(); // it may have begun just now
    if (busy != NULL)
        return busy;
    wanted = *request;
    shown.cancelled = 0;
    shown.message[0] = '\0';
    waiting_in = getpid();
    store_state(TM_SWITCH_WAITING);
    if (request->waits && has_lock())
        obey();
    else if (!start_thread())
        fail("it cannot start another thread");
    return &shown;
}
