/**
 * Which processes `--children`, `--name` and `--cgroup` mean. Knows /proc and the control groups, and no table.
 */
#ifndef TRACEMORTEM_CLI_SELECT_H
#define TRACEMORTEM_CLI_SELECT_H

#include <sys/types.h>

#include "cli/words.h"

struct tm_processes {
    pid_t *ids; // ascending
    size_t count, capacity;
};

/** Whether the options select processes, in the place of a target. */
bool tm_selects(const struct tm_own_options *own);
/** An error if there is no such process. The result may be empty. */
struct tm_error *tm_select(const struct tm_own_options *own, struct tm_processes *result);
void tm_processes_deinit(struct tm_processes *processes);

/** What a process calls itself: its command line, on one line, escaped; its name in brackets if that is empty. */
void tm_process_title(pid_t pid, struct tm_text *title);

#endif
