// Stepping: ptrace, closing and opening the tracer's text, and the call that a thread is in.

#define _GNU_SOURCE
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "torn: %s: %s\n", what, strerror(errno));
    exit(2);
}

static bool holds(const struct range *range, uint64_t address)
{
    return address >= range->start && address < range->end;
}

bool tracee_read(const struct process *process, uint64_t address, void *buffer, size_t length)
{
    struct iovec local = {buffer, length}, remote = {(void *)(uintptr_t)address, length};
    return process_vm_readv(process->pid, &local, 1, &remote, 1, 0) == (ssize_t)length;
}

// ---------------------------------------------------------------------------------------------------------------
// Where things are

static void read_symbols(struct places *places, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0)
        fail(path);
    const char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        fail(path);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(bytes + header->e_shoff);
    for (unsigned s = 0; s < header->e_shnum; s++) {
        if (sections[s].sh_type != SHT_SYMTAB)
            continue;
        const Elf64_Sym *symbols = (const Elf64_Sym *)(bytes + sections[s].sh_offset);
        const char *names = bytes + sections[sections[s].sh_link].sh_offset;
        for (size_t i = 0; i < sections[s].sh_size / sizeof *symbols && places->symbol_count < TRACEE_SYMBOLS; i++) {
            unsigned type = ELF64_ST_TYPE(symbols[i].st_info);
            if ((type != STT_FUNC && type != STT_OBJECT) || symbols[i].st_value == 0)
                continue;
            struct symbol *symbol = &places->symbols[places->symbol_count++];
            symbol->address = symbols[i].st_value;
            symbol->size = symbols[i].st_size;
            snprintf(symbol->name, sizeof symbol->name, "%s", names + symbols[i].st_name);
        }
    }
    munmap((void *)(uintptr_t)bytes, (size_t)status.st_size);
    close(file);
}

const struct symbol *tracee_symbol_at(const struct tracee *tracee, uint64_t address)
{
    const struct places *places = &tracee->places;
    for (size_t i = 0; i < places->symbol_count; i++)
        if (address - places->tracer_base - places->symbols[i].address < places->symbols[i].size)
            return &places->symbols[i];
    return NULL;
}

uint64_t tracee_symbol(const struct tracee *tracee, const char *name)
{
    const struct places *places = &tracee->places;
    for (size_t i = 0; i < places->symbol_count; i++)
        if (strcmp(places->symbols[i].name, name) == 0)
            return places->tracer_base + places->symbols[i].address;
    return 0;
}

/** The tracer's and libc's mappings, from the list of the process's. */
static void find_mappings(struct places *places, pid_t pid, const char *tracer)
{
    char path[64], line[4608];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end, offset;
        char permissions[8];
        int name = 0;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %n", &start, &end, permissions, &offset, &name) < 4 || name == 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        bool is_tracer = strcmp(line + name, tracer) == 0;
        if (is_tracer && offset == 0)
            places->tracer_base = start;
        if (permissions[2] == 'x' && is_tracer)
            places->tracer = (struct range){start, end};
        else if (permissions[2] == 'x' && strstr(line + name, "/libc.so.6") != NULL)
            places->libc = (struct range){start, end};
    }
    if (maps != NULL)
        fclose(maps);
    if (places->tracer.start == 0 || places->libc.start == 0)
        fail("the tracer or libc is not in the process");
}

static void find_syscall(struct places *places, const struct process *process)
{
    unsigned char bytes[4096];
    for (uint64_t at = places->libc.start; at < places->libc.end && places->syscall == 0; at += sizeof bytes)
        for (size_t i = 0; tracee_read(process, at, bytes, sizeof bytes) && i + 1 < sizeof bytes; i++)
            if (bytes[i] == 0x0f && bytes[i + 1] == 0x05) {
                places->syscall = at + i;
                break;
            }
    if (places->syscall == 0)
        fail("no system call in libc");
}

// ---------------------------------------------------------------------------------------------------------------
// Letting a thread run

enum { TICK = 4000 }; // microseconds

// Each tick interrupts waitpid(), so that we notice a thread that waits for another one.
static void on_tick(int number)
{
    (void)number;
}

static void start_ticking(void)
{
    struct sigaction action = {.sa_handler = on_tick};
    struct itimerval tick = {{0, TICK}, {0, TICK}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
}

static int wait_for(pid_t tid)
{
    int status;
    while (waitpid(tid, &status, __WALL) < 0)
        if (errno != EINTR)
            fail("waitpid");
    return status;
}

static void get_registers(struct thread *thread)
{
    if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &thread->registers) != 0)
        memset(&thread->registers, 0, sizeof thread->registers);
}

/** Have a stopped thread make the text of the tracer executable, or not. */
static void set_text(struct tracee *tracee, struct thread *thread, bool open_it)
{
    const struct places *places = &tracee->places;
    if (thread->process->text_is_open == open_it)
        return;
    struct user_regs_struct before, call;
    if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &before) != 0)
        return; // it was killed
    call = before;
    call.rip = places->syscall;
    call.rax = SYS_mprotect;
    call.orig_rax = (unsigned long)-1;
    call.rdi = places->tracer.start;
    call.rsi = places->tracer.end - places->tracer.start;
    call.rdx = PROT_READ | (open_it ? PROT_EXEC : 0);
    // Signals that come meanwhile are kept for later.
    for (;;) {
        ptrace(PTRACE_SETREGS, thread->tid, NULL, &call);
        ptrace(PTRACE_SINGLESTEP, thread->tid, NULL, NULL);
        int status = wait_for(thread->tid);
        if (!WIFSTOPPED(status))
            return;
        struct user_regs_struct after;
        ptrace(PTRACE_GETREGS, thread->tid, NULL, &after);
        if (after.rip == places->syscall + 2) {
            if (after.rax != 0)
                fail("mprotect in the process");
            break;
        }
        if (status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP)
            thread->signal = WSTOPSIG(status);
    }
    ptrace(PTRACE_SETREGS, thread->tid, NULL, &before);
    thread->process->text_is_open = open_it;
}

static struct thread *add_thread(struct tracee *tracee, pid_t tid, struct process *process)
{
    if (tracee->thread_count == TRACEE_THREADS)
        fail("too many threads");
    struct thread *thread = &tracee->threads[tracee->thread_count];
    *thread = (struct thread){.tid = tid, .process = process, .number = tracee->thread_count++};
    return thread;
}

/** A thread or a process begins. It is ours from its first stop on. */
static void on_birth(struct tracee *tracee, struct thread *parent, bool is_process, struct stop *stop)
{
    unsigned long tid;
    ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &tid);
    wait_for((pid_t)tid);
    struct process *process = parent->process;
    if (is_process) {
        process = &tracee->processes[tracee->process_count++];
        *process = *parent->process;
        process->pid = (pid_t)tid;
        process->owner = NULL;
        stop->event = EVENT_FORKED;
        stop->forked = process;
    }
    struct thread *thread = add_thread(tracee, (pid_t)tid, process);
    if (is_process) {
        memcpy(thread->calls, parent->calls, sizeof thread->calls);
        thread->depth = parent->depth;
    }
    get_registers(thread);
}

// ---------------------------------------------------------------------------------------------------------------
// The call that a thread is in

static struct call *call_of(struct thread *thread)
{
    return thread->depth == 0 ? NULL : &thread->calls[thread->depth - 1];
}

static void enter(struct thread *thread)
{
    const struct user_regs_struct *registers = &thread->registers;
    if (thread->depth == TRACEE_CALLS)
        fail("calls too deep");
    struct call *call = &thread->calls[thread->depth++];
    *call = (struct call){.function = registers->rip,
                          .stack = registers->rsp,
                          .arguments = {registers->rdi, registers->rsi, registers->rdx, registers->rcx}};
    tracee_read(thread->process, registers->rsp, &call->return_to, sizeof call->return_to);
}

/** The thread is at an instruction of the tracer: in a new call, or back in a call that had called something outside. */
static enum event inside(struct thread *thread)
{
    struct call *call = call_of(thread);
    const struct user_regs_struct *registers = &thread->registers;
    if (call != NULL && call->callee_returns_to == 0)
        return EVENT_INSIDE;
    if (call != NULL && registers->rip == call->callee_returns_to && registers->rsp == call->callee_returns_stack) {
        call->callee_returns_to = 0;
        call->in_libc = false;
        return EVENT_INSIDE;
    }
    enter(thread);
    return EVENT_ENTERED;
}

/** A step led out of the tracer's text: the call has returned, or calls something itself. */
static enum event step_out(const struct places *places, struct thread *thread, struct stop *stop)
{
    struct call *call = call_of(thread);
    const struct user_regs_struct *registers = &thread->registers;
    if (call->in_libc)
        return EVENT_INSIDE;
    if (registers->rsp >= call->stack) { // returned, or went on to another function in its place
        stop->ended_call = *call;
        stop->result = registers->rax;
        thread->depth--;
        return EVENT_LEFT;
    }
    tracee_read(thread->process, registers->rsp, &call->callee_returns_to, sizeof call->callee_returns_to);
    call->callee_returns_stack = registers->rsp + 8;
    call->in_libc = holds(&places->libc, registers->rip);
    return call->in_libc ? EVENT_INSIDE : EVENT_OUTSIDE;
}

/** A hardware breakpoint on one address; 0: none. */
static void set_breakpoint(struct thread *thread, uint64_t address)
{
    ptrace(PTRACE_POKEUSER, thread->tid, offsetof(struct user, u_debugreg[0]), (void *)(uintptr_t)address);
    ptrace(PTRACE_POKEUSER, thread->tid, offsetof(struct user, u_debugreg[7]), (void *)(uintptr_t)(address != 0));
}

static bool runs_through(const struct thread *thread)
{
    return thread->depth > 0 && thread->calls[thread->depth - 1].runs_through;
}

static bool steps(const struct thread *thread)
{
    const struct call *call = thread->depth == 0 ? NULL : &thread->calls[thread->depth - 1];
    return call != NULL && !call->runs_through && (call->callee_returns_to == 0 || call->in_libc);
}

static enum event on_stop(struct tracee *tracee, struct thread *thread, bool stepped, int status, struct stop *stop)
{
    const struct places *places = &tracee->places;
    int event = status >> 16, signal = WSTOPSIG(status);
    get_registers(thread);
    if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
        stop->event = EVENT_OUTSIDE;
        on_birth(tracee, thread, event != PTRACE_EVENT_CLONE, stop);
        return stop->event;
    }
    if (event != 0) {
        thread->waits = true;
        return EVENT_WAITING;
    }
    if (signal == SIGTRAP && runs_through(thread)) {
        set_breakpoint(thread, 0);
        stop->ended_call = thread->calls[--thread->depth];
        stop->result = thread->registers.rax;
        return EVENT_LEFT;
    }
    bool is_inside = holds(&places->tracer, thread->registers.rip);
    if (signal == SIGSEGV && is_inside && !thread->process->text_is_open)
        return inside(thread);
    if (signal == SIGTRAP && stepped)
        return is_inside ? inside(thread) : step_out(places, thread, stop);
    if (signal == SIGSTOP && !thread->process->let_go)
        return EVENT_ASKED;
    thread->signal = signal;
    return EVENT_OUTSIDE;
}

static void resume(struct thread *thread, bool step)
{
    int signal = thread->signal;
    thread->signal = 0;
    ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, thread->tid, NULL, (void *)(intptr_t)signal);
}

static bool read_task_file(pid_t tid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", tid, name);
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(text, 1, size - 1, file);
    text[length] = '\0';
    if (file != NULL)
        fclose(file);
    return length > 0;
}

/** Nanoseconds for which it had a processor; 0 if the kernel does not count them. */
static uint64_t time_run(pid_t tid)
{
    char text[128];
    return read_task_file(tid, "schedstat", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

// Whether a thread waits for another one: asleep, or by running for two ticks. The clock does not tell: on a loaded machine
// a thread gets no processor for longer than that. Interrupted then, it would never come to its next instruction.
static bool waits_for_another(pid_t tid, uint64_t run_before, int ticks)
{
    char text[512];
    const char *name_end = read_task_file(tid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    bool sleeps = name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S';
    return sleeps || time_run(tid) > run_before + 2000u * TICK || (run_before == 0 && ticks > 250);
}

void tracee_go_on(struct tracee *tracee, struct thread *thread, struct stop *stop)
{
    int status;
    uint64_t run_before = 0;
    int ticks = 0;
    bool interrupted = false;
    bool step = steps(thread) && !thread->process->let_go;
    *stop = (struct stop){.event = EVENT_OUTSIDE};
    thread->waits = false;
    bool through = runs_through(thread);
    if (through)
        set_breakpoint(thread, thread->calls[thread->depth - 1].return_to);
    set_text(tracee, thread, step || through || thread->process->let_go);
    resume(thread, step);
    while (waitpid(thread->tid, &status, __WALL) < 0) {
        if (errno != EINTR)
            fail("waitpid");
        if (ticks++ == 0) {
            run_before = time_run(thread->tid);
        } else if (!interrupted && waits_for_another(thread->tid, run_before, ticks)) {
            ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
            interrupted = true;
        }
    }
    if (!WIFSTOPPED(status)) {
        thread->ended = true;
        stop->event = EVENT_ENDED;
        return;
    }
    stop->event = on_stop(tracee, thread, step, status, stop);
}

// ---------------------------------------------------------------------------------------------------------------
// Beginning and end

static pid_t launch(char **arguments, char **environment)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        personality(ADDR_NO_RANDOMIZE);
        raise(SIGSTOP);
        execve(arguments[0], arguments, environment);
        perror(arguments[0]);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, WUNTRACED);
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK;
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) != 0)
        fail("PTRACE_SEIZE");
    kill(pid, SIGCONT);
    return pid;
}

bool tracee_start(struct tracee *tracee, const char *tracer, char **arguments, char **environment)
{
    struct process *process = &tracee->processes[tracee->process_count++];
    *process = (struct process){.pid = launch(arguments, environment), .text_is_open = true};
    struct thread *thread = add_thread(tracee, process->pid, process);
    for (bool was_continued = false;;) {
        int status = wait_for(process->pid);
        if (!WIFSTOPPED(status))
            return false;
        int signal = WSTOPSIG(status);
        if (status >> 16 == 0 && signal == SIGSTOP && was_continued)
            break;
        was_continued = was_continued || (status >> 16 == 0 && signal == SIGCONT);
        bool deliver = status >> 16 == 0 && signal != SIGTRAP && signal != SIGSTOP;
        ptrace(PTRACE_CONT, process->pid, NULL, (void *)(intptr_t)(deliver ? signal : 0));
    }
    read_symbols(&tracee->places, tracer);
    find_mappings(&tracee->places, process->pid, tracer);
    find_syscall(&tracee->places, process);
    get_registers(thread);
    start_ticking();
    return true;
}

void tracee_let_go(struct tracee *tracee, struct process *process)
{
    process->let_go = true;
    for (unsigned i = 0; i < tracee->thread_count; i++)
        if (tracee->threads[i].process == process && !tracee->threads[i].ended) {
            set_text(tracee, &tracee->threads[i], true);
            return;
        }
}

int tracee_wait(struct tracee *tracee)
{
    int result = 0;
    struct itimerval none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &none, NULL);
    for (unsigned i = 0; i < tracee->thread_count; i++)
        if (!tracee->threads[i].ended)
            ptrace(PTRACE_DETACH, tracee->threads[i].tid, NULL, NULL);
    while (waitpid(tracee->processes[0].pid, &result, __WALL) < 0)
        if (errno != EINTR)
            fail("waitpid");
    return result;
}
