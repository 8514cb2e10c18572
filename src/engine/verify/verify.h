/**
 * Verifying: reads a whole table of our tracer and checks every invariant which docs/layout.md states.
 *
 * Knows records and what they mean together; no command and no output.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_VERIFY_H
#define TRACEMORTEM_ENGINE_VERIFY_VERIFY_H

#include "engine/model/source.h"

/**
 * For a source of tm_table_open(): its `verify`. The memory it takes is bounded by what it reads. Fails only if
 * interrupted or if there is no memory.
 */
struct tm_error *tm_verify_table(struct tm_source *source, const struct tm_host *host,
                                 const struct tm_verify_request *request, struct tm_verification *result);

#endif
