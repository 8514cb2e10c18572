/**
 * A moment in which processes are read. They run on by default: the answer is tried again until the table did not change
 * while it was read. Or they are held still, for a bounded time.
 */
#ifndef TRACEMORTEM_CLI_MOMENT_H
#define TRACEMORTEM_CLI_MOMENT_H

#include "cli/host.h"
#include "cli/output.h"
#include "cli/targets.h"
#include "cli/words.h"

enum { TM_MOMENT_TARGETS = 3 };

/** A request whose operands are resolved, and what it reads and writes. */
struct tm_moment {
    struct tm_cli_host *host;
    const struct tm_command_line *line;
    struct tm_request *request;
    struct tm_target *current;                        // NULL: it needs none
    struct tm_cli_target *targets[TM_MOMENT_TARGETS]; // all that it reads
    size_t target_count;
    struct tm_output *outputs; // all that it writes to
    size_t output_count;
};

/** Runs the request. The answer is then in the host, or the error is its bad news. */
struct tm_error *tm_moment_run(const struct tm_moment *moment);

#endif
