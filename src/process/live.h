/**
 * A process of this host, read through /proc/PID/mem. Nothing is written to it and it is not stopped here (stop.h does
 * that). Knows no trace table and no symbol.
 */
#ifndef TRACEMORTEM_PROCESS_LIVE_H
#define TRACEMORTEM_PROCESS_LIVE_H

#include <sys/types.h>

#include "engine/tracemortem.h"

struct tm_live {
    pid_t pid;
    int folder; // /proc/PID
    int memory; // /proc/PID/mem
    int pages;  // /proc/PID/pagemap; -1: it cannot be opened
};

/** The error says why the process cannot be read, and what to do about it. */
struct tm_error *tm_live_open(pid_t pid, struct tm_live **result);
void tm_live_close(struct tm_live *live);

/** The engine's callbacks, whose context is the live process; `symbol` is NULL. */
extern const struct tm_target_callbacks tm_live_callbacks;

/** NULL, or the error that the process has ended. */
struct tm_error *tm_live_check(const struct tm_live *live);

#endif
