/**
 * libtracemortem: answers tracemalloc's questions about a stopped target from its trace table.
 *
 * This is the engine's only public header. gdb/, lldb/ and other front ends see nothing else; the shared Python package
 * binds it with ctypes. The engine knows no debugger, opens no file and calls nothing in the target. It sees the target
 * through `struct tm_target_callbacks` and the user's side through `struct tm_host_callbacks`.
 *
 *   session   one for each debugger: the user's side, and what is kept between commands (filters)
 *   target    one process, core or snapshot file: how to read it, and what was already read from it
 *   request   one command line: the engine parses it, the front end resolves its operands, the engine runs it
 *
 * This is all that a front end does for a command:
 *
 *     tm_request_create(session, "tm-diff", "old.core -n 5", &request)
 *     for each operand i:                        // an expression to evaluate, a core to open, a file to write
 *         tm_request_set_address(request, i, …)  or  tm_request_set_target(request, i, …)  or  …_set_output(…)
 *     tm_request_run(request, current_target)    // text goes to host->write
 *     tm_request_destroy(request)
 *
 * Conventions. A function that can fail returns NULL for success, or a `struct tm_error *` that the caller destroys.
 * Its result is the last parameter. Strings are UTF-8 and NUL-terminated. A returned string lives as long as the object
 * that it came from. Nothing here is thread-safe: use a session from one thread. All output and all error messages are
 * valid UTF-8: control characters and lone surrogates from the target are escaped.
 */
#ifndef TRACEMORTEM_ENGINE_TRACEMORTEM_H
#define TRACEMORTEM_ENGINE_TRACEMORTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TM_API __attribute__((visibility("default")))

struct tm_session;
struct tm_target;
struct tm_request;
struct tm_error;

// ---------------------------------------------------------------------------------------------------------------
// Errors

enum tm_error_code {
    TM_ERROR_NO_MEMORY = 1,    // on the debugger's side
    TM_ERROR_USAGE = 2,        // an unknown command, option or key; a missing or unexpected operand
    TM_ERROR_NO_TARGET = 3,    // no process and no core
    TM_ERROR_NO_TABLE = 4,     // no trace table in the target: not Python, or Python without tracer and tracemalloc
    TM_ERROR_NOT_TRACING = 5,  // the tracer or tracemalloc is there, but tracing is off
    TM_ERROR_UNSUPPORTED = 6,  // a table of another layout version, byte order or pointer size
    TM_ERROR_CORRUPT = 7,      // the table is too inconsistent to use, or there are two tables
    TM_ERROR_FAULT = 8,        // the target's memory cannot be read there
    TM_ERROR_NOT_FOUND = 9,    // no traced block contains the address
    TM_ERROR_INTERRUPTED = 10, // the user asked to stop
    TM_ERROR_OUTPUT = 11,      // the output could not be written
    TM_ERROR_INCOMPLETE = 12,  // no trace table was found, but one may be in memory that is missing
};

/** The message for the user: what is wrong, why, and what to type next. It may have several lines. */
TM_API const char *tm_error_message(const struct tm_error *error);
TM_API enum tm_error_code tm_error_code(const struct tm_error *error);
TM_API void tm_error_destroy(struct tm_error *error);

// ---------------------------------------------------------------------------------------------------------------
// The two sides

/** A range [start, end) of the target's address space. */
struct tm_region {
    uint64_t start;
    uint64_t end;
    uint32_t flags; // TM_REGION_*
    uint32_t _padding;
    char name[48]; // the system's name of the mapping: "[heap]", "[anon:tracemortem]", the start of a path, or ""
};
#define TM_REGION_READABLE 1u
#define TM_REGION_WRITABLE 2u
#define TM_REGION_FILE 4u   // mapped from a file
#define TM_REGION_ABSENT 8u // the process had this memory, but the dump does not hold it

/** Which part of a process's private memory is counted. */
enum tm_private_kind {
    TM_PRIVATE_UNKNOWN = 0,
    TM_PRIVATE_RESIDENT = 1, // what is in memory or swapped out, as the kernel counts it
    TM_PRIVATE_IN_CORE = 2,  // what a core holds; pages that were never used may be in it as zeros
    TM_PRIVATE_MAPPED = 3,   // what is mapped; pages that were never used count too
};

/** A thread of the stopped process. */
#define TM_THREAD_REGISTERS 40
struct tm_thread {
    uint64_t id;            // the system's number of it
    uint64_t stack_pointer; // 0: not known
    uint32_t register_count;
    uint32_t _padding;
    uint64_t registers[TM_THREAD_REGISTERS]; // the values of its general registers, in any order
};

/** A part [start, end) of the target's address space that was mapped from a file, from this offset of the file on. */
struct tm_module {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    char path[256]; // the end of it, if it is longer
};

/** What a target is, where that says more than its memory does. */
enum tm_backing_kind {
    TM_BACKING_UNKNOWN = 0,
    TM_BACKING_PROCESS = 1,
    TM_BACKING_CORE = 2,     // of a whole process
    TM_BACKING_RECORDER = 3, // a recorder's file: it has the trace table, and nothing else of the process
    TM_BACKING_SAVED = 4,    // a small core that tm-save --core wrote: the same
};
enum tm_life {
    TM_LIFE_UNKNOWN = 0,
    TM_LIFE_LIVES = 1,
    TM_LIFE_ENDED = 2, // it has ended, or has become another program
};
#define TM_BACKING_NOTE 256
struct tm_backing {
    uint32_t kind;         // enum tm_backing_kind
    uint32_t life;         // enum tm_life: of the process that has a recorder's file
    uint64_t now;          // nanoseconds since 1970, as all times here; 0: not known
    uint64_t moment;       // after which the process did not run: when a core was last written; 0: not known
    uint64_t file_changed; // when `file` was last written to; 0: not known
    char file[256];        // the recorder's file: the target itself, or what a core's table is read from; "": none
    char why[256];         // why a core's table cannot be read from `file`; "": it can
    uint32_t note_length;
    uint32_t crashed;                    // not 0: a signal ended the process, and so the core was made
    unsigned char note[TM_BACKING_NOTE]; // our own note in that file, or in the small core; its type depends on that
};

/** How the engine sees a stopped process or a core. `context` belongs to the front end. */
struct tm_target_callbacks {
    /**
     * Copy exactly `length` bytes from `address` into `buffer`. Return 0 for success, anything else if not all of them
     * can be read. Do not invent bytes that the dump does not hold. The engine asks for at most TM_READ_LIMIT bytes at
     * once. Memory that a dump leaves out, and that the process could not write, may come from the file that was mapped
     * there, if it is certain that it is the same file.
     */
    int (*read)(void *context, uint64_t address, void *buffer, uint64_t length);
    /** The address of the global variable `name`, or 0 if it is not found. It may be wrong: the engine checks it. */
    uint64_t (*symbol)(void *context, const char *name);
    /**
     * Write up to `capacity` regions in ascending order, and return how many regions there are in total. If that is
     * more, the engine calls again with more room. Return 0 if the regions are unknown.
     */
    size_t (*regions)(void *context, struct tm_region *regions, size_t capacity);
    /**
     * Why the byte at `address` cannot be read, in a few printable words for the user; NULL if unknown. The string must
     * stay valid as long as the target. This callback and the next ones may be NULL.
     */
    const char *(*why_missing)(void *context, uint64_t address);
    /** The id of the process in its own pid namespace; 0 if unknown. */
    uint32_t (*process)(void *context);
    /**
     * How many bytes of memory the process has that are no part of a file: private anonymous memory and shared memory,
     * of any allocator. *kind is set to the enum tm_private_kind that says what was counted. It is 0 before the call,
     * which means unknown; then the engine adds up the regions.
     */
    uint64_t (*private_memory)(void *context, uint32_t *kind);
    /** As `regions`: the threads, in any order. Return 0 if they are unknown. */
    size_t (*threads)(void *context, struct tm_thread *threads, size_t capacity);
    /** As `regions`: what is mapped from files, in ascending order. Return 0 if it is unknown. */
    size_t (*modules)(void *context, struct tm_module *modules, size_t capacity);
    /** Fill in what is known; all is 0 before the call. */
    void (*backing)(void *context, struct tm_backing *backing);
    /**
     * What the system says of each of `count` pages of 4096 bytes from `address` on: the words of Linux's /proc/PID/pagemap,
     * at most 65536 of them. Return 0 for success, anything else if it is not known, as of a core.
     */
    int (*page_map)(void *context, uint64_t address, uint64_t *entries, uint64_t count);
    /** How much memory the process has, as the system counts it (Rss); 0 if it is not known, as of a core. */
    uint64_t (*resident)(void *context);
};
#define TM_READ_LIMIT (UINT64_C(1) << 20)

/** The terminal that shows the answers. */
struct tm_screen {
    uint32_t width;  // columns; 0: lines may have any length
    uint32_t styled; // not 0: it understands ANSI escape sequences for colours, and the user wants them
};

/** How the engine sees the user's side. */
struct tm_host_callbacks {
    /** Return anything but 0 to interrupt the work (Ctrl-C). Called at least every few milliseconds of work. */
    int (*should_stop)(void *context);
    /** Write text for the user: `length` bytes of valid UTF-8, NUL-terminated. */
    void (*write)(void *context, const char *text, size_t length);
    /** Progress of long work: `done` of `total` units. The callback may be NULL. */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    /**
     * Line `line` (from 1) of a source file, as Python's linecache.getline() returns it; NULL if it cannot be read.
     * `file_name` is UTF-8; a lone surrogate in it takes three bytes. The string must stay valid until the next call.
     * *may_differ is 0 before the call; set it to anything else if the file may have changed since the program read it.
     */
    const char *(*source_line)(void *context, const char *file_name, uint32_t line, uint32_t *may_differ);
    /**
     * If the text of the next `write` goes to a terminal, fill `screen` and return anything but 0. Return 0 if it goes
     * to a file, a pipe or another program: rows then have tracemalloc's form. The callback may be NULL, which is 0.
     */
    int (*screen)(void *context, struct tm_screen *screen);
};

/** The callbacks are copied. `context` must outlive the session. */
TM_API struct tm_error *tm_session_create(const struct tm_host_callbacks *host, void *context,
                                          struct tm_session **result);
TM_API void tm_session_destroy(struct tm_session *session);

/**
 * A new target reads nothing until a request needs it. It keeps what it has read: call tm_target_changed() whenever the
 * process may have run, or its memory may have been written, since the last request. `context` must outlive the target.
 */
TM_API struct tm_error *tm_target_create(const struct tm_target_callbacks *callbacks, void *context,
                                         struct tm_target **result);
TM_API void tm_target_changed(struct tm_target *target);
TM_API void tm_target_destroy(struct tm_target *target);
/**
 * A target that is a snapshot file, written by tracemalloc's Snapshot.dump() or by tm-save. `read` gets offsets below
 * `size` as addresses. The other callbacks are not called.
 */
TM_API struct tm_error *tm_target_create_file(const struct tm_target_callbacks *callbacks, void *context, uint64_t size,
                                              struct tm_target **result);
/**
 * The process may run while it is read. What is read of the trace table is then read again, so that no row is wrong; that
 * takes longer. A stopped process and a core need no call.
 */
TM_API void tm_target_set_running(struct tm_target *target, bool running);
/**
 * The process did run while it is read, as far as the front end can find out. Answers then say so: what the program
 * allocates or frees meanwhile may be missing or counted half.
 */
TM_API void tm_target_set_moving(struct tm_target *target, bool moving);
/** Bytes requested from `read` since the target was created. */
TM_API uint64_t tm_target_bytes_read(const struct tm_target *target);
/** When tracing began, in nanoseconds since 1970; 0: unknown, or no request has found it out yet. */
TM_API uint64_t tm_target_started(const struct tm_target *target);

// ---------------------------------------------------------------------------------------------------------------
// Commands

/** The commands in the order in which a manual would explain them: call with 0, 1, … until it returns NULL. */
TM_API const char *tm_command_name(size_t index);
/** Help: a summary line, a blank line, "Usage: …", the options and examples. NULL if there is no such command. */
TM_API const char *tm_command_help(const char *command);
/**
 * Completions of the last word of `line`, which is the text after the command's name up to the cursor. They are full
 * words, one a line; "" if nothing matches. The result lives until the session's next call of tm_complete(). `current`
 * may be NULL. It is read only for words that depend on it: the domains that it has.
 */
TM_API const char *tm_complete(struct tm_session *session, const char *command, const char *line,
                               struct tm_target *current);

/** What a word of a command line is. */
enum tm_word_kind {
    TM_WORD_OPTION = 1, // also "--"
    TM_WORD_VALUE = 2,  // of the option before it
    TM_WORD_OPERAND = 3,
};

/**
 * What words[index] is, of the words after the command's name. With it a front end finds an operand that is not for the
 * engine, such as the target on a command line. An unknown option counts as one without a value.
 */
TM_API enum tm_word_kind tm_command_word(const char *command, const char *const *words, size_t index);

enum tm_operand {
    TM_OPERAND_EXPRESSION = 1, // in the debugger's language: evaluate it, and call tm_request_set_address()
    TM_OPERAND_CORE = 2,       // a core or a snapshot file: open it, and call tm_request_set_target()
    TM_OPERAND_OUTPUT = 3,     // a file to write, which must not exist: create it, and call tm_request_set_output()
    TM_OPERAND_REPLACE = 4,    // the same, but an existing file is replaced once everything is written
    TM_OPERAND_ANSWER = 5,     // as TM_OPERAND_REPLACE: a file that gets the answer in place of the user
};

/** Write the next bytes of a file. Return 0 for success; anything else makes the request fail. */
typedef int (*tm_output_callback)(void *context, const void *bytes, size_t length);

/**
 * Parse a command line: the text after the command's name. Words are split as a POSIX shell splits them, without
 * expansions. An expression is the rest of the line as it was typed.
 */
TM_API struct tm_error *tm_request_create(struct tm_session *session, const char *command, const char *line,
                                          struct tm_request **result);
/** How many operands the front end must resolve; 0 for most commands. A plain number is not among them. */
TM_API size_t tm_request_operands(const struct tm_request *request);
TM_API enum tm_operand tm_request_operand_kind(const struct tm_request *request, size_t index);
TM_API const char *tm_request_operand_text(const struct tm_request *request, size_t index);
TM_API void tm_request_set_address(struct tm_request *request, size_t index, uint64_t address);
/** The target must outlive the request, which does not own it. */
TM_API void tm_request_set_target(struct tm_request *request, size_t index, struct tm_target *target);
/**
 * `output` is called while the request runs. The file is complete if tm_request_run() returns no error. An answer's file
 * is complete if anything was written to it: an answer that is bad news makes the request fail.
 */
TM_API void tm_request_set_output(struct tm_request *request, size_t index, tm_output_callback output, void *context);
/** Whether tm_request_run() needs `current`. Some commands, such as tm-filter, need no target. */
TM_API bool tm_request_needs_target(const struct tm_request *request);
/** `current` is NULL if there is no process and no core. If the request needs it, the error says so. */
TM_API struct tm_error *tm_request_run(struct tm_request *request, struct tm_target *current);
TM_API void tm_request_destroy(struct tm_request *request);

#ifdef __cplusplus
}
#endif

#endif
