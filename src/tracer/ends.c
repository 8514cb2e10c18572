// Seeing exits and execs. Knows the recorder; nothing of the table.

#define _GNU_SOURCE
#include "ends.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "handoff.h"
#include "recorder.h"
#include "table.h"

// Where libc has no on_exit(), the status is not known, and every exit counts as a clean one.
extern int on_exit(void (*function)(int status, void *context), void *context) __attribute__((weak));

static void at_exit(int status, void *context)
{
    (void)context;
    recorder_end(status);
}

static void at_some_exit(void)
{
    recorder_end(0);
}

void ends_watch(void)
{
    if (on_exit == NULL || on_exit(at_exit, NULL) != 0)
        atexit(at_some_exit);
}

void ends_exit(int status)
{
    recorder_end(status);
    _exit(status);
}

/** Before exec, which will probably succeed: the file goes, since nobody can remove it afterwards. False: there is none. */
static bool begin_exec(bool likely)
{
    return likely && recorder_end_by_exec();
}

/** exec has failed after all. */
static int end_exec(bool begun)
{
    int saved = errno;
    if (begun) {
        handoff_hold();
        table_lock();
        recorder_go_on();
        table_unlock();
        handoff_release();
    }
    errno = saved;
    return -1;
}

int ends_execv(const char *path, char *const arguments[])
{
    bool begun = begin_exec(access(path, X_OK) == 0);
    execv(path, arguments);
    return end_exec(begun);
}

int ends_execve(const char *path, char *const arguments[], char *const environment[])
{
    bool begun = begin_exec(access(path, X_OK) == 0);
    execve(path, arguments, environment);
    return end_exec(begun);
}

int ends_fexecve(int descriptor, char *const arguments[], char *const environment[])
{
    bool begun = begin_exec(true);
    fexecve(descriptor, arguments, environment);
    return end_exec(begun);
}
