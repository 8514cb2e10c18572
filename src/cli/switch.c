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
#include "process/remote.h"

#define MILLISECOND UINT64_C(1000000)
#define SCRIPT_PATIENCE (1000 * MILLISECOND)
#define WORK_PATIENCE (5000 * MILLISECOND)
#define WITHDRAWAL_PATIENCE (5000 * MILLISECOND)
#define TRACER "_tracer.abi3.so"

struct job {
    const struct tm_switch_wish *wish;
    struct tm_process *process;
    const struct tm_live *live;
    uint64_t code[2];                // the interpreter's; 0, 0: only threads that wait may be called in
    uint64_t function;               // the tracer's; 0: the tracer is not loaded yet
    uint64_t dlopen, dlsym, dlerror; // where it is not
    struct tm_place place;
    uint64_t deadline;
    const char *where; // the threads were at the last try
    bool leaves_place; // a script may still run
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

// What is mapped of the file that contains an address. The tracer changes a page of code, so it may be in several pieces.
static bool find_code(struct job *job, uint64_t address)
{
    size_t length;
    struct tm_module module, piece = {0};
    char *maps = tm_proc_read(job->live->folder, "maps", &length);
    uint64_t start = 0;
    for (const char *line = maps; maps && tm_proc_next_module(&line, &module);) {
        if (module.start != piece.end || strcmp(module.path, piece.path) != 0)
            start = module.start;
        piece = module;
        if (start <= address && (address < module.end || start == job->code[0])) {
            job->code[0] = start;
            job->code[1] = module.end;
        }
    }
    free(maps);
    return job->code[1] > address;
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

static bool is_interpreters(const struct job *job, const char *function)
{
    uint64_t address = tm_symbols_find(&job->process->symbols, function);
    return address >= job->code[0] && address < job->code[1];
}

static struct tm_error *find_functions(struct job *job)
{
    struct tm_symbols *symbols = &job->process->symbols;
    uint64_t python = tm_symbols_find(symbols, "Py_GetVersion");
    if (!python || !find_code(job, python))
        return is_no_python(job);
    // An allocator that is linked into the interpreter has its locks there.
    if (is_interpreters(job, "malloc") || is_interpreters(job, "calloc") || is_interpreters(job, "free"))
        job->code[0] = job->code[1] = 0;
    job->function = tm_symbols_find(symbols, TM_SWITCH_FUNCTION);
    struct tm_error *error = job->function ? NULL : find_without_file(job);
    if (error || job->function || job->wish->order == TM_SWITCH_STOP)
        return error;
    job->dlopen = tm_symbols_find(symbols, "dlopen");
    job->dlsym = tm_symbols_find(symbols, "dlsym");
    job->dlerror = tm_symbols_find(symbols, "dlerror");
    return why_not_load(job);
}

static struct tm_error *place_tracer(struct job *job)
{
    if (job->place.tracer[0])
        return NULL;
    if (!job->wish->inside)
        return tm_place_tracer(job->live, job->wish->tracer, &job->place);
    snprintf(job->place.tracer, sizeof(job->place.tracer), "%s", job->wish->inside);
    return NULL;
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
    const char *path = job->place.tracer;
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
    snprintf(request.file, sizeof(request.file), "%s", job->wish->file);
    struct tm_error *error = job->function ? NULL : load_tracer(job, call);
    uint64_t there = error ? 0 : tm_call_put(call, &request, sizeof(request));
    if (error || !there)
        return error ? error : no_room();
    return tm_call_run(call, job->function, (uint64_t[]){there, 0, 0}, address);
}

static void say_slow(pid_t pid, pid_t thread)
{
    char text[400];
    snprintf(
        text, sizeof(text),
        "still waiting for the process %d, whose thread %d loads the tracer: its disk may be slow, or its dynamic\n"
        "linker is at work in another thread, or it is frozen. Do not kill -9 this command: the process would crash",
        (int)pid, (int)thread);
    tm_cli_say(text);
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
    tm_call_on_delay(call, say_slow);
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

static void note_stop(struct tm_stop *stop, struct tm_switch_outcome *outcome)
{
    uint64_t stopped = tm_stop_end(stop);
    outcome->stopped = stopped > outcome->stopped ? stopped : outcome->stopped;
}

static struct tm_error *call_tracer(struct job *job, struct tm_switch_outcome *outcome, uint64_t *address)
{
    for (unsigned tries = 0;; tries++) {
        struct tm_stop *stop;
        struct tm_error *error = tm_stop_begin(job->live, job->wish->max_stop, tm_cli_interrupted, &stop);
        if (error)
            return error;
        error = try_now(job, stop, address);
        note_stop(stop, outcome);
        if (error || *address)
            return error;
        if (tm_cli_interrupted() || tm_cli_now() > job->deadline)
            return is_late(job, job->where);
        // Not always after the same time, so that a program with a rhythm is met elsewhere.
        sleep_for((1 + tries * 7 % 13) * MILLISECOND / 2);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The script that a CPython of 3.14 or later is asked to run

static const char script[] =
    "import importlib.machinery, importlib.util, os, sys\n"
    "def switch(folder, tracer, order, frames, detail, file):\n"
    "    name = 'tracemortem._tracer'\n"
    "    try:\n"
    "        module = sys.modules.get(name)\n"
    "        if module is None:\n"
    "            loader = importlib.machinery.ExtensionFileLoader(name, tracer)\n"
    "            module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))\n"
    "            sys.modules.pop(name, None)\n"
    "        outcome = module._switch(order, frames, detail, os.fsencode(file))\n"
    "    except BaseException as error:\n"
    "        outcome = (%d, 0, '%%s: %%s' %% (type(error).__name__, error))\n"
    "    with open(folder + '/" TM_PLACE_UNFINISHED "', 'w', encoding='utf-8', errors='backslashreplace') as file:\n"
    "        file.write('%%d %%d %%s' %% outcome)\n"
    "    os.rename(folder + '/" TM_PLACE_UNFINISHED "', folder + '/" TM_PLACE_OUTCOME "')\n";

// A string as Python reads it.
static void add_literal(struct tm_text *text, const char *string)
{
    tm_text_add(text, "os.fsdecode(b'");
    for (; *string; string++)
        tm_text_printf(text, "\\x%02x", (unsigned char)*string);
    tm_text_add(text, "')");
}

static struct tm_error *write_script(const struct job *job)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_printf(&text, script, TM_SWITCH_FAILED);
    tm_text_add(&text, "switch(");
    add_literal(&text, job->place.folder);
    tm_text_add(&text, ", ");
    add_literal(&text, job->place.tracer);
    tm_text_printf(&text, ", %d, %u, '%s', ", (int)job->wish->order, job->wish->frame_limit, job->wish->detail);
    add_literal(&text, job->wish->file);
    tm_text_add(&text, ")\n");
    struct tm_error *error = tm_text_check(&text);
    int file = openat(job->place.descriptor, TM_PLACE_SCRIPT, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (!error && (file < 0 || write(file, text.bytes, text.length) != (ssize_t)text.length))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write a script for the process %d: %s", (int)job->live->pid,
                                strerror(errno));
    if (file >= 0)
        close(file);
    tm_text_deinit(&text);
    return error;
}

// "STATE FRAMES MESSAGE". False: it is not there yet.
static bool read_script_outcome(const struct job *job, struct tm_switch *found)
{
    size_t length;
    int at = 0;
    char *text = tm_proc_read(job->place.descriptor, TM_PLACE_OUTCOME, &length);
    *found = (struct tm_switch){0};
    if (text && sscanf(text, "%u %u %n", &found->state, &found->frame_limit, &at) == 2 && at) {
        found->magic = TM_SWITCH_MAGIC;
        snprintf(found->message, sizeof(found->message), "%s", text + at);
    }
    free(text);
    return found->magic != 0;
}

// Writes the request while the process is held: other threads change the same words.
static struct tm_error *ask_for_script(const struct job *job, struct tm_switch_outcome *outcome,
                                       const struct tm_remote *remote, const char *path, bool *asked)
{
    struct tm_stop *stop;
    struct tm_error *error = tm_stop_begin(job->live, job->wish->max_stop, tm_cli_interrupted, &stop);
    if (error)
        return error;
    *asked = tm_remote_ask(job->live, remote, path);
    note_stop(stop, outcome);
    return NULL;
}

static bool never(void)
{
    return false;
}

// Takes the request back, after Ctrl-C too. A request that stays would run a file whose name anybody may take.
static struct tm_error *withdraw(struct job *job, struct tm_switch_outcome *outcome, const struct tm_remote *remote,
                                 enum tm_remote_withdrawal *found)
{
    for (uint64_t end = tm_cli_now() + WITHDRAWAL_PATIENCE; tm_cli_now() < end;) {
        struct tm_stop *stop;
        struct tm_error *error = tm_stop_begin(job->live, job->wish->max_stop, never, &stop);
        if (!error) {
            *found = tm_remote_withdraw(job->live, remote);
            note_stop(stop, outcome);
            if (*found != TM_REMOTE_UNCHANGED)
                return NULL;
        }
        tm_error_destroy(error);
        tm_stop_settle(end - tm_cli_now() < WITHDRAWAL_PATIENCE ? end - tm_cli_now() : 0);
        error = tm_live_check(job->live);
        if (error)
            return error;
        sleep_for(MILLISECOND);
    }
    *found = tm_remote_withdraw(job->live, remote);
    if (*found == TM_REMOTE_BEGUN)
        return NULL;
    job->leaves_place = true;
    return tm_error_create(TM_ERROR_INTERRUPTED,
                           "the process %d cannot be held still, so its request was taken back while it ran%s\n"
                           "A script may have begun just before: ask tracemortem info %d, and then remove %s",
                           (int)job->live->pid, *found == TM_REMOTE_WITHDRAWN ? "" : "; which failed",
                           (int)job->live->pid, job->place.folder);
}

static struct tm_error *is_off(const struct job *job)
{
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "the remote execution of the process %d is switched off, by PYTHON_DISABLE_REMOTE_DEBUG or\n"
                           "by -X disable-remote-debug, so it is left alone\n"
                           "Restart it without that; or with the tracer preloaded, TRACEMORTEM=dormant and\n"
                           "TRACEMORTEM_SIGNAL=RTMIN+5, and send it that signal",
                           (int)job->live->pid);
}

// Until the outcome is there. `found` stays empty if the main thread waits for something, and the request was taken back.
static struct tm_error *await_script(struct job *job, const struct tm_remote *remote, struct tm_switch *found,
                                     struct tm_switch_outcome *outcome)
{
    uint64_t patience = tm_cli_now() + SCRIPT_PATIENCE;
    enum tm_remote_withdrawal withdrawal = TM_REMOTE_UNCHANGED;
    bool has_begun = false;
    for (;;) {
        struct tm_error *error = tm_live_check(job->live);
        if (error || read_script_outcome(job, found))
            return error;
        if (!has_begun && (tm_cli_interrupted() || tm_cli_now() > patience)) {
            error = withdraw(job, outcome, remote, &withdrawal);
            if (error || withdrawal == TM_REMOTE_WITHDRAWN)
                return error;
            has_begun = true;
        } else if (has_begun && tm_cli_now() > job->deadline) {
            job->leaves_place = true;
            return tm_error_create(TM_ERROR_INTERRUPTED,
                                   "the process %d has begun to run a script that switches it, and has not ended it\n"
                                   "Ask tracemortem info %d later. The script's folder is left: remove %s then",
                                   (int)job->live->pid, (int)job->live->pid, job->place.folder);
        }
        sleep_for(MILLISECOND / 2);
    }
}

// `found` stays empty where this is not the way.
static struct tm_error *switch_by_script(struct job *job, struct tm_switch *found, struct tm_switch_outcome *outcome)
{
    char path[sizeof(job->place.folder) + sizeof(TM_PLACE_SCRIPT)];
    struct tm_remote remote;
    bool asked = false;
    enum tm_remote_offer offer =
        tm_remote_find(job->live, tm_symbols_find(&job->process->symbols, "_PyRuntime"), &remote);
    // A tracer that is loaded is called as it is: the script would load it by its file, which may be gone.
    if (offer != TM_REMOTE_READY || (job->function && tm_call_is_supported()))
        return offer == TM_REMOTE_OFF ? is_off(job) : NULL;
    struct tm_error *error = place_tracer(job);
    if (!error)
        error = tm_place_folder(job->live, &job->place);
    if (!error)
        error = write_script(job);
    snprintf(path, sizeof(path), "%s/" TM_PLACE_SCRIPT, job->place.folder);
    if (!error)
        error = ask_for_script(job, outcome, &remote, path, &asked);
    return error || !asked ? error : await_script(job, &remote, found, outcome);
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

static struct tm_error *has_begun(const struct job *job)
{
    return tm_error_create(TM_ERROR_INTERRUPTED,
                           "the process %d has begun to switch tracing, and has not ended it\n"
                           "Ask later what it is: tracemortem info %d",
                           (int)job->live->pid, (int)job->live->pid);
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
        if (is_due && cancelled && tm_cli_now() > end && found->state == TM_SWITCH_WORKING)
            return has_begun(job);
        if (is_due && cancelled && tm_cli_now() > end)
            return is_late(job, "Python's lock was not free, because its code or a library never gave it up");
        if (is_due && !cancelled) {
            cancel(job, address);
            cancelled = true;
            // It may have begun just before.
            end = tm_cli_now() + (found->state == TM_SWITCH_WORKING ? WORK_PATIENCE : 50 * MILLISECOND);
        }
        sleep_for(MILLISECOND / 2);
    }
}

static struct tm_error *judge(const struct job *job, const struct tm_switch *found, struct tm_switch_outcome *outcome)
{
    char text[sizeof(found->message) + 1];
    outcome->state = (enum tm_switch_state)found->state;
    outcome->frame_limit = found->frame_limit;
    memcpy(text, found->message, sizeof(found->message));
    text[sizeof(text) - 1] = '\0';
    tm_escape_into(outcome->problem, sizeof(outcome->problem), text, strlen(text));
    if (found->state == TM_SWITCH_DONE || found->state == TM_SWITCH_NOTHING)
        return NULL;
    if (found->state == TM_SWITCH_CANCELLED)
        return is_late(job, "Python's lock was free too late");
    return tm_error_create(TM_ERROR_UNSUPPORTED, "the process %d cannot be traced: %s", (int)job->live->pid,
                           outcome->problem);
}

// By a call in a thread that is held.
static struct tm_error *switch_by_call(struct job *job, struct tm_switch *found, struct tm_switch_outcome *outcome)
{
    uint64_t address = 0;
    if (tm_cli_interrupted())
        return is_late(job, "");
    if (!tm_call_is_supported())
        return tm_error_create(
            TM_ERROR_UNSUPPORTED,
            "on this machine a process is switched through a debugger: in gdb or lldb, tm-start and\n"
            "tm-stop; or by TRACEMORTEM_SIGNAL");
    struct tm_error *error = job->function ? NULL : place_tracer(job);
    if (!error)
        error = call_tracer(job, outcome, &address);
    return error ? error : await_outcome(job, address, found);
}

static struct tm_error *switch_it(struct job *job, struct tm_switch_outcome *outcome)
{
    struct tm_switch found = {0};
    struct tm_error *error = check_state(job);
    if (!error)
        error = find_functions(job);
    if (error)
        return error;
    if (job->wish->order == TM_SWITCH_STOP && !job->function) {
        outcome->state = TM_SWITCH_NOTHING;
        return NULL;
    }
    error = switch_by_script(job, &found, outcome);
    if (!error && !found.magic)
        error = switch_by_call(job, &found, outcome);
    if (job->leaves_place)
        tm_place_leave(&job->place);
    else
        tm_place_remove(&job->place);
    return error ? error : judge(job, &found, outcome);
}

struct tm_error *tm_switch_process(pid_t pid, const struct tm_switch_wish *wish, struct tm_switch_outcome *outcome)
{
    struct job job = {.wish = wish, .place = TM_NO_PLACE};
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
