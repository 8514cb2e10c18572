/**
 * How the tracer gets into a program: preloaded. What keeps a preloaded tracer from being there is found before the
 * program starts, because the loader says nothing, or ends the program. src/python/tracemortem/_launch.py does the same
 * for `python3 -m tracemortem`, and the messages are the same.
 */
#ifndef TRACEMORTEM_CLI_PRELOAD_H
#define TRACEMORTEM_CLI_PRELOAD_H

#include "cli/cli.h"

/** The tracer that belongs to this command, in memory of malloc; it may not be there. NULL: no memory. */
char *tm_preload_tracer(void);

/** Appends why this program would run without the tracer; nothing: nothing is known against it. */
void tm_preload_why_not(const char *program, const char *tracer, struct tm_text *why);
/** The same for a program that runs already, and is to load the tracer. */
void tm_preload_why_not_load(const char *program, const char *tracer, struct tm_text *why);

/**
 * The tracer's path, or that of a link to it where LD_PRELOAD would split the path. In memory of malloc; NULL: there can
 * be no link. *is_link: the folder of the link is to be removed if the program does not start.
 */
char *tm_preload_name(const char *tracer, bool *is_link);
void tm_preload_remove_link(const char *link);

#endif
