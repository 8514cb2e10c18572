/**
 * Errors: making, reading and freeing them. Knows nothing of what went wrong.
 */
#include "engine/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct tm_error {
    enum tm_error_code code;
    bool is_static; // not to be freed
    const char *message;
    char text[];
};

// What is returned where there is no memory for an error: one for each code, so that the code is never lost. They are
// constant; tm_error_destroy() leaves them alone.
#define TM_STATIC_ERROR(error_code, error_text) \
    [error_code] = {.code = (error_code), .is_static = true, .message = (error_text)}
static const struct tm_error static_errors[] = {
    TM_STATIC_ERROR(TM_ERROR_NO_MEMORY, "not enough memory in the debugger"),
    TM_STATIC_ERROR(TM_ERROR_USAGE, "wrong usage (and no memory to say what is wrong)"),
    TM_STATIC_ERROR(TM_ERROR_NO_TARGET, "no process and no core"),
    TM_STATIC_ERROR(TM_ERROR_NO_TABLE, "no trace table in the target"),
    TM_STATIC_ERROR(TM_ERROR_NOT_TRACING, "the tracer is loaded, but tracing is off"),
    TM_STATIC_ERROR(TM_ERROR_UNSUPPORTED, "the trace table is of a kind that this tracemortem does not read"),
    TM_STATIC_ERROR(TM_ERROR_CORRUPT, "the trace table is corrupt"),
    TM_STATIC_ERROR(TM_ERROR_FAULT, "the target's memory cannot be read"),
    TM_STATIC_ERROR(TM_ERROR_NOT_FOUND, "not traced"),
    TM_STATIC_ERROR(TM_ERROR_INTERRUPTED, "interrupted"),
    TM_STATIC_ERROR(TM_ERROR_OUTPUT, "the output cannot be written"),
    TM_STATIC_ERROR(TM_ERROR_INCOMPLETE, "no trace table in what can be read of the target"),
};
_Static_assert(sizeof(static_errors) / sizeof(static_errors[0]) == TM_ERROR_INCOMPLETE + 1, "one for each code");

static struct tm_error *static_error(enum tm_error_code code)
{
    size_t index = (size_t)code;
    if (index >= sizeof(static_errors) / sizeof(static_errors[0]) || !static_errors[index].message)
        index = TM_ERROR_NO_MEMORY;
    // Callers hold errors by a mutable pointer only to destroy them.
    return (struct tm_error *)(uintptr_t)&static_errors[index];
}

struct tm_error *tm_error_create(enum tm_error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return static_error(code);

    struct tm_error *error = malloc(sizeof(*error) + (size_t)length + 1);
    if (!error)
        return static_error(code);
    error->code = code;
    error->is_static = false;
    error->message = error->text;
    va_start(arguments, format);
    vsnprintf(error->text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return error;
}

struct tm_error *tm_error_no_memory(void)
{
    return static_error(TM_ERROR_NO_MEMORY);
}

const char *tm_error_message(const struct tm_error *error)
{
    return error ? error->message : "";
}

enum tm_error_code tm_error_code(const struct tm_error *error)
{
    return error ? error->code : (enum tm_error_code)0;
}

void tm_error_destroy(struct tm_error *error)
{
    if (error && !error->is_static)
        free(error);
}
