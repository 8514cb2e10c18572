/**
 * Tracing on and off in one process that runs, from outside. It changes the process: the caller has asked the user.
 */
#ifndef TRACEMORTEM_CLI_SWITCH_H
#define TRACEMORTEM_CLI_SWITCH_H

#include "cli/cli.h"
#include "layout/switch.h"
#include "process/process.h"

/** What the user wants. */
struct tm_switch_wish {
    enum tm_switch_order order;
    uint32_t frame_limit;
    const char *detail; // "": the tracer's default
    const char *file;   // a recorder's file, as the process sees it; "": none
    const char *tracer; // the tracer's file
    const char *inside; // where the process has it already; NULL: it is placed there
    uint64_t timeout;   // nanoseconds to wait for the process
    uint64_t max_stop;  // nanoseconds that its threads may take to be still
};

struct tm_switch_outcome {
    enum tm_switch_state state; // TM_SWITCH_DONE or TM_SWITCH_NOTHING
    uint32_t frame_limit;       // of the trace that there was already
    uint64_t stopped;           // nanoseconds that the process was held still; 0: it was not
    char problem[512];          // what went wrong beside it; "": nothing
};

struct tm_error *tm_switch_process(pid_t pid, const struct tm_switch_wish *wish, struct tm_switch_outcome *outcome);

#endif
