// Stops and continues threads. A thread can start others while it is not stopped yet, so the list is read again until
// it has no new one.

#define _GNU_SOURCE

#include "process/stop.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "process/proc.h"

enum { MOST_ROUNDS = 100 };
// How long to wait between two looks at a thread that is not still yet.
static const struct timespec pause_time = {0, 100000};

struct thread {
    pid_t id;
    bool still;
    int signal; // that was about to be delivered when it was stopped
};

struct tm_stop {
    struct thread *threads;
    size_t count, capacity;
    uint64_t begun, deadline;
    bool (*should_stop)(void);
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static bool is_known(const struct tm_stop *stop, pid_t id)
{
    for (size_t i = 0; i < stop->count; i++)
        if (stop->threads[i].id == id)
            return true;
    return false;
}

static struct tm_error *why_not(pid_t pid, int number)
{
    const char *advice = number == EPERM ? "\nAnother debugger may hold it, or it needs root or CAP_SYS_PTRACE (in a "
                                           "container --cap-add SYS_PTRACE)"
                                         : "";
    return tm_error_create(TM_ERROR_NO_TARGET, "cannot hold the process %d still: %s%s", (int)pid, strerror(number),
                           advice);
}

// Whether only the thread's exit status is left, as of a main thread that ended before others.
static bool has_ended(int tasks, const char *id)
{
    char name[32];
    size_t length;
    snprintf(name, sizeof(name), "%.16s/status", id);
    char *status = tm_proc_read(tasks, name, &length);
    const char *state = status ? tm_proc_field(status, "State") : NULL;
    bool ended = !state || *state == 'Z' || *state == 'X';
    free(status);
    return ended;
}

static struct tm_error *seize(struct tm_stop *stop, pid_t pid, int tasks, const char *name)
{
    pid_t id = (pid_t)strtol(name, NULL, 10);
    if (is_known(stop, id))
        return NULL;
    if (!TM_GROW(&stop->threads, stop->count + 1, &stop->capacity))
        return tm_error_no_memory();
    if (ptrace(PTRACE_SEIZE, id, NULL, NULL) != 0) {
        int number = errno;
        return number == ESRCH || has_ended(tasks, name) ? NULL : why_not(pid, number);
    }
    stop->threads[stop->count++] = (struct thread){.id = id};
    ptrace(PTRACE_INTERRUPT, id, NULL, NULL);
    return NULL;
}

// Interrupts the threads that are new. *found is how many there were.
static struct tm_error *interrupt_new(struct tm_stop *stop, const struct tm_live *live, size_t *found)
{
    struct tm_error *error = NULL;
    int folder = openat(live->folder, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = folder < 0 ? NULL : fdopendir(folder);

    *found = 0;
    if (!list) {
        error = why_not(live->pid, errno);
        if (folder >= 0)
            close(folder);
        return error;
    }
    for (struct dirent *entry; !error && (entry = readdir(list));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        size_t before = stop->count;
        error = seize(stop, live->pid, folder, entry->d_name);
        *found += stop->count - before;
    }
    closedir(list);
    return error;
}

// Takes note of what waitpid() says of a thread.
static void take(struct thread *thread, int status)
{
    thread->still = true;
    if (!WIFSTOPPED(status)) // it has ended
        thread->id = 0;
    else if (status >> 16 == 0) // a stop without an event is that of a signal on its way to the program
        thread->signal = WSTOPSIG(status);
}

// False: a thread is not still in time, or the user interrupts the waiting. It may be in a system call that nothing interrupts.
static bool await_still(struct tm_stop *stop)
{
    for (size_t i = 0; i < stop->count; i++) {
        struct thread *thread = &stop->threads[i];
        while (!thread->still) {
            int status;
            pid_t waited = waitpid(thread->id, &status, __WALL | WNOHANG);
            if (waited == thread->id)
                take(thread, status);
            else if (waited < 0 && errno != EINTR)
                take(thread, 0);
            else if (now() > stop->deadline || stop->should_stop())
                return false;
            else
                nanosleep(&pause_time, NULL);
        }
    }
    return true;
}

static struct tm_error *stop_all(struct tm_stop *stop, const struct tm_live *live)
{
    for (unsigned round = 0; round < MOST_ROUNDS; round++) {
        size_t found;
        struct tm_error *error = interrupt_new(stop, live, &found);
        bool is_still = await_still(stop);
        if (error)
            return error;
        if (!is_still)
            return tm_error_create(TM_ERROR_INTERRUPTED,
                                   "the process %d is not still in time: a thread is in a system call that cannot be "
                                   "interrupted\nTry again, or give it more time: --max-stop 2s",
                                   (int)live->pid);
        if (found == 0)
            return NULL;
    }
    return tm_error_create(TM_ERROR_NO_TARGET, "cannot hold the process %d still: it starts threads without end",
                           (int)live->pid);
}

struct tm_error *tm_stop_begin(const struct tm_live *live, uint64_t most, bool (*should_stop)(void),
                               struct tm_stop **result)
{
    struct tm_stop *stop = calloc(1, sizeof(*stop));
    if (!stop)
        return tm_error_no_memory();
    stop->should_stop = should_stop;
    stop->begun = now();
    stop->deadline = most < UINT64_MAX - stop->begun ? stop->begun + most : UINT64_MAX;
    struct tm_error *error = stop_all(stop, live);
    if (!error && stop->count == 0)
        error = tm_error_create(TM_ERROR_NO_TARGET, "the process %d has ended", (int)live->pid);
    if (error)
        tm_stop_end(stop);
    else
        *result = stop;
    return error;
}

uint64_t tm_stop_elapsed(const struct tm_stop *stop)
{
    return now() - stop->begun;
}

pid_t tm_stop_thread(const struct tm_stop *stop, size_t *index)
{
    while (*index < stop->count) {
        const struct thread *thread = &stop->threads[(*index)++];
        if (thread->still && thread->id && !thread->signal)
            return thread->id;
    }
    return 0;
}

void tm_stop_forget(struct tm_stop *stop, pid_t id)
{
    for (size_t i = 0; i < stop->count; i++)
        if (stop->threads[i].id == id)
            stop->threads[i].id = 0;
}

void tm_stop_deliver(struct tm_stop *stop, pid_t id, int signal)
{
    for (size_t i = 0; i < stop->count; i++)
        if (stop->threads[i].id == id)
            stop->threads[i].signal = signal;
}

// Threads that were interrupted and have not stopped yet, when their process was let go.
static struct {
    pid_t *ids;
    size_t count, capacity;
    bool is_lost; // there was no memory for one
} late;

static void add_late(pid_t id)
{
    if (TM_GROW(&late.ids, late.count + 1, &late.capacity))
        late.ids[late.count++] = id;
    else
        late.is_lost = true;
}

// Whether it still has to stop.
static bool is_late(pid_t id)
{
    int status;
    pid_t waited = waitpid(id, &status, __WALL | WNOHANG);
    if (waited == id && WIFSTOPPED(status))
        ptrace(PTRACE_DETACH, id, NULL, (void *)(intptr_t)(status >> 16 ? 0 : WSTOPSIG(status)));
    return waited == 0 || (waited < 0 && errno == EINTR);
}

bool tm_stop_settle(uint64_t most)
{
    for (uint64_t end = now() + most;;) {
        size_t count = 0;
        for (size_t i = 0; i < late.count; i++)
            if (is_late(late.ids[i]))
                late.ids[count++] = late.ids[i];
        late.count = count;
        if (count == 0 || now() >= end)
            return count == 0 && !late.is_lost;
        nanosleep(&pause_time, NULL);
    }
}

// 0: all of them.
static void release_but(struct tm_stop *stop, pid_t kept)
{
    for (size_t i = 0; i < stop->count; i++) {
        struct thread *thread = &stop->threads[i];
        if (!thread->still && thread->id)
            add_late(thread->id);
        if (!thread->still || !thread->id || thread->id == kept)
            continue;
        ptrace(PTRACE_DETACH, thread->id, NULL, (void *)(intptr_t)thread->signal);
        thread->id = 0;
    }
}

void tm_stop_keep(struct tm_stop *stop, pid_t id)
{
    release_but(stop, id);
}

uint64_t tm_stop_end(struct tm_stop *stop)
{
    release_but(stop, 0);
    uint64_t elapsed = tm_stop_elapsed(stop);
    free(stop->threads);
    free(stop);
    return elapsed;
}
