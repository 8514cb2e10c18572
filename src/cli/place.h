/**
 * Where a process finds the tracer's file: at the path that it has here, or at that of a copy in the process's own file
 * system, if that is another. Knows no tracing.
 */
#ifndef TRACEMORTEM_CLI_PLACE_H
#define TRACEMORTEM_CLI_PLACE_H

#include <limits.h>

#include "cli/cli.h"
#include "process/live.h"

/** A place that tm_place_remove() takes back. */
struct tm_place {
    char path[PATH_MAX]; // as the process sees it
    int folder;          // of a copy; -1: it is no copy
    char name[32];       // of the copy's folder in `parent`
    int parent;
};

/** The error says where the user can put the file. */
struct tm_error *tm_place_file(const struct tm_live *live, const char *file, struct tm_place *place);
/** Removes a copy, which the process no longer needs once it has loaded it. */
void tm_place_remove(struct tm_place *place);

#endif
