// Which points are safe: a thread that runs the interpreter's own code is in no function of libc's, and so holds none of
// libc's locks (the allocator's, the dynamic linker's). A thread that waits for a connection, data, time or another thread
// holds none either. A signal handler may have interrupted libc: so a thread that blocks a signal which the program handles,
// as the kernel does while a handler runs, is left alone.

#define _GNU_SOURCE

#include "process/call.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "process/proc.h"

#if defined(__x86_64__)

#include <elf.h>
#include <sys/user.h>

enum {
    RED_ZONE = 128,           // below the stack pointer, and in use
    ROOM = 128 << 10,         // of the stack, for the function
    MOST_BYTES = 32 << 10,    // that are put on the stack
    MOST_EXTENDED = 16 << 10, // vector registers and their like
    MASK_BYTES = 8,
    SECCOMP_STRICT = 1,
    SECCOMP_FILTER = 2,
    MOST_KEPT = 8, // signals for the program that came during a call
};

// How long to wait between two looks at a call, and when to say that it takes long.
static const struct timespec pause_time = {0, 50000}, long_pause_time = {0, 10000000};
#define SLOW UINT64_C(1000000000)

struct tm_call {
    const struct tm_live *live;
    struct tm_stop *stop;
    pid_t thread;
    bool waits;
    uint64_t mask; // of its blocked signals
    struct user_regs_struct registers;
    unsigned char extended[MOST_EXTENDED];
    size_t extended_size;
    uint64_t stack;         // what is below is free
    unsigned seccomp;       // its mode
    bool catches_bad_calls; // it handles SIGSYS
    int kept[MOST_KEPT];    // signals for the program that no mask keeps away
    size_t kept_count;
    void (*say_slow)(pid_t pid, pid_t thread);
    bool is_said;
    int end; // what waitpid() said when the thread had ended; 0: it did not
};

bool tm_call_is_supported(void)
{
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// Points that are safe

// What a system call returns that a stop has interrupted: the kernel's own numbers, which a program never sees, and EINTR.
static bool is_interrupted(uint64_t result)
{
    enum { RESTART_SYSTEM = 512, RESTART_NO_INTERRUPT, RESTART_NO_HANDLER, RESTART_BLOCK = 516 };
    int64_t number = -(int64_t)result;
    return number == RESTART_SYSTEM || number == RESTART_NO_INTERRUPT || number == RESTART_NO_HANDLER ||
           number == RESTART_BLOCK || number == EINTR;
}

// Whether a descriptor is something on which a program waits, and not a file that the dynamic linker reads.
static bool is_stream(const struct tm_live *live, uint64_t descriptor)
{
    static const char *const kinds[] = {"pipe:", "socket:", "anon_inode:", "/dev/"};
    char name[32];
    snprintf(name, sizeof(name), "fd/%d", (int)descriptor);
    char *link = tm_proc_link(live->folder, name);
    bool found = false;
    for (size_t i = 0; link && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        found |= strncmp(link, kinds[i], strlen(kinds[i])) == 0;
    free(link);
    return found;
}

// libc waits for its own locks by FUTEX_WAIT, for semaphores and conditions (and so for Python's locks) by the other one.
static bool is_semaphore(uint64_t operation)
{
    enum { WAIT_BITSET = 9, COMMAND = 127 };
    return (operation & COMMAND) == WAIT_BITSET;
}

static bool waits_for_others(const struct tm_live *live, const struct user_regs_struct *registers)
{
    if ((int64_t)registers->orig_rax < 0 || !is_interrupted(registers->rax))
        return false;
    switch (registers->orig_rax) {
    case SYS_accept:
    case SYS_accept4:
    case SYS_select:
    case SYS_pselect6:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case 441: // epoll_pwait2
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_pause:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return true;
    case SYS_read:
    case SYS_readv:
        return is_stream(live, registers->rdi);
    case SYS_futex:
        return is_semaphore(registers->rsi);
    case SYS_restart_syscall: // a wait with a time, which was interrupted before; libc waits for its own locks without one
        return true;
    default:
        return false;
    }
}

// A field of /proc/PID/task/ID/status that is a number in hexadecimal.
static uint64_t hexadecimal(const char *status, const char *name)
{
    const char *value = tm_proc_field(status, name);
    return value ? strtoull(value, NULL, 16) : 0;
}

// Whether its signals are as in a program that handles none just now, and leave SIGSEGV to the kernel, which ends our calls.
static bool signals_are_plain(struct tm_call *call, const char **where)
{
    char name[48];
    size_t length;
    snprintf(name, sizeof(name), "task/%d/status", (int)call->thread);
    char *status = tm_proc_read(call->live->folder, name, &length);
    const char *seccomp = status ? tm_proc_field(status, "Seccomp") : NULL;
    bool plain = status && (hexadecimal(status, "SigBlk") & hexadecimal(status, "SigCgt")) == 0 &&
                 (hexadecimal(status, "SigIgn") >> (SIGSEGV - 1) & 1) == 0 &&
                 !strstr(status, "\nx86_Thread_features:\tshstk");
    call->seccomp = seccomp ? (unsigned)strtoul(seccomp, NULL, 10) : 0;
    call->catches_bad_calls = status && (hexadecimal(status, "SigCgt") >> (SIGSYS - 1) & 1) != 0;
    free(status);
    if (!plain)
        *where = "a signal is being handled or is blocked";
    else if (call->seccomp == SECCOMP_STRICT)
        *where = "seccomp's strict mode would end the thread at its first system call";
    return plain && call->seccomp != SECCOMP_STRICT;
}

static bool stack_has_room(const struct tm_live *live, uint64_t pointer)
{
    size_t length;
    struct tm_region region;
    char *maps = tm_proc_read(live->folder, "maps", &length);
    bool has_room = false;
    for (const char *line = maps; line && tm_proc_next_region(&line, &region);)
        if (pointer > region.start && pointer < region.end)
            has_room = region.flags & TM_REGION_WRITABLE &&
                       (pointer - region.start > ROOM || strcmp(region.name, "[stack]") == 0);
    free(maps);
    return has_room;
}

static bool save(struct tm_call *call)
{
    struct iovec extended = {call->extended, sizeof(call->extended)};
    if (ptrace(PTRACE_GETREGSET, call->thread, (void *)NT_X86_XSTATE, &extended) != 0 ||
        ptrace(PTRACE_GETSIGMASK, call->thread, (void *)MASK_BYTES, &call->mask) != 0)
        return false;
    call->extended_size = extended.iov_len;
    call->stack = (call->registers.rsp - RED_ZONE) & ~UINT64_C(63);
    return true;
}

static bool is_safe(struct tm_call *call, const uint64_t code[2], const char **where)
{
    enum { CODE_64 = 0x33 };
    if (ptrace(PTRACE_GETREGS, call->thread, NULL, &call->registers) != 0)
        return false;
    call->waits = waits_for_others(call->live, &call->registers);
    if (!call->waits && (call->registers.rip < code[0] || call->registers.rip >= code[1]))
        return false;
    if (!signals_are_plain(call, where))
        return false;
    if (call->registers.cs != CODE_64 || !stack_has_room(call->live, call->registers.rsp))
        *where = "the stack has no room";
    else
        return save(call);
    return false;
}

struct tm_call *tm_call_begin(const struct tm_live *live, struct tm_stop *stop, const uint64_t code[2],
                              const char **where)
{
    struct tm_call *call = calloc(1, sizeof(*call));
    size_t index = 0;
    *where = call ? "all threads run code of libraries" : "no memory";
    while (call && (call->thread = tm_stop_thread(stop, &index))) {
        call->live = live;
        call->stop = stop;
        if (!is_safe(call, code, where))
            continue;
        tm_stop_keep(stop, call->thread);
        return call;
    }
    free(call);
    return NULL;
}

bool tm_call_waits(const struct tm_call *call)
{
    return call->waits;
}

void tm_call_on_delay(struct tm_call *call, void (*say_slow)(pid_t pid, pid_t thread))
{
    call->say_slow = say_slow;
}

// ---------------------------------------------------------------------------------------------------------------
// The call

static bool write_words(pid_t thread, uint64_t address, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length; done += sizeof(long)) {
        long word = 0;
        memcpy(&word, (const char *)bytes + done, length - done < sizeof(word) ? length - done : sizeof(word));
        if (ptrace(PTRACE_POKEDATA, thread, (void *)(address + done), (void *)word) != 0)
            return false;
    }
    return true;
}

uint64_t tm_call_put(struct tm_call *call, const void *bytes, size_t length)
{
    if (length > MOST_BYTES || call->registers.rsp - call->stack > MOST_BYTES)
        return 0;
    uint64_t address = (call->stack - length) & ~UINT64_C(63);
    if (!write_words(call->thread, address, bytes, length))
        return 0;
    call->stack = address;
    return address;
}

static struct tm_error *has_ended(struct tm_call *call)
{
    tm_stop_forget(call->stop, call->thread);
    call->thread = 0;
    if (call->seccomp == SECCOMP_FILTER && WIFSIGNALED(call->end) && WTERMSIG(call->end) == SIGSYS)
        return tm_error_create(
            TM_ERROR_NO_TARGET,
            "the process %d, or its thread, ended in the call. It has a seccomp filter, which is the\n"
            "likely cause: it ends what does a system call that the tracer needs\n"
            "Restart it with the tracer preloaded, TRACEMORTEM=dormant, and use TRACEMORTEM_SIGNAL",
            (int)call->live->pid);
    return tm_error_create(TM_ERROR_NO_TARGET, "the process %d ended meanwhile", (int)call->live->pid);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

// False: it has ended. A call cannot be given up, as it may have libc's locks: so there is no limit, but one line says so.
static bool await_stop(struct tm_call *call, int *status)
{
    uint64_t begun = now();
    for (;;) {
        pid_t waited = waitpid(call->thread, status, __WALL | WNOHANG);
        if (waited == call->thread) {
            call->end = WIFSTOPPED(*status) ? 0 : *status;
            return WIFSTOPPED(*status);
        }
        if (waited < 0 && errno != EINTR)
            return false;
        bool is_slow = now() - begun > SLOW;
        if (is_slow && !call->is_said && call->say_slow) {
            call->is_said = true;
            call->say_slow(call->live->pid, call->thread);
        }
        nanosleep(is_slow ? &long_pause_time : &pause_time, NULL);
    }
}

// It is given back when the call has ended.
static void keep_signal(struct tm_call *call, int number)
{
    for (size_t i = 0; i < call->kept_count; i++)
        if (call->kept[i] == number)
            return;
    if (call->kept_count < MOST_KEPT)
        call->kept[call->kept_count++] = number;
}

// A system call that a seccomp filter traps. A program that does not handle that would end; here, the call just fails.
static int refuse_system_call(struct tm_call *call, struct user_regs_struct *registers)
{
    if (call->catches_bad_calls)
        return SIGSYS;
    registers->rax = (uint64_t)-ENOSYS;
    ptrace(PTRACE_SETREGS, call->thread, NULL, registers);
    return 0;
}

static struct tm_error *is_abandoned(const struct tm_call *call, int number)
{
    return tm_error_create(TM_ERROR_CORRUPT,
                           "a function that was called in the process %d got the signal %d (%s), and was abandoned",
                           (int)call->live->pid, number, strsignal(number));
}

// Until the function returns to the address 0, where there is no code.
static struct tm_error *await_return(struct tm_call *call, struct user_regs_struct *registers)
{
    int status;
    while (await_stop(call, &status)) {
        siginfo_t info;
        int number = WSTOPSIG(status), deliver = 0;
        bool is_signal = status >> 16 == 0; // else another stop, as that of the whole process
        if (is_signal && (ptrace(PTRACE_GETREGS, call->thread, NULL, registers) != 0 ||
                          ptrace(PTRACE_GETSIGINFO, call->thread, NULL, &info) != 0))
            break;
        // The kernel's own have positive codes. abort() sends one, and does not come back.
        bool is_fault = is_signal && info.si_code > 0 && number != SIGSTOP;
        if (is_fault && number == SIGSEGV && registers->rip == 0)
            return NULL;
        if (is_fault && number == SIGSYS)
            deliver = refuse_system_call(call, registers);
        else if (is_fault || (is_signal && number == SIGABRT))
            return is_abandoned(call, number);
        else if (is_signal)
            keep_signal(call, number);
        if (ptrace(PTRACE_CONT, call->thread, NULL, (void *)(intptr_t)deliver) != 0 && errno == ESRCH)
            break;
    }
    return has_ended(call);
}

// Signals for the program wait until the call has ended, but for those of faults: a fault whose signal is blocked ends the
// program, or takes its handler away.
static uint64_t mask_of_call(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    uint64_t mask = UINT64_MAX;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        mask &= ~(UINT64_C(1) << (faults[i] - 1));
    return mask;
}

struct tm_error *tm_call_run(struct tm_call *call, uint64_t function, const uint64_t arguments[TM_CALL_ARGUMENTS],
                             uint64_t *result)
{
    enum { FLAG_TRAP = 1 << 8, FLAG_DIRECTION = 1 << 10 };
    struct user_regs_struct registers = call->registers;
    const uint64_t nowhere = 0, mask = mask_of_call();

    registers.rip = function;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.rax = 0;
    registers.orig_rax = UINT64_MAX; // no system call is to go on
    registers.eflags &= ~(unsigned long)(FLAG_TRAP | FLAG_DIRECTION);
    registers.rsp = (call->stack & ~UINT64_C(15)) - sizeof(nowhere);
    if (!write_words(call->thread, registers.rsp, &nowhere, sizeof(nowhere)) ||
        ptrace(PTRACE_SETSIGMASK, call->thread, (void *)MASK_BYTES, &mask) != 0 ||
        ptrace(PTRACE_SETREGS, call->thread, NULL, &registers) != 0 ||
        ptrace(PTRACE_CONT, call->thread, NULL, NULL) != 0)
        return errno == ESRCH ? has_ended(call)
                              : tm_error_create(TM_ERROR_NO_TARGET, "cannot call a function in the process %d: %s",
                                                (int)call->live->pid, strerror(errno));
    struct tm_error *error = await_return(call, &registers);
    *result = registers.rax;
    return error;
}

// The first one comes as the thread is let go, the others after it. Where they were sent to the process, they come to one of
// its threads, as they would have.
static void give_back(const struct tm_call *call)
{
    for (size_t i = 1; i < call->kept_count; i++)
        syscall(SYS_tgkill, call->live->pid, call->thread, call->kept[i]);
    if (call->kept_count)
        tm_stop_deliver(call->stop, call->thread, call->kept[0]);
}

void tm_call_end(struct tm_call *call)
{
    struct iovec extended = {call->extended, call->extended_size};
    if (call->thread) {
        ptrace(PTRACE_SETREGSET, call->thread, (void *)NT_X86_XSTATE, &extended);
        ptrace(PTRACE_SETREGS, call->thread, NULL, &call->registers);
        ptrace(PTRACE_SETSIGMASK, call->thread, (void *)MASK_BYTES, &call->mask);
        give_back(call);
    }
    free(call);
}

#else // The registers of other machines are not known here. A debugger knows them.

bool tm_call_is_supported(void)
{
    return false;
}

struct tm_call *tm_call_begin(const struct tm_live *live, struct tm_stop *stop, const uint64_t code[2],
                              const char **where)
{
    (void)live, (void)stop, (void)code;
    *where = "the registers of this machine are not known";
    return NULL;
}

bool tm_call_waits(const struct tm_call *call)
{
    (void)call;
    return false;
}

void tm_call_on_delay(struct tm_call *call, void (*say_slow)(pid_t pid, pid_t thread))
{
    (void)call, (void)say_slow;
}

uint64_t tm_call_put(struct tm_call *call, const void *bytes, size_t length)
{
    (void)call, (void)bytes, (void)length;
    return 0;
}

struct tm_error *tm_call_run(struct tm_call *call, uint64_t function, const uint64_t arguments[TM_CALL_ARGUMENTS],
                             uint64_t *result)
{
    (void)call, (void)function, (void)arguments;
    *result = 0;
    return tm_error_create(TM_ERROR_UNSUPPORTED, "the registers of this machine are not known");
}

void tm_call_end(struct tm_call *call)
{
    (void)call;
}

#endif
