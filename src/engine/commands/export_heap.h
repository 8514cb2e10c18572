/**
 * The format heapsnapshot of tm-export, which has objects and not tracebacks.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_EXPORT_HEAP_H
#define TRACEMORTEM_ENGINE_COMMANDS_EXPORT_HEAP_H

#include "engine/commands/request.h"

/** For prepare(): TM_ERROR_USAGE if the request has options that make no sense for objects. */
struct tm_error *tm_export_heap_check(const struct tm_request *request);
struct tm_error *tm_export_heap(struct tm_request *request, struct tm_target *current, struct tm_text *out);

#endif
