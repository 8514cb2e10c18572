// Finds the functions to call, holds the process at a point where they may be called, and waits until what they began is
// done. Knows what the tracer's switch says (layout/switch.h), and not what tracing is.

#define _GNU_SOURCE

#include "cli/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/host.h"
#include "cli/place.h"
#include "cli/preload.h"
#include "process/call.h"
#include "process/exported.h"
#include "process/proc.h"

#define MILLISECOND UINT64_C(1000000)
#define TRACER "_tracer.abi3.so"

struct job {
    const struct tm_switch_wish *wish;
    struct tm_process *process;
    const struct tm_live *live;
    uint64_t code[2];                // the interpreter's
    uint64_t function;               // the tracer's; 0: the tracer is not loaded yet
    uint64_t dlopen, dlsym, dlerror; // where it is not
    struct tm_place place;
    uint64_t deadline;
    const char *where; // the threads were at the last try
};

static void sleep_for(uint64_t nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)nanoseconds}, NULL);
}

static bool read_target(const struct job *job, uint64_t address, void *bytes, size_t length)
{
    return tm_live_callbacks.read((void *)job->live, address, bytes, length) == 0;
}

// ---------------------------------------------------------------------------------------------------------------
// What there is in the process

static struct tm_error *is_no_python(const struct job *job)
{
    return tm_error_create(
        TM_ERROR_NO_TARGET,
        "the process %d has no Python whose symbols can be found: it is another program, its Python\n"
        "hides them, or the files that it runs were replaced\n"
        "Look for the right one: pgrep -a python",
        (int)job->live->pid);
}

// A stopped process cannot do what is asked of it.
static struct tm_error *check_state(const struct job *job)
{
    size_t length;
    char *status = tm_proc_read(job->live->folder, "status", &length);
    const char *state = status ? tm_proc_field(status, "State") : NULL;
    const char *tracer = status ? tm_proc_field(status, "TracerPid") : NULL;
    int id = tracer ? atoi(tracer) : 0;
    struct tm_error *error = NULL;
    if (id)
        error = tm_error_create(TM_ERROR_NO_TARGET,
                                "a debugger or strace holds the process %d: its process is %d\n"
                                "In gdb and lldb: tm-start, tm-stop. Or end it first",
                                (int)job->live->pid, id);
    else if (state && *state == 'T')
        error = tm_error_create(TM_ERROR_NO_TARGET, "the process %d is stopped\nLet it go on first: kill -CONT %d",
                                (int)job->live->pid, (int)job->live->pid);
    free(status);
    return error;
}

// The executable mapping that contains an address.
static bool find_code(struct job *job, uint64_t address)
{
    size_t length;
    struct tm_region region;
    char *maps = tm_proc_read(job->live->folder, "maps", &length);
    for (const char *line = maps; maps && tm_proc_next_region(&line, &region);)
        if (address >= region.start && address < region.end) {
            job->code[0] = region.start;
            job->code[1] = region.end;
        }
    free(maps);
    return job->code[1] != 0;
}

static bool is_tracer(const char *path)
{
    static const char deleted[] = " (deleted)";
    size_t length = strlen(path), name = strlen(TRACER), end = strlen(deleted);
    if (length > end && strcmp(path + length - end, deleted) == 0)
        length -= end;
    return length >= name && strncmp(path + length - name, TRACER, name) == 0;
}

// The tracer's function where the tracer's file is gone, as a copy that was removed: it is where our own file has it.
static struct tm_error *find_without_file(struct job *job)
{
    struct tm_exported exported;
    size_t length;
    struct tm_module module;
    bool is_loaded = false, known = tm_exported_find(job->wish->tracer, TM_SWITCH_FUNCTION, &exported);
    char *maps = tm_proc_read(job->live->folder, "maps", &length);
    for (const char *line = maps; maps && !job->function && tm_proc_next_module(&line, &module);) {
        unsigned char code[TM_EXPORTED_BYTES];
        if (module.offset != 0 || !is_tracer(module.path))
            continue;
        is_loaded = true;
        if (known && read_target(job, module.start + exported.address, code, sizeof(code)) &&
            memcmp(code, exported.code, sizeof(code)) == 0)
            job->function = module.start + exported.address;
    }
    free(maps);
    if (!is_loaded || job->function)
        return NULL;
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "the process %d has a tracer of another version, whose file is gone or which cannot be\n"
                           "switched from outside\nRestart the program",
                           (int)job->live->pid);
}

static struct tm_error *why_not_load(const struct job *job)
{
    struct tm_text why = TM_TEXT_EMPTY;
    char program[32];
    struct tm_error *error = NULL;
    snprintf(program, sizeof(program), "/proc/%d/exe", (int)job->live->pid);
    tm_preload_why_not_load(program, job->wish->tracer, &why);
    if (why.length)
        error = tm_error_create(TM_ERROR_UNSUPPORTED, "the process %d cannot load the tracer: %s", (int)job->live->pid,
                                tm_text_string(&why));
    else if (!job->dlopen || !job->dlsym || !job->dlerror)
        error = tm_error_create(TM_ERROR_UNSUPPORTED,
                                "the process %d cannot load the tracer: its dlopen() is not found\n"
                                "Restart it with the tracer dormant: LD_PRELOAD=%s TRACEMORTEM=dormant",
                                (int)job->live->pid, tm_printable(job->wish->tracer).text);
    tm_text_deinit(&why);
    return error;
}

static struct tm_error *find_functions(struct job *job)
{
    struct tm_symbols *symbols = &job->process->symbols;
    uint64_t python = tm_symbols_find(symbols, "Py_GetVersion");
    if (!python || !find_code(job, python))
        return is_no_python(job);
    job->function = tm_symbols_find(symbols, TM_SWITCH_FUNCTION);
    struct tm_error *error = job->function ? NULL : find_without_file(job);
    if (error || job->function || job->wish->order == TM_SWITCH_STOP)
        return error;
    job->dlopen = tm_symbols_find(symbols, "dlopen");
    job->dlsym = tm_symbols_find(symbols, "dlsym");
    job->dlerror = tm_symbols_find(symbols, "dlerror");
    return why_not_load(job);
}

// ---------------------------------------------------------------------------------------------------------------
// The calls

static struct tm_error *no_room(void)
{
    return tm_error_create(TM_ERROR_NO_TARGET, "the thread's stack cannot be written to");
}

// What dlerror() says.
static struct tm_error *why_not_loaded(const struct job *job, struct tm_call *call)
{
    uint64_t address = 0;
    char text[400] = "", shown[600];
    struct tm_error *error = tm_call_run(call, job->dlerror, (uint64_t[TM_CALL_ARGUMENTS]){0}, &address);
    if (error)
        return error;
    for (size_t i = 0; address && i + 1 < sizeof(text) && read_target(job, address + i, &text[i], 1) && text[i]; i++)
        text[i + 1] = '\0';
    text[sizeof(text) - 1] = '\0';
    tm_escape_into(shown, sizeof(shown), text, strlen(text));
    return tm_error_create(TM_ERROR_UNSUPPORTED, "the process %d cannot load the tracer: %s", (int)job->live->pid,
                           text[0] ? shown : "its dynamic linker does not say why");
}

static struct tm_error *load_tracer(struct job *job, struct tm_call *call)
{
    enum { NOW = 2, NO_DELETE = 0x1000 }; // glibc's and musl's
    static const char name[] = TM_SWITCH_FUNCTION;
    const char *path = job->wish->inside ? job->wish->inside : job->place.path;
    uint64_t handle = 0, path_there = tm_call_put(call, path, strlen(path) + 1);
    uint64_t name_there = tm_call_put(call, name, sizeof(name));
    if (!path_there || !name_there)
        return no_room();
    struct tm_error *error = tm_call_run(call, job->dlopen, (uint64_t[]){path_there, NOW | NO_DELETE, 0}, &handle);
    if (!error && !handle)
        return why_not_loaded(job, call);
    if (!error)
        error = tm_call_run(call, job->dlsym, (uint64_t[]){handle, name_there, 0}, &job->function);
    if (!error && !job->function)
        error = tm_error_create(TM_ERROR_UNSUPPORTED, "%s is no tracer of this version", tm_printable(path).text);
    return error;
}

static struct tm_error *give_request(struct job *job, struct tm_call *call, uint64_t *address)
{
    struct tm_switch_request request = {.magic = TM_SWITCH_MAGIC,
                                        .order = job->wish->order,
                                        .frame_limit = job->wish->frame_limit,
                                        .waits = tm_call_waits(call)};
    snprintf(request.detail, sizeof(request.detail), "%s", job->wish->detail);
    struct tm_error *error = job->function ? NULL : load_tracer(job, call);
    uint64_t there = error ? 0 : tm_call_put(call, &request, sizeof(request));
    if (error || !there)
        return error ? error : no_room();
    return tm_call_run(call, job->function, (uint64_t[]){there, 0, 0}, address);
}

// Once the process is held. NULL and *address 0: not at a point where functions may be called.
static struct tm_error *try_now(struct job *job, struct tm_stop *stop, uint64_t *address)
{
    sigset_t every, before;
    struct tm_call *call = tm_call_begin(job->live, stop, job->code, &job->where);
    if (!call)
        return NULL;
    // Were this process to end now, the other would crash at the end of the call.
    sigfillset(&every);
    sigprocmask(SIG_SETMASK, &every, &before);
    struct tm_error *error = give_request(job, call, address);
    tm_call_end(call);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

static struct tm_error *is_late(const struct job *job, const char *what)
{
    if (tm_cli_interrupted())
        return tm_error_create(TM_ERROR_INTERRUPTED, "interrupted; the process %d is as it was", (int)job->live->pid);
    return tm_error_create(TM_ERROR_INTERRUPTED,
                           "the process %d came to no point at which it could be switched within %.3g s: %s\n"
                           "It is as it was. Try again, or wait longer: --timeout 60s",
                           (int)job->live->pid, (double)job->wish->timeout / 1e9, what);
}

static struct tm_error *call_tracer(struct job *job, struct tm_switch_outcome *outcome, uint64_t *address)
{
    for (unsigned tries = 0;; tries++) {
        struct tm_stop *stop;
        struct tm_error *error = tm_stop_begin(job->live, job->wish->max_stop, tm_cli_interrupted, &stop);
        if (error)
            return error;
        error = try_now(job, stop, address);
        uint64_t stopped = tm_stop_end(stop);
        outcome->stopped = stopped > outcome->stopped ? stopped : outcome->stopped;
        if (error || *address)
            return error;
        if (tm_cli_interrupted() || tm_cli_now() > job->deadline)
            return is_late(job, job->where);
        // Not always after the same time, so that a program with a rhythm is met elsewhere.
        sleep_for((1 + tries * 7 % 13) * MILLISECOND / 2);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The outcome

static bool read_switch(const struct job *job, uint64_t address, struct tm_switch *found)
{
    return read_target(job, address, found, sizeof(*found)) && found->magic == TM_SWITCH_MAGIC;
}

static bool is_over(uint32_t state)
{
    return state >= TM_SWITCH_DONE;
}

// Withdraws the request. False: it is too late for that.
static void cancel(const struct job *job, uint64_t address)
{
    const uint32_t yes = 1;
    int memory = openat(job->live->folder, "mem", O_WRONLY | O_CLOEXEC);
    if (memory < 0)
        return;
    ssize_t written = pwrite(memory, &yes, sizeof(yes), (off_t)(address + offsetof(struct tm_switch, cancelled)));
    (void)written; // then the request is done when it can be
    close(memory);
}

static struct tm_error *await_outcome(const struct job *job, uint64_t address, struct tm_switch *found)
{
    bool cancelled = false;
    uint64_t end = job->deadline;
    for (;;) {
        if (!read_switch(job, address, found))
            return tm_error_create(TM_ERROR_NO_TARGET, "the process %d ended meanwhile", (int)job->live->pid);
        if (is_over(found->state))
            return NULL;
        bool is_due = tm_cli_interrupted() || tm_cli_now() > end;
        if (is_due && cancelled && tm_cli_now() > end)
            return is_late(job, "Python's lock was not free, because its code or a library never gave it up");
        if (is_due && !cancelled) {
            cancel(job, address);
            cancelled = true;
            end = tm_cli_now() + 50 * MILLISECOND; // it may have begun just before
        }
        sleep_for(MILLISECOND / 2);
    }
}

static struct tm_error *judge(const struct job *job, const struct tm_switch *found, struct tm_switch_outcome *outcome)
{
    char text[sizeof(found->message) + 1], shown[2 * sizeof(text)];
    outcome->state = (enum tm_switch_state)found->state;
    outcome->frame_limit = found->frame_limit;
    if (found->state == TM_SWITCH_DONE || found->state == TM_SWITCH_NOTHING)
        return NULL;
    if (found->state == TM_SWITCH_CANCELLED)
        return is_late(job, "Python's lock was free too late");
    memcpy(text, found->message, sizeof(found->message));
    text[sizeof(text) - 1] = '\0';
    tm_escape_into(shown, sizeof(shown), text, strlen(text));
    return tm_error_create(TM_ERROR_UNSUPPORTED, "the process %d cannot be traced: %s", (int)job->live->pid, shown);
}

static struct tm_error *place_tracer(struct job *job)
{
    if (job->function || job->wish->inside)
        return NULL;
    return tm_place_file(job->live, job->wish->tracer, &job->place);
}

static struct tm_error *switch_it(struct job *job, struct tm_switch_outcome *outcome)
{
    struct tm_switch found;
    uint64_t address = 0;
    struct tm_error *error = check_state(job);
    if (!error)
        error = find_functions(job);
    if (error)
        return error;
    if (job->wish->order == TM_SWITCH_STOP && !job->function) {
        outcome->state = TM_SWITCH_NOTHING;
        return NULL;
    }
    error = place_tracer(job);
    if (!error)
        error = call_tracer(job, outcome, &address);
    if (!error)
        error = await_outcome(job, address, &found);
    tm_place_remove(&job->place);
    return error ? error : judge(job, &found, outcome);
}

struct tm_error *tm_switch_process(pid_t pid, const struct tm_switch_wish *wish, struct tm_switch_outcome *outcome)
{
    struct job job = {.wish = wish, .place = {.folder = -1, .parent = -1}};
    *outcome = (struct tm_switch_outcome){0};
    if (!tm_call_is_supported())
        return tm_error_create(
            TM_ERROR_UNSUPPORTED,
            "on this machine a process is switched through a debugger: in gdb or lldb, tm-start and\n"
            "tm-stop; or by TRACEMORTEM_SIGNAL");
    struct tm_error *error = tm_process_open_live(pid, &job.process);
    if (error)
        return error;
    job.live = job.process->live;
    job.deadline = tm_cli_now() + wish->timeout;
    error = switch_it(&job, outcome);
    tm_process_close(job.process);
    return error;
}
