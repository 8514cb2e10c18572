/**
 * Errors: one type, created where something goes wrong and passed up unchanged. NULL is success.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_ERROR_H
#define TRACEMORTEM_ENGINE_BASE_ERROR_H

#include "engine/tracemortem.h"

/**
 * As printf(). Text from the target must be escaped (text.h) before it goes in. Never NULL: where there is no memory
 * for the message, the code's shared error is returned.
 */
struct tm_error *tm_error_create(enum tm_error_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** The error for a failed malloc on the debugger's side. */
struct tm_error *tm_error_no_memory(void);

#endif
