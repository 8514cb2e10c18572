// Writes lines to stderr. Knows nothing of what they say.

#define _GNU_SOURCE
#include "say.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/** Write without being killed: before Python ignores SIGPIPE, a pipe that nobody reads any more would end the program. */
static void write_quietly(const char *line, size_t length)
{
    sigset_t broken_pipe, before, pending;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    sigpending(&pending);
    if (sigprocmask(SIG_BLOCK, &broken_pipe, &before) != 0)
        return;
    if (write(STDERR_FILENO, line, length) < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&broken_pipe, NULL, &(struct timespec){0});
    sigprocmask(SIG_SETMASK, &before, NULL);
}

void say(const char *format, ...)
{
    int saved = errno;
    char line[512] = "tracemortem: ";
    size_t length = strlen(line);
    va_list values;
    va_start(values, format);
    int added = vsnprintf(line + length, sizeof line - length - 1, format, values);
    va_end(values);
    if (added > 0)
        length = strlen(line);
    line[length++] = '\n';
    write_quietly(line, length);
    errno = saved;
}
