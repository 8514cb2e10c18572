/**
 * Sifting: which single traces the session's filters and the command's keep, judged once for each origin.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_SIFT_H
#define TRACEMORTEM_ENGINE_COMMANDS_SIFT_H

#include "engine/commands/request.h"
#include "engine/model/source.h"

struct tm_sifter {
    struct tm_sieve session;
    struct tm_sieve own;
    struct tm_cutter cutter;
    tm_trace_visitor visit;
    void *context;
};

/** Call tm_sifter_deinit() in any case. */
struct tm_error *tm_sifter_init(struct tm_sifter *sifter, const struct tm_request *request, struct tm_pool *pool,
                                tm_trace_visitor visit, void *context);
void tm_sifter_deinit(struct tm_sifter *sifter);
/** A tm_trace_visitor: passes the trace on if the filters keep it. With --mine its origin's `mine` is set. */
struct tm_error *tm_sift(void *sifter, const struct tm_trace *trace);

#endif
