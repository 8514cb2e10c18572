/**
 * Files for a process, where it finds them: the tracer at the path that it has here, or a copy in the process's own file
 * system, if that is another. Knows no tracing.
 */
#ifndef TRACEMORTEM_CLI_PLACE_H
#define TRACEMORTEM_CLI_PLACE_H

#include <limits.h>

#include "cli/cli.h"
#include "process/live.h"

/** A folder in the process's file system, which tm_place_remove() removes with the files that we know in it. */
struct tm_place {
    char folder[64];        // as the process sees it
    int descriptor, parent; // of it and its parent; -1: there is none
    const char *name;       // in the parent
    char tracer[PATH_MAX];  // the tracer's path, as the process sees it
};
#define TM_NO_PLACE                    \
    {                                  \
        .descriptor = -1, .parent = -1 \
    }

/** Files that we make there, beside a copy of the tracer. */
#define TM_PLACE_SCRIPT "switch.py"
#define TM_PLACE_OUTCOME "outcome"
#define TM_PLACE_UNFINISHED "outcome.new"

/** Makes a folder in which the process may write and load programs. The error says what is in the way. */
struct tm_error *tm_place_folder(const struct tm_live *live, struct tm_place *place);
/** Sets the tracer's path: that of this file, or of a copy in a folder. The error says where the user can put the file. */
struct tm_error *tm_place_tracer(const struct tm_live *live, const char *file, struct tm_place *place);
/** Leaves the folder where it is, for a script that may still run. */
void tm_place_leave(struct tm_place *place);
/** What was loaded stays loaded. */
void tm_place_remove(struct tm_place *place);

#endif
