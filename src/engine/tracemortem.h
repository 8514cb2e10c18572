/**
 * libtracemortem: answers tracemalloc's questions about a stopped target from its trace table.
 *
 * This is the engine's only public header; gdb/, lldb/ and any other front end see nothing else (the shared Python
 * package binds it with ctypes). The engine knows no debugger, opens no file and calls nothing in the target: it
 * sees the target through `struct tm_target_callbacks` and the user's side through `struct tm_host_callbacks`.
 *
 *   session   one per debugger: the user's side, and what stays in force between commands (filters, settings)
 *   target    one process or core: how to read it, and what was already learned of it
 *   request   one command line: parsed by the engine, its operands resolved by the front end, then run
 *
 * A front end's whole work for a command:
 *
 *     tm_request_create(session, "tm-diff", "old.core -n 5", &request)
 *     for each operand i:                        // an expression to evaluate, a core to open, a file to write
 *         tm_request_set_address(request, i, …)  or  tm_request_set_target(request, i, …)  or  …_set_output(…)
 *     tm_request_run(request, current_target)    // text goes to host->write
 *     tm_request_destroy(request)
 *
 * Conventions. A function which can fail returns NULL for success or a `struct tm_error *` which the caller
 * destroys; its result is the last parameter. Strings are UTF-8, NUL-terminated; those returned by pointer live as
 * long as the object they were asked of. Nothing here is thread-safe: one thread per session. Text written or put
 * into errors is always valid UTF-8: control characters and lone surrogates from the target are escaped.
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
    TM_ERROR_USAGE = 2,        // an unknown command, option, key; a missing or superfluous operand
    TM_ERROR_NO_TARGET = 3,    // no process and no core
    TM_ERROR_NO_TABLE = 4,     // no trace table in the target: no Python, or one without the tracer
    TM_ERROR_NOT_TRACING = 5,  // the tracer is there but tracing is off
    TM_ERROR_UNSUPPORTED = 6,  // a table of another layout version, byte order or pointer size
    TM_ERROR_CORRUPT = 7,      // the table contradicts itself beyond use, or another says that it is the one
    TM_ERROR_FAULT = 8,        // the target's memory cannot be read there
    TM_ERROR_NOT_FOUND = 9,    // no such address in the table
    TM_ERROR_INTERRUPTED = 10, // the user asked to stop
    TM_ERROR_OUTPUT = 11,      // what was to be written could not be
    TM_ERROR_INCOMPLETE = 12,  // no trace table, but memory is missing in which one may be
};

/** A message for the user: what is wrong, why, and what to type next. May have several lines. */
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
    char name[48]; // as the system names the mapping ("[heap]", "[anon:tracemortem]", a path's beginning); may be ""
};
#define TM_REGION_READABLE 1u
#define TM_REGION_WRITABLE 2u
#define TM_REGION_FILE 4u   // mapped from a file
#define TM_REGION_ABSENT 8u // the process had this memory, but the dump does not hold it

/** How the engine sees a stopped process or a core. `context` is the front end's. */
struct tm_target_callbacks {
    /**
     * Copy exactly `length` bytes from `address` into `buffer`. 0: done; anything else: not all of them can be read.
     * The engine never asks for more than TM_READ_LIMIT bytes at once. Bytes which the dump does not hold must not be
     * made up.
     */
    int (*read)(void *context, uint64_t address, void *buffer, uint64_t length);
    /** The address of the global variable `name`, or 0 if there is none or it cannot be told. May be wrong. */
    uint64_t (*symbol)(void *context, const char *name);
    /**
     * Write up to `capacity` regions, in ascending order, and return how many there are in all (which may be more:
     * the engine calls again with more room). 0: not known.
     */
    size_t (*regions)(void *context, struct tm_region *regions, size_t capacity);
    /**
     * Why the byte at `address` cannot be read, for the user, in a few words of printable text; NULL: not known. The
     * string must stay valid as long as the target. May be NULL itself, as may the next one.
     */
    const char *(*why_missing)(void *context, uint64_t address);
    /** The process's id as it sees itself (in its own namespace), 0: not known. */
    uint32_t (*process)(void *context);
};
#define TM_READ_LIMIT (UINT64_C(1) << 20)

/** How the engine sees the user's side. */
struct tm_host_callbacks {
    /** Not 0: give up as soon as possible (Ctrl-C). Asked at least every few milliseconds of work. */
    int (*should_stop)(void *context);
    /** Text for the user; `length` bytes, valid UTF-8, also NUL-terminated. */
    void (*write)(void *context, const char *text, size_t length);
    /** How far a long piece of work has come: `done` of `total` units; NULL if nobody cares. */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    /**
     * Line `line` (from 1) of the source file as Python's linecache.getline() gives it, or NULL if it cannot be read.
     * `file_name` is UTF-8 with surrogates as three bytes. The string must stay valid until the next call.
     */
    const char *(*source_line)(void *context, const char *file_name, uint32_t line);
};

/** The structs are copied; `context` must outlive the object. */
TM_API struct tm_error *tm_session_create(const struct tm_host_callbacks *host, void *context,
                                          struct tm_session **result);
TM_API void tm_session_destroy(struct tm_session *session);

/**
 * A target costs nothing until it is asked something. It remembers what it has read: call tm_target_changed()
 * whenever the process may have run or memory may have been written since the last request.
 */
TM_API struct tm_error *tm_target_create(const struct tm_target_callbacks *callbacks, void *context,
                                         struct tm_target **result);
TM_API void tm_target_changed(struct tm_target *target);
TM_API void tm_target_destroy(struct tm_target *target);
/**
 * A target which is a file and no memory: a snapshot, as Snapshot.dump() of tracemalloc or tm-save writes it. `read` is
 * asked for bytes at offsets below `size`, the other callbacks are not called.
 */
TM_API struct tm_error *tm_target_create_file(const struct tm_target_callbacks *callbacks, void *context, uint64_t size,
                                              struct tm_target **result);
/** Bytes asked of `read` since the target was created. */
TM_API uint64_t tm_target_bytes_read(const struct tm_target *target);

// ---------------------------------------------------------------------------------------------------------------
// Commands

/** The commands, in the order in which a manual would tell them: `tm_command_name(i)` for i from 0 until NULL. */
TM_API const char *tm_command_name(size_t index);
/** The first line is a summary, then come a blank line, "Usage: …", the options and examples. NULL: no such command. */
TM_API const char *tm_command_help(const char *command);
/**
 * What could stand for the last word of `line` (all that follows the command's name, up to the cursor): full words,
 * one a line; "" if nothing is known. The result lives until the session's next call of it.
 */
TM_API const char *tm_complete(struct tm_session *session, const char *command, const char *line);

enum tm_operand {
    TM_OPERAND_EXPRESSION = 1, // in the debugger's language: give its value by tm_request_set_address()
    TM_OPERAND_CORE = 2,       // a core or a snapshot file: open it and give a target by tm_request_set_target()
    TM_OPERAND_OUTPUT = 3,     // a file to write, which must not exist yet: take its bytes by tm_request_set_output()
    TM_OPERAND_REPLACE = 4,    // the same, but one which exists is replaced once all is written
};

/** Bytes of a file, in order. 0: taken; anything else: they cannot be written, and the request fails. */
typedef int (*tm_output_callback)(void *context, const void *bytes, size_t length);

/**
 * Parse a command line (all that follows the command's name). Words are split as a POSIX shell does without
 * expansions; an operand which is an expression is the rest of the line as it was typed.
 */
TM_API struct tm_error *tm_request_create(struct tm_session *session, const char *command, const char *line,
                                          struct tm_request **result);
/** How many operands the front end must resolve (0 for most commands). A plain number needs no resolving. */
TM_API size_t tm_request_operands(const struct tm_request *request);
TM_API enum tm_operand tm_request_operand_kind(const struct tm_request *request, size_t index);
TM_API const char *tm_request_operand_text(const struct tm_request *request, size_t index);
TM_API void tm_request_set_address(struct tm_request *request, size_t index, uint64_t address);
/** The target is borrowed until the request is destroyed. */
TM_API void tm_request_set_target(struct tm_request *request, size_t index, struct tm_target *target);
/** `output` is called while the request runs. Whether the file is whole is told by tm_request_run(): no error. */
TM_API void tm_request_set_output(struct tm_request *request, size_t index, tm_output_callback output, void *context);
/** Whether tm_request_run() reads `current`; a command like tm-filter needs no target. */
TM_API bool tm_request_needs_target(const struct tm_request *request);
/** `current` may be NULL where there is no process and no core: the error then says so. */
TM_API struct tm_error *tm_request_run(struct tm_request *request, struct tm_target *current);
TM_API void tm_request_destroy(struct tm_request *request);

#ifdef __cplusplus
}
#endif

#endif
