/**
 * The command `tracemortem`: the engine's commands without a debugger.
 *
 *   main.c        which command, exit statuses
 *   run.c         `tracemortem run`: starts a program with the tracer; preload.c knows what keeps it from being there
 *   start.c       `tracemortem start` and `stop`: which processes, and whether the user agrees; switch.c does it to one,
 *                 and place.c puts the tracer's file where that process finds it
 *   ask.c         one of the engine's commands on its targets: the whole of `tracemortem top 4711`
 *   many.c        the same command on many processes; select.c knows which ones
 *   every.c       snapshots again and again
 *   report.c      `tracemortem report`: a page, by one word
 *   metrics.c     `tracemortem metrics`: OpenMetrics of many processes
 *   push.c        `tracemortem push`: profiles to a server; post.c sends
 *   fleet.c       what both share: their words, and an export of each target
 *   moment.c      a moment in which a running process is read: tried again until it is still, or held still
 *   targets.c     what a TARGET on the command line is, and opening it
 *   output.c      files that an answer is written to, whole or not at all
 *   host.c        the engine's host: stdout, stderr, Ctrl-C, progress, source lines
 *   plain_options.c   options of commands that are not the engine's
 *   words.c       words of the command line: quoting, and options that are not the engine's
 *   help.c        help texts and the engine's texts as they read on a command line
 *   complete.c    completion for the shells
 *
 * All that is said of a target comes from the engine; all that is read of it goes through src/process/.
 */
#ifndef TRACEMORTEM_CLI_CLI_H
#define TRACEMORTEM_CLI_CLI_H

#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/tracemortem.h"

/** Exit statuses. They are part of the command's interface: help.c lists them. */
enum tm_status {
    TM_STATUS_DONE = 0,
    TM_STATUS_BAD_NEWS = 1, // no answer, or an answer that is bad news
    TM_STATUS_USAGE = 2,
    TM_STATUS_UNTRACED = 3,     // the target is there, and has no traces
    TM_STATUS_NO_TARGET = 4,    // it cannot be opened or read
    TM_STATUS_CANNOT_RUN = 126, // `run`: the program cannot be started
    TM_STATUS_NOT_FOUND = 127,  // `run`: it is not there
};

/** The command's own ones; each gets the words after its name. */
int tm_cli_run(int count, char **words);
int tm_cli_start(int count, char **words);
int tm_cli_stop(int count, char **words);
int tm_cli_complete(int count, char **words);
int tm_cli_completion(int count, char **words);
int tm_cli_report(int count, char **words);
int tm_cli_metrics(int count, char **words);
int tm_cli_push(int count, char **words);
extern const char tm_report_help[], tm_metrics_help[], tm_push_help[];
/** Those that ask targets by the engine's tm-export, ended by a name of NULL. */
struct tm_own_command {
    const char *name;
    int (*run)(int count, char **words);
    const char *help;
};
extern const struct tm_own_command tm_own_commands[];
/** One of the engine's commands, by its name in the engine. */
int tm_cli_ask(const char *command, int count, char **words);

/** Shows the error on stderr and destroys it. Returns the exit status. */
int tm_cli_fail(struct tm_error *error);

#endif
