/**
 * The engine's host on a command line: the answer is held back until it is whole, Ctrl-C interrupts, progress goes to
 * standard error if that is a terminal. There is one host in a process.
 */
#ifndef TRACEMORTEM_CLI_HOST_H
#define TRACEMORTEM_CLI_HOST_H

#include "cli/cli.h"
#include "process/lines.h"

struct tm_cli_host {
    struct tm_session *session;
    struct tm_text answer;    // what the engine wrote
    struct tm_lines *lines;   // the source lines of the target; NULL: none
    struct tm_target *target; // whose beginning of tracing marks changed lines; NULL: none
    uint64_t deadline;        // of CLOCK_MONOTONIC: the engine is stopped then; 0: never
    bool is_late;             // it was
    bool to_file;             // the answer does not go to standard output
    uint64_t silent_until;    // progress is shown from then on
    size_t shown;             // characters of the progress that is on the terminal
};

struct tm_error *tm_cli_host_init(struct tm_cli_host *host);
void tm_cli_host_deinit(struct tm_cli_host *host);

/** Writes the held answer to standard output. */
struct tm_error *tm_cli_host_flush(struct tm_cli_host *host);
/** Removes the progress from the terminal. */
void tm_cli_host_clear(struct tm_cli_host *host);

/** Whether Ctrl-C was pressed. */
bool tm_cli_interrupted(void);
/** Ends this process as Ctrl-C would have. */
void tm_cli_end_interrupted(void) __attribute__((noreturn));
/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t tm_cli_now(void);
/** A line on standard error: "tracemortem: TEXT". */
void tm_cli_say(const char *text);
void tm_cli_warn(const char *text);

#endif
