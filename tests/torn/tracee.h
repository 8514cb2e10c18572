/**
 * The stepped process: one of its threads runs at a time, and each stops before its first instruction in the tracer.
 *
 * While a thread runs freely the tracer's text is not executable, so each way into it causes a fault. Inside, the thread
 * goes on instruction by instruction. Nothing else of the process is changed. Knows ELF files, ptrace and registers; knows
 * no table.
 */
#ifndef TRACEMORTEM_TESTS_TRACEE_H
#define TRACEMORTEM_TESTS_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum { TRACEE_CALLS = 16, TRACEE_THREADS = 64, TRACEE_SYMBOLS = 4096 };

/** A function of the tracer, or a variable. */
struct symbol {
    uint64_t address; // in the file
    uint64_t size;
    char name[64];
};

struct range {
    uint64_t start, end;
};

/** Where the tracer and libc are in the process and in its children. */
struct places {
    struct range tracer; // the text
    struct range libc;   // the text
    uint64_t tracer_base;
    uint64_t syscall; // the address of a `syscall` instruction
    struct symbol symbols[TRACEE_SYMBOLS];
    size_t symbol_count;
};

/** One of the stepped processes. */
struct process {
    pid_t pid;
    bool text_is_open; // the tracer's text is executable
    bool let_go;       // no more stops are wanted
    void *owner;       // the user's
};

/** A call from outside into the tracer that has not returned. */
struct call {
    uint64_t function;             // the first instruction
    uint64_t stack;                // rsp at its first instruction
    uint64_t return_to;            // the caller's address
    uint64_t arguments[4];         // rdi, rsi, rdx, rcx
    uint64_t callee_returns_to;    // it called something outside, which will return here; 0: it did not
    uint64_t callee_returns_stack; // and with this rsp
    bool in_libc;                  // and that is a function of libc, which is stepped through too
    bool runs_through;             // set by the user at its first instruction: no stop until it has returned
    void *owner;                   // the user's
};

struct thread {
    pid_t tid;
    struct process *process;
    unsigned number; // in the order in which they began
    int signal;      // to be delivered when it goes on
    bool ended;
    bool waits;                      // when it last went on, nothing happened
    struct call calls[TRACEE_CALLS]; // the newest last
    unsigned depth;
    struct user_regs_struct registers; // at the last stop
};

struct tracee {
    struct places places;
    struct thread threads[TRACEE_THREADS];
    unsigned thread_count;
    struct process processes[TRACEE_THREADS];
    unsigned process_count;
};

enum event {
    EVENT_INSIDE,  // stopped at an instruction of the tracer, or of libc called by it
    EVENT_ENTERED, // the same, and it is the first of a call
    EVENT_LEFT,    // a call has returned: `ended_call` is it
    EVENT_OUTSIDE, // anything else: it is outside the tracer
    EVENT_WAITING, // nothing happened for long: it may wait for another thread
    EVENT_ASKED,   // the program stopped itself by SIGSTOP
    EVENT_FORKED,  // `forked` is the new process, whose only thread is the last one of the tracee
    EVENT_ENDED,   // the thread has ended
};

struct stop {
    enum event event;
    struct call ended_call;
    uint64_t result;        // of the ended call: rax
    struct process *forked; // of EVENT_FORKED
};

/** Start a program, and let it run until it stops itself by SIGSTOP. False: it did not. */
bool tracee_start(struct tracee *tracee, const char *tracer, char **arguments, char **environment);
/** Let one thread go on: by one instruction in the tracer, else until something happens, or nothing for long. */
void tracee_go_on(struct tracee *tracee, struct thread *thread, struct stop *stop);
/** Let the process go on without stops. */
void tracee_let_go(struct tracee *tracee, struct process *process);
/** Wait for its end. Returns the status of waitpid(). */
int tracee_wait(struct tracee *tracee);
bool tracee_read(const struct process *process, uint64_t address, void *buffer, size_t length);

/** The symbol at an address of the process, or NULL. */
const struct symbol *tracee_symbol_at(const struct tracee *tracee, uint64_t address);
/** The address of a symbol in the process, or 0. */
uint64_t tracee_symbol(const struct tracee *tracee, const char *name);

#endif
