/**
 * The recorder's file of a process of which there is a core. The usual coredump_filter leaves out files that are mapped shared,
 * so the core lacks the table, and its notes name the file that has it.
 */
#ifndef TRACEMORTEM_PROCESS_TABLE_FILE_H
#define TRACEMORTEM_PROCESS_TABLE_FILE_H

#include "process/core.h"

/**
 * Looks for the file that the core names, where it was and then beside the core, and keeps it open if it is that of the same
 * process: its identity must be in the tracer's memory, which the core has. Else the core says why not.
 */
void tm_core_find_table(struct tm_core *core);

#endif
