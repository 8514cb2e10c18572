/**
 * What a TARGET on the command line is: a process id, a core or a snapshot file.
 */
#ifndef TRACEMORTEM_CLI_TARGETS_H
#define TRACEMORTEM_CLI_TARGETS_H

#include "cli/cli.h"
#include "process/process.h"

enum tm_target_kind {
    TM_TARGET_PROCESS,
    TM_TARGET_CORE, // any other file: opening it says what is wrong with it
    TM_TARGET_SNAPSHOT,
};

/** A target that is open. All zero: none. */
struct tm_cli_target {
    enum tm_target_kind kind;
    const char *text;           // as it was typed
    pid_t pid;                  // of a process
    struct tm_process *process; // a process or a core
    int file;                   // of a snapshot
    struct tm_files files;      // of a snapshot: where its source files are
    struct tm_target *target;   // the engine's
};

/** Whether this is a regular file that begins as a pickle does. */
bool tm_is_snapshot(const char *path);
enum tm_target_kind tm_target_kind(const char *text);
/** Whether these are digits, the id of a process. */
bool tm_is_pid(const char *text, pid_t *pid);

struct tm_error *tm_cli_target_open(const char *text, struct tm_cli_target *result);
void tm_cli_target_close(struct tm_cli_target *target);
/** Its source files. */
const struct tm_files *tm_cli_target_files(const struct tm_cli_target *target);

#endif
